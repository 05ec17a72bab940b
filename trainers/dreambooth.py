"""DreamBooth, as a LoRA or with the whole denoiser: teach a model a subject or a style from a few images, without forgetting the class.

Knows its loss and its settings. Does not know how images were chosen or what the result is scored with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

from pydantic import Field, model_validator
from torch import Tensor

from trainers.engine.checkpoint import fingerprint
from trainers.engine.fit import fit
from trainers.engine.lora import Lora, LoraConfig
from trainers.engine.training import How, Losses, Training, TrainingConfig
from trainers.engine.whole import WholeDenoiser
from trainers.files.adapter_file import Adapter
from trainers.model.attach import Adapters
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import trainable
from trainers.model.process import Process
from trainers.preference_losses import dco_losses
from trainers.sft import Encoded, Example, advantages, encoded, errors, weights_of


class SubjectConfig(TrainingConfig):
    """Settings that every training on images of a subject has, whatever learns."""

    batch_size: int = Field(4, ge=1, le=256, description="instance images per step (and as many prior images)")
    loss: Literal["simple", "dco"] = Field(
        "simple", description="dco stays near the model as it was, and needs no images of the class"
    )
    beta: float = Field(1000.0, gt=0, le=1e6, description="dco's pull towards the reference")
    prior_weight: float = Field(1.0, ge=0, le=100, description="weight of the prior-preservation loss; 0 turns it off")


class DreamBoothConfig(SubjectConfig, LoraConfig):
    """Settings of one DreamBooth job; rank, alpha and target_modules are the LoRA's."""

    learns: Literal["lora", "denoiser"] = Field(
        "lora", description="denoiser trains every weight of it, as the paper does, and makes a whole model"
    )
    learning_rate: float = Field(
        5e-4,
        gt=0,
        le=0.1,
        description="AdamW's step size; 1e-4 suits SD 1.5 and SDXL; the whole denoiser's is 5e-6 unless given",
    )
    steps: int = Field(200, ge=1, le=100_000, description="optimizer steps")

    @model_validator(mode="before")
    @classmethod
    def _small_steps_for_all_weights(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("learns") == "denoiser":
            return {"learning_rate": 5e-6, **values}
        return values


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
    **how: Unpack[How],
) -> Adapter:
    """Train on (image, prompt) pairs what `config.learns`, on top of `adapters`; `prior`: images of the class, with its prompt.

    `weights`: one factor per dataset item for its loss (GAL's openness weight for synthetic ones), default 1. The whole denoiser
    takes no `adapters`. Runs where `base_model` is. Runs again with the same arguments: continues from the last checkpoint in
    `out`. Raises InputError for data or an `out` it cannot use, PalateError when the loss stops being a number."""
    losses, data = subject_losses(config, dataset, prior, weights, base_model, adapters)
    learner = WholeDenoiser() if config.learns == "denoiser" else Lora(config)
    return fit(
        config, losses, learner, kind="dreambooth", model=base_model, adapters=adapters, out=out, data=data,
        **how,
    )  # fmt: skip


def subject_losses(
    config: SubjectConfig,
    dataset: Sequence[Example],
    prior: Sequence[Example],
    weights: Sequence[float] | None,
    model: BaseModel,
    adapters: Adapters,
    encode: Callable[..., Encoded] = encoded,
) -> tuple[Losses, str]:
    """The losses of a training on images of a subject, and the fingerprint of its data. `encode`: the instances, sft.encoded or
    sft.spoken. Raises InputError as `train` does."""
    size = config.size or model.size
    process, scale = trainable(model, size), weights_of(dataset, weights, model)
    own = encode(dataset, model, size, adapters)
    kept = encoded(prior, model, size, adapters) if prior and config.prior_weight else None

    def losses(training: Training) -> tuple[Tensor, dict[str, float]]:
        rows = training.rows("instance", len(dataset))
        instance = _instance(own, rows, training, process, config)
        before = instance.new_zeros(0)
        if kept is not None:
            before = errors(kept, training.rows("prior", len(prior)), training, process)
        loss = prior_preservation_loss(instance, before, config.prior_weight, scale[rows])
        shown = {"loss": loss.item(), "instance_loss": instance.mean().item()}
        return loss, shown | ({"prior_loss": before.mean().item()} if kept is not None else {})

    return losses, fingerprint([*dataset, *prior], weights)


def _instance(own: Encoded, rows: list[int], training: Training, process: Process, config: SubjectConfig) -> Tensor:
    """The loss (N,) of the instance images: their errors, or dco's of the errors' advantage."""
    if config.loss == "simple":
        return errors(own, rows, training, process)
    return dco_losses(advantages(own, rows, training, process, config.beta))
