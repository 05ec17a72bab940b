"""Reward back-propagation with LoRA (AlignProp, Prabhudesai et al. 2023, arXiv:2310.03739): paint, score, and push the score up.

The strongest baseline of HG-DPO's Table 1, and the quickest way to please a scorer and nobody else: judge the result by another.
Knows sampling that can be differentiated. Does not know the scorer, which comes in as a function.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from prompts.errors import InputError, PalateError
from trainers.engine.draws import own_noise
from trainers.engine.fit import fit
from trainers.engine.lora import Lora, LoraConfig
from trainers.engine.training import How, Training
from trainers.files.adapter_file import Adapter
from trainers.model.attach import Adapters
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import (
    Conditions,
    Prompts,
    decode_latents,
    encode_prompts,
    latent_shape,
    predictor,
    trainable,
)
from trainers.model.process import Predict, Process

Scorer = Callable[[Tensor, Sequence[str]], Tensor]
"""(images (N, 3, H, W) in 0..1, prompts (N)) -> scores (N,), higher is better, differentiable in the images."""


class RewardConfig(LoraConfig):
    """Settings of one reward back-propagation."""

    learning_rate: float = Field(3e-4, gt=0, le=0.1, description="AdamW's step size; AlignProp has 1e-3 for SD 1.5")
    steps: int = Field(100, ge=1, le=100_000, description="optimizer steps; more than needed destroys the pictures")
    batch_size: int = Field(8, ge=1, le=256, description="pictures painted and scored per step")
    sampler_steps: int = Field(20, ge=1, le=1000, description="steps of the sampler that paints them")
    guidance_scale: float = Field(3.0, ge=0, le=50, description="classifier-free guidance while painting")
    backprop_steps: int = Field(
        10, ge=1, le=1000, description="gradients go through at most so many last steps, a random number"
    )
    score_scale: float = Field(0.1, gt=0, le=1e4, description="the loss is minus this times the mean score")


def sample(predict: Predict, process: Process, noise: Tensor, steps: int, through: int) -> Tensor:
    """Clean latents from `noise` (N, C, H, W) after `steps` steps; gradients go through the last `through` of them.

    Each of those is computed again on the way back instead of being remembered, so memory does not grow with their number."""
    latents, grid = noise, process.grid(steps).to(noise.device)
    for number, (at, to) in enumerate(itertools.pairwise(grid)):
        times, later = at.expand(len(noise)), to.expand(len(noise))
        if number < steps - through:
            with torch.no_grad():
                latents = process.move(latents, predict(latents, times), times, later)
        else:
            answer = checkpoint(predict, latents, times, use_reentrant=False)
            latents = process.move(latents, answer, times, later)
    return latents


def guided(model: BaseModel, conditions: Conditions, empty: Conditions, scale: float) -> Predict:
    """Classifier-free guidance (Ho & Salimans 2022, Eq. 6 as samplers write it); none for a scale of 1 or less.

    A guidance-distilled model (FLUX) is told the scale instead."""
    if getattr(model.denoiser.config, "guidance_embeds", False):
        return predictor(model, conditions, scale)
    if scale <= 1:
        return predictor(model, conditions)
    both = predictor(model, empty.joined(conditions))

    def predict(noisy: Tensor, times: Tensor) -> Tensor:
        without, told = both(torch.cat([noisy, noisy]), torch.cat([times, times])).chunk(2)
        return without + scale * (told - without)

    return predict


def nothing(model: BaseModel, size: int, adapters: Adapters) -> Prompts:
    """What the pipeline tells its denoiser of no prompt: SDXL's checkpoints mostly ask for zeros."""
    empty = encode_prompts([""], model, size, adapters)
    if not getattr(model.pipe.config, "force_zeros_for_empty_prompt", False):
        return empty
    told = empty.distinct
    pooled = {key: torch.zeros_like(value) if key == "text_embeds" else value for key, value in told.extras.items()}
    return Prompts(Conditions(torch.zeros_like(told.embeds), pooled), empty.places)


def sampling(process: Process, model: BaseModel, size: int) -> Process:
    """The process as the pipeline samples it: FLUX shifts its times by the number of tokens, exp(mu) for a picture of `size`."""
    settings = model.pipe.scheduler.config
    if not settings.get("use_dynamic_shifting", False):
        return process
    tokens = (size // model.multiple // 2) ** 2
    few, many = settings["base_image_seq_len"], settings["max_image_seq_len"]
    slope = (settings["max_shift"] - settings["base_shift"]) / (many - few)
    return replace(process, shift=math.exp(settings["base_shift"] + slope * (tokens - few)))


def train(
    config: RewardConfig,
    dataset: Sequence[str],
    *,
    scorer: Scorer,
    scorer_version: str,
    base_model: BaseModel,
    out: Path,
    adapters: Adapters = (),
    **how: Unpack[How],
) -> Adapter:
    """Train a LoRA so that paintings of the prompts in `dataset` score higher; `adapters` act, frozen.

    `scorer_version` tells one scorer from another: a job goes on only with the scorer that it began with.
    `on_step` and losses.jsonl get loss and score (the batch's mean). Raises InputError and PalateError as dreambooth.train does."""
    size = config.size or base_model.size
    process = sampling(trainable(base_model, size), base_model, size)
    if not dataset:
        raise InputError("dataset holds no prompts: give some to paint")
    conditions, empty = encode_prompts(dataset, base_model, size, adapters), nothing(base_model, size, adapters)

    def losses(training: Training) -> tuple[Tensor, dict[str, float]]:
        rows = training.rows("prompts", len(dataset))
        noise = own_noise(latent_shape(base_model, len(rows), size), training).to(base_model.device)
        most = min(config.backprop_steps, config.sampler_steps)
        through = int(torch.randint(1, most + 1, (), generator=training.generator))
        predict = guided(base_model, conditions[rows], empty[[0] * len(rows)], config.guidance_scale)
        images = decode_latents(sample(predict, process, noise, config.sampler_steps, through), base_model)
        scores = scorer(images, [dataset[row] for row in rows])
        if images.isfinite().all() and not scores.isfinite().all():
            raise PalateError(
                f"the scorer {scorer_version!r:.80} gave scores that are not finite at step {training.step + 1}: use another scorer"
            )
        score = scores.mean()
        loss = -config.score_scale * score
        return loss, {"loss": loss.item(), "score": score.item()}

    data = hashlib.sha256(json.dumps([scorer_version, *dataset]).encode()).hexdigest()
    return fit(
        config, losses, Lora(config), kind="reward", model=base_model, adapters=adapters, out=out, data=data,
        **how, needed=("vae",),
    )  # fmt: skip
