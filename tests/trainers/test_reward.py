"""Reward back-propagation: the sampler and its gradient, and a score that rises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.scorers.pickscore import PickScore
from prompts.errors import InputError
from tests.tiny_models import PIPELINES
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import encode_images, encode_prompts, latent_shape, trainable
from trainers.model.load import load
from trainers.model.paint import paint
from trainers.model.process import Process, process_of
from trainers.reward import RewardConfig, guided, nothing, sample, sampling, train

KEPT = torch.linspace(0.999, 0.01, 1000)


def redness(images: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
    return images[:, 0].mean(dim=(1, 2)) - images[:, 1:].mean(dim=(1, 2, 3))


@pytest.mark.parametrize(
    "process", [Process("epsilon", KEPT), Process("v_prediction", KEPT), Process("flow", shift=3.0)]
)
def test_a_model_that_knows_the_image_samples_it(process: Process) -> None:
    draw = torch.Generator().manual_seed(0)
    image, noise = torch.randn(2, 3, 4, 4, generator=draw), torch.randn(2, 3, 4, 4, generator=draw)

    def knowing(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        signal, spread = process.scales(times)
        return process.target(image, (noisy - signal * image) / spread, times)

    assert torch.allclose(sample(knowing, process, noise, steps=5, through=2), image, atol=1e-4)


def test_gradients_go_through_the_last_steps_only() -> None:
    process, noise, asked = Process("flow"), torch.ones(1, 1, 2, 2), []
    weight = torch.tensor(0.5, requires_grad=True)

    def predict(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        asked.append(float(times))
        return weight * noisy

    found = sample(predict, process, noise, steps=4, through=2)
    expected = (1 - 0.25 * 0.5) ** 4  # Euler: x <- x - weight * x / 4
    assert found.mean().item() == pytest.approx(expected, rel=1e-5)
    found.mean().backward()
    # d/dw of (1 - w/4)^2 times the two steps that count as constants
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(-2 * 0.25 * (1 - 0.125) * (1 - 0.125) ** 2, rel=1e-5)
    assert asked == [1000, 750, 500, 250, 250, 500]  # the last two again on the way back


@pytest.mark.parametrize("name", PIPELINES)
def test_one_step_on_every_class(name: str, tiny: Callable[[str], BaseModel], tmp_path: Path) -> None:
    model, seen = tiny(name), []
    config = RewardConfig(steps=2, batch_size=2, sampler_steps=3, backprop_steps=2, size=32, learning_rate=1e-2)
    train(
        config, ["a red dog", "a blue field"], scorer=redness, scorer_version="redness", base_model=model, out=tmp_path,
        on_step=lambda i, n, row: seen.append(row),
    )  # fmt: skip
    assert len(seen) == 2 and all(row["loss"] == pytest.approx(-0.1 * row["score"], abs=1e-6) for row in seen)
    assert latent_shape(model, 1, 32) == tuple(encode_images([Image.new("RGB", (32, 32))], model, 32).shape)


def test_pictures_of_the_bundled_model_grow_redder(studio: Path, tmp_path: Path) -> None:
    model, prompts = load(str(studio), device="cpu"), ["a red circle, white background", "two circles"]
    config = RewardConfig(steps=6, batch_size=4, sampler_steps=8, backprop_steps=3, learning_rate=3e-3, score_scale=1)
    adapter = train(config, prompts, scorer=redness, scorer_version="redness", base_model=model, out=tmp_path)

    def score(**how: object) -> float:
        images = [one.image for one in paint(prompts * 4, model=model, seed=5, steps=8, **how)]  # type: ignore[arg-type]
        pixels = torch.tensor(np.stack([np.asarray(image) for image in images]) / 255).permute(0, 3, 1, 2)
        return float(redness(pixels, prompts).mean())

    assert score(adapters={adapter.path: 1.0}) > score() + 0.05


def test_pickscore_gives_pixels_the_score_that_it_gives_files_and_a_gradient(studio_pickscore: Path) -> None:
    scorer, draw = PickScore(studio_pickscore), np.random.default_rng(0)
    coarse = draw.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    images = [Image.fromarray(one).resize((64, 64), Image.Resampling.NEAREST) for one in coarse]
    pixels = torch.tensor(np.stack([np.asarray(one) for one in images]) / 255, dtype=torch.float32).permute(0, 3, 1, 2)
    pixels.requires_grad_(True)
    found, prompts = scorer.of_pixels(pixels, ["a red circle", "squares"]), ["a red circle", "squares"]
    assert found.tolist() == pytest.approx(scorer(images, prompts).values, abs=0.05)
    found.sum().backward()
    assert pixels.grad is not None and pixels.grad.abs().max() > 0


def test_no_prompts_are_refused(tiny: Callable[[str], BaseModel], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prompts"):
        train(RewardConfig(), [], scorer=redness, scorer_version="redness", base_model=tiny("sd15"), out=tmp_path)


def test_the_process_of_the_bundled_model_is_known(studio: Path) -> None:
    assert process_of(load(str(studio), device="cpu").pipe.scheduler, "bauhaus").kind in ("epsilon", "v_prediction")


@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux"])
def test_the_sampler_is_told_what_the_pipeline_tells_its_denoiser(
    name: str, tiny: Callable[[str], BaseModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call of the pipeline's denoiser with guidance, and ours from the same noise: SDXL's zeros for no prompt, FLUX's
    guidance as a number."""
    model, calls = tiny(name), []
    forward = model.denoiser.forward

    def listen(*args: Any, **kwargs: Any) -> Any:
        calls.append({**kwargs, "noisy": args[0] if args else kwargs["hidden_states"]})
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.denoiser, "forward", listen)
    paint(["a red dog"], model=model, seed=0, steps=4, size=32, guidance_scale=3.5)
    theirs = calls[0]
    calls.clear()
    conditions, empty = encode_prompts(["a red dog"], model, 32)[[0]], nothing(model, 32, ())[[0]]
    latents = torch.zeros(latent_shape(model, 1, 32))
    with torch.no_grad():
        guided(model, conditions, empty, 3.5)(latents, torch.tensor([1000.0 if name != "sdxl" else 999]))
    ours = calls[0]
    assert torch.allclose(ours["encoder_hidden_states"], theirs["encoder_hidden_states"], atol=1e-5)
    for key in ("pooled_projections", "guidance", "txt_ids", "img_ids"):
        assert (ours.get(key) is None) == (theirs.get(key) is None), key
        if ours.get(key) is not None:
            assert torch.allclose(ours[key].float(), theirs[key].float(), atol=1e-5), key
    for key, value in (theirs.get("added_cond_kwargs") or {}).items():
        assert torch.allclose(ours["added_cond_kwargs"][key], value, atol=1e-5), key


def test_flux_times_are_shifted_by_the_number_of_tokens(tiny: Callable[[str], BaseModel]) -> None:
    model = tiny("flux")
    process = sampling(trainable(model, 32), model, 32)
    paint(["a red dog"], model=model, seed=0, steps=4, size=32)
    assert torch.allclose(process.grid(4)[:-1], model.pipe.scheduler.timesteps.float(), rtol=1e-3)
