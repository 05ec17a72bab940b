"""Supervised fine-tuning with LoRA: more of these images, for these prompts. What preference training is compared with.

Knows the simple loss. Does not know why these images were chosen; dreambooth adds a prior, dpo what to move away from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from prompts.errors import InputError
from trainers.engine.checkpoint import fingerprint
from trainers.engine.draws import fresh
from trainers.engine.fit import fit
from trainers.engine.lora import Lora, LoraConfig
from trainers.engine.training import How, Training
from trainers.files.adapter_file import Adapter
from trainers.model.attach import Adapters, attached
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import Prompts, Spoken, encode_images, encode_prompts, predictor, trainable
from trainers.model.paint import tell_cuts
from trainers.model.process import Process
from trainers.preference_losses import advantage

Example = tuple[Image.Image, str]
Encoded = tuple[Tensor, Prompts | Spoken]


class SftConfig(LoraConfig):
    """Settings of one supervised fine-tuning."""

    learning_rate: float = Field(1e-4, gt=0, le=0.1, description="AdamW's step size; 1e-5 suits SD 1.5 and SDXL")
    steps: int = Field(300, ge=1, le=100_000, description="optimizer steps")
    batch_size: int = Field(8, ge=1, le=256, description="images per step")


def encoded(examples: Sequence[Example], model: BaseModel, size: int, adapters: Adapters) -> Encoded:
    """Latents of (image, prompt) pairs and what the model with `adapters` is told of them, in their order."""
    images, prompts = [image for image, _ in examples], [prompt for _, prompt in examples]
    return encode_images(images, model, size), encode_prompts(prompts, model, size, adapters)


def spoken(examples: Sequence[Example], model: BaseModel, size: int, adapters: Adapters = ()) -> Encoded:
    """As `encoded`, with prompts that are read anew each time, with whatever acts then: a word in them learns."""
    images, prompts = [image for image, _ in examples], [prompt for _, prompt in examples]
    with attached(model, adapters):
        tell_cuts(list(dict.fromkeys(prompts)), model)
    return encode_images(images, model, size), Spoken(prompts, model, size)


def weights_of(dataset: Sequence[Example], weights: Sequence[float] | None, model: BaseModel) -> Tensor:
    """One factor (N,) per item for its loss, 1 unless given. Raises InputError for no items, or not one weight each."""
    if not dataset or (weights is not None and len(weights) != len(dataset)):
        raise InputError(
            f"dataset of {len(dataset)} items with {weights and len(weights)} weights: give one weight each"
        )
    if bad := next((f"{number} ({one!r})" for number, one in enumerate(weights or ()) if not math.isfinite(one)), None):
        raise InputError(f"the weight of item {bad} is not finite: give a number, or leave the item out")
    return torch.tensor(weights if weights is not None else [1.0] * len(dataset), device=model.device)


def errors(data: Encoded, rows: list[int], training: Training, process: Process) -> Tensor:
    """The simple loss (N,) of these rows under fresh noise."""
    latents, conditions = data[0][rows], data[1][rows]
    return process.errors(predictor(training.model, conditions), latents, *fresh(process, latents, training))[0]


def advantages(data: Encoded, rows: list[int], training: Training, process: Process, beta: float) -> Tensor:
    """The advantage (N,) of these rows over the model as it was before the job, both under the same fresh noise."""
    latents, predict = data[0][rows], predictor(training.model, data[1][rows])
    noise, times = fresh(process, latents, training)
    with training.as_before():
        before = process.errors(predict, latents, noise, times)[0]
    return advantage(process.errors(predict, latents, noise, times)[0], before, beta)


def train(
    config: SftConfig,
    dataset: Sequence[Example],
    *,
    base_model: BaseModel,
    out: Path,
    adapters: Adapters = (),
    **how: Unpack[How],
) -> Adapter:
    """Train a LoRA on (image, prompt) pairs, on top of `adapters`. Continues from the last checkpoint in `out`.

    Raises InputError and PalateError as dreambooth.train does."""
    size = config.size or base_model.size
    process = trainable(base_model, size)
    if not dataset:
        raise InputError("dataset holds no images: rate some images first")
    data = encoded(dataset, base_model, size, adapters)

    def losses(training: Training) -> tuple[Tensor, dict[str, float]]:
        loss = errors(data, training.rows("images", len(dataset)), training, process).mean()
        return loss, {"loss": loss.item()}

    return fit(
        config, losses, Lora(config), kind="sft", model=base_model, adapters=adapters, out=out, data=fingerprint(dataset, None),
        **how,
    )  # fmt: skip
