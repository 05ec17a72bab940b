"""How alike two pictures are, to a taste: linear in the features, and a departure that only near copies share."""

from __future__ import annotations

import numpy as np

REACH = 0.35  # how far a departure is shared, in the typical distance of a picture from the middle


def kernel(first: np.ndarray, second: np.ndarray, own: float, reach: float = REACH) -> np.ndarray:
    """Prior covariance (N, M) of likings of standardised features (N, D), (M, D), about 1 on the diagonal.

    `own` (0..1): the share of the departure, shared up to a distance of about `reach`; the rest is linear.
    """
    linear = first @ second.T / first.shape[1]
    apart = (first**2).mean(axis=1)[:, None] + (second**2).mean(axis=1)[None, :] - 2.0 * linear
    return (1.0 - own) * linear + own * np.exp(-np.maximum(apart, 0.0) / (2.0 * reach**2))


def diagonal(rows: np.ndarray, own: float) -> np.ndarray:
    """(N,) the kernel of each picture with itself."""
    return (1.0 - own) * (rows**2).mean(axis=1) + own


def spread(features: np.ndarray) -> np.ndarray:
    """(D,) each dimension's SD over features (N, D), drawn towards the common one as if by ten more pictures: eight
    pictures tell little of the spread of a single dimension."""
    own, count = features.var(axis=0), len(features)
    common = float(own.mean())
    return np.sqrt((count * own + 10.0 * common) / (count + 10.0)) if common > 0 else np.ones(features.shape[1])
