"""A training under way: its settings, which of its examples are due, and what it knows of the model before and after.

The words that the loop (fit.py), the step and the learners share. Does not know any loss, files, nor what of the model learns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict

import torch
from pydantic import BaseModel as Record
from pydantic import ConfigDict, Field
from torch import Tensor

from prompts.errors import PalateError
from trainers.engine.share import ALONE, Share
from trainers.files.adapter_file import Adapter
from trainers.model.base_model import BaseModel

OnStep = Callable[[int, int, dict[str, float]], None]
"""(steps done, steps in all, losses of this step)."""


class TrainingStopped(PalateError):
    """Someone asked the training to stop; a checkpoint lies in `out`."""


class TrainingConfig(Record):
    """Settings that every trainer has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float = Field(1e-4, gt=0, le=0.1, description="AdamW's step size")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's weight decay")
    warmup_steps: int = Field(0, ge=0, le=100_000, description="steps over which the learning rate rises from 0")
    optimizer: Literal["adamw", "adamw8bit"] = Field(
        "adamw",
        description="adamw8bit keeps its state in a quarter of the memory; it needs bitsandbytes and an NVIDIA GPU",
    )
    max_grad_norm: float = Field(1.0, gt=0, le=1e6, description="gradients longer than this are shortened to it")
    steps: int = Field(200, ge=1, le=100_000, description="optimizer steps")
    batch_size: int = Field(4, ge=1, le=256, description="examples per step, of all processes together")
    size: int | None = Field(None, ge=8, le=2048, multiple_of=8, description="pixels a side; None: the model's own")
    seed: int = Field(0, ge=0, lt=2**63, description="seeds the LoRA, the order of examples, noise and timesteps")
    gradient_checkpointing: bool = Field(
        False, description="compute activations twice: a third slower, far less memory"
    )
    sample_prompts: tuple[str, ...] = Field(
        (), max_length=8, description="painted at step 0 and on the way, always from the same seeds"
    )
    sample_every: int = Field(50, ge=1, le=100_000, description="steps between two such paintings")
    sample_steps: int = Field(20, ge=1, le=1000, description="sampling steps of these")
    sample_guidance: float = Field(3.0, ge=0, le=50, description="their guidance scale")
    checkpoint_every: int = Field(100, ge=1, le=100_000, description="steps between checkpoints")
    keep_checkpoints: int = Field(2, ge=1, le=1000, description="newest checkpoints that are kept")


class How(TypedDict, total=False):
    """How a job is carried out: keyword arguments that every trainer has, and `fit` reads.

    `generator`: of noise and order, from the config's seed unless given; `should_stop`: asked before each step; `name`: of the files,
    the kind's unless given."""

    generator: torch.Generator | None
    on_step: OnStep | None
    should_stop: Callable[[], bool]
    name: str


class Learner(Protocol):
    """What of a model learns: a LoRA beside it, its own weights, or a word."""

    def begin(self, training: Training) -> None:
        """Make it ready to learn. Raises InputError when the model has no such part."""

    def weights(self, model: BaseModel) -> dict[str, torch.nn.Parameter]:
        """By name: what the optimizer moves and a checkpoint keeps."""

    def before(self, training: Training) -> AbstractContextManager[None]:
        """The model as it was before the job, for a while."""

    def save(self, training: Training, out: Path, about: dict[str, Any], name: str) -> Adapter:
        """Write what was learned, as others load it, and prove that it loads. `about`: the job."""

    def end(self, training: Training) -> None:
        """Leave the model as `begin` found it."""


@dataclass
class Training:
    """A job under way. `frozen`: personal adapters that act besides what learns, by weight; `step`: steps done; `history`: what they
    showed; `kept`: what a trainer wants to find again in a checkpoint; `share`: which rows of a batch are this process's."""

    config: TrainingConfig
    model: BaseModel
    learner: Learner
    frozen: dict[str, float]
    generator: torch.Generator
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    kept: dict[str, Tensor] = field(default_factory=dict)
    share: Share = ALONE

    def rows(self, label: str, n: int) -> list[int]:
        """This process's examples of this step out of `n`; all processes together take batch_size of them (n, if fewer) from an
        endless, reshuffled stream.

        It follows from seed, `label` and step alone, so it needs no place in a checkpoint."""
        return [_shuffled(self.config.seed, label, at // n, n)[at % n] for at in self._places(n)]

    def numbers(self, n: int, draws: int | None) -> list[int] | None:
        """Which of its `draws` noises each of this step's examples meets, in turn; None when they meet fresh ones."""
        return None if draws is None else [at // n % draws for at in self._places(n)]

    def _places(self, n: int) -> range:
        """Of this step's examples in the endless stream."""
        size = min(self.config.batch_size, n)
        return self.share.mine(range(self.step * size, (self.step + 1) * size))

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """The model as it was before this job, base and personal adapters, without gradients, for a while."""
        with self.learner.before(self), torch.no_grad():
            yield

    def weights(self) -> dict[str, torch.nn.Parameter]:
        return self.learner.weights(self.model)


Losses = Callable[[Training], tuple[Tensor, dict[str, float]]]
"""One step's loss to minimise (scalar) and the numbers to show and keep."""


@lru_cache(maxsize=8)  # a batch asks for each of its examples, and 100,000 pairs take a while to shuffle
def _shuffled(seed: int, label: str, epoch: int, n: int) -> list[int]:
    return torch.randperm(n, generator=seeded(f"{seed}/{label}/{epoch}")).tolist()


def seeded(words: str) -> torch.Generator:
    """A generator that follows from `words` alone, so that it needs no place in a checkpoint."""
    key = hashlib.sha256(words.encode()).digest()[:7]
    return torch.Generator().manual_seed(int.from_bytes(key, "big"))
