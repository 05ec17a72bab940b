"""Optimizers and precisions: float16 with its scaler, 8 bits where they can be had."""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from prompts.errors import InputError, PalateError
from tests.trainers.subject import cut_short
from trainers.engine import checkpoint
from trainers.engine.fit import fit
from trainers.engine.lora import Lora
from trainers.engine.step import make_optimizer, make_scaler
from trainers.engine.training import Training, TrainingStopped
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.sft import SftConfig, train

CONFIG = SftConfig(steps=4, batch_size=1, size=32, rank=2, learning_rate=1e-2, checkpoint_every=1)
DATA = [(Image.new("RGB", (32, 32), "red"), "a photo of the dog"), (Image.new("RGB", (32, 32), "blue"), "a field")]
Tiny = Callable[[str], BaseModel]


@pytest.fixture
def half(tiny: Tiny) -> BaseModel:
    """A base in float16, of its own: a GPU's precision, which a CPU has too, only slowly."""
    whole = tiny("sd15")
    return replace(whole, pipe=copy.deepcopy(whole.pipe).to(torch.float16), dtype=torch.float16, loaded={})


def test_a_float16_base_stays_frozen_while_a_float32_lora_learns(half: BaseModel, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    adapter = train(CONFIG, DATA, base_model=half, out=tmp_path, on_step=lambda i, n, row: seen.append(row))
    kept = checkpoint.latest(tmp_path)
    assert kept is not None and adapter.metrics["loss"] > 0
    weights = [value for key, value in kept.tensors.items() if key.startswith("weight.")]
    assert {value.dtype for value in weights} == {torch.float32}
    assert any(value.abs().sum() > 0 for key, value in kept.tensors.items() if "lora_B" in key and "weight." in key)
    assert {one.dtype for one in half.denoiser.parameters()} == {torch.float16}
    assert all(row["loss_scale"] >= 1 for row in seen)


def test_a_float16_training_that_was_interrupted_ends_as_if_it_had_not_been(half: BaseModel, tmp_path: Path) -> None:
    whole = train(CONFIG, DATA, base_model=half, out=tmp_path / "whole")
    cut_short(partial(train, CONFIG, DATA, base_model=half), tmp_path / "parts", 2)
    assert train(CONFIG, DATA, base_model=half, out=tmp_path / "parts").sha256 == whole.sha256


def test_the_scaler_comes_back_from_a_checkpoint_as_it_was() -> None:
    weight, draw = torch.nn.Parameter(torch.ones(1)), torch.Generator()
    optimizer = torch.optim.AdamW([weight])
    scaler, other = (make_scaler(torch.device("cpu"), torch.float16) for _ in range(2))
    for factor in (float("inf"), 1.0, 1.0):  # one overflow, then two steps
        optimizer.zero_grad()
        scaler.scale(weight.sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 2**15 and weight.item() < 1
    packed = checkpoint.pack({"w": weight}, optimizer, draw, {}, scaler=scaler)
    checkpoint.unpack(packed, {"w": weight}, torch.optim.AdamW([weight]), draw, scaler=other)
    other.scale(weight.sum())
    assert other.state_dict() == scaler.state_dict()


def test_gradients_that_overflow_leave_the_step_out_and_are_told_in_the_end(half: BaseModel, tmp_path: Path) -> None:
    seen: list[float] = []

    def losses(training: Training) -> tuple[torch.Tensor, dict[str, float]]:
        first = next(iter(training.weights().values()))
        return (first - first.detach()).sum().abs().sqrt(), {"loss": 0.0}  # 0, with a gradient that is none

    config = CONFIG.model_copy(update={"steps": 40})
    with pytest.raises(PalateError, match=r"gradient norm nan\) at step 18"):  # 2^16 halved until it is below 1
        fit(
            config, losses, Lora(config), kind="sft", name="over", model=half, adapters=(), out=tmp_path, data="", generator=None,
            on_step=lambda i, n, row: seen.append(row["loss_scale"]), should_stop=bool,
        )  # fmt: skip
    assert seen == [2.0**power for power in range(15, -2, -1)]


def test_eight_bits_are_refused_where_they_cannot_be_had(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"optimizer": "adamw8bit"})
    with pytest.raises(InputError, match="needs an NVIDIA GPU, and this job runs on 'cpu': use 'adamw'"):
        train(config, DATA, base_model=tiny("sd15"), out=tmp_path)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        make_optimizer(config, [], torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_an_interrupted_training_in_eight_bits_ends_as_if_it_had_not_been(studio: Path, tmp_path: Path) -> None:
    model, done = load(str(studio), device="cuda"), list[int]()
    config = CONFIG.model_copy(
        update={"optimizer": "adamw8bit", "rank": 64, "size": 64}
    )  # small tensors stay in 32 bits
    whole = train(config, DATA, base_model=model, out=tmp_path / "whole")
    with pytest.raises(TrainingStopped):
        train(
            config, DATA, base_model=model, out=tmp_path / "parts", on_step=lambda i, n, row: done.append(i),
            should_stop=lambda: len(done) == 2,
        )  # fmt: skip
    kept = checkpoint.latest(tmp_path / "parts")
    assert kept is not None and any(
        value.dtype == torch.uint8 for key, value in kept.tensors.items() if "optimizer" in key
    )
    assert train(config, DATA, base_model=model, out=tmp_path / "parts").sha256 == whole.sha256
