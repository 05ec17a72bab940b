"""What ratings and comparisons say of likings: one log-concave likelihood, and the posterior it leaves. numpy only.

Ratings are likings with normal noise, so with ratings alone the posterior is exact. A comparison is won with odds that grow
with the difference in liking; a tie has its own chance (Davidson 1970, Eq. 2.2). There the posterior is Laplace's approximation
(Rasmussen & Williams 2006, sec. 3.4), found by Newton's steps: every term is concave, so there is one mode, also where
comparisons contradict each other. Does not know where the prior comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_STEPS, _CLOSE = 50, 1e-9


@dataclass(frozen=True)
class Told:
    """What one person said of N pictures, each row given once.

    `rated` (K,) row numbers with `values` (K,) and `shared` (K, K), a covariance that their noise has in common (drift);
    `first`, `second` (C,) rows compared and `outcome` (C,): 1 the first won, 0 the second, 0.5 a tie; `ahead` (C,) by how much a
    taste below this one already likes the first more, in the unit of `values`: what is judged is the sum of both.
    """

    rated: np.ndarray
    values: np.ndarray
    shared: np.ndarray
    first: np.ndarray
    second: np.ndarray
    outcome: np.ndarray
    ties: float  # Davidson's nu: at equal liking a tie has the chance nu / (2 + nu)
    ahead: np.ndarray | float = 0.0


@dataclass(frozen=True)
class Posterior:
    """`evidence`: log; mean of likings = prior + K @ `alpha` (N,), covariance = K - K @ `middle` (N, N) @ K."""

    evidence: float
    alpha: np.ndarray
    middle: np.ndarray


def condition(prior: np.ndarray, covariance: np.ndarray, told: Told, *, gain: float, noise: float) -> Posterior:
    """The posterior of N likings with prior mean (N,) and covariance (N, N).

    ratings = gain * (liking + noise), `noise` the variance in likings' units; comparisons see the same noise.
    """
    precision, pull, constant = _ratings(told, len(prior), gain, noise)
    steep = np.pi / np.sqrt(3.0) / np.sqrt(2.0 * noise)  # the logistic whose SD is that of two noises' difference
    liking, alpha = prior.copy(), np.zeros(len(prior))
    slope, curve, said = _comparisons(told, liking, steep, gain)
    for _ in range(_STEPS if len(told.first) else 1):
        weight = precision + curve
        inner = np.eye(len(prior)) + weight @ covariance
        alpha = np.linalg.solve(inner, weight @ (liking - prior) + pull - precision @ liking + slope)
        step = prior + covariance @ alpha - liking
        size = float(np.abs(step).max(initial=0.0))
        # A comparison's curve is flat far away, where a whole step would overshoot; ratings alone are done in one.
        liking = liking + (step * min(1.0, 2.0 / max(size, 1e-12)) if len(told.first) else step)
        slope, curve, said = _comparisons(told, liking, steep, gain)
        if size < _CLOSE:
            break
    if len(told.first):
        weight = precision + curve
        inner = np.eye(len(prior)) + weight @ covariance
    middle = np.linalg.solve(inner, weight)
    fit = constant + float(liking @ pull) - 0.5 * float(liking @ precision @ liking) + said
    evidence = fit - 0.5 * float((liking - prior) @ alpha) - 0.5 * float(np.linalg.slogdet(inner)[1])
    return Posterior(evidence, alpha, (middle + middle.T) / 2.0)


def _ratings(told: Told, count: int, gain: float, noise: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Precision (N, N), precision @ values (N,) and the constant of the ratings' log likelihood."""
    precision, pull, rows = np.zeros((count, count)), np.zeros(count), told.rated
    if not len(rows):
        return precision, pull, 0.0
    values = told.values / gain
    if told.shared.any():
        covariance = noise * np.eye(len(rows)) + told.shared
        inverse, size = np.linalg.inv(covariance), float(np.linalg.slogdet(covariance)[1])
    else:
        inverse, size = np.eye(len(rows)) / noise, len(rows) * float(np.log(noise))
    np.add.at(precision, (rows[:, None], rows[None, :]), inverse)
    np.add.at(pull, rows, inverse @ values)
    constant = -0.5 * float(values @ inverse @ values) - 0.5 * size
    return precision, pull, constant - len(rows) * float(np.log(gain))


def _comparisons(told: Told, liking: np.ndarray, steep: float, gain: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Slope (N,), minus the curvature (N, N), and the log likelihood of the comparisons."""
    slope, curve = np.zeros(len(liking)), np.zeros((len(liking), len(liking)))
    if not len(told.first):
        return slope, curve, 0.0
    apart = steep * (liking[told.first] - liking[told.second] + told.ahead / gain)
    # The three weights are e^d, nu e^(d/2) and 1; all over the largest.
    parts = np.stack([apart, np.log(told.ties) + apart / 2.0, np.zeros_like(apart)])
    total = parts.max(axis=0) + np.log(np.exp(parts - parts.max(axis=0)).sum(axis=0))
    chance = np.exp(parts - total)
    expected = chance[0] + 0.5 * chance[1]
    spread = chance[0] + 0.25 * chance[1] - expected**2
    tie = np.where(told.outcome == 0.5, np.log(told.ties), 0.0)
    np.add.at(slope, told.first, steep * (told.outcome - expected))
    np.add.at(slope, told.second, -steep * (told.outcome - expected))
    for one, other, sign in (
        (told.first, told.first, 1.0), (told.second, told.second, 1.0), (told.first, told.second, -1.0), (told.second, told.first, -1.0),
    ):  # fmt: skip
        np.add.at(curve, (one, other), sign * steep**2 * spread)
    return slope, curve, float((told.outcome * apart + tie - total).sum())
