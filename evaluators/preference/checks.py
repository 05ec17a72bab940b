"""What may be learned from: features, ratings and comparisons, each refused in words where they cannot be used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluators.preference.kinds.comparison import Comparison, checked
from prompts.errors import InputError


def told(
    features: np.ndarray, ratings: np.ndarray | None, comparisons: Sequence[Comparison], order: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, tuple[Comparison, ...], np.ndarray | None]:
    """Only the rows that were rated or compared, of however many are stored; comparisons by their new row numbers.

    Raises: InputError for what cannot be learned from.
    """
    features = np.asarray(features)
    if features.ndim != 2:
        features_of(features)  # says what is wrong
    count = len(features)
    ratings = ratings_of(ratings, count, comparisons)
    comparisons = checked(comparisons, count)
    used = np.isfinite(ratings)
    used[[row for one in comparisons for row in (one.first, one.second)]] = True
    if order is not None and np.shape(order) != (count,):
        raise InputError(f"order of shape {np.shape(order)!r} for {count} pictures: give one time for each")
    place = np.cumsum(used) - 1
    moved = tuple(Comparison(int(place[c.first]), int(place[c.second]), c.answer) for c in comparisons)
    return features_of(features[used]), ratings[used], moved, None if order is None else np.asarray(order)[used]


def features_of(features: np.ndarray) -> np.ndarray:
    """As float64. Raises InputError unless they are finite and (N, D)."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or features.shape[1] == 0 or not np.isfinite(features).all():
        raise InputError(f"features of shape {features.shape!r}: give finite numbers of shape (N, D)")
    return features


def ratings_of(ratings: np.ndarray | None, count: int, comparisons: Sequence[Comparison]) -> np.ndarray:
    """(N,) as float64, NaN for a picture that was not rated. Raises InputError for another shape, infinity, or nothing told."""
    ratings = np.full(count, np.nan) if ratings is None else np.asarray(ratings, dtype=np.float64)
    if ratings.shape != (count,) or count == 0:
        raise InputError(
            f"ratings of shape {ratings.shape!r} for {count} pictures: give one rating for each, at least 1"
        )
    if np.isinf(ratings).any():
        raise InputError(f"ratings {ratings.tolist()!r} are not all finite: NaN is for a picture without a rating")
    if not len(comparisons) and not np.isfinite(ratings).any():
        raise InputError(f"none of {count} pictures has a rating: give at least 1 rating, or a comparison")
    return ratings


def same_width(features: np.ndarray, known: int | None) -> None:
    """Raises InputError unless features (N, D) have the `known` number of columns of a population; None: there is none."""
    if known is not None and known != features.shape[1]:
        raise InputError(
            f"features have {features.shape[1]} columns, the population was fitted on {known}: use the same features"
        )
