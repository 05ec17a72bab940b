"""DreamBooth with LoRA: teach a model a subject or a style from a few images, without forgetting the class.

Knows its loss and its settings. Does not know how images were chosen or what the result is scored with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from prompts.errors import InputError
from trainers.adapter_file import Adapter
from trainers.attach import Adapters
from trainers.base_model import BaseModel
from trainers.checkpoint import fingerprint
from trainers.denoiser import trainable
from trainers.lora import Lora, LoraConfig
from trainers.preference_losses import dco_losses
from trainers.process import Process
from trainers.sft import Encoded, Example, advantages, encoded, errors
from trainers.training import OnStep, Training, fit


class DreamBoothConfig(LoraConfig):
    """Settings of one DreamBooth-LoRA job."""

    learning_rate: float = Field(5e-4, gt=0, le=0.1, description="AdamW's step size; 1e-4 suits SD 1.5 and SDXL")
    steps: int = Field(200, ge=1, le=100_000, description="optimizer steps")
    batch_size: int = Field(4, ge=1, le=256, description="instance images per step (and as many prior images)")
    loss: Literal["simple", "dco"] = Field(
        "simple", description="dco stays near the model as it was, and needs no images of the class"
    )
    beta: float = Field(1000.0, gt=0, le=1e6, description="dco's pull towards the reference")
    prior_weight: float = Field(1.0, ge=0, le=100, description="weight of the prior-preservation loss; 0 turns it off")


def prior_preservation_loss(instance: Tensor, prior: Tensor, weight: float, scale: Tensor | None = None) -> Tensor:
    """DreamBooth (Ruiz et al. 2023), Eq. 2: mean of the instance errors (N,) + weight * mean of the prior's (M,).

    `scale` (N,), if given, multiplies the instance errors only, never the prior's (GAL, Eq. 9)."""
    own = instance if scale is None else instance * scale
    return own.mean() + weight * prior.mean() if len(prior) else own.mean()


def train(
    config: DreamBoothConfig,
    dataset: Sequence[Example],
    *,
    base_model: BaseModel,
    out: Path,
    adapters: Adapters = (),
    prior: Sequence[Example] = (),
    weights: Sequence[float] | None = None,
    generator: torch.Generator | None = None,
    on_step: OnStep | None = None,
    should_stop: Callable[[], bool] = bool,
    name: str = "dreambooth",
) -> Adapter:
    """Train a LoRA on (image, prompt) pairs, on top of `adapters`; `prior`: images of the class, with its prompt.

    `weights`: one factor per dataset item for its loss (GAL's openness weight for synthetic ones), default 1.
    Runs where `base_model` is. Runs again with the same arguments: continues from the last checkpoint in `out`.
    Raises InputError for data or an `out` it cannot use, PalateError when the loss stops being a number."""
    size = config.size or base_model.size
    process = trainable(base_model, size)
    if not dataset or (weights is not None and len(weights) != len(dataset)):
        raise InputError(
            f"dataset of {len(dataset)} items with {weights and len(weights)} weights: give one weight each"
        )
    scale = torch.tensor(weights if weights is not None else [1.0] * len(dataset), device=base_model.device)
    own = encoded(dataset, base_model, size, adapters)
    kept = encoded(prior, base_model, size, adapters) if prior and config.prior_weight else None

    def losses(training: Training) -> tuple[Tensor, dict[str, float]]:
        rows = training.rows("instance", len(dataset))
        instance = _instance(own, rows, training, process, config)
        before = instance.new_zeros(0)
        if kept is not None:
            before = errors(kept, training.rows("prior", len(prior)), base_model, process, training.generator)
        loss = prior_preservation_loss(instance, before, config.prior_weight, scale[rows])
        shown = {"loss": loss.item(), "instance_loss": instance.mean().item()}
        return loss, shown | ({"prior_loss": before.mean().item()} if kept is not None else {})

    data = fingerprint([*dataset, *prior], weights)
    return fit(
        config, losses, Lora(config), kind="dreambooth", name=name, model=base_model, adapters=adapters, out=out, data=data,
        generator=generator, on_step=on_step, should_stop=should_stop,
    )  # fmt: skip


def _instance(own: Encoded, rows: list[int], training: Training, process: Process, config: DreamBoothConfig) -> Tensor:
    """The loss (N,) of the instance images: their errors, or dco's of the errors' advantage."""
    if config.loss == "simple":
        return errors(own, rows, training.model, process, training.generator)
    return dco_losses(advantages(own, rows, training, process, config.beta))
