"""Preference "knn": a picture is liked as its nearest rated neighbours were. numpy only.

The baseline of personal aesthetics assessment (k = 5, cosine); weighted here, because among CLIP features the fifth
neighbour is often a stranger.
"""

from __future__ import annotations

import numpy as np

K = 5
_SOFT = 0.02  # cosine distance at which a neighbour's weight has halved


def fit(features: np.ndarray, ratings: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Remember features (N, D) and ratings (N,)."""
    return {"features": _unit(features), "ratings": ratings}


def predict(arrays: dict[str, np.ndarray], features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (M,). The std mixes the neighbours' spread with that of all ratings, which counts as one more."""
    weights, near = _neighbours(_unit(features) @ arrays["features"].T, arrays["ratings"])
    return _summarise(weights, near, float(arrays["ratings"].var()))


def left_out(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """(N,) prediction of each rated picture from the others."""
    cosine = arrays["features"] @ arrays["features"].T
    np.fill_diagonal(cosine, -np.inf)
    weights, near = _neighbours(cosine, arrays["ratings"])
    return _summarise(weights, near, 0.0)[0]


def _neighbours(cosine: np.ndarray, ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-cosine, axis=1, kind="stable")[:, : min(K, len(ratings))]
    distance = 1.0 - np.take_along_axis(cosine, order, axis=1)
    weights = 1.0 / (_SOFT + np.maximum(distance, 0.0))  # a left-out picture is infinitely far: weight 0
    return weights / weights.sum(axis=1, keepdims=True), ratings[order]


def _summarise(weights: np.ndarray, near: np.ndarray, overall: float) -> tuple[np.ndarray, np.ndarray]:
    mean = (weights * near).sum(axis=1)
    spread = (weights * (near - mean[:, None]) ** 2).sum(axis=1)
    count = near.shape[1]
    return mean, np.sqrt((count * spread + overall) / (count + 1))


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
