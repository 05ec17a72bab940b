"""Ninety pictures and people who never were: their tastes differ in two directions only."""

import numpy as np

from evaluators.preference.kinds.comparison import Comparison
from evaluators.preference.model import KINDS

WIDTH = 12
RNG = np.random.default_rng(5)
PICTURES = RNG.normal(size=(90, WIDTH)) * np.linspace(1.5, 0.3, WIDTH)
SHARED = RNG.normal(size=WIDTH)
# Tastes differ in two directions only: a population can teach which.
WAYS = RNG.normal(size=(2, WIDTH))


def tastes(raters, noise=0.3, seed=1):
    """Likings (R, 90) and ratings of them on 0..10."""
    rng = np.random.default_rng(seed)
    weights = 0.7 * SHARED + rng.normal(size=(raters, 2)) @ WAYS
    likings = PICTURES @ weights.T
    likings = ((likings - likings.mean(axis=0)) / likings.std(axis=0)).T
    return likings, 5 + 1.5 * (likings + noise * rng.normal(size=likings.shape))


def asked(liking, pairs, seed=0, noise=0.3):
    """Comparisons of random pictures, answered with noise; close calls are ties."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(pairs):
        first, second = (int(one) for one in rng.choice(60, 2, replace=False))
        apart = liking[first] - liking[second] + noise * rng.normal()
        found.append(Comparison(first, second, "tie" if abs(apart) < 0.2 else "first" if apart > 0 else "second"))
    return found


def agreement(model, liking):
    """How well the model foretells the liking of the thirty pictures that nobody was shown."""
    return np.corrcoef(model.predict(PICTURES[60:])[0], liking[60:])[0, 1]


# Every kind but "finetune", whose training of networks takes seconds a fit and whose input is that of "knn".
QUICK = [kind for kind in KINDS if kind != "finetune"]
