"""Noise and times to train on: fresh ones at every step, or a few an example that it meets again, so that what the reference says of
them is asked only once.

Knows examples by their numbers. Does not know what they are, nor what the reference is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from trainers.engine.share import ALONE
from trainers.engine.training import Training, seeded
from trainers.model.process import Process

KEPT = "reference"  # the table's name in a checkpoint


def draw(
    process: Process, latents: Tensor, training: Training, rows: list[int], numbers: list[int] | None
) -> tuple[Tensor, Tensor]:
    """Noise shaped like `latents` (N, C, H, W) and times (N,): fresh, or the ones that belong to row and number."""
    if numbers is None:
        return process.draw(latents, training.generator)
    alone = replace(process, share=ALONE)  # a row's draw is its own, whichever process has the row
    drawn = [
        alone.draw(one[None], seeded(f"{training.config.seed}/draw/{row}/{number}"))
        for one, row, number in zip(latents, rows, numbers, strict=True)
    ]
    return torch.cat([noise for noise, _ in drawn]), torch.cat([times for _, times in drawn])


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
