"""Noise and times to train on: fresh ones at every step, or a few an example that it meets again, so that what the reference says of
them is asked only once.

Knows examples by their numbers. Does not know what they are, nor what the reference is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainers.engine.training import Training, seeded
from trainers.model.process import Process

KEPT = "reference"  # the table's name in a checkpoint


def fresh(process: Process, latents: Tensor, training: Training) -> tuple[Tensor, Tensor]:
    """Noise shaped like `latents` (N, C, H, W) and times (N,). Of several processes each draws for the whole batch and keeps its own
    rows, so that the result does not depend on how many they are."""
    noise, times = process.draw((training.share.of * len(latents), *latents.shape[1:]), training.generator)
    return training.share.mine(noise).to(latents), training.share.mine(times).to(latents.device)


def own_noise(shape: Sequence[int], training: Training) -> Tensor:
    """This process's rows of noise of `shape`, on the CPU, out of the whole batch's."""
    return training.share.mine(torch.randn(training.share.of * shape[0], *shape[1:], generator=training.generator))


def draw(
    process: Process, latents: Tensor, training: Training, rows: list[int], numbers: list[int] | None
) -> tuple[Tensor, Tensor]:
    """As `fresh`, or where `numbers` are given, the noise and times that belong to row and number, whichever process has the row."""
    if numbers is None:
        return fresh(process, latents, training)
    drawn = [
        process.draw((1, *latents.shape[1:]), seeded(f"{training.config.seed}/draw/{row}/{number}"))
        for row, number in zip(rows, numbers, strict=True)
    ]
    noise, times = torch.cat([one for one, _ in drawn]), torch.cat([at for _, at in drawn])
    return noise.to(latents), times.to(latents.device)


def answered(
    ask: Callable[[list[int]], Tensor],
    training: Training,
    rows: list[int],
    numbers: list[int] | None,
    shape: tuple[int, int],
) -> Tensor:
    """What the reference answers (N, F) of a batch: `ask(places in the batch)` gives it for those that were never asked before.

    `shape`: examples in all, and draws an example. The answers lie in the training's `kept`, so a job that goes on has them; of several processes the first's
    are kept, and the others ask again."""
    if numbers is None:
        return ask(list(range(len(rows))))
    table = training.kept.get(KEPT)
    new = [place for place in range(len(rows)) if table is None or table[rows[place], numbers[place], 0].isnan()]
    if new:
        found = ask(new)
        table = training.kept.setdefault(KEPT, torch.full((*shape, found.shape[1]), torch.nan))
        table[[rows[place] for place in new], [numbers[place] for place in new]] = found.cpu()
    assert table is not None, "someone was new, or nobody"
    return table[rows, numbers].to(training.model.device)
