"""How far to trust a taste: its agreement with ratings that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluators.numbers.agreement import Agreement, agree
from evaluators.preference.checks import features_of, ratings_of
from evaluators.preference.kinds.comparison import Comparison
from evaluators.preference.model import Base, Kind, fit
from prompts.errors import InputError


def held_out_agreement(
    features: np.ndarray,
    ratings: np.ndarray,
    kind: Kind = "head",
    *,
    comparisons: Sequence[Comparison] = (),
    population: Base | None = None,
    order: np.ndarray | None = None,
    seed: int = 0,
    folds: int = 5,
) -> Agreement:
    """How well the taste orders pictures that it was not fitted on: K-fold over features (N, D), ratings (N,), NaN for a
    picture that was not rated, at least 4 rated. A comparison is used in a fold that holds neither of its pictures. `order` (N,) as in `fit`.

    Each fold's training mean is taken off its predictions. Otherwise a model that knows nothing would look *worse*
    than chance: leaving out high ratings lowers the mean that predicts them.
    Raises: InputError for fewer than four ratings, or input that `fit` refuses.
    """
    features = features_of(features)
    ratings = ratings_of(ratings, len(features), ())
    rated = np.flatnonzero(np.isfinite(ratings))
    if len(rated) < 4:
        raise InputError(f"{len(rated)} ratings are too few to hold some out: rate at least 4 pictures")
    dealt = rated[np.random.default_rng([seed, 0xF01D]).permutation(len(rated))]
    predicted = np.full(len(ratings), np.nan)
    for held in np.array_split(dealt, min(folds, len(rated))):
        left = np.ones(len(ratings), dtype=bool)
        left[held] = False
        places = np.cumsum(left) - 1
        kept = [
            Comparison(int(places[one.first]), int(places[one.second]), one.answer)
            for one in comparisons
            if left[one.first] and left[one.second]
        ]
        when = None if order is None else np.asarray(order)[left]
        model = fit(features[left], ratings[left], kind, comparisons=kept, population=population, order=when, seed=seed)
        predicted[held] = model.predict(features[held])[0] - np.nanmean(ratings[left])
    return agree(predicted[rated], ratings[rated], seed=seed)
