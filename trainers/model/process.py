"""The forward process of training: how an image becomes noise, and what a prediction says about both.

Knows diffusion (epsilon, v) and rectified flow, as pure arithmetic on latents. Does not know models, prompts or losses on pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prompts.errors import InputError
from prompts.ground.quiet import quiet

Predict = Callable[[Tensor, Tensor], Tensor]
"""(noisy latents (N, C, H, W), timesteps (N,)) -> what the model predicts (N, C, H, W)."""

KINDS = ("epsilon", "v_prediction")  # of diffusion; the third is "flow"
TIMESTEPS = 1000  # of a flow, whose time is continuous: t / TIMESTEPS is its sigma


@dataclass(frozen=True)
class Process:
    """x_t = signal(t) * x_0 + spread(t) * noise, with t from 0 (clean) up to `timesteps`.

    `kind`: what the model predicts. `kept` (T,): alphas_cumprod of a diffusion. `shift`: how far a flow's times lean
    towards noise (Esser et al. 2024, Eq. 23); 1 is not at all."""

    kind: str
    kept: Tensor | None = None
    shift: float = 1.0

    @property
    def timesteps(self) -> int:
        return TIMESTEPS if self.kept is None else len(self.kept)

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noise of `shape` (N, C, H, W) and times (N,) to train on, on the generator's device: uniform, or logit-normal for a flow
        (Esser et al. 2024)."""
        noise = torch.randn(*shape, generator=generator)
        if self.kept is not None:
            return noise, torch.randint(self.timesteps, shape[:1], generator=generator)
        return noise, self.shifted(torch.randn(shape[:1], generator=generator).sigmoid())

    def shifted(self, sigma: Tensor) -> Tensor:
        """The times of a flow's sigmas (0 to 1) after its shift (Esser et al. 2024, Eq. 23)."""
        return self.timesteps * self.shift * sigma / (1 + (self.shift - 1) * sigma)

    def scales(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """signal(t) and spread(t), shaped (N, 1, 1, 1); before the first timestep nothing is noise."""
        if self.kept is None:
            sigma = (times.clamp(min=0) / self.timesteps)[:, None, None, None]
            return 1 - sigma, sigma
        kept = self.kept.to(times.device)[times.clamp(min=0)]
        kept = torch.where(times < 0, torch.ones_like(kept), kept)[:, None, None, None]
        return kept.sqrt(), (1 - kept).sqrt()

    def noisy(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """x_t."""
        signal, spread = self.scales(times)
        return signal * latents + spread * noise

    def target(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What the model should predict: the noise, v = signal * noise - spread * latents, or the flow noise - latents."""
        if self.kind == "epsilon":
            return noise
        signal, spread = self.scales(times)
        return noise - latents if self.kind == "flow" else signal * noise - spread * latents

    def split(self, noisy: Tensor, predicted: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """The clean latents and the noise that a prediction means (Salimans & Ho 2022, appendix D, for v)."""
        signal, spread = self.scales(times)
        if self.kind == "epsilon":
            return (noisy - spread * predicted) / signal, predicted
        if self.kind == "flow":
            return noisy - spread * predicted, noisy + signal * predicted
        return signal * noisy - spread * predicted, spread * noisy + signal * predicted

    def move(self, noisy: Tensor, predicted: Tensor, times: Tensor, to: Tensor) -> Tensor:
        """One deterministic sampler step between times: DDIM's (Song et al. 2021, Eq. 12 with sigma 0), Euler's for a flow."""
        clean, noise = self.split(noisy, predicted, times)
        return self.noisy(clean, noise, to)

    def grid(self, steps: int) -> Tensor:
        """The times (steps + 1,) of a sampler, evenly spaced (then shifted) from noise down to the clean image."""
        if self.kept is not None:
            return torch.arange(steps, -1, -1) * self.timesteps // steps - 1
        return self.shifted(torch.linspace(1, 0, steps + 1))

    def errors(self, predict: Predict, latents: Tensor, noise: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The simple loss (Ho et al. 2020, Eq. 14; flow matching likewise) a sample: (errors (N,), prediction, x_t).

        Each error is the mean over C, H, W of (prediction - target)^2."""
        noisy = self.noisy(latents, noise, times)
        predicted = predict(noisy, times)
        wrong = predicted - self.target(latents, noise, times)
        return wrong.square().mean(dim=(1, 2, 3)), predicted, noisy


def process_of(scheduler: Any, name: str) -> Process:
    """The process that the model called `name` was trained with, whatever sampler it paints with.

    Raises InputError for a scheduler or a prediction type that we do not know."""
    from diffusers import DDPMScheduler

    settings = scheduler.config
    if "FlowMatch" in type(scheduler).__name__:
        dynamic = settings.get("use_dynamic_shifting", False)
        return Process("flow", shift=1.0 if dynamic else float(settings.get("shift", 1.0)))
    kind = settings.get("prediction_type")
    if kind not in KINDS or "beta_schedule" not in settings:  # EDM's have none: another process, which we do not train
        raise InputError(
            f"{name!r} cannot be trained: its scheduler is a {type(scheduler).__name__} with prediction_type {kind!r}, and we know "
            f"{', '.join(map(repr, KINDS))} and FlowMatchEulerDiscreteScheduler: correct scheduler_config.json"
        )
    with quiet():
        return Process(kind, kept=DDPMScheduler.from_config(settings).alphas_cumprod)
