"""A comparison as the preference models take it, and comparisons put into numbers for the kinds that only know ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluators.numbers.comparisons import as_ratings
from prompts.errors import InputError

OUTCOMES = {"first": 1.0, "second": 0.0, "tie": 0.5}


@dataclass(frozen=True)
class Comparison:
    """Two pictures, by their row of the features, and which of them is liked better."""

    first: int
    second: int
    answer: Literal["first", "second", "tie"]


def checked(comparisons: Sequence[Comparison], count: int) -> tuple[Comparison, ...]:
    """The comparisons. Raises InputError for a row outside 0..count-1, a picture against itself, or an unknown answer."""
    for one in comparisons:
        if one.first == one.second or not (0 <= one.first < count and 0 <= one.second < count):
            raise InputError(f"{one!r}: compare two different pictures out of 0..{count - 1}")
        if one.answer not in OUTCOMES:
            raise InputError(f"{one!r}: answer first, second or tie; leave out a comparison that was skipped")
    return tuple(comparisons)


def with_strengths(ratings: np.ndarray, comparisons: Sequence[Comparison]) -> np.ndarray:
    """The ratings (N,), NaN where there is none, and for compared pictures without one their strength on the same scale.

    With fewer than two different ratings the scale is 0..10. A tie counts as half a win each way.
    """
    pairs = [pair for one in comparisons for pair in _wins(one)]
    strengths = as_ratings(pairs, len(ratings), weights=[_weight(one) for one in comparisons for _ in _wins(one)])
    rated, compared = np.isfinite(ratings), np.zeros(len(ratings), dtype=bool)
    compared[[row for one in comparisons for row in (one.first, one.second)]] = True
    if rated.sum() >= 2 and np.ptp(ratings[rated]) > 1e-9:
        strengths = ratings[rated].mean() + ratings[rated].std() * (strengths - 5.0) / 2.0
    return np.where(rated, ratings, np.where(compared, strengths, np.nan))


def _wins(one: Comparison) -> list[tuple[int, int]]:
    there, back = (one.first, one.second), (one.second, one.first)
    return {"first": [there], "second": [back], "tie": [there, back]}[one.answer]


def _weight(one: Comparison) -> float:
    return 0.5 if one.answer == "tie" else 1.0
