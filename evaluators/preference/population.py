"""What other people's ratings teach about tastes before a new person said anything: a mean, and how tastes differ around it.

An empirical-Bayes hierarchy of Gaussian processes: every rater's likings, in SDs of their own ratings, are one draw from a
normal over the pictures; its mean and covariance get the normal-inverse-Wishart prior that is centred on the features' kernel,
and are found by expectation maximisation (Yu, Tresp & Schwaighofer 2005, "Learning Gaussian processes from multiple tasks",
sec. 3; to new pictures by Schwaighofer et al. 2004). Shrinkage, kernel and noise are those under which raters held out of
the fit are likeliest. Does not know who the raters were, nor how the features were made. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluators.numbers.arrays import stored_arrays
from evaluators.preference.kinds.kernel import kernel, spread
from evaluators.preference.kinds.prior import Prior
from prompts.errors import InputError

PICTURES = 600  # at most, those that most people rated: the covariance is kept between all of them
RANK = 64  # directions in which the learned covariance may differ from the kernel's
Chosen = dict[str, float]
_FOLDS, _PASSES, _ROUNDS, _OFFSET, _MEAN_WORTH = 3, 2, 8, 1.0, 1.0
# What is tried, the first value being where it begins. A kernel's reach and its share of departures go together.
_GRID: dict[str, tuple[Chosen, ...]] = {
    "size": ({"size": 0.5}, {"size": 0.25}, {"size": 1.0}),
    "shape": tuple(
        {"reach": reach, "own": own} for reach, own in ((0.35, 0.2), (0.35, 0.1), (0.35, 0.5), (0.7, 0.5), (1.0, 0.8))
    ),
    "strength": ({"strength": 2.0}, {"strength": 0.5}, {"strength": 0.15}, {"strength": 0.05}, {"strength": 6.0}),
    "noise": ({"noise": 0.3}, {"noise": 0.15}, {"noise": 0.08}, {"noise": 0.5}),
}


@dataclass(frozen=True)
class Population:
    """A prior over tastes, learned from `raters` people; `meta` holds what kind "maml" starts from, if it was trained."""

    prior: Prior
    raters: int
    meta: dict[str, np.ndarray]

    @property
    def width(self) -> int:
        """How many features a picture has."""
        return len(self.prior.centre)

    def mean(self, features: np.ndarray) -> np.ndarray:
        """(M,) what people on average think of features (M, D), in SDs of a person's ratings.

        Raises: InputError for features of another width.
        """
        if features.ndim != 2 or features.shape[1] != self.width:
            raise InputError(
                f"features of shape {features.shape!r}: this population was fitted on {self.width} columns"
            )
        return self.prior.mean(features)

    @staticmethod
    def fit(
        features: np.ndarray, ratings: np.ndarray, *, noise: np.ndarray | None = None, maml: bool = True, seed: int = 0
    ) -> Population:
        """Learn from pictures' features (P, D) and ratings (R, P), NaN where a rater did not rate a picture.

        `noise` (R,): share of each rater's variance that is noise, from repeats (see `people`); None: found by
        likelihood. `maml`: also train the network that kind "maml" adapts. `seed` matters to that only.
        Raises: InputError for fewer than three raters with differing ratings, or fewer than four pictures.
        """
        features, ratings = _checked(features, ratings)
        kept = np.sort(np.argsort(-np.isfinite(ratings).sum(axis=0), kind="stable")[:PICTURES])
        features, likings = features[kept], standardised(ratings[:, kept])
        told = np.isfinite(likings).any(axis=1)
        if told.sum() < 3 or len(features) < 4:
            raise InputError(f"{int(told.sum())} raters of {len(features)} pictures: give at least 3 who differ, and 4")
        noise = None if noise is None else np.asarray(noise, dtype=float)[told]
        likings, centre, scale = likings[told], features.mean(axis=0), spread(features)
        pictures = ((features - centre) / scale).astype(np.float16)
        prior = _learned(centre, scale, pictures, likings, noise)
        meta = _meta(pictures, likings, seed) if maml else {}
        return Population(prior, len(likings), meta)

    def save(self, path: str | Path) -> None:
        """Write one npz (plain arrays, no pickle)."""
        np.savez_compressed(Path(path), allow_pickle=False, **self.arrays())

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, to be saved."""
        meta = {f"meta_{name}": value for name, value in self.meta.items()}
        return {**self.prior.arrays(), **meta, "raters": np.array(self.raters)}

    @staticmethod
    def of(arrays: dict[str, np.ndarray]) -> Population:
        """The one that `arrays` wrote. Raises KeyError."""
        meta = {name.removeprefix("meta_"): value for name, value in arrays.items() if name.startswith("meta_")}
        return Population(Prior.of(arrays), int(arrays["raters"]), meta)

    @staticmethod
    def load(path: str | Path) -> Population:
        """Read what `save` wrote.

        Raises: InputError if the file is missing or holds no population.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"no population at {str(path)!r}: make it with python -m tools.measured.population")
        with stored_arrays(path, "is no saved population", "make it again") as stored:
            return Population.of({name: stored[name] for name in stored.files})


def standardised(ratings: np.ndarray) -> np.ndarray:
    """(R, P) each rater's ratings in SDs from their own mean: everyone has a scale of their own. A rater who rated fewer
    than two pictures, or all alike, told nothing: a row of NaN."""
    told = np.isfinite(ratings)
    count = told.sum(axis=1, keepdims=True)
    filled = np.where(told, ratings, 0.0)
    mean = filled.sum(axis=1, keepdims=True) / np.maximum(count, 1)
    deviation = np.sqrt((np.where(told, ratings - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / np.maximum(count, 1))
    usable = (count >= 2) & (deviation > 1e-9)
    return np.where(told & usable, (ratings - mean) / np.where(usable, deviation, 1.0), np.nan)


def _learned(
    centre: np.ndarray, scale: np.ndarray, pictures: np.ndarray, likings: np.ndarray, noise: np.ndarray | None
) -> Prior:
    rows = pictures.astype(float)
    chosen = _choose(rows, likings, noise)
    base = _base(rows, chosen)
    noises = _noises(chosen, noise, len(likings))
    mean, covariance = _estimate(likings, noises, base, chosen["strength"] * len(rows))
    root = np.linalg.cholesky(base)
    whitened = np.linalg.solve(root, np.linalg.solve(root, covariance).T)
    values, vectors = np.linalg.eigh((whitened + whitened.T) / 2.0)
    largest = np.argsort(-np.abs(values - 1.0))[:RANK]
    carry = np.linalg.solve(root.T, vectors[:, largest]).astype(np.float32)
    means = np.linalg.solve(base, mean).astype(np.float32)
    return Prior(
        centre.astype(np.float32), scale.astype(np.float32), pictures, means, carry, (values[largest] - 1.0).astype(np.float32),
        chosen["own"], chosen["reach"], chosen["size"], float(np.median(noises)),
    )  # fmt: skip


def _choose(rows: np.ndarray, likings: np.ndarray, noise: np.ndarray | None) -> Chosen:
    """The hyperparameters under which held-out raters are likeliest: one after the other, and once more."""
    chosen: Chosen = {}
    for values in _GRID.values():
        chosen |= values[0]
    best = _held_out(rows, likings, noise, chosen)
    names = [name for name in _GRID if name != "noise" or noise is None]
    for name in names * _PASSES:
        for value in _GRID[name]:
            tried = chosen | value
            found = best if tried == chosen else _held_out(rows, likings, noise, tried)
            if found > best:
                best, chosen = found, tried
    return chosen


def _base(rows: np.ndarray, chosen: Chosen) -> np.ndarray:
    """(P, P) the kernel that the covariance is drawn towards, invertible where pictures repeat."""
    return chosen["size"] * kernel(rows, rows, chosen["own"], chosen["reach"]) + 1e-6 * np.eye(len(rows))


def _held_out(rows: np.ndarray, likings: np.ndarray, noise: np.ndarray | None, chosen: Chosen) -> float:
    """Log likelihood of raters, each under what the others taught."""
    base = _base(rows, chosen)
    noises, total = _noises(chosen, noise, len(likings)), 0.0
    for fold in range(_FOLDS):
        held = np.arange(len(likings)) % _FOLDS == fold
        mean, covariance = _estimate(likings[~held], noises[~held], base, chosen["strength"] * len(rows))
        for members, seen in _alike(likings[held], noises[held]):
            root = np.linalg.cholesky(_observed(covariance, noises[held][members[0]], seen))
            apart = np.linalg.solve(root, (likings[held][members][:, seen] - mean[seen]).T)
            total -= 0.5 * float((apart**2).sum()) + len(members) * float(np.log(np.diagonal(root)).sum())
    return total


def _estimate(likings: np.ndarray, noises: np.ndarray, base: np.ndarray, worth: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean (P,) and covariance (P, P) of tastes; `worth`: raters that the kernel counts as."""
    count, groups = len(likings), _alike(likings, noises)
    mean, covariance = np.zeros(len(base)), base
    for _ in range(_ROUNDS):
        found, left = np.zeros((count, len(base))), np.zeros_like(base)
        for members, seen in groups:
            gain = np.linalg.solve(_observed(covariance, noises[members[0]], seen), covariance[seen]).T
            found[members] = mean + (likings[members][:, seen] - mean[seen]) @ gain.T
            left += len(members) * (covariance - gain @ covariance[seen])
        mean = found.sum(axis=0) / (count + _MEAN_WORTH)
        apart = found - mean
        covariance = (worth * base + apart.T @ apart + left) / (worth + count)
        covariance = (covariance + covariance.T) / 2.0
    return mean, covariance


def _observed(covariance: np.ndarray, noise: float, seen: np.ndarray) -> np.ndarray:
    """Covariance of one rater's ratings, the mean of which was taken off: their offset is free."""
    return covariance[np.ix_(seen, seen)] + noise * np.eye(len(seen)) + _OFFSET


def _alike(likings: np.ndarray, noises: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Raters who rated the same pictures with the same noise, and the pictures: one inverse serves them all."""
    groups: dict[bytes, list[int]] = {}
    for number, row in enumerate(likings):
        groups.setdefault(np.isfinite(row).tobytes() + noises[number].tobytes(), []).append(number)
    return [(np.array(members), np.flatnonzero(np.isfinite(likings[members[0]]))) for members in groups.values()]


def _noises(chosen: Chosen, noise: np.ndarray | None, count: int) -> np.ndarray:
    if noise is None:
        return np.full(count, chosen["noise"])
    # In half-octaves, so that raters share inverses.
    known = np.clip(noise, 0.05, 2.0)
    return 2.0 ** (np.round(2.0 * np.log2(known)) / 2.0)


def _meta(pictures: np.ndarray, likings: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    from evaluators.preference.kinds import maml

    return maml.train(pictures.astype(float), likings, seed)


def _checked(features: np.ndarray, ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, ratings = np.asarray(features, dtype=np.float64), np.asarray(ratings, dtype=np.float64)
    if features.ndim != 2 or not features.size or not np.isfinite(features).all():
        raise InputError(f"features of shape {features.shape!r}: give finite numbers of shape (P, D)")
    if ratings.ndim != 2 or ratings.shape[1] != len(features) or np.isinf(ratings).any():
        raise InputError(f"ratings of shape {ratings.shape!r} for {len(features)} pictures: give (R, P), NaN for none")
    return features, ratings
