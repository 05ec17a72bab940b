"""The loop that all trainers share: step, keep checkpoints, paint on the way, survive interruptions, save what was learned.

Does not know any loss, nor what of the model learns: a trainer brings the one as a function of a `Training`, the other as a `Learner`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Unpack

import torch

from prompts.ground.atomic import abandoned, remove
from trainers.engine import checkpoint
from trainers.engine.journal import Journal, journal, written
from trainers.engine.samples import forget_samples, save_samples
from trainers.engine.share import share
from trainers.engine.step import Stepper
from trainers.engine.training import How, Learner, Losses, OnStep, Training, TrainingConfig, TrainingStopped
from trainers.files.adapter_file import Adapter
from trainers.model.attach import Adapters, attached
from trainers.model.base_model import BaseModel
from trainers.model.memory import idle, parked


def fit(
    config: TrainingConfig,
    losses: Losses,
    learner: Learner,
    *,
    kind: str,
    model: BaseModel,
    adapters: Adapters,
    out: Path,
    data: str,
    needed: Collection[str] = (),
    **how: Unpack[How],
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
        if ours.leads:
            _sweep(out)
        if ours.any((out / "adapter.json").is_file()):
            return finished(out, about)
        draw = how.get("generator") or torch.Generator().manual_seed(config.seed)
        training = Training(config, model, learner, frozen, draw, share=ours)
        try:
            learner.begin(training)
            resting = idle(model, needed, training.weights().values())
            with parked(model, resting), _recomputing(model, config.gradient_checkpointing):
                _loop(training, losses, out, about, how.get("on_step"), how.get("should_stop", bool))
            return _saved(training, out, about, how.get("name", kind))
        finally:
            learner.end(training)


def _sweep(out: Path) -> None:
    """Away with what a process left that was killed while it wrote: a part of a checkpoint may be gigabytes."""
    for left in abandoned(out):
        with suppress(OSError):  # it is only in the way of nothing
            remove(left)


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
