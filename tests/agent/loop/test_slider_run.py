"""A run whose sliders are genes, from its config to the pictures of the second round, and made again from its record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from agent.replay.verify import verify
from tests.agent.fast import Started
from tools.sliders import Slider, weights_of


@pytest.fixture
def light(studio: Path, tmp_path: Path) -> Slider:
    """A slider with random weights on one attention layer of the bundled painter, of its text's width in and its own out."""
    from safetensors import safe_open

    key = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v"
    with safe_open(studio / "unet" / "diffusion_pytorch_model.safetensors", "pt") as file:
        out, width = file.get_slice(f"{key}.weight").get_shape()
    draw = torch.Generator().manual_seed(0)
    weights = {f"unet.{key}.lora_A.weight": torch.randn(2, width, generator=draw), f"unet.{key}.lora_B.weight": torch.randn(out, 2, generator=draw)}  # fmt: skip
    save_file(weights, tmp_path / "light.safetensors")
    return Slider(name="light", adapter=str(tmp_path / "light.safetensors"))


def test_weights_are_drawn_rated_bred_and_painted_again_and_the_record_repeats_them(
    begin: Callable[..., Started], light: Slider
) -> None:
    run = begin(rounds=2, images_per_round=3, sliders=[light.model_dump(mode="json")]).drive()
    images: list[Any] = list(run.store.images(run.run_id))
    first, second = ([weights_of(row, [light])["light"] for row in images if row.round == number] for number in (1, 2))
    assert len(first) == len(second) == 3 and len(set(first)) == 3 and all(-1 <= weight <= 1 for weight in first)
    bred = next(step.result for step in run.steps if step.tool == "evolve_prompts")
    assert isinstance(bred, dict) and isinstance(bred["prompts"], list) and isinstance(bred["sliders"], list)
    pairs = list(zip(bred["prompts"], (one["light"] for one in bred["sliders"]), strict=True))  # type: ignore[index,call-overload]
    shown = [(row.prompt, weights_of(row, [light])["light"]) for row in images if row.round == 2]
    assert set(shown) & set(pairs), (shown, pairs)
    verdict = verify(run.store, run.home, run.run_id)
    assert verdict.same, verdict.differences
