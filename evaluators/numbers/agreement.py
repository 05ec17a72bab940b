"""How well one list of numbers agrees with another: ranks, pairs, errors. numpy only; knows nothing of images.

All inputs are (N,) against (N,), asserted: a published table of this field compared (N, 1) with (N,) and averaged the
(N, N) broadcast, which inflates every squared error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """`srocc` in -1..1 with its 95 % interval `low`..`high` (bootstrap over the `n` images); `accuracy`: the share of
    pairs of differently rated images that are put in the right order, 0..1, ties of the prediction counting half, with its interval
    `accuracy_low`..`accuracy_high` by the same bootstrap."""

    srocc: float
    low: float
    high: float
    accuracy: float
    n: int
    accuracy_low: float = 0.0
    accuracy_high: float = 1.0


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,) ranks from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse.reshape(-1)]


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation with ties (SROCC), -1..1; 0.0 where either side has no order at all."""
    first, second = _paired(first, second)
    a, b = ranks(first) - (len(first) + 1) / 2.0, ranks(second) - (len(second) + 1) / 2.0
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / size) if size > 0 else 0.0


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's linear correlation (PLCC), -1..1; 0.0 where either side does not vary."""
    first, second = _paired(first, second)
    a, b = first - first.mean(), second - second.mean()
    if np.ptp(first) == 0 or np.ptp(second) == 0:  # the mean of equal numbers may miss them by a rounding
        return 0.0
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def pairwise_accuracy(predicted: np.ndarray, ratings: np.ndarray) -> float:
    """Share of pairs with different ratings that the prediction orders rightly, 0..1; 0.5 where no pair differs."""
    predicted, ratings = _paired(predicted, ratings)
    upper = np.triu_indices(len(ratings), 1)
    truth = np.sign(ratings[:, None] - ratings[None, :])[upper]
    guess = np.sign(predicted[:, None] - predicted[None, :])[upper]
    told = truth != 0
    return float(0.5 + 0.5 * (truth * guess)[told].mean()) if told.any() else 0.5


def errors(predicted: np.ndarray, ratings: np.ndarray) -> tuple[float, float]:
    """Mean squared and mean absolute error, in points squared and points."""
    predicted, ratings = _paired(predicted, ratings)
    return float(((predicted - ratings) ** 2).mean()), float(np.abs(predicted - ratings).mean())


def agree(predicted: np.ndarray, ratings: np.ndarray, *, seed: int = 0, resamples: int = 1000) -> Agreement:
    """Agreement of predictions with ratings, both (N,), N >= 2; percentile bootstrap over images."""
    predicted, ratings = _paired(predicted, ratings)
    rng = np.random.default_rng([seed, 0xB007])
    picks = rng.integers(0, len(ratings), size=(resamples, len(ratings)))
    drawn = [spearman(predicted[pick], ratings[pick]) for pick in picks]
    low, high = np.quantile(drawn, [0.025, 0.975])
    srocc, accuracy = spearman(predicted, ratings), pairwise_accuracy(predicted, ratings)
    least, most = np.quantile(_resampled_accuracy(predicted, ratings, picks), [0.025, 0.975])
    return Agreement(srocc, float(low), float(high), accuracy, len(ratings), float(least), float(most))


def _resampled_accuracy(predicted: np.ndarray, ratings: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """(R,) `pairwise_accuracy` of each row of `picks` (R, N): how often a picture was drawn weighs its pairs, in two products."""
    truth = np.sign(ratings[:, None] - ratings[None, :])
    right, told = truth * np.sign(predicted[:, None] - predicted[None, :]), np.abs(truth)
    drawn = np.stack([np.bincount(pick, minlength=len(ratings)) for pick in picks]).astype(float)
    pairs = ((drawn @ told) * drawn).sum(axis=1)
    return np.where(pairs > 0, 0.5 + 0.5 * ((drawn @ right) * drawn).sum(axis=1) / np.maximum(pairs, 1.0), 0.5)


def _paired(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    assert first.ndim == 1 and first.shape == second.shape, f"compare (N,) with (N,), not {first.shape}, {second.shape}"
    return first, second


def ratings_agree(foretold: np.ndarray, rated: np.ndarray) -> dict[str, float]:
    """Both (M,), in points: SROCC, PLCC, share of pairs in the right order, MSE and MAE."""
    mse, mae = errors(foretold, rated)
    pairs = pairwise_accuracy(foretold, rated)
    return {
        "srocc": spearman(foretold, rated),
        "plcc": pearson(foretold, rated),
        "pairs": pairs,
        "mse": mse,
        "mae": mae,
    }
