"""Preference "head": Bayesian linear regression on standardised features, in closed form. numpy only.

ratings = mean + w . x + d(x) + noise. w is normal; d, the picture's own departure from any linear taste, is normal too
and shared only by near copies. Without d the model is sure of itself where tastes bend: after 40 ratings by simulated
raters its 95 % intervals held 65 % of the true likings, with d 86 %, at the same rank correlation. The variance of the
noise is unknown (inverse gamma). Written with the N x N kernel, because a person gives tens of ratings while features
have hundreds of dimensions. The ratio of signal to noise is not chosen but averaged over a grid by its evidence: with
eight ratings no single value is safe.
"""

from __future__ import annotations

import numpy as np

from evaluators.preference.kinds.kernel import diagonal, kernel, spread

_RATIOS = np.logspace(-2.0, 2.0, 13)
_SHAPE = 2.0  # inverse gamma: worth about four ratings, centred on noise that explains half the variance
_OWN = 0.5  # share of the departure in the signal's variance


def fit(features: np.ndarray, ratings: np.ndarray, seed: int, *, own: float = _OWN) -> dict[str, np.ndarray]:
    """Posterior from features (N, D) and ratings (N,), N >= 2, ratings not all equal. Exact; `seed` is not used.

    `own`: share (0..1) of the departure d; 0 leaves plain ridge regression.
    """
    centre, scale = features.mean(axis=0), spread(features)
    rows = (features - centre) / scale
    values, vectors = np.linalg.eigh(kernel(rows, rows, own))
    values, mean = np.maximum(values, 0.0), ratings.mean()
    turned = vectors.T @ (ratings - mean)
    evidence, noise = _evidence(values, turned, float(ratings.var()))
    belief = np.exp(evidence - evidence.max())
    return {
        "centre": centre, "scale": scale, "rows": rows, "values": values, "vectors": vectors, "turned": turned,
        "belief": belief / belief.sum(), "noise": noise, "mean": np.array(mean), "own": np.array(own),
    }  # fmt: skip


def predict(arrays: dict[str, np.ndarray], features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and std (M,) of the liking itself, without the noise of one more rating."""
    new, own = (features - arrays["centre"]) / arrays["scale"], float(arrays["own"])
    cross = kernel(new, arrays["rows"], own) @ arrays["vectors"]
    prior = diagonal(new, own)
    shrink = _RATIOS[:, None] / (_RATIOS[:, None] * arrays["values"] + 1.0)
    means = (shrink * arrays["turned"]) @ cross.T
    left = np.maximum(prior - shrink @ (cross**2).T, 0.0)
    variance = arrays["noise"][:, None] * (_RATIOS[:, None] * left + 1.0 / len(arrays["rows"]))
    mean = arrays["belief"] @ means
    return arrays["mean"] + mean, np.sqrt(arrays["belief"] @ (variance + (means - mean) ** 2))


def joint(arrays: dict[str, np.ndarray], features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean (M,) and covariance (M, M) of the likings; its diagonal is the square of `predict`'s std."""
    new, own = (features - arrays["centre"]) / arrays["scale"], float(arrays["own"])
    cross, before = kernel(new, arrays["rows"], own) @ arrays["vectors"], kernel(new, new, own)
    mean, covariance = np.zeros(len(new)), np.zeros((len(new), len(new)))
    parts = []
    for ratio, belief, noise in zip(_RATIOS, arrays["belief"], arrays["noise"], strict=True):
        shrink = ratio / (ratio * arrays["values"] + 1.0)
        parts.append((belief, (shrink * arrays["turned"]) @ cross.T))
        covariance += belief * noise * (ratio * (before - (cross * shrink) @ cross.T) + 1.0 / len(arrays["rows"]))
        mean += belief * parts[-1][1]
    covariance += sum(belief * np.outer(one - mean, one - mean) for belief, one in parts)
    return arrays["mean"] + mean, covariance


def left_out(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """(N,) prediction of each rated picture from the others, at the beliefs of the whole, in closed form."""
    ratios, values, vectors = _RATIOS[:, None, None], arrays["values"], arrays["vectors"]
    # The unknown mean takes part: its column of ones joins the kernel with a large variance.
    ones = np.full((len(values), len(values)), 1e3)
    covariance = ratios * ((vectors * values) @ vectors.T) + ones + np.eye(len(values))
    inverse = np.linalg.inv(covariance)
    centred = vectors @ arrays["turned"]
    residual = (inverse @ centred) / np.diagonal(inverse, axis1=1, axis2=2)
    return arrays["mean"] + centred - arrays["belief"] @ residual


def _evidence(values: np.ndarray, turned: np.ndarray, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Log evidence and expected noise variance s^2, each (number of ratios,)."""
    inflated = _RATIOS[:, None] * values + 1.0
    shape = _SHAPE + len(values) / 2.0
    rate = (_SHAPE - 1.0) * 0.5 * variance + 0.5 * (turned**2 / inflated).sum(axis=1)
    evidence = -0.5 * np.log(inflated).sum(axis=1) - shape * np.log(rate)
    return evidence, rate / (shape - 1.0)
