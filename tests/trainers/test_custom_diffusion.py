"""Custom Diffusion: only keys and values of the cross attention learn, and others load what they learned."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForText2Image
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file

from prompts.errors import InputError
from tests.trainers.subject import BLUE, RED, SHORT, STRANGE, cut_short, fixed_loss, painted, same, theirs, weights_of
from trainers.custom_diffusion import CrossAttention, CustomDiffusionConfig, low_rank, train
from trainers.engine.samples import SEED
from trainers.engine.training import Training
from trainers.files.adapter_file import AdapterRef
from trainers.merge import merge
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.model.paint import paint

Tiny = Callable[[str], BaseModel]

PROMPT = "a photo of the red dog"
DATA = [(RED, PROMPT), (BLUE, "a blue field")]
CONFIG = CustomDiffusionConfig(**SHORT)
WITH_WORD = CustomDiffusionConfig(**SHORT, word="<x>", initial="red")
UNETS = ("sd15", "sd15-v", "sdxl")


@pytest.mark.parametrize("name", UNETS)
def test_what_was_learned_paints_the_same_in_a_stock_pipeline_and_from_kohyas_file(
    name: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(name)
    before, numbers = painted(model, PROMPT), weights_of(model)
    adapter = train(CONFIG, DATA, base_model=model, out=tmp_path, prior=[(BLUE, "a dog")], weights=[2.0, 0.5])
    assert (painted(model, PROMPT) == before).all() and same(weights_of(model), numbers)
    after = painted(model, PROMPT, adapters={adapter.path: 1.0})
    assert (after != before).any() and adapter.metrics["prior_loss"] > 0
    stock = AutoPipelineForText2Image.from_pretrained(model.name)
    stock.load_lora_weights(adapter.path, weight_name=adapter.file.name)
    assert abs(theirs(stock, PROMPT) - after).max() <= 2
    kohya = painted(model, PROMPT, adapters={adapter.path / "custom_diffusion_kohya.safetensors": 1.0})
    assert abs(kohya - after).max() <= 2


def test_nothing_but_keys_and_values_of_the_cross_attention_moves(tiny: Tiny, tmp_path: Path) -> None:
    adapter = train(CONFIG, DATA, base_model=tiny("sdxl"), out=tmp_path)
    modules = {key.rsplit(".lora", 1)[0] for key in load_file(adapter.file)}
    assert {module.split(".transformer_blocks.")[1][2:] for module in modules} == {"attn2.to_k", "attn2.to_v"}
    assert len(modules) == 2 * sum(name.endswith("attn2") for name, _ in tiny("sdxl").denoiser.named_modules())


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_the_saved_lora_paints_what_the_trained_matrices_did(name: str, tiny: Tiny, tmp_path: Path) -> None:
    """With all of the energy kept, image for image; with less, the rank is lower, and the metrics say what is kept."""
    model = tiny(name)
    config = CONFIG.model_copy(
        update={"sample_prompts": (PROMPT,), "sample_every": 3, "sample_steps": 3, "energy": 1.0}
    )
    adapter = train(config, DATA, base_model=model, out=tmp_path / "all")
    trained = np.asarray(Image.open(tmp_path / "all" / "samples" / "step-000003.png"), dtype=int)
    saved = paint([PROMPT], model=model, seed=SEED, steps=3, size=32, adapters={adapter.path: 1.0})[0].image
    assert abs(np.asarray(saved, dtype=int) - trained).max() <= 2
    assert adapter.metrics["energy"] == pytest.approx(1.0, abs=1e-6)
    less = train(CONFIG.model_copy(update={"energy": 0.8}), DATA, base_model=model, out=tmp_path / "less")
    assert 0.8 <= less.metrics["energy"] < 1 and less.metrics["rank"] < adapter.metrics["rank"]


def test_the_least_rank_that_keeps_the_energy_is_taken_and_what_it_keeps_is_told() -> None:
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(size, 4, generator=draw))[0] for size in (9, 6))
    change = left @ torch.diag(torch.tensor([8.0, 4.0, 2.0, 1.0])) @ right.T  # energies 64, 16, 4, 1 of 85
    for energy, rank, kept in ((0.5, 1, 64 / 85), (0.9, 2, 80 / 85), (0.95, 3, 84 / 85), (0.995, 4, 1.0)):
        factors, found = low_rank({"a": change, "still": torch.zeros(3, 5)}, energy, None)
        down, up = factors["a"]
        assert down.shape == (rank, 6) and up.shape == (9, rank) and found == pytest.approx(kept, abs=1e-5)
        assert ((change - up @ down).square().sum() / 85).item() == pytest.approx(1 - kept, abs=1e-5)
        assert factors["still"][0].shape == (rank, 5) and not factors["still"][1].any()
    assert low_rank({"a": change}, 0.999, 2)[1] == pytest.approx(80 / 85, abs=1e-5)


@pytest.mark.parametrize("config", [CONFIG, WITH_WORD], ids=["alone", "with a word"])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    config: CustomDiffusionConfig, tiny: Tiny, tmp_path: Path
) -> None:
    begun = partial(train, config, [(RED, "a <x> dog")], base_model=tiny("sd15"))
    cut_short(begun, tmp_path / "cut", 2)
    assert begun(out=tmp_path / "cut").sha256 == begun(out=tmp_path / "whole").sha256
    words = [tmp_path / folder / "learned_embeds.safetensors" for folder in ("cut", "whole")]
    assert [file.is_file() for file in words] == [config.word is not None] * 2
    assert config.word is None or words[0].read_bytes() == words[1].read_bytes()


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_word_that_learns_besides_is_attached_with_its_folder(name: str, tiny: Tiny, tmp_path: Path) -> None:
    model, prompt = tiny(name), "a photo of <x> dog"
    before = painted(model, prompt)
    adapter = train(WITH_WORD, [(RED, prompt)], base_model=model, out=tmp_path)
    both, half, none = (painted(model, prompt, adapters={adapter.path: weight}) for weight in (1.0, 0.5, 0))
    assert (painted(model, prompt, adapters={adapter.file: 1.0}) != both).any() and (half != both).any()
    assert (none == before).all() and (painted(model, prompt) == before).all()
    card = json.loads((adapter.path / "adapter.json").read_text())
    assert card["word"] == "<x>" and "learned_embeds.safetensors" in card["files"]
    assert "load_textual_inversion" in (adapter.path / "README.md").read_text()
    with pytest.raises(InputError, match="is or holds a learned word"):
        merge([AdapterRef(adapter.path)], model=model, out=tmp_path / "merged")
    with attached(model, {adapter.path: 0.5}):
        assert "<x>" in model.pipe.tokenizer.get_vocab()


def test_dco_compares_with_the_matrices_as_they_were(tiny: Tiny, tmp_path: Path) -> None:
    model, seen = tiny("sd15"), []
    config = CONFIG.model_copy(update={"loss": "dco", "batch_size": 1})
    train(config, [(RED, PROMPT)], base_model=model, out=tmp_path, on_step=lambda i, n, row: seen.append(row["loss"]))
    assert seen[0] == pytest.approx(np.log(2), abs=1e-4) and abs(seen[-1] - np.log(2)) > 1e-4
    learner = CrossAttention(config)
    training = Training(config, model, learner, {}, torch.Generator())
    numbers = weights_of(model)
    learner.begin(training)
    for value in training.weights().values():
        value.data.add_(1.0)
    with learner.before(training):
        assert same(weights_of(model), numbers)
    assert not same(weights_of(model), numbers)
    learner.end(training)
    assert same(weights_of(model), numbers)


def test_the_bundled_painter_learns_a_picture_that_it_never_saw(studio: Path, tmp_path: Path) -> None:
    model = load(str(studio), device="cpu")
    before = fixed_loss(model, STRANGE, "a red field")
    config = CustomDiffusionConfig(steps=8, batch_size=4, learning_rate=1e-3)
    adapter = train(config, [(STRANGE, "a red field")], base_model=model, out=tmp_path)
    assert fixed_loss(model, STRANGE, "a red field", {adapter.path: 1.0}) < before - 0.05
    assert fixed_loss(model, STRANGE, "a red field") == before


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_a_model_without_cross_attention_is_refused(name: str, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no cross attention to train: use dreambooth"):
        train(CONFIG, DATA, base_model=tiny(name), out=tmp_path)


@pytest.mark.parametrize(
    "values",
    [{"word": "<x>"}, {"initial": "sks"}, {"word": "<x>", "initial": "sks", "loss": "dco"}, {"energy": 0}, {"rank": 0}],
)
def test_settings_that_do_not_belong_together_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CustomDiffusionConfig(**values)


def test_a_prompt_without_the_word_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks the new word '<x>'"):
        train(WITH_WORD, DATA, base_model=tiny("sd15"), out=tmp_path)
