"""A person's taste as a function of image features: personal image aesthetics assessment (PIAA).

Kinds: "head" (default; Bayesian linear), "knn", "blend" of the two, "finetune" (a small network). The prompt is no
input: the picture is judged. Features come from elsewhere (CLIP rows, as a rule), ratings are on one person's scale.

Too little to learn from (one rating, or ratings all equal) gives an uninformative model, kind "flat": the mean rating
for every picture, with a std of `FLAT_STD`, so that whoever asks for confidence is told that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from evaluators import preference_finetune, preference_head, preference_knn
from evaluators.agreement import Agreement, agree
from prompts.errors import InputError

Kind = Literal["knn", "head", "blend", "finetune", "flat"]
KINDS: tuple[Kind, ...] = ("head", "knn", "blend", "finetune")
_MODELS = {"head": preference_head, "knn": preference_knn, "finetune": preference_finetune}
FLAT_STD = 2.5  # a quarter of the 0..10 scale: what one knows of a rating before any was given


@dataclass(frozen=True)
class Preference:
    """A fitted taste: plain arrays, and the population's taste that it corrects, if there was one."""

    kind: Kind
    arrays: dict[str, np.ndarray]
    population: Preference | None = None

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean liking and its std, (M,) each, in rating points, for features (M, D). The std is about the liking; one
        more rating adds its own noise. Not clipped to the rating scale.

        Raises: InputError for features of another shape than those fitted.
        """
        features = _features(features)
        self._check_width(features)
        mean, std = _predict(self.kind, self.arrays, features)
        if self.population is None:
            return mean, std
        return mean + self.population.predict(features)[0], std

    def save(self, path: str | Path) -> None:
        """Write one npz (plain arrays, no pickle)."""
        np.savez_compressed(Path(path), allow_pickle=False, **_flatten(self))

    def _check_width(self, features: np.ndarray) -> None:
        width = int(self.arrays["width"])
        if features.shape[1] != width:
            raise InputError(f"features have {features.shape[1]} columns, this preference was fitted on {width}")


def fit(
    features: np.ndarray,
    ratings: np.ndarray,
    kind: Kind = "head",
    *,
    population: Preference | None = None,
    seed: int = 0,
) -> Preference:
    """Learn a taste from features (N, D) and ratings (N,), N >= 1.

    With `population` (a taste fitted on other people's ratings) only this person's difference from it is learnt.
    One rating, or nothing to tell apart: kind "flat" (see the module). `seed` matters to "finetune" only.
    Raises: InputError for no rating, NaN or infinity, a wrong shape, or an unknown kind.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind of preference {kind!r}: use one of {', '.join(KINDS)}")
    features = _features(features)
    ratings = _ratings(ratings, len(features))
    left = ratings if population is None else ratings - population.predict(features)[0]
    width = {"width": np.array(features.shape[1])}
    if len(left) < 2 or np.ptp(left) < 1e-9:
        return Preference("flat", {"mean": np.array(left.mean()), **width}, population)
    return Preference(kind, {**_fit(kind, features, left, seed), **width}, population)


def load(path: str | Path) -> Preference:
    """Read what `save` wrote.

    Raises: InputError if the file is missing or is no saved preference.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no preference at {str(path)!r}: fit one and save it there first")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return _unflatten({name: stored[name] for name in stored.files})
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise InputError(f"{str(path)!r} is no saved preference ({error}): fit and save it again") from error


def held_out_agreement(
    features: np.ndarray,
    ratings: np.ndarray,
    kind: Kind = "head",
    *,
    population: Preference | None = None,
    seed: int = 0,
    folds: int = 5,
) -> Agreement:
    """How well the taste orders pictures that it was not fitted on: K-fold over features (N, D), ratings (N,), N >= 4.

    Each fold's training mean is taken off its predictions. Otherwise a model that knows nothing would look *worse*
    than chance: leaving out high ratings lowers the mean that predicts them.
    Raises: InputError for fewer than four ratings, or input that `fit` refuses.
    """
    features = _features(features)
    ratings = _ratings(ratings, len(features))
    if len(ratings) < 4:
        raise InputError(f"{len(ratings)} ratings are too few to hold some out: rate at least 4 pictures")
    order = np.random.default_rng([seed, 0xF01D]).permutation(len(ratings))
    predicted = np.zeros(len(ratings))
    for held in np.array_split(order, min(folds, len(ratings))):
        shown = np.setdiff1d(order, held)
        model = fit(features[shown], ratings[shown], kind, population=population, seed=seed)
        predicted[held] = model.predict(features[held])[0] - ratings[shown].mean()
    return agree(predicted, ratings, seed=seed)


def _fit(kind: Kind, features: np.ndarray, ratings: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    if kind == "blend":
        return _fit_blend(features, ratings, seed)
    return _MODELS[kind].fit(features, ratings, seed)


def _predict(kind: Kind, arrays: dict[str, np.ndarray], features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if kind == "flat":
        return np.full(len(features), float(arrays["mean"])), np.full(len(features), FLAT_STD)
    if kind == "blend":
        return _predict_blend(arrays, features)
    return _MODELS[kind].predict(arrays, features)


def _fit_blend(features: np.ndarray, ratings: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    head = preference_head.fit(features, ratings, seed)
    knn = preference_knn.fit(features, ratings, seed)
    # Weighted by how well each foretells the ratings one by one, which both can say in closed form.
    head_miss = float(((preference_head.left_out(head) - ratings) ** 2).mean())
    knn_miss = float(((preference_knn.left_out(knn) - ratings) ** 2).mean())
    share = knn_miss / max(head_miss + knn_miss, 1e-12)
    return {**_under("head", head), **_under("knn", knn), "share": np.array(share)}


def _predict_blend(arrays: dict[str, np.ndarray], features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = float(arrays["share"])
    a, a_std = preference_head.predict(_below("head", arrays), features)
    b, b_std = preference_knn.predict(_below("knn", arrays), features)
    mean = share * a + (1.0 - share) * b
    spread = share * (a_std**2 + (a - mean) ** 2) + (1.0 - share) * (b_std**2 + (b - mean) ** 2)
    return mean, np.sqrt(spread)


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}/{name}": value for name, value in arrays.items()}


def _below(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{prefix}/"): a for name, a in arrays.items() if name.startswith(f"{prefix}/")}


def _flatten(preference: Preference) -> dict[str, np.ndarray]:
    below = {} if preference.population is None else _under("population", _flatten(preference.population))
    return {**_under("arrays", preference.arrays), **below, "kind": np.array(preference.kind)}


def _unflatten(stored: dict[str, np.ndarray]) -> Preference:
    kind = str(stored["kind"])
    if kind not in (*KINDS, "flat"):
        raise ValueError(f"unknown kind {kind!r}")
    below = _below("population", stored)
    return Preference(kind, _below("arrays", stored), _unflatten(below) if below else None)


def _features(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or features.shape[1] == 0 or not np.isfinite(features).all():
        raise InputError(f"features of shape {features.shape!r}: give finite numbers of shape (N, D)")
    return features


def _ratings(ratings: np.ndarray, count: int) -> np.ndarray:
    ratings = np.asarray(ratings, dtype=np.float64)
    if count == 0 or ratings.shape != (count,):
        raise InputError(
            f"ratings of shape {ratings.shape!r} for {count} pictures: give one rating for each, at least 1"
        )
    if not np.isfinite(ratings).all():
        raise InputError(f"ratings {ratings.tolist()!r} are not all finite: leave out pictures without a rating")
    return ratings
