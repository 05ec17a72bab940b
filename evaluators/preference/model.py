"""A fitted taste, and fitting one: checks what came in, chooses the kind's module, saves and loads. See the package.

Too little to learn from (one rating, or ratings all equal) gives an uninformative model, kind "flat": the mean rating for every
picture, with a std of `FLAT_STD` or more, so that whoever asks for confidence is told that there is none: a quarter of the scale,
as far as a mean rating tells it. On 0..1 and 1..5, which one rating cannot tell from 0..10, that is wider than the scale allows.
With a population of people there is something to say even then: what they like on average, and how much they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from evaluators.numbers.arrays import stored_arrays
from evaluators.preference.checks import features_of, same_width, told
from evaluators.preference.kinds import bayes, blend, finetune, head, knn, maml
from evaluators.preference.kinds.comparison import Comparison, with_strengths
from evaluators.preference.kinds.prior import Prior
from evaluators.preference.kinds.scale import length_of, spread_of
from evaluators.preference.population import Population
from evaluators.preference.scored import Scored
from prompts.errors import InputError

Kind = Literal["knn", "head", "blend", "finetune", "maml", "bayes", "flat", "prior", "scored"]
KINDS: tuple[Kind, ...] = ("head", "knn", "blend", "finetune", "maml", "bayes")
FLAT_STD = 2.5  # a quarter of 0..10, where one knows nothing; the ratings of a longer scale have a quarter of that
_MODELS = {"head": head, "knn": knn, "finetune": finetune, "blend": blend}
_PULL = 4.0  # ratings' worth of the belief that this person's liking follows the population's
_FOLLOWS, _SCORER_PULL = 0.5, 2.0  # the same of a scorer: as people correlate with most people's taste

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Preference:
    """A fitted taste: plain arrays, and the population's taste that it corrects, if there was one."""

    kind: Kind
    arrays: Arrays
    population: Preference | None = None

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean liking and its std, (M,) each, in rating points, for features (M, D). The std is about the liking; one
        more rating adds its own noise, and what is not known of the taste below (`population`), if there is one, is left out.
        Not clipped to the rating scale.

        Raises: InputError for features of another shape than those fitted.
        """
        features = self._checked(features)
        mean, std = _predict(self.kind, self.arrays, features)
        return mean + self._below(features), std

    def joint(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (M,) and covariance (M, M) of the likings of features (M, D): exact for "bayes" and "head", for the other
        kinds without the covariances between pictures.

        Raises: InputError for features of another shape than those fitted.
        """
        features = self._checked(features)
        mean, covariance = _joint(self.kind, self.arrays, features)
        return mean + self._below(features), covariance

    def save(self, path: str | Path) -> None:
        """Write one npz (plain arrays, no pickle)."""
        np.savez_compressed(Path(path), allow_pickle=False, **_flatten(self))

    def _below(self, features: np.ndarray) -> np.ndarray | float:
        """What the population's taste adds to the mean."""
        return 0.0 if self.population is None else self.population.predict(features)[0]

    def _checked(self, features: np.ndarray) -> np.ndarray:
        features, width = features_of(features), int(self.arrays["width"])
        if features.shape[1] != width:
            raise InputError(f"features have {features.shape[1]} columns, this preference was fitted on {width}")
        return features


Base = Preference | Population | Scored  # what a taste can start from


def fit(
    features: np.ndarray,
    ratings: np.ndarray | None = None,
    kind: Kind = "head",
    *,
    comparisons: Sequence[Comparison] = (),
    population: Base | None = None,
    order: np.ndarray | None = None,
    seed: int = 0,
) -> Preference:
    """Learn a taste from features (N, D), and ratings (N,) with NaN for a picture that was not rated, or comparisons of
    rows, or both. Any scale of ratings will do: predictions are on the person's own. From comparisons alone they are on
    0..10 around 5.

    `population`: what other people like, as a `Population` (kind "maml" needs one), a scorer (`Scored`), or a taste fitted on their
    mean ratings, in points.
    A `Population` is the prior of "bayes" and "head" (which are then the same) and of the head in "blend"; "knn" and
    "finetune" learn this person's difference from its mean, as every kind but "maml" does from a taste or a scorer. How far the
    person follows a mean or a scorer is learned first; a taste is taken whole. That base is then held to be known: the std is of
    the difference alone. `order` (N,): when each rating was given, for the Gaussian process to allow for a drift. `seed` matters to "finetune" only.
    One rating, or nothing to tell apart: kind "flat" (see the module).
    Raises: InputError for nothing to learn from, infinity, a wrong shape, a population of other features, or an unknown kind.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind of preference {kind!r}: use one of {', '.join(KINDS)}")
    features, ratings, comparisons, order = told(features, ratings, comparisons, order)
    same_width(features, _population_width(population))
    people = population.prior if isinstance(population, Population) else None
    exact = kind == "bayes" or (kind == "head" and (comparisons or people is not None))
    if exact or (people is not None and kind == "blend" and not _differs(ratings) and not comparisons):
        return _bayes(kind, features, ratings, comparisons, population, order)
    if comparisons:
        ratings = with_strengths(ratings, comparisons)
    rated = np.isfinite(ratings)
    features, ratings = features[rated], ratings[rated]
    if kind == "maml":
        return _maml(features, ratings, population)
    if kind == "blend" and people is not None:
        return Preference(kind, {**blend.fit(features, ratings, seed, people), **_width(features)})
    base = _based(population, features, ratings) if isinstance(population, Population | Scored) else population
    left = ratings if base is None else ratings - base.predict(features)[0]
    if not _differs(left):
        return _flat(left, features, base)
    return Preference(kind, {**_MODELS[kind].fit(features, left, seed), **_width(features)}, base)


def load(path: str | Path) -> Preference:
    """Read what `save` wrote.

    Raises: InputError if the file is missing or is no saved preference.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no preference at {str(path)!r}: fit one and save it there first")
    with stored_arrays(path, "is no saved preference", "fit and save it again") as stored:
        return _unflatten({name: stored[name] for name in stored.files})


def _bayes(
    kind: Kind,
    features: np.ndarray,
    ratings: np.ndarray,
    comparisons: Sequence[Comparison],
    population: Base | None,
    order: np.ndarray | None,
) -> Preference:
    prior = population.prior if isinstance(population, Population) else Prior.plain(features)
    base = None if isinstance(population, Population) else population
    if isinstance(base, Scored):
        base = _based(base, features, with_strengths(ratings, comparisons) if comparisons else ratings)
    below = None if base is None else base.predict(features)[0]
    left = ratings if below is None else ratings - below
    if not comparisons and not isinstance(population, Population) and not _differs(left):
        return _flat(left[np.isfinite(left)], features, base)
    arrays = bayes.fit(features, left, prior, comparisons=comparisons, order=order, below=below)
    return Preference(kind, {**arrays, **_width(features)}, base)


def _maml(features: np.ndarray, ratings: np.ndarray, population: Base | None) -> Preference:
    if not isinstance(population, Population) or not population.meta:
        raise InputError(
            f"kind 'maml' starts from other people's ratings, not from {population!r:.60}: give a Population"
        )
    prior = population.prior
    arrays = maml.fit((features - prior.centre) / prior.scale, ratings, population.meta)
    return Preference("maml", {**arrays, "shift": prior.centre, "stretch": prior.scale, **_width(features)})


def _based(population: Population | Scored, features: np.ndarray, ratings: np.ndarray) -> Preference:
    """The population's mean, or the scorer, in this person's points, followed as far as their ratings (N,), NaN for none, allow."""
    told = np.isfinite(ratings)
    mean = population.mean(features)
    centre, unit = (float(ratings[told].mean()), spread_of(ratings[told])) if told.any() else (5.0, 2.0)
    slope, pull = (_FOLLOWS, _SCORER_PULL) if isinstance(population, Scored) else (1.0, _PULL)
    if told.sum() > 1:
        apart = mean[told] - mean[told].mean()
        slope = (float(apart @ (ratings[told] - centre)) / unit + slope * pull) / (float(apart @ apart) + pull)
    shift = float(mean[told].mean()) if told.any() else 0.0
    numbers = {"centre": np.array(centre), "gain": np.array(unit * slope), "shift": np.array(shift)}
    if isinstance(population, Scored):
        line = {"weight": population.weight, "bias": np.array(population.bias)}
        return Preference("scored", {**line, **numbers, **_width(features)})
    return Preference("prior", {**population.prior.arrays(), **numbers, **_width(features)})


def _differs(ratings: np.ndarray) -> bool:
    """Whether the ratings (N,), NaN for none, tell any two pictures apart."""
    told = ratings[np.isfinite(ratings)]
    return len(told) >= 2 and bool(np.ptp(told) >= 1e-9)


def _flat(left: np.ndarray, features: np.ndarray, base: Preference | None) -> Preference:
    return Preference("flat", {"mean": np.array(left.mean()), **_width(features)}, base)


def _predict(kind: Kind, arrays: Arrays, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if kind == "flat":
        return np.full(len(features), float(arrays["mean"])), np.full(len(features), _unsure(float(arrays["mean"])))
    if kind in ("prior", "scored"):
        known = features @ arrays["weight"] + arrays["bias"] if kind == "scored" else Prior.of(arrays).mean(features)
        mean, gain = known - float(arrays["shift"]), float(arrays["gain"])
        return float(arrays["centre"]) + gain * mean, np.full(len(features), abs(gain))
    if kind == "maml":
        return maml.predict(arrays, (features - arrays["shift"]) / arrays["stretch"])
    if "alpha" in arrays:
        return bayes.predict(arrays, features)
    return _MODELS[kind].predict(arrays, features)


def _unsure(mean: float) -> float:
    """The std (points) where nothing is told apart: ratings up to 10 are taken for those of 0..10."""
    return max(FLAT_STD, length_of(np.array([mean])) / 4.0)


def _joint(kind: Kind, arrays: Arrays, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if "alpha" in arrays:
        return bayes.joint(arrays, features)
    if kind == "head":
        return head.joint(arrays, features)
    mean, std = _predict(kind, arrays, features)
    return mean, np.diag(std**2)


def _flatten(preference: Preference) -> Arrays:
    below = {} if preference.population is None else blend.under("population", _flatten(preference.population))
    return {**blend.under("arrays", preference.arrays), **below, "kind": np.array(preference.kind)}


def _unflatten(stored: Arrays) -> Preference:
    kind = str(stored["kind"])
    if kind not in (*KINDS, "flat", "prior", "scored"):
        raise ValueError(f"unknown kind {kind!r}")
    below = blend.below("population", stored)
    return Preference(kind, blend.below("arrays", stored), _unflatten(below) if below else None)


def _population_width(population: Base | None) -> int | None:
    if isinstance(population, Preference):
        return int(population.arrays["width"])
    return None if population is None else population.width


def _width(features: np.ndarray) -> Arrays:
    return {"width": np.array(features.shape[1])}
