"""A LoRA as what learns: its settings, how it joins a model, how it leaves as files.

Knows PEFT. Does not know optimizers, checkpoints, nor any loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from prompts.errors import InputError
from prompts.ground.quiet import quiet
from trainers.engine.training import Training, TrainingConfig
from trainers.files.adapter_file import Adapter
from trainers.files.export import last, save_adapter
from trainers.files.lora_layers import remove
from trainers.model.attach import activate
from trainers.model.base_model import BaseModel

NEW = "new_adapter"


class LoraConfig(TrainingConfig):
    """Settings that every LoRA trainer has."""

    rank: int = Field(8, ge=1, le=256, description="rank of the LoRA")
    alpha: float | None = Field(None, gt=0, le=4096, description="the LoRA acts with alpha / rank; None: alpha = rank")
    target_modules: tuple[str, ...] = Field(
        ("to_q", "to_k", "to_v", "to_out.0"), min_length=1, description="ends of the names of the layers that learn"
    )


class Lora:
    """A new LoRA beside the frozen ones. `config`: of its rank, alpha and layers; the seed draws its A, and B begins at 0."""

    def __init__(self, config: LoraConfig) -> None:
        self.config = config

    def begin(self, training: Training) -> None:
        from peft import LoraConfig as PeftConfig

        config, model = self.config, training.model
        peft = PeftConfig(
            r=config.rank, lora_alpha=config.alpha or config.rank, target_modules=list(config.target_modules)
        )
        try:
            with quiet():
                model.denoiser.add_adapter(peft, adapter_name=NEW)
        except ValueError as error:
            raise InputError(f"target_modules {config.target_modules!r} do not fit {model.name!r}: {error}") from error
        draw = torch.Generator().manual_seed(config.seed)
        for key, value in self.weights(model).items():
            value.data = value.data.float()  # the base may be bfloat16; the LoRA learns in float32
            if ".lora_A." in key:
                value.data.copy_(torch.randn(value.shape, generator=draw) / config.rank)
        self._act(training)

    def weights(self, model: BaseModel) -> dict[str, torch.nn.Parameter]:
        named = model.denoiser.named_parameters()
        return {name: value for name, value in named if f".{NEW}." in name}

    @contextmanager
    def before(self, training: Training) -> Iterator[None]:
        activate(training.model, training.frozen)
        try:
            yield
        finally:
            self._act(training)

    def save(self, training: Training, out: Path, about: dict[str, Any], name: str) -> Adapter:
        rank, alpha = self.config.rank, float(self.config.alpha or self.config.rank)
        return save_adapter(
            out,
            training.model.pipe,
            NEW,
            rank=rank,
            alpha=alpha,
            about=about,
            metrics=last(training.history),
            name=name,
        )

    def end(self, training: Training) -> None:
        remove(training.model.pipe, NEW)

    def _act(self, training: Training) -> None:
        activate(training.model, {**training.frozen, NEW: 1.0}, trainable=NEW)
