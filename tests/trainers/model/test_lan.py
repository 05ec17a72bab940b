"""Latent adaptive normalization: Eq. 7 by hand, and a picture that keeps another model's latent statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline
from PIL import Image

from tests.tiny_models import PIPELINES
from trainers.model.base_model import BaseModel
from trainers.model.lan import Statistics, normalized, statistics
from trainers.model.paint import paint
from trainers.sft import SftConfig, train

WIDE = {"steps": 3, "size": 32, "guidance_scale": 2.0, "seed": 4}


def test_the_equation_by_hand() -> None:
    latents = torch.tensor([[[[1.0, 3.0]], [[-4.0, 4.0]]]])  # means 2 and 0, spreads 1 and 4
    wanted = Statistics(torch.tensor([10.0, 0.0]).view(1, 2, 1, 1), torch.tensor([2.0, 1.0]).view(1, 2, 1, 1))
    assert normalized(latents, wanted).flatten().tolist() == pytest.approx([8.0, 12.0, -1.0, 1.0], abs=1e-4)


def test_it_is_the_equation_in_float64_for_latents_and_for_tokens() -> None:
    draw = torch.Generator().manual_seed(0)
    own, other = (torch.randn(2, 16, 6, 10, generator=draw) * 2 + 1 for _ in range(2))
    h, s = own.double().numpy(), other.double().numpy()
    expected = np.empty_like(h)
    for n in range(2):
        for c in range(16):
            expected[n, c] = (h[n, c] - h[n, c].mean()) / h[n, c].std() * s[n, c].std() + s[n, c].mean()
    found = normalized(own, statistics(other))
    assert np.allclose(found, expected, atol=1e-5)
    packed, theirs = (FluxPipeline._pack_latents(one, 2, 16, 6, 10) for one in (own, other))
    tokens = normalized(packed, statistics(theirs))
    assert torch.allclose(tokens, FluxPipeline._pack_latents(found, 2, 16, 6, 10), atol=1e-5)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_picture_keeps_the_statistics_of_the_model_it_is_like(
    name: str, tiny: Callable[[str], BaseModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen = tiny(name), []
    config = SftConfig(steps=2, batch_size=1, learning_rate=0.05, size=32)
    adapter = train(config, [(Image.new("RGB", (32, 32), "red"), "a red dog")], base_model=model, out=tmp_path)
    call = type(model.pipe).__call__

    def listen(pipe: Any, **how: Any) -> Any:
        end = how["callback_on_step_end"]
        found: list[torch.Tensor] = []
        seen.append(found)

        def ended(pipe: Any, step: int, time: Any, values: dict[str, Any]) -> Any:
            after = end(pipe, step, time, values)
            found.append(after["latents"].clone())
            return after

        return call(pipe, **{**how, "callback_on_step_end": ended})

    monkeypatch.setattr(type(model.pipe), "__call__", listen)
    counted: list[tuple[int, int]] = []
    prompts = ["a red dog", "a blue field"]
    paint(
        prompts, model=model, adapters={adapter.path: 1.0}, like=(), on_step=lambda i, n: counted.append((i, n)), **WIDE
    )
    reference, matched = seen
    assert counted == [(i, 6) for i in range(1, 7)]
    for before, after in zip(reference, matched, strict=True):
        assert not torch.allclose(before, after, atol=1e-3)
        for wanted, found in zip(statistics(before), statistics(after), strict=True):
            assert torch.allclose(found, wanted, atol=1e-3)


def test_a_model_that_is_like_itself_paints_what_it_paints(tiny: Callable[[str], BaseModel]) -> None:
    alone, like = (paint(["a red dog"], model=tiny("sd15"), like=given, **WIDE) for given in (None, ()))
    assert np.abs(np.asarray(alone[0].image, dtype=int) - np.asarray(like[0].image, dtype=int)).max() <= 1
