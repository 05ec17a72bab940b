"""From "this one rather than that" to one number per picture: comparisons learnt like ratings. numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prompts.errors import InputError

MIDDLE, POINTS = 5.0, 2.0  # where strengths 0 and 1 lie on the 0..10 scale of ratings


def strengths(
    pairs: Sequence[tuple[int, int]], count: int, *, prior_sd: float = 1.0, weights: Sequence[float] | None = None
) -> np.ndarray:
    """Bradley & Terry 1952, most probable strengths (count,) under a normal prior, from (win, lose) picture numbers.

    P(win) = 1 / (1 + exp(lose - win)). The prior keeps a picture that never lost finite, and puts one that was never
    shown at 0. `weights`: how much each pair counts (half a win each way says a tie); None: 1 each.
    Raises: InputError for a number outside 0..count-1, or a picture compared with itself.
    """
    for win, lose in pairs:
        if win == lose or not (0 <= win < count and 0 <= lose < count):
            raise InputError(f"comparison {(win, lose)!r}: give two different pictures out of 0..{count - 1}")
    won, lost = np.array([p[0] for p in pairs], dtype=int), np.array([p[1] for p in pairs], dtype=int)
    counted = np.ones(len(won)) if weights is None else np.asarray(weights, dtype=float)
    found = np.zeros(count)
    for _ in range(100):  # Newton on a strictly concave function: far fewer are needed
        chance = 1.0 / (1.0 + np.exp(found[lost] - found[won]))
        slope, curve = -found / prior_sd**2, np.eye(count) / prior_sd**2
        np.add.at(slope, won, counted * (1.0 - chance))
        np.add.at(slope, lost, counted * (chance - 1.0))
        weight = counted * chance * (1.0 - chance)
        for rows, columns, sign in ((won, won, 1), (lost, lost, 1), (won, lost, -1), (lost, won, -1)):
            np.add.at(curve, (rows, columns), sign * weight)
        step = np.linalg.solve(curve, slope)
        found = found + step
        if float(np.abs(step).max(initial=0.0)) < 1e-10:
            break
    return found


def as_ratings(pairs: Sequence[tuple[int, int]], count: int, *, weights: Sequence[float] | None = None) -> np.ndarray:
    """The strengths laid on the 0..10 scale (count,), ready for `preference.fit`."""
    return np.clip(MIDDLE + POINTS * strengths(pairs, count, weights=weights), 0.0, 10.0)
