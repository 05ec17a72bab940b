"""Pools of images and the pairs they hold: N images a prompt, scored, best against worst (HG-DPO, section 3.1, Eq. 4-6).

Pure choice, on numbers. Does not paint or score, and does not know files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from prompts.errors import InputError


class Chosen(NamedTuple):
    """Places in the pool of winner and loser, and how far apart their scores are (> 0)."""

    win: int
    lose: int
    margin: float


def mixed(scores: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """One score (N,) from several scorers' (N,). One scorer keeps its own unit; of several, each is first brought to mean 0 and
    spread 1 within the pool, so that its weight means the same whatever its unit."""
    assert scores.keys() == weights.keys() and scores, f"one weight a scorer: {list(scores)} and {list(weights)}"
    if len(scores) == 1:
        (name,) = scores
        only: np.ndarray = np.asarray(scores[name], dtype=float) * weights[name]
        return only
    found: np.ndarray = np.sum(
        [weights[name] * _standard(np.asarray(values, dtype=float)) for name, values in scores.items()], axis=0
    )
    return found


def choose(
    scores: np.ndarray, *, pairs: int = 1, loser_rank: int | None = None, minimum_margin: float = 0.0
) -> list[Chosen]:
    """The best image of a pool against the worst, or against the one of rank `loser_rank` (2: the second best); Eq. 5 and 6.

    With more `pairs`, which the paper does not have, the second best against the second worst, and so on, while winners and losers
    do not meet. An image whose score is not a number is not in the pool. Left out is what teaches nothing: pools of fewer than two
    images, and margins that are not above `minimum_margin`."""
    assert scores.ndim == 1 and (loser_rank is None or (loser_rank >= 2 and pairs == 1)), f"{scores.shape}, rank {loser_rank!r}"  # fmt: skip
    places = np.flatnonzero(np.isfinite(scores))
    order = places[np.argsort(-scores[places], kind="stable")]
    last = len(order) if loser_rank is None else min(loser_rank, len(order))
    sides = [(order[i], order[last - 1 - i]) for i in range(min(pairs, len(order) // 2))]
    found = [Chosen(int(win), int(lose), float(scores[win] - scores[lose])) for win, lose in sides]
    return [one for one in found if one.margin > max(0.0, minimum_margin)]


def check_scores(name: str, values: np.ndarray) -> None:
    """Raises InputError when a scorer gives no number at all: a broken scorer, not a broken image."""
    if len(values) and not np.isfinite(values).any():
        raise InputError(
            f"scorer {name!r} gave {values[0]!r} for all {len(values)} images: check its weights and its device"
        )


def _standard(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values)]
    spread = float(known.std()) if len(known) else 0.0
    return (values - known.mean()) / spread if spread > 0 else values * 0.0
