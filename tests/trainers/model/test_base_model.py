"""Loading, painting, and attaching adapters, with the bundled model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prompts.errors import InputError
from trainers.files.adapter_file import AdapterRef
from trainers.model import attach
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.model.paint import Painted, paint

PROMPT = "a red circle on blue"


@pytest.fixture(scope="module")
def lora(model: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA file with random weights on one attention layer."""
    layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v"
    width = model.denoiser.get_submodule(layer.removeprefix("unet.")).weight.shape
    draw = torch.Generator().manual_seed(0)
    file = tmp_path_factory.mktemp("lora") / "pytorch_lora_weights.safetensors"
    down, up = torch.randn(4, width[1], generator=draw), torch.randn(width[0], 4, generator=draw)
    save_file({f"{layer}.lora.down.weight": down, f"{layer}.lora.up.weight": up}, file)
    return file


def pixels(painted: list[Painted]) -> np.ndarray:
    return np.stack([np.asarray(one.image, dtype=int) for one in painted])


def few(model: BaseModel, **changes: object) -> np.ndarray:
    return pixels(paint([PROMPT], **{"model": model, "seed": 5, "steps": 3, **changes}))  # type: ignore[arg-type]


def test_the_same_call_paints_the_same_images(model: BaseModel) -> None:
    first, again = (pixels(paint([PROMPT, "a green ring"], model=model, seed=1, steps=3)) for _ in range(2))
    assert (first == again).all()
    assert first.shape == (2, model.size, model.size, 3)


def test_an_image_depends_on_its_own_seed_and_prompt_only(model: BaseModel) -> None:
    ahead = paint(["a blue square", PROMPT], model=model, seed=7, steps=3)
    alone = paint([PROMPT], model=model, seed=8, steps=3)
    assert [one.seed for one in ahead] == [7, 8]
    assert np.abs(pixels(ahead)[1] - pixels(alone)[0]).max() <= 2  # batching may change the last bits of a float


def test_weights_in_half_precision_are_painted_in_float32_on_a_cpu(model: BaseModel) -> None:
    assert model.dtype == torch.float32
    assert {weight.dtype for weight in model.denoiser.parameters()} == {torch.float32}


def test_every_step_is_reported_once(model: BaseModel) -> None:
    seen: list[tuple[int, int]] = []
    paint([PROMPT] * 9, model=model, seed=0, steps=2, on_step=lambda i, n: seen.append((i, n)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_clip_cannot_read_is_told(model: BaseModel) -> None:
    long, short = paint([f"{PROMPT} " * 40, PROMPT], model=model, seed=0, steps=1)
    assert PROMPT in long.cut and len(long.cut) < len(long.prompt)
    assert short.cut == ""


@pytest.mark.parametrize("prompts", [[], ["red"] * 65, "red", [""], ["  "], [None]])
def test_unusable_prompts_are_refused(model: BaseModel, prompts: list[str]) -> None:
    with pytest.raises(InputError):
        paint(prompts, model=model, seed=0)


@pytest.mark.parametrize(
    "changes", [{"seed": -1}, {"steps": 0}, {"size": 65}, {"size": (64, 0)}, {"guidance_scale": -1}]
)
def test_settings_out_of_range_are_refused(model: BaseModel, changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        few(model, **changes)


def test_a_folder_that_is_no_model_is_named_with_what_it_must_hold(tmp_path: Path) -> None:
    for missing in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"model_index\.json") as caught:
            load(str(missing))
        assert str(missing) in str(caught.value)


def test_a_model_folder_without_its_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "X"]}')
    with pytest.raises(InputError, match="cannot be loaded"):
        load(str(tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_devices_and_dtypes_that_are_not_here_are_refused(studio: Path) -> None:
    for options in ({"device": "cuda"}, {"device": "teapot"}, {"device": "cpu", "dtype": torch.float16}):
        with pytest.raises(InputError):
            load(str(studio), **options)  # type: ignore[arg-type]


def test_an_adapter_changes_the_image_by_its_weight_and_leaves_no_trace(model: BaseModel, lora: Path) -> None:
    before = few(model)
    full, half = few(model, adapters={lora: 1.0}), few(model, adapters=[AdapterRef(lora.parent, 0.5)])
    assert (full != before).any() and (full != half).any()
    assert (few(model, adapters={lora: 0.0}) == before).all()
    assert (few(model) == before).all()
    assert (few(model, adapters={lora: 1.0}) == full).all()


def test_an_adapter_is_loaded_once_and_the_oldest_make_room(
    model: BaseModel, lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "CACHED_ADAPTERS", 2)
    for number in range(3):
        tensors = {key: value * (number + 2) for key, value in load_file(lora).items()}
        save_file(tensors, tmp_path / f"{number}.safetensors")
        few(model, steps=1, adapters={tmp_path / f"{number}.safetensors": 1.0})
    assert len(model.loaded) == 2
    assert set(model.loaded.values()) == set(model.denoiser.peft_config)


def test_two_adapters_act_together(model: BaseModel, lora: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({key: -value if "up" in key else value for key, value in load_file(lora).items()}, other)
    together = few(model, adapters={lora: 1.0, other: 1.0})
    assert np.abs(together - few(model)).max() <= 2  # they are each other's opposite
    with pytest.raises(InputError, match="twice"):
        few(model, adapters=[AdapterRef(lora), AdapterRef(lora.parent)])


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".ckpt", ".pkl"])
def test_pickles_are_refused_unread(model: BaseModel, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"adapter{suffix}"
    file.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(InputError, match="safetensors"):
        few(model, adapters={file: 1.0})


def test_an_adapter_for_another_model_is_refused_before_the_pipeline_is_touched(
    model: BaseModel, lora: Path, tmp_path: Path
) -> None:
    known = dict(model.loaded)
    wide = {key: torch.zeros(4, 320) if ".down." in key else value for key, value in load_file(lora).items()}
    place = "unet.down_blocks.9.attentions.0.to_q.lora"
    foreign = {f"{place}.down.weight": torch.zeros(4, 96), f"{place}.up.weight": torch.zeros(96, 4)}
    for number, (tensors, told) in enumerate(
        [(wide, r"\(4, 320\).*128"), (foreign, "no place for 'unet.down_blocks.9")]
    ):
        save_file(tensors, tmp_path / f"{number}.safetensors")
        with pytest.raises(InputError, match=told):
            few(model, adapters={lora: 1.0, tmp_path / f"{number}.safetensors": 1.0})
    assert model.loaded.keys() == known.keys()


@pytest.mark.parametrize("content", [b"", b"not a safetensors file"])
def test_damaged_adapter_files_are_refused(model: BaseModel, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.safetensors"
    file.write_bytes(content)
    for path in (file, tmp_path / "missing.safetensors", os.devnull):
        with pytest.raises(InputError):
            few(model, adapters={path: 1.0})
