"""Win rate, a mean with its interval, and how far and how fast a run improved. numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z = 1.959964
# 97.5 % quantile of Student's t for 1..10 degrees of freedom; above, the series below is exact to three digits.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class WinRate:
    """`rate` in 0..1 with its 95 % interval `low`..`high`, over `n` pairs."""

    rate: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int
    n: int


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval over `n` values."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Progress:
    """Prompt optimisation as in LLM prompt optimisation for PIAA, sec. 4.2: `best` is max, `gain` is max - init, and
    `rounds_to_best` is K*, counted from the initial prompt, which is round 0."""

    best: float
    gain: float
    rounds_to_best: int


def win_rate(with_scores: Sequence[float], without_scores: Sequence[float]) -> WinRate:
    """How often the first of each pair scores higher, ties counting half.

    The interval is Wilson's score interval at (wins + ties / 2) of n: unlike the normal one it stays within 0..1 and
    is honest near the ends. Ties make it a little too wide, never too narrow. Pairs must be independent (distinct
    prompts), which no formula can check.
    """
    first, second = np.asarray(with_scores, dtype=float), np.asarray(without_scores, dtype=float)
    assert first.ndim == 1 and first.shape == second.shape and len(first), (
        f"pair (N,) with (N,): {first.shape}, {second.shape}"
    )
    assert np.isfinite(first).all() and np.isfinite(second).all(), "a score that is not finite wins and loses nothing"
    wins, losses, n = int((first > second).sum()), int((first < second).sum()), len(first)
    ties = n - wins - losses
    rate = (wins + ties / 2.0) / n
    low, high = wilson(rate, n)
    return WinRate(rate, low, high, wins, losses, ties, n)


def wilson(rate: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share `rate` (0..1) seen in n >= 1 trials."""
    centre = (rate + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean with Student's 95 % interval; of one value the interval is infinite, which is the truth."""
    numbers = np.asarray(values, dtype=float)
    assert numbers.ndim == 1 and len(numbers) and np.isfinite(numbers).all(), f"finite (N,), not {numbers!r}"
    mean, n = float(numbers.mean()), len(numbers)
    if n == 1:
        return Interval(mean, -math.inf, math.inf, n)
    half = student(n - 1) * float(numbers.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def progress(scores: Sequence[float]) -> Progress:
    """max, max - init and K* of a run's scores by round, the initial prompt first."""
    numbers = np.asarray(scores, dtype=float)
    assert numbers.ndim == 1 and len(numbers), f"one score per round, at least the initial one, not {numbers!r}"
    best = int(numbers.argmax())
    return Progress(float(numbers[best]), float(numbers[best] - numbers[0]), best)


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, for 1 degree of freedom or more."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    first = (_Z**3 + _Z) / 4
    second = (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96
    third = (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / 384
    return _Z + first / freedom + second / freedom**2 + third / freedom**3
