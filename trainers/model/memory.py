"""Memory that runs out is told in words, with what to lower; what a training does not need leaves the GPU.

Knows torch's errors and a pipeline's parts. Does not know losses; trainers.engine.estimate says beforehand whether a training fits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from prompts.errors import PalateError
from trainers.model.base_model import BaseModel

AWAY = torch.device("cpu")


class OutOfMemory(PalateError):
    """Memory ran out. The message says while doing what, and what to lower."""


@contextmanager
def enough_memory(doing: str, advice: str) -> Iterator[None]:
    """Raises OutOfMemory when memory runs out inside, on a GPU or a CPU."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        raise OutOfMemory(f"memory ran out while {doing}: {advice}") from error


def _is_lack_of_memory(error: BaseException) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)  # the CPU's allocator has no class for it


def idle(model: BaseModel, needed: Collection[str], learning: Iterable[torch.nn.Parameter]) -> list[str]:
    """Names of the pipeline's parts that hold weights and that a training does not use: all but the denoiser, those `needed`, and
    those in which something learns."""
    ours = {id(weight) for weight in learning}
    return [
        name
        for name, part in model.pipe.components.items()
        if isinstance(part, torch.nn.Module) and part is not model.denoiser and name not in needed
        and not any(id(weight) in ours for weight in part.parameters())
    ]  # fmt: skip


@contextmanager
def parked(model: BaseModel, names: Collection[str]) -> Iterator[None]:
    """These parts of the pipeline wait in the computer's memory for a while; `present` calls them back. On a CPU nothing moves."""
    model.parked = tuple(names)
    _move(model, AWAY)
    try:
        yield
    finally:
        _move(model, model.device)
        model.parked = ()


@contextmanager
def present(model: BaseModel) -> Iterator[None]:
    """All parts are where the model is, for a while."""
    _move(model, model.device)
    try:
        yield
    finally:
        _move(model, AWAY)


def _move(model: BaseModel, to: torch.device) -> None:
    """A GPU's memory is given back at once, so that others may have it."""
    parts: list[Any] = [model.pipe.components[name] for name in model.parked]
    for part in parts:
        part.to(to)
    if parts and to == AWAY and model.device.type == "cuda":
        torch.cuda.empty_cache()
