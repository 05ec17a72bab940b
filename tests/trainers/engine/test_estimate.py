"""What is counted without contents is what real tensors take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from benchmarks.memory import LIMITS, plan
from prompts.errors import InputError
from tests.tiny_models import PIPELINES
from trainers.engine.estimate import GIB, Counter, Plan, counted, estimate, lighter
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.sft import SftConfig, train

Tiny = Callable[[str], BaseModel]


def plan_of(model: BaseModel, **changes: Any) -> Plan:
    parts = {"denoiser": dict(model.denoiser.config), "vae": dict(model.pipe.vae.config)}
    parts["denoiser"]["_class_name"] = type(model.denoiser).__name__
    parts["vae"]["_class_name"] = "AutoencoderKL"
    given: dict[str, Any] = {"rows": 4, "size": 64, "rank": 2, "dtype": torch.float32, "device": "cpu"}
    return Plan(type(model.pipe).__name__, parts, 0, **{**given, **changes})


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", PIPELINES)
def test_a_count_without_contents_is_the_count_with_them(name: str, recompute: bool, tiny: Tiny) -> None:
    here = plan_of(tiny(name), recompute=recompute)
    (held, most), (held_then, most_then) = counted(here), counted(here, contents=True)
    assert held == held_then and most == pytest.approx(most_then, rel=0.1)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_real_training_takes_what_was_estimated(recompute: bool, tiny: Tiny, tmp_path: Path) -> None:
    """The trainer itself, at sizes where activations are nearly all of it."""
    model = tiny("sd15")
    config = SftConfig(steps=1, batch_size=8, size=128, rank=2, gradient_checkpointing=recompute)
    data = [(Image.new("RGB", (128, 128), (30 * i, 0, 0)), "a dog") for i in range(8)]
    held, most = counted(plan_of(model, rows=8, size=128, recompute=recompute))
    step: list[Counter] = []
    forward = model.denoiser.forward

    def counting(*given: Any, **named: Any) -> Any:
        step.append(Counter())
        step[0].__enter__()
        return forward(*given, **named)

    model.denoiser.forward = counting
    try:
        train(config, data, base_model=model, out=tmp_path, on_step=lambda *_: step[0].__exit__(None, None, None))
    finally:
        model.denoiser.forward = forward
    assert step[0].peak == pytest.approx(most - held, rel=0.1)


def test_a_whole_denoiser_takes_its_weights_four_times_and_its_own_besides(tiny: Tiny) -> None:
    here = plan_of(tiny("sd15"), rows=1, size=32, whole=True)
    named = tiny("sd15").denoiser.named_parameters()  # other tests may have left a LoRA there
    weights = sum(4 * one.numel() for name, one in named if ".lora_" not in name)
    assert counted(here)[0] == pytest.approx(counted(here, contents=True)[0]) == pytest.approx(2 * weights, rel=0.05)
    assert counted(here)[1] > 5 * weights  # learning, own, gradients, and two moments of AdamW


def test_dpo_at_the_size_of_sd15_stays_under_its_limit() -> None:
    needs = estimate(plan("sd15", recompute=True))
    assert 2 * GIB < needs.step < needs.peak < LIMITS["sd15"] * GIB


def test_what_is_lighter_needs_less(tiny: Tiny) -> None:
    first = plan_of(tiny("sd15"), rows=8, size=128)
    choices = list(lighter(first, 4))
    assert [changes for changes, _ in choices] == [
        {"gradient_checkpointing": True},
        {"gradient_checkpointing": True, "batch_size": 2},
        {"gradient_checkpointing": True, "batch_size": 1},
        {"gradient_checkpointing": True, "batch_size": 1, "size": 64},
        {"gradient_checkpointing": True, "batch_size": 1, "size": 64},
    ]
    assert [one.rows for _, one in choices] == [8, 4, 2, 2, 2]
    steps = [counted(one)[1] for _, one in [({}, first), *choices[:4]]]
    assert steps == sorted(steps, reverse=True) and steps[0] > 2 * steps[-1]


def test_a_rank_and_an_optimizer_count(tiny: Tiny) -> None:
    small = plan_of(tiny("sd15"), rows=1, size=32)
    large = replace(small, rank=64)
    assert counted(replace(large, bits=8))[1] < counted(large)[1] > counted(small)[1]


def test_a_class_that_we_cannot_train_is_refused(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="'KandinskyPipeline' cannot be trained"):
        estimate(replace(plan_of(tiny("sd15")), family="KandinskyPipeline"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("recompute", [False, True])
def test_a_gpu_takes_what_was_estimated(recompute: bool, studio: Path, tmp_path: Path) -> None:
    model = load(str(studio), device="cuda")
    config = SftConfig(steps=2, batch_size=64, size=256, gradient_checkpointing=recompute)
    data = [(Image.new("RGB", (256, 256), (3 * i, 0, 0)), "a field") for i in range(64)]
    here = plan_of(model, rows=64, size=256, rank=8, dtype=model.dtype, device="cuda", recompute=recompute)
    torch.cuda.reset_peak_memory_stats()
    train(config, data, base_model=model, out=tmp_path, on_step=lambda *_: torch.cuda.reset_peak_memory_stats())
    assert torch.cuda.max_memory_allocated() == pytest.approx(estimate(here).step, rel=0.15)
