"""Preference "bayes": a Gaussian process whose prior mean and covariance are what other people's tastes look like.

rating = offset + gain * (liking + noise), liking ~ GP(mean, covariance) of a `Prior`: learned from a population where there is
one (evaluators.preference.population), else the linear kernel with departures of kind "head". Each person's offset is free,
their gain and noise are averaged over a grid by evidence; a slow drift of the offset (a random walk over the order of ratings)
is one more point of the grid where an order is given. Comparisons join through evaluators.preference.kinds.likelihood. All of
Rasmussen & Williams 2006, ch. 2, 3.4 and 5.4. numpy only. Pictures are rows; repeats of a picture tell the noise by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evaluators.numbers.comparisons import MIDDLE, POINTS
from evaluators.preference.kinds.comparison import OUTCOMES, Comparison
from evaluators.preference.kinds.likelihood import Posterior, Told, condition
from evaluators.preference.kinds.prior import Prior
from evaluators.preference.kinds.scale import spread_of

_GAINS = (0.5, 0.7, 1.0, 1.4)  # in the SD of the person's ratings
_NOISES = (0.5, 1.0, 2.0, 4.0)  # in the population's
_DRIFTS = (0.0, 0.1, 0.4)  # variance of the offset's whole walk, in SDs of liking squared
_OFFSET = 25.0  # variance of the offset: free
_KEPT = 0.02  # points of the grid with less of the best one's evidence are dropped

Arrays = dict[str, np.ndarray]


def fit(
    features: np.ndarray,
    ratings: np.ndarray,
    prior: Prior,
    *,
    comparisons: Sequence[Comparison] = (),
    order: np.ndarray | None = None,
    below: np.ndarray | None = None,
) -> Arrays:
    """Posterior from features (N, D), ratings (N,) with NaN for none, and comparisons of rows: every row was
    rated or compared. `order` (N,): when. `below` (N,): what a taste below this one makes of each, in points; `ratings` are then
    what it left, and comparisons are of the sum. From comparisons alone that sum lies around 5 on 0..10."""
    rated = np.flatnonzero(np.isfinite(ratings))
    offset = _OFFSET if len(rated) else 0.0
    below = np.zeros(len(ratings)) if below is None else below
    centre = float(ratings[rated].mean()) if len(rated) else MIDDLE - float(below.mean())
    unit = spread_of(ratings[rated]) if len(rated) else POINTS
    covariance, mean = prior.covariance(features, features) + offset, prior.mean(features)
    told = _told(rated, (ratings[rated] - centre) / unit, comparisons, below / unit)
    walk = _walk(rated if order is None else order[rated])
    found = [
        (posterior.evidence + _belief(gain, noise), gain, posterior)
        for drift in (_DRIFTS if order is not None and len(rated) > 2 else (0.0,))
        for gain in (_GAINS if len(rated) > 1 else (1.0,))
        for noise in _NOISES
        for posterior in [_condition(mean, covariance, told, walk * drift, gain, noise * prior.noise)]
    ]
    return _kept(found, features) | {
        "centre": np.array(centre), "unit": np.array(unit), "offset": np.array(offset),
    } | prior.arrays()  # fmt: skip


def predict(arrays: Arrays, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and std (M,) of the liking, in the person's own points, without the noise of one more rating."""
    offset, belief, gain = float(arrays["offset"]), arrays["belief"], arrays["gain"]
    before, variance, cross = Prior.of(arrays).beside(features, arrays["rated"])
    cross = cross + offset
    means = _means(arrays, before, cross)
    mean = belief @ means
    # The variances of the grid's points are added up before they meet the candidates: one product instead of sixteen.
    middle = np.tensordot(belief * gain**2, arrays["middle"], axes=1)
    left = float(belief @ gain**2) * (variance + offset) - ((cross @ middle) * cross).sum(axis=1)
    variance = np.maximum(left, 1e-9) + belief @ (means - mean) ** 2
    unit = float(arrays["unit"])
    return float(arrays["centre"]) + unit * mean, unit * np.sqrt(variance)


def joint(arrays: Arrays, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean (M,) and covariance (M, M) of the likings, as `predict`."""
    prior, offset = Prior.of(arrays), float(arrays["offset"])
    cross = prior.covariance(features, arrays["rated"]) + offset
    means = _means(arrays, prior.mean(features), cross)
    before = prior.covariance(features, features) + offset
    left = np.stack([before - cross @ middle @ cross.T for middle in arrays["middle"]])
    mean = arrays["belief"] @ means
    apart = means - mean
    covariance = np.einsum("g,gij->ij", arrays["belief"] * arrays["gain"] ** 2, left)
    covariance += (arrays["belief"][:, None] * apart).T @ apart
    unit = float(arrays["unit"])
    return float(arrays["centre"]) + unit * mean, unit**2 * (covariance + covariance.T) / 2.0


def left_out(arrays: Arrays, ratings: np.ndarray) -> np.ndarray:
    """(N,) prediction of each of the ratings (N,) it was fitted to from the others, at the beliefs of the whole; without
    comparisons (Rasmussen & Williams 2006, Eq. 5.12)."""
    precision = np.stack([np.diagonal(middle) for middle in arrays["middle"]])
    missed = arrays["belief"] @ (arrays["gain"][:, None] * arrays["alpha"] / precision)
    return ratings - float(arrays["unit"]) * missed


def _means(arrays: Arrays, before: np.ndarray, cross: np.ndarray) -> np.ndarray:
    return arrays["gain"][:, None] * (before + arrays["alpha"] @ cross.T)


def _condition(mean: np.ndarray, covariance: np.ndarray, told: Told, shared: np.ndarray, gain: float, noise: float) -> Posterior:  # fmt: skip
    return condition(mean, covariance, replace(told, shared=shared), gain=gain, noise=noise)


def _belief(gain: float, noise: float) -> float:
    """Log prior of a point of the grid: a gain of about the ratings' SD, a noise of about the population's."""
    return -0.5 * (np.log(gain / 1.0) / 0.3) ** 2 - 0.5 * (np.log(noise) / 0.7) ** 2


def _kept(found: list[tuple[float, float, Posterior]], rows: np.ndarray) -> Arrays:
    best = max(evidence for evidence, _, _ in found)
    kept = [(np.exp(evidence - best), gain, p) for evidence, gain, p in found if evidence - best > np.log(_KEPT)]
    belief = np.array([weight for weight, _, _ in kept])
    return {
        "belief": belief / belief.sum(),
        "gain": np.array([gain for _, gain, _ in kept]),
        "alpha": np.stack([posterior.alpha for _, _, posterior in kept]),
        "middle": np.stack([posterior.middle for _, _, posterior in kept]),
        "rated": rows,
    }


def _told(rated: np.ndarray, values: np.ndarray, comparisons: Sequence[Comparison], below: np.ndarray) -> Told:
    first = np.array([one.first for one in comparisons], dtype=int)
    second = np.array([one.second for one in comparisons], dtype=int)
    outcome = np.array([OUTCOMES[one.answer] for one in comparisons])
    # Half a tie more in two more answers: nobody's ties are impossible.
    tied = (float((outcome == 0.5).sum()) + 0.5) / (len(outcome) + 2.0)
    none = np.zeros((len(rated), len(rated)))
    return Told(rated, values, none, first, second, outcome, 2.0 * tied / (1.0 - tied), below[first] - below[second])


def _walk(order: np.ndarray) -> np.ndarray:
    """(K, K) covariance of a random walk of variance 1 in all over the order (K,) of ratings, centred."""
    places = np.argsort(np.argsort(order, kind="stable"), kind="stable").astype(float)
    walk = np.minimum(places[:, None], places[None, :]) / max(len(places), 1)
    middle = np.eye(len(places)) - 1.0 / max(len(places), 1)
    return middle @ walk @ middle
