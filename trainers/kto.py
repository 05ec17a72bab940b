"""Diffusion-KTO with LoRA: learn from images a person liked and images they disliked, which need not be pairs.

Knows judged images and the loss on them (Li et al. 2024, arXiv:2404.04465). Does not know who judged, or why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from prompts.errors import InputError
from trainers.engine.checkpoint import fingerprint
from trainers.engine.fit import fit
from trainers.engine.lora import Lora
from trainers.engine.training import How, Training
from trainers.files.adapter_file import Adapter
from trainers.model.attach import Adapters
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import trainable
from trainers.preference_losses import kto_loss
from trainers.sft import SftConfig, advantages, encoded


class KtoConfig(SftConfig):
    """Settings of one Diffusion-KTO job: those of supervised fine-tuning, and the loss's."""

    beta: float = Field(2500.0, gt=0, le=1e6, description="pull towards the reference, as in dpo")
    like_weight: float = Field(1.0, ge=0, le=100, description="weight of liked images")
    dislike_weight: float = Field(1.0, ge=0, le=100, description="weight of disliked images")


@dataclass(frozen=True)
class Judged:
    """One image, its prompt, and whether the person liked it."""

    prompt: str
    image: Image.Image
    liked: bool


def train(
    config: KtoConfig,
    dataset: Sequence[Judged],
    *,
    base_model: BaseModel,
    out: Path,
    adapters: Adapters = (),
    **how: Unpack[How],
) -> Adapter:
    """Train a LoRA on liked and disliked images; `adapters` act, frozen, in both policy and reference.

    `on_step` and losses.jsonl get loss, advantage_liked and advantage_disliked (0 where the batch has none).
    Raises InputError and PalateError as dreambooth.train does."""
    size = config.size or base_model.size
    process = trainable(base_model, size)
    if {judged.liked for judged in dataset} != {True, False}:
        raise InputError(
            f"dataset of {len(dataset)} images needs liked and disliked ones: rate more images, or train sft on the liked"
        )
    examples = [(judged.image, judged.prompt) for judged in dataset]
    known = encoded(examples, base_model, size, adapters)
    liked = torch.tensor([judged.liked for judged in dataset], device=base_model.device)

    def losses(training: Training) -> tuple[Tensor, dict[str, float]]:
        rows = training.rows("images", len(dataset))
        gained = advantages(known, rows, training, process, config.beta)
        mean = gained.detach().mean()
        training.share.average([mean])
        loss = kto_loss(gained, liked[rows], config.like_weight, config.dislike_weight, mean)
        means = {side: gained[liked[rows] == value] for side, value in (("liked", True), ("disliked", False))}
        return loss, {"loss": loss.item()} | {
            f"advantage_{side}": values.mean().item() if len(values) else 0.0 for side, values in means.items()
        }

    data = fingerprint(examples, [float(judged.liked) for judged in dataset])
    return fit(
        config, losses, Lora(config), kind="kto", model=base_model, adapters=adapters, out=out, data=data,
        **how,
    )  # fmt: skip
