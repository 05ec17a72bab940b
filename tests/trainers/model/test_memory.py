"""Memory that runs out is told with what to lower, and what a training does not need is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_models import PIPELINES
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import encode_images
from trainers.model.load import load
from trainers.model.memory import OutOfMemory, enough_memory, idle, parked
from trainers.model.paint import paint
from trainers.sft import SftConfig, train

CONFIG = SftConfig(steps=3, batch_size=1, size=32, rank=2, checkpoint_every=1)
DATA = [(Image.new("RGB", (32, 32), "red"), "a photo of the dog")]
Tiny = Callable[[str], BaseModel]
LACKS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    MemoryError(),
]  # fmt: skip


@contextmanager
def failing(part: Any, method: str, error: Exception, after: int = 0) -> Iterator[None]:
    """`part.method` raises `error` once it was called `after` times."""
    real, calls = getattr(part, method), []

    def call(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) > after:
            raise error
        return real(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part, method, call)
        yield


@pytest.mark.parametrize("error", LACKS, ids=lambda error: type(error).__name__)
def test_a_step_without_memory_says_what_to_lower_and_keeps_its_checkpoints(
    error: Exception, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("sd15")
    told = r"training step 3: lower batch_size \(now 1\), lower size \(now 32\), turn gradient_checkpointing on, lower rank \(now 2\)"
    with failing(model.denoiser, "forward", error, after=2), pytest.raises(OutOfMemory, match=told):
        train(CONFIG, DATA, base_model=model, out=tmp_path)
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-1", "checkpoint-2"]
    assert train(CONFIG, DATA, base_model=model, out=tmp_path).metrics["loss"] > 0


def test_encoding_without_memory_is_told(tiny: Tiny, tmp_path: Path) -> None:
    for part, told in (("vae", "encoding images of 32 pixels: lower size"), ("text_encoder", "encoding 1 prompts")):
        method = "encode" if part == "vae" else "forward"
        with failing(tiny("sd15").pipe.components[part], method, LACKS[0]), pytest.raises(OutOfMemory, match=told):
            train(CONFIG, DATA, base_model=tiny("sd15"), out=tmp_path)


def test_samples_without_memory_are_told(tiny: Tiny, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"sample_prompts": ("a dog", "a field"), "sample_steps": 1})
    told = "painting: paint fewer than 2 at once"
    with failing(tiny("sd15").pipe.vae, "decode", LACKS[0]), pytest.raises(OutOfMemory, match=told):
        train(config, DATA, base_model=tiny("sd15"), out=tmp_path)


def test_any_other_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("trying", "nothing"):
        raise RuntimeError("shapes do not match")


@pytest.mark.parametrize("name", PIPELINES)
def test_all_but_the_denoiser_is_idle_unless_it_is_needed_or_learns(name: str, tiny: Tiny) -> None:
    model = tiny(name)
    encoders = {key for key in model.pipe.components if key.startswith("text_encoder")}
    assert set(idle(model, (), ())) == encoders | {"vae"}
    assert set(idle(model, ("vae",), ())) == encoders
    assert set(idle(model, (), [next(model.pipe.text_encoder.parameters())])) == encoders - {"text_encoder"} | {"vae"}


def test_what_is_parked_comes_back_to_paint_and_to_encode(tiny: Tiny) -> None:
    model = tiny("sd15")

    def seen() -> list[np.ndarray]:
        image = paint(["a dog"], model=model, seed=0, steps=1, size=32)[0].image
        return [np.asarray(image), encode_images([image], model, 32).cpu().numpy()]

    before = seen()
    with parked(model, idle(model, (), ())):
        inside = seen()
        assert model.parked
    assert not model.parked
    for one, other in zip(before, inside, strict=True):
        assert (one == other).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_parked_parts_take_no_memory_of_the_gpu(studio: Path) -> None:
    model = load(str(studio), device="cuda")
    held, names = torch.cuda.memory_allocated(), idle(model, (), ())
    size = sum(one.nbytes for name in names for one in model.pipe.components[name].parameters())
    before = np.asarray(paint(["a field"], model=model, seed=0, steps=1)[0].image)
    with parked(model, names):
        assert torch.cuda.memory_allocated() <= held - 0.9 * size
        assert (np.asarray(paint(["a field"], model=model, seed=0, steps=1)[0].image) == before).all()
        assert torch.cuda.memory_allocated() <= held - 0.9 * size
    assert next(model.pipe.vae.parameters()).device.type == "cuda"
