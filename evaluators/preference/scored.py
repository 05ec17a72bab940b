"""A population scorer as the taste to start from: PickScore, an aesthetic head, or any numbers that somebody gave pictures.

Their units differ (PickScore's values lie near 20, an aesthetic head's near 5), so a `Scored` is in SDs of the scores, and how far a
person follows it is learned from their ratings (evaluators.preference.model). An affine scorer of the same features is taken as
it is; one that sees otherwise is distilled into the features by ridge regression, its ratio chosen by leaving one out in closed
form (Golub, Heath & Wahba 1979, sec. 1: Allen's PRESS). Does not know the scorer, nor prompts. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluators.numbers.arrays import stored_arrays
from evaluators.preference.checks import features_of, same_width
from prompts.errors import InputError

FEWEST = 4  # pictures with a score: fewer cannot be left out in any meaningful way
_RATIOS = np.logspace(-4.0, 4.0, 25)  # of signal to noise


@dataclass(frozen=True, eq=False)
class Scored:
    """score of features x = `weight` (D,) . x + `bias`, in SDs of the scores; `explained`: the share of their variance that is so
    foretold for a picture left out (at most 1; 0 or less: nothing). The ratio was chosen by it, so it is a little too high."""

    weight: np.ndarray
    bias: float
    explained: float

    @property
    def width(self) -> int:
        """How many features a picture has."""
        return len(self.weight)

    def mean(self, features: np.ndarray) -> np.ndarray:
        """(M,) what the scorer is expected to say of features (M, D), in SDs about its mean over the pictures it came with.

        Raises: InputError for features of another width.
        """
        same_width(features, self.width)
        return features @ self.weight + self.bias

    @staticmethod
    def of_affine(weight: np.ndarray, bias: float, features: np.ndarray) -> Scored:
        """A scorer `weight` (D,) . x + `bias` of the same features, exactly; pictures' features (N, D), N >= 4, tell its mean and SD.
        An `AestheticHead` is one where features are of length 1.

        Raises: InputError for too few pictures, or for scores of them that are all alike.
        """
        weight = np.asarray(weight, dtype=np.float64)
        rows = _enough(features)
        same_width(rows, len(weight))
        scores = rows @ weight + bias
        spread = float(scores.std())
        if spread < 1e-9:
            raise InputError(
                f"the scorer gives {len(scores)} pictures the same {scores[0]!r}: give pictures that differ"
            )
        return Scored(weight / spread, float(bias - scores.mean()) / spread, 1.0)

    @staticmethod
    def distilled(features: np.ndarray, scores: np.ndarray) -> Scored:
        """What features (N, D), N >= 4, tell of scores (N,) in any unit, given by whatever. Scores all alike tell nothing.

        Raises: InputError for too few pictures, or scores of another shape or not finite.
        """
        rows, scores = _enough(features), np.asarray(scores, dtype=np.float64)
        if scores.shape != (len(rows),) or not np.isfinite(scores).all():
            raise InputError(
                f"scores of shape {scores.shape!r} for {len(rows)} pictures: give one finite score for each"
            )
        centre, spread = rows.mean(axis=0), float(scores.std())
        near = rows - centre
        size = float((near**2).sum(axis=1).mean())
        if spread < 1e-9 or size < 1e-12:
            return Scored(np.zeros(rows.shape[1]), 0.0, 0.0)
        weight, explained = _ridge(near / np.sqrt(size), (scores - scores.mean()) / spread)
        weight = weight / np.sqrt(size)
        return Scored(weight, -float(centre @ weight), explained)

    def save(self, path: str | Path) -> None:
        """Write one npz (plain arrays, no pickle)."""
        np.savez_compressed(
            Path(path), allow_pickle=False, weight=self.weight, bias=self.bias, explained=self.explained
        )

    @staticmethod
    def load(path: str | Path) -> Scored:
        """Read what `save` wrote. Raises: InputError if the file is missing or holds no such thing."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"no scorer at {str(path)!r}: make one with Scored.distilled and save it there first")
        with stored_arrays(path, "is no saved scorer", "make and save it again") as stored:
            weight, bias, explained = (stored[name] for name in ("weight", "bias", "explained"))
            return Scored(weight.astype(np.float64), float(bias), float(explained))


def _ridge(rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (D,) for centred rows (N, D) and values (N,), and 1 - PRESS over that of the mean alone."""
    count = len(rows)
    shares, vectors = np.linalg.eigh(rows @ rows.T)
    shares = np.maximum(shares, 0.0)
    turned = vectors.T @ values
    # The mean is fitted too, without a penalty: its leverage 1 / N joins that of the weights.
    kept = _RATIOS[:, None] * shares / (_RATIOS[:, None] * shares + 1.0)
    leverage = kept @ (vectors**2).T + 1.0 / count
    missed = (values - (kept * turned) @ vectors.T) / np.maximum(1.0 - leverage, 1e-9)
    press = (missed**2).sum(axis=1)
    best = int(press.argmin())
    alone = float(((values * count / (count - 1)) ** 2).sum())
    solved = vectors @ (turned * _RATIOS[best] / (_RATIOS[best] * shares + 1.0))
    return rows.T @ solved, 1.0 - float(press[best]) / alone


def _enough(features: np.ndarray) -> np.ndarray:
    rows = features_of(features)
    if len(rows) < FEWEST:
        raise InputError(f"{len(rows)} scored pictures are too few: give at least {FEWEST}")
    return rows
