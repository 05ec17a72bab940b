"""The forward process against diffusers' own schedulers and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)

from prompts.errors import InputError
from trainers.model.process import Process, process_of

LATENTS, NOISE, TIMES = torch.full((2, 1, 1, 2), 2.0), torch.full((2, 1, 1, 2), 1.0), torch.tensor([0, 1])
KINDS = ("epsilon", "v_prediction", "flow")
NOISY = {0: 0.8 * 2 + 0.6 * 1, 1: 0.6 * 2 + 0.8 * 1}
FLOW = process_of(FlowMatchEulerDiscreteScheduler(shift=3.0), "flow")


def two_steps(kind: str) -> Process:
    """Two timesteps: a_0 = 0.64, a_1 = 0.36, so the square roots are 0.8 and 0.6 and swap for the noise."""
    return Process(kind, kept=torch.tensor([0.64, 0.36]))


def zero(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x)


def test_epsilon_prediction_is_compared_with_the_noise() -> None:
    errors, _, noisy = two_steps("epsilon").errors(zero, LATENTS, NOISE, TIMES)
    assert errors.tolist() == pytest.approx([1.0, 1.0])
    assert noisy[:, 0, 0, 0].tolist() == pytest.approx([NOISY[0], NOISY[1]])


def test_v_prediction_is_compared_with_the_velocity() -> None:
    errors, _, _ = two_steps("v_prediction").errors(zero, LATENTS, NOISE, TIMES)
    assert errors.tolist() == pytest.approx([(0.8 * 1 - 0.6 * 2) ** 2, (0.6 * 1 - 0.8 * 2) ** 2], rel=1e-5)


def test_a_flow_is_compared_with_the_way_from_the_image_to_the_noise() -> None:
    errors, _, noisy = FLOW.errors(zero, LATENTS, NOISE, torch.tensor([250.0, 1000.0]))
    assert errors.tolist() == pytest.approx([1.0, 1.0])  # (1 - 2)^2
    assert noisy[:, 0, 0, 0].tolist() == pytest.approx([0.75 * 2 + 0.25 * 1, 1.0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_prediction_means_the_clean_latents_and_the_noise(kind: str) -> None:
    process, times = (FLOW, TIMES * 400.0 + 300.0) if kind == "flow" else (two_steps(kind), TIMES)
    noisy, perfect = process.noisy(LATENTS, NOISE, times), process.target(LATENTS, NOISE, times)
    clean, noise = process.split(noisy, perfect, times)
    assert torch.allclose(clean, LATENTS, atol=1e-5) and torch.allclose(noise, NOISE, atol=1e-5)
    before = process.move(noisy, perfect, times, times - 1)
    assert torch.allclose(before, process.noisy(LATENTS, NOISE, times - 1), atol=1e-5)
    assert torch.allclose(process.move(noisy, perfect, times, times - 2000), LATENTS, atol=1e-5)  # nothing is before 0


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_diffusion_is_noised_as_diffusers_noises_it(kind: str) -> None:
    theirs = DDPMScheduler(beta_schedule="scaled_linear", prediction_type=kind)
    ours, times = process_of(theirs, "ours"), torch.tensor([3, 700])
    draw = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 4, 8, 8, generator=draw), torch.randn(2, 4, 8, 8, generator=draw)
    assert torch.allclose(ours.noisy(latents, noise, times), theirs.add_noise(latents, noise, times), atol=1e-6)
    if kind == "v_prediction":
        assert torch.allclose(ours.target(latents, noise, times), theirs.get_velocity(latents, noise, times), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_between_two_times_is_the_samplers_own(kind: str) -> None:
    theirs = FlowMatchEulerDiscreteScheduler(shift=3.0) if kind == "flow" else DDIMScheduler(
        beta_schedule="scaled_linear", prediction_type=kind, clip_sample=False, timestep_spacing="trailing"
    )  # fmt: skip
    theirs.set_timesteps(10)
    ours, draw = process_of(theirs, "ours"), torch.Generator().manual_seed(0)
    noisy, predicted = torch.randn(1, 4, 8, 8, generator=draw), torch.randn(1, 4, 8, 8, generator=draw)
    at, to = theirs.timesteps[:2]
    expected = theirs.step(predicted, at, noisy).prev_sample
    assert torch.allclose(ours.move(noisy, predicted, at[None], to[None]), expected, atol=1e-4)


def test_the_grid_is_evenly_spaced_from_noise_to_the_image() -> None:
    ddim, euler = DDIMScheduler(timestep_spacing="trailing"), FlowMatchEulerDiscreteScheduler(shift=3.0)
    ddim.set_timesteps(10)
    euler.set_timesteps(sigmas=np.linspace(1, 0.1, 10))
    for scheduler, clean in ((ddim, -1), (euler, 0)):
        grid = process_of(scheduler, "ours").grid(10)
        assert torch.allclose(grid.float(), torch.tensor([*scheduler.timesteps.tolist(), clean]).float(), atol=1e-3)


def test_a_flows_times_lean_towards_noise_by_its_shift() -> None:
    shape, draw = (4000, 1, 1, 1), torch.Generator().manual_seed(0)
    _, plain = Process("flow").draw(shape, draw)
    _, shifted = FLOW.draw(shape, draw)
    assert plain.median() == pytest.approx(500, abs=15) and shifted.median() == pytest.approx(750, abs=15)
    assert plain.min() >= 0 and shifted.max() <= 1000


def test_every_sampler_of_a_diffusion_has_the_same_process() -> None:
    for scheduler in (DDIMScheduler, EulerDiscreteScheduler):
        found = process_of(scheduler(beta_schedule="scaled_linear"), "ours")
        assert found.kept is not None
        assert torch.allclose(found.kept, DDPMScheduler(beta_schedule="scaled_linear").alphas_cumprod)


def test_a_scheduler_or_prediction_type_that_we_do_not_know_is_named() -> None:
    with pytest.raises(
        InputError, match=r"'my-model'.*DDPMScheduler with prediction_type 'sample'.*scheduler_config.json"
    ):
        process_of(DDPMScheduler(prediction_type="sample"), "my-model")
    for strange in (EDMEulerScheduler(), DDPMScheduler.from_config({"prediction_type": "flow"})):
        with pytest.raises(InputError, match=f"'other'.*{type(strange).__name__}"):
            process_of(strange, "other")
