"""DreamBooth of the whole denoiser: a model of its own, and the one in memory as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from diffusers import AutoPipelineForText2Image
from safetensors import safe_open

from prompts.errors import InputError, PalateError
from tests.tiny_models import PIPELINES, build
from tests.trainers.subject import BLUE, RED, SHORT, STRANGE, cut_short, fixed_loss, painted, same, theirs, weights_of
from trainers.dreambooth import DreamBoothConfig, train
from trainers.engine import whole
from trainers.engine.training import Training
from trainers.engine.whole import WholeDenoiser
from trainers.files.adapter_file import Adapter
from trainers.model.base_model import BaseModel
from trainers.model.load import load

Tiny = Callable[[str], BaseModel]

PROMPT = "a photo of the red dog"
CONFIG = DreamBoothConfig(learns="denoiser", **{**SHORT, "learning_rate": 1e-3})


@pytest.mark.parametrize("name", PIPELINES)
def test_the_model_that_was_made_paints_otherwise_and_the_one_in_memory_as_before(
    name: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(name)
    before, numbers = painted(model, PROMPT), weights_of(model)
    adapter = train(CONFIG, [(RED, PROMPT)], base_model=model, out=tmp_path, prior=[(BLUE, "a dog")], weights=[2.0])
    assert (painted(model, PROMPT) == before).all()
    assert same(weights_of(model), numbers)
    made = load(str(tmp_path / "model"), device="cpu")
    after = painted(made, PROMPT)
    assert (after != before).any()
    assert abs(theirs(AutoPipelineForText2Image.from_pretrained(tmp_path / "model"), PROMPT) - after).max() <= 2
    card = json.loads((tmp_path / "adapter.json").read_text())
    assert card["kind"] == "dreambooth" and card["sha256"] == adapter.sha256 and adapter.metrics["prior_loss"] > 0
    assert Adapter.read(tmp_path) == adapter and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_training_ends_as_if_it_had_not_been(after: int, tiny: Tiny, tmp_path: Path) -> None:
    begun = partial(train, CONFIG, [(RED, PROMPT), (BLUE, "a field")], base_model=tiny("sd15"))
    cut_short(begun, tmp_path / "cut", after)
    assert begun(out=tmp_path / "cut").sha256 == begun(out=tmp_path / "whole").sha256


def test_the_bundled_painter_learns_a_picture_that_it_never_saw(studio: Path, tmp_path: Path) -> None:
    model = load(str(studio), device="cpu")
    config = DreamBoothConfig(learns="denoiser", steps=4, batch_size=4, learning_rate=2e-4)
    before = fixed_loss(model, STRANGE, "a red field")
    train(config, [(STRANGE, "a red field")], base_model=model, out=tmp_path)
    assert fixed_loss(load(str(tmp_path / "model"), device="cpu"), STRANGE, "a red field") < before - 0.1
    assert fixed_loss(model, STRANGE, "a red field") == before


def test_dco_compares_with_the_weights_as_they_were(tiny: Tiny) -> None:
    model, learner = tiny("sd15-v"), WholeDenoiser()
    training = Training(CONFIG, model, learner, {}, torch.Generator())
    numbers = weights_of(model)
    learner.begin(training)
    try:
        with torch.no_grad():
            for value in training.weights().values():
                value.add_(1.0)
        assert not same(weights_of(model), numbers)
        with learner.before(training):
            assert same(weights_of(model), numbers)
        assert not same(weights_of(model), numbers)
    finally:
        learner.end(training)
    assert same(weights_of(model), numbers) and not any(value.requires_grad for value in model.denoiser.parameters())


def test_a_model_in_bfloat16_learns_in_float32_and_is_written_in_bfloat16(tmp_path: Path) -> None:
    plain = load(str(build("sd15", tmp_path / "base")), device="cpu")
    model = BaseModel(plain.name, plain.pipe.to(torch.bfloat16), plain.device, torch.bfloat16)
    config = CONFIG.model_copy(
        update={"loss": "dco", "learning_rate": 1e-6, "sample_prompts": (PROMPT,), "sample_steps": 1}
    )
    numbers = weights_of(model)
    train(config, [(RED, PROMPT)], base_model=model, out=tmp_path / "out")
    assert same(weights_of(model), numbers)
    with safe_open(tmp_path / "out/checkpoint-3/training.safetensors", "pt") as kept:
        assert kept.get_tensor("weight.conv_in.weight").dtype == torch.float32
        moved = kept.get_tensor("weight.conv_in.weight") - numbers["unet.conv_in.weight"].float()
    assert 0 < moved.abs().max() < 1e-5  # steps that bfloat16 could not hold
    with safe_open(tmp_path / "out/model/unet/diffusion_pytorch_model.safetensors", "pt") as made:
        assert made.get_tensor("conv_in.weight").dtype == torch.bfloat16


def test_cached_adapters_do_not_end_up_in_the_model(tiny: Tiny, tmp_path: Path) -> None:
    model = load(tiny("sd15").name, device="cpu")
    lora = train(DreamBoothConfig(**SHORT), [(RED, PROMPT)], base_model=model, out=tmp_path / "lora").path
    painted(model, PROMPT, adapters={lora: 1.0})
    train(CONFIG, [(RED, PROMPT)], base_model=model, out=tmp_path / "whole")
    with safe_open(tmp_path / "whole/model/unet/diffusion_pytorch_model.safetensors", "pt") as made:
        assert not [key for key in made.keys() if "lora" in key or "base_layer" in key]  # noqa: SIM118
    assert (painted(model, PROMPT, adapters={lora: 1.0}) != painted(model, PROMPT)).any()


def test_a_whole_model_is_no_adapter_and_stands_on_none(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("sd15")
    lora = train(DreamBoothConfig(**SHORT), [(RED, PROMPT)], base_model=model, out=tmp_path / "lora").path
    with pytest.raises(InputError, match=r"learns = 'denoiser'.*cannot stand on adapters"):
        train(CONFIG, [(RED, PROMPT)], base_model=model, out=tmp_path / "on", adapters={lora: 1.0})
    train(CONFIG, [(RED, PROMPT)], base_model=model, out=tmp_path / "whole")
    for given in (tmp_path / "whole", tmp_path / "whole" / "model"):
        with pytest.raises(InputError, match=r"whole model, not an adapter: give '.*model' as the model"):
            painted(model, PROMPT, adapters={given: 1.0})


def test_a_full_disk_at_the_end_loses_nothing(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, begun = tiny("sd15"), partial(train, CONFIG, [(RED, PROMPT)])

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(model.pipe, "save_pretrained", full)
        with pytest.raises(PalateError, match=r"No space left.*make room"):
            begun(base_model=model, out=tmp_path)
    assert not (tmp_path / "adapter.json").exists() and not (tmp_path / "model").exists()
    assert begun(base_model=model, out=tmp_path).metrics["loss"] > 0


def test_a_model_that_loads_back_as_another_is_not_kept(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "load", lambda *_, **__: load(tiny("sd15").name, device="cpu"))
    with pytest.raises(PalateError, match="loads back as another model"):
        train(CONFIG, [(RED, PROMPT)], base_model=tiny("sd15"), out=tmp_path)
    assert not (tmp_path / "adapter.json").exists()


def test_all_weights_take_small_steps_unless_told() -> None:
    assert DreamBoothConfig(learns="denoiser").learning_rate == 5e-6
    assert DreamBoothConfig(learns="denoiser", learning_rate=1e-4).learning_rate == 1e-4
    assert DreamBoothConfig().learning_rate == 5e-4
    assert DreamBoothConfig.model_validate(json.loads(CONFIG.model_dump_json())) == CONFIG
