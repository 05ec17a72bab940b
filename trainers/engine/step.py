"""One step: the loss's gradients, checked and shortened, and AdamW, with its state in 8 bits if one likes; float16 gets a scaler.

Knows torch.optim and bitsandbytes. Does not know which loss it is, nor what learns; trainers.engine.training takes the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from prompts.errors import InputError, PalateError
from trainers.engine.training import Losses, Training, TrainingConfig
from trainers.model.base_model import BaseModel
from trainers.model.memory import enough_memory


class Stepper:
    """What makes a step of losses: the optimizer, and float16's scaler."""

    def __init__(self, training: Training, out: Path) -> None:
        self.training, self.out = training, out
        self.optimizer = make_optimizer(training.config, training.weights().values(), training.model.device)
        self.scaler = make_scaler(training.model.device, training.model.dtype)

    def step(self, losses: Losses) -> dict[str, float]:
        """One step, and what it showed. Raises PalateError when it cannot be made."""
        training, config = self.training, self.training.config
        self.rate = config.learning_rate * min(1.0, (training.step + 1) / max(1, config.warmup_steps))
        self.optimizer.param_groups[0]["lr"] = self.rate
        with enough_memory(f"training step {training.step + 1}", f"{advice(config, training.model)}; {self._kept()}"):
            loss, shown = losses(training)
            norm = self._gradients(loss)
            self._check(training.share.mean({"loss": loss.item()})["loss"], norm)
            self.scaler.step(self.optimizer)
        self.scaler.update()
        training.step += 1
        scale = {"loss_scale": self.scaler.get_scale()} if self.scaler.is_enabled() else {}
        return {"step": training.step, **training.share.mean(shown), **scale}

    def _gradients(self, loss: Tensor) -> float:
        """Fill in the weights' gradients, averaged over the processes and shortened; their length before that."""
        weights = list(self.training.weights().values())
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.training.share.average(weight.grad for weight in weights if weight.grad is not None)
        self.scaler.unscale_(self.optimizer)
        return torch.nn.utils.clip_grad_norm_(weights, self.training.config.max_grad_norm).item()

    def _check(self, loss: float, norm: float) -> None:
        """Float16's gradients may overflow: then the scaler leaves the step out and scales less, until there is nothing left to lower."""
        scaled = self.scaler.is_enabled() and self.scaler.get_scale() >= 1
        if not math.isfinite(loss) or not (math.isfinite(norm) or scaled):
            raise PalateError(
                f"the loss became {loss} (gradient norm {norm}) at step {self.training.step + 1} with learning_rate {self.rate!r}: lower "
                f"the learning rate; {self._kept()}"
            )

    def _kept(self) -> str:
        return f"the last checkpoint stays in {str(self.out)!r}"


def make_optimizer(config: TrainingConfig, weights: Iterable[Parameter], device: torch.device) -> torch.optim.Optimizer:
    """What moves `weights`. Raises InputError for 8 bits where they cannot be had."""
    kind: Any = torch.optim.AdamW if config.optimizer == "adamw" else _adamw8bit(device)
    made: torch.optim.Optimizer = kind(list(weights), lr=config.learning_rate, weight_decay=config.weight_decay)
    return made


def _adamw8bit(device: torch.device) -> Any:
    """Dettmers et al. 2022, arXiv:2110.02861."""
    if device.type != "cuda":
        raise InputError(
            f"optimizer 'adamw8bit' needs an NVIDIA GPU, and this job runs on {str(device)!r}: use 'adamw'"
        )
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise InputError(
            "optimizer 'adamw8bit' needs bitsandbytes, which is not installed: pip install bitsandbytes, or use 'adamw'"
        ) from error
    return AdamW8bit


def make_scaler(device: torch.device, dtype: torch.dtype) -> torch.amp.GradScaler:
    """Scales the loss so that float16's gradients do not underflow (Micikevicius et al. 2018, section 3.2); idle for other dtypes."""
    return torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)


def advice(config: TrainingConfig, model: BaseModel) -> str:
    """What of `config` to lower, with its values; but for gradient_checkpointing each makes another job."""
    said = [f"lower batch_size (now {config.batch_size!r})", f"lower size (now {config.size or model.size!r})"]
    if not config.gradient_checkpointing:
        said.append("turn gradient_checkpointing on")
    rank = getattr(config, "rank", None)
    if isinstance(rank, int) and getattr(config, "learns", "lora") == "lora":
        said.append(f"lower rank (now {rank!r})")
    if config.optimizer == "adamw" and model.device.type == "cuda":
        said.append("use optimizer 'adamw8bit'")
    return ", ".join(said) + " (all but gradient_checkpointing make another job: in another folder)"
