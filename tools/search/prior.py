"""What a search believes of a taste before the first score: a normal over what each word of each gene is worth, in SDs of liking.

Where nothing was learned, words are worth nothing on average, and one word in two genes ("red" as shape and as ground) is worth about
the same in both. Learned from other people (tools.measured.taste_prior), the mean and the covariance are theirs, for one painter and
vocabulary. Empirical Bayes: Carlin & Louis 2000, chapter 3. Knows no rater and no painter. numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evaluators.numbers.arrays import stored_arrays
from prompts.errors import InputError
from prompts.genes import Several
from tools.earlier import Earlier, informed
from tools.search.space import Space

FILE = "taste_prior.npz"
WORTH = 0.25  # SD of what a word is worth, where nothing was learned: eleven genes then make up most of a taste
ALIKE = 0.3  # correlation of one word's worth between genes
NOISE = 0.65  # SD of what the words do not tell of a picture's score: its seed, and the person's own wavering
LOOSE = 0.02  # variance that a learned covariance may be wrong by, in each word


@dataclass(frozen=True)
class Prior:
    """mean (P,), covariance (P, P) for the columns of `Space.encode`; `middle` (P,) is taken off a row first; `noise` is an SD."""

    mean: np.ndarray
    covariance: np.ndarray
    middle: np.ndarray
    noise: float = NOISE
    learned: bool = False

    def informed(self, columns: Mapping[tuple[str, str], int], earlier: Sequence[Earlier]) -> Prior:
        """What is believed once a profile's ratings of words are known too."""
        if not earlier:
            return self
        precision = np.linalg.inv(self.covariance)
        mean, covariance = informed(precision, precision @ self.mean, columns, earlier, self.noise, self.middle)
        return replace(self, mean=mean, covariance=covariance)


def generic(space: Space) -> Prior:
    """The prior of a vocabulary about which nothing was learned."""
    width = len(space.columns) + 2 * len(space.ranges)
    words = [word for _, word in space.columns] + [f"number {i}" for i in range(2 * len(space.ranges))]
    same = np.array([[ALIKE * (one == other) for other in words] for one in words])
    np.fill_diagonal(same, 1.0)
    return Prior(np.zeros(width), WORTH**2 * same, _middle(space))


def prior_for(space: Space, folder: str | Path) -> Prior:
    """The prior that was learned for the painter in `folder` and this vocabulary's words; else the generic one.

    Raises: InputError for a file that is damaged.
    """
    path, start = Path(folder) / FILE, generic(space)
    if not str(folder) or not path.is_file():
        return start
    names, mean, covariance, middle, noise = _read(path)
    ours = ["\t".join(pair) for pair in space.columns]
    if not set(ours) <= set(names):
        return start  # of another vocabulary; `learned` says so
    place = np.array([names.index(name) for name in ours])
    words = len(ours)
    found = Prior(start.mean.copy(), start.covariance.copy(), start.middle.copy(), noise, learned=True)
    found.mean[:words], found.middle[:words] = mean[place], middle[place]
    found.covariance[:words, :words] = covariance[np.ix_(place, place)] + LOOSE * np.eye(words)
    return found


def save_prior(
    folder: str | Path, space: Space, mean: np.ndarray, covariance: np.ndarray, noise: float, middle: np.ndarray
) -> Path:
    """Write `taste_prior.npz` beside a painter: names of the columns, mean, covariance, what is taken off, noise."""
    path = Path(folder) / FILE
    names = np.array(["\t".join(pair) for pair in space.columns])
    single = [np.asarray(value, dtype=np.float32) for value in (mean, covariance, middle, noise)]
    np.savez_compressed(path, names=names, mean=single[0], covariance=single[1], middle=single[2], noise=single[3])
    return path


def _read(path: Path) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, float]:
    with stored_arrays(path, "is no prior over tastes", "make it again with tools.measured.taste_prior") as stored:
        names = [str(name) for name in stored["names"]]
        mean, covariance, middle = (stored[key].astype(float) for key in ("mean", "covariance", "middle"))
        noise = float(stored["noise"])
    if mean.shape != (len(names),) or covariance.shape != (len(names), len(names)) or middle.shape != mean.shape:
        raise InputError(f"{str(path)!r} does not fit together: make it again with tools.measured.taste_prior")
    return names, mean, covariance, middle, noise


def _middle(space: Space) -> np.ndarray:
    """How often a random genome has each word."""
    shares = {gene: 1 / len(words) for gene, words in space.vocabulary.genes.items()}
    several = {gene: one for gene, one in space.vocabulary.more.items() if isinstance(one, Several)}
    shares |= {gene: one.draw / len(one.several) for gene, one in several.items()}
    return np.array([*(shares[gene] for gene, _ in space.columns), *([0.0, 1 / 3] * len(space.ranges))])
