"""What all trainers share: step the optimizer, survive interruptions, keep checkpoints, save what was learned.

Does not know any loss, nor what of the model learns: a trainer brings the one as a function of a `Training`, the other as a `Learner`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from pydantic import BaseModel as Record
from pydantic import ConfigDict, Field
from torch import Tensor

from prompts.errors import PalateError
from trainers.engine import checkpoint
from trainers.engine.journal import Journal, journal, written
from trainers.engine.samples import forget_samples, save_samples
from trainers.engine.share import ALONE, Share, share
from trainers.engine.step import Stepper
from trainers.files.adapter_file import Adapter
from trainers.model.attach import Adapters, attached
from trainers.model.base_model import BaseModel
from trainers.model.memory import idle, parked

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


def fit(
    config: TrainingConfig,
    losses: Losses,
    learner: Learner,
    *,
    kind: str,
    name: str,
    model: BaseModel,
    adapters: Adapters,
    out: Path,
    data: str,
    generator: torch.Generator | None,
    on_step: OnStep | None,
    should_stop: Callable[[], bool],
    needed: Collection[str] = (),
) -> Adapter:
    """Train what `learner` says, beside the frozen `adapters`, and save it into `out`; continue what `out` already holds.

    `data`: fingerprint of the dataset; `needed`: names of the parts of the pipeline that `losses` calls besides the denoiser, the
    others leave the GPU. In one of several processes, only the first writes. Raises InputError when `out` holds another job,
    PalateError when the loss is not finite, memory runs out or the disk is full (the last checkpoint stays), TrainingStopped after
    `should_stop()` (a checkpoint is saved)."""
    out = Path(out)
    with model.lock, attached(model, adapters) as frozen:
        about = {"kind": kind, "base_model": model.name, "adapters": frozen, "data": data, "dtype": str(model.dtype)}
        about["config"] = json.loads(config.model_dump_json())
        ours = share(model.device)
        if ours.any((out / "adapter.json").is_file()):
            return finished(out, about)
        draw = generator or torch.Generator().manual_seed(config.seed)
        training = Training(config, model, learner, frozen, draw, share=ours)
        try:
            learner.begin(training)
            resting = idle(model, needed, training.weights().values())
            with parked(model, resting), _recomputing(model, config.gradient_checkpointing):
                _loop(training, losses, out, about, on_step, should_stop)
            return _saved(training, out, about, name)
        finally:
            learner.end(training)


def finished(out: Path, about: dict[str, Any]) -> Adapter:
    """The adapter that `out` holds. Raises InputError when another job made it, or when its card cannot be read."""
    adapter = Adapter.read(out)
    checkpoint.same_job(out, json.loads((out / "adapter.json").read_text()).get("job", {"config": {}}), about)
    return adapter


def _saved(training: Training, out: Path, about: dict[str, Any], name: str) -> Adapter:
    """What was learned, written by the first process and read by the others."""
    if training.share.leads:
        with written(out):
            adapter = training.learner.save(training, out, about, name)
    training.share.wait()
    return adapter if training.share.leads else Adapter.read(out)


@contextmanager
def _recomputing(model: BaseModel, wanted: bool) -> Iterator[None]:
    """Gradient checkpointing of the denoiser for a while."""
    if wanted:
        model.denoiser.enable_gradient_checkpointing()
    try:
        yield
    finally:
        if wanted:
            model.denoiser.disable_gradient_checkpointing()


def _loop(
    training: Training,
    losses: Losses,
    out: Path,
    about: dict[str, Any],
    on_step: OnStep | None,
    should_stop: Callable[[], bool],
) -> None:
    config, share = training.config, training.share
    stepper = Stepper(training, out)
    _resume(stepper, out, about)
    if share.leads:
        forget_samples(out, training.step)
    with journal(out, training.history, share.leads) as log:
        _look(training, out, log)
        while training.step < config.steps:
            if share.any(should_stop()):
                _keep(stepper, out, about)
                raise TrainingStopped(f"stopped after step {training.step} of {config.steps}: run it again to continue")
            training.history.append(stepper.step(losses))
            if log is not None:
                log.step(training.history[-1])
            if training.step % config.checkpoint_every == 0:
                _keep(stepper, out, about)
            _look(training, out, log)
            if on_step is not None:
                on_step(training.step, config.steps, training.history[-1])
    _keep(stepper, out, about)  # what follows reads and writes files: nothing that was learned depends on it


def _keep(stepper: Stepper, out: Path, about: dict[str, Any]) -> None:
    training = stepper.training
    if training.share.leads:
        tensors = checkpoint.pack(
            training.weights(), stepper.optimizer, training.generator, training.kept, scaler=stepper.scaler
        )
        made = checkpoint.Checkpoint(training.step, about, training.history, tensors)
        checkpoint.save(out, made, training.config.keep_checkpoints)
    training.share.wait()  # who stops now would take the first along, while it writes


def _resume(stepper: Stepper, out: Path, about: dict[str, Any]) -> None:
    found, training = checkpoint.latest(out), stepper.training
    if found is None:
        return
    checkpoint.same_job(out, found.about, about)
    checkpoint.unpack(found.tensors, training.weights(), stepper.optimizer, training.generator, scaler=stepper.scaler)
    training.step, training.history, training.kept = found.step, found.history, checkpoint.kept(found.tensors)


def _look(training: Training, out: Path, log: Journal | None) -> None:
    """Paint what is due, in the first process."""
    painted = save_samples(training, out) if log is not None else None
    if log is not None and painted is not None:
        log.picture(training.step, painted)


@lru_cache(maxsize=8)  # a batch asks for each of its examples, and 100,000 pairs take a while to shuffle
def _shuffled(seed: int, label: str, epoch: int, n: int) -> list[int]:
    return torch.randperm(n, generator=seeded(f"{seed}/{label}/{epoch}")).tolist()


def seeded(words: str) -> torch.Generator:
    """A generator that follows from `words` alone, so that it needs no place in a checkpoint."""
    key = hashlib.sha256(words.encode()).digest()[:7]
    return torch.Generator().manual_seed(int.from_bytes(key, "big"))
