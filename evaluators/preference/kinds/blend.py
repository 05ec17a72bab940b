"""Preference "blend": kinds "head" and "knn", each weighted by how well it foretells the person's ratings one by one.

With a population's prior the head is the Gaussian process of kind "bayes"; without one, as it always was.
"""

from __future__ import annotations

import numpy as np

from evaluators.preference.kinds import bayes, head, knn
from evaluators.preference.kinds.prior import Prior

Arrays = dict[str, np.ndarray]


def fit(features: np.ndarray, ratings: np.ndarray, seed: int, prior: Prior | None = None) -> Arrays:
    """Fit both on features (N, D) and ratings (N,), N >= 2, not all equal."""
    one = head.fit(features, ratings, seed) if prior is None else bayes.fit(features, ratings, prior)
    left_out = head.left_out(one) if prior is None else bayes.left_out(one, ratings)
    other = knn.fit(features, ratings, seed)
    # Weighted by how well each foretells the ratings one by one, which both can say in closed form.
    head_miss = float(((left_out - ratings) ** 2).mean())
    knn_miss = float(((knn.left_out(other) - ratings) ** 2).mean())
    share = knn_miss / max(head_miss + knn_miss, 1e-12)
    return {**under("head", one), **under("knn", other), "share": np.array(share)}


def predict(arrays: Arrays, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (M,) of the mixture."""
    share = float(arrays["share"])
    first = below("head", arrays)
    a, a_std = bayes.predict(first, features) if "alpha" in first else head.predict(first, features)
    b, b_std = knn.predict(below("knn", arrays), features)
    mean = share * a + (1.0 - share) * b
    spread = share * (a_std**2 + (a - mean) ** 2) + (1.0 - share) * (b_std**2 + (b - mean) ** 2)
    return mean, np.sqrt(spread)


def under(prefix: str, arrays: Arrays) -> Arrays:
    """The arrays with `prefix/` before their names."""
    return {f"{prefix}/{name}": value for name, value in arrays.items()}


def below(prefix: str, arrays: Arrays) -> Arrays:
    """Those arrays whose names begin with `prefix/`, without it."""
    return {name.removeprefix(f"{prefix}/"): a for name, a in arrays.items() if name.startswith(f"{prefix}/")}
