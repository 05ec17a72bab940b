"""Learn what tastes look like in the words of a vocabulary, from simulated raters that no test and no benchmark ever meets.

    python -m tools.measured.taste_prior models/bauhaus --count 1024

Paints random prompts, lets raters of the seeds 10,000 and above like them, regresses each rater's liking on the prompts' words (ridge),
and writes the mean and covariance of what the words are worth as `taste_prior.npz` beside the model (empirical Bayes: Carlin & Louis
2000, chapter 3). These are tastes over pixels; the words only stand for what this painter makes of them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluators.looks.raters import LEARN_FROM
from prompts.errors import InputError
from prompts.vocabulary import Genome, load_vocabulary
from tools.context import Settings, Studio
from tools.search.prior import save_prior
from tools.search.space import Space

FIRST = LEARN_FROM
RATERS = 400
PULL = 3.0  # of the ridge: what it takes for a word to be worth something, in pictures
SEED, WAVERING = 5_000_000, 0.35  # of the paintings; SD of a rating's own noise (evaluators.looks.raters)


def paintings(studio: Studio, space: Space, count: int) -> tuple[list[Genome], np.ndarray]:
    """Random genomes, and what is measured (N, F) in a picture of each."""
    from evaluators.looks.features import features
    from tools.painting import studio_paints

    rng = random.Random("bank 1")
    genomes = [space.random(rng) for _ in range(count)]
    prompts = [space.phrase(genome) for genome in genomes]
    return genomes, np.concatenate([features(images) for images in studio_paints(prompts, studio, SEED)])


def likings(measured: np.ndarray, reference: np.ndarray, raters: Sequence[int]) -> np.ndarray:
    """(R, N) noise-free likings of the pictures. Raises InputError for a rater that is kept for tests."""
    from evaluators.looks.raters import Rater

    if min(raters) < FIRST:
        raise InputError(f"rater {min(raters)!r} is kept for tests and benchmarks: learn from {FIRST} and above")
    return np.array([Rater(rater, reference=reference).utility_of(measured) for rater in raters])


def learned(rows: np.ndarray, liked: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Mean (P,) and covariance (P, P) of what columns are worth, the noise that is left, and the rows' mean, from (N, P), (R, N)."""
    middle, offset = rows.mean(axis=0), liked.mean(axis=1, keepdims=True)
    centred = rows - middle
    worth = np.linalg.solve(centred.T @ centred + PULL * np.eye(rows.shape[1]), centred.T @ (liked - offset).T).T
    left = float(((liked - offset - worth @ centred.T) ** 2).mean())
    return worth.mean(axis=0), np.cov(worth.T), float(np.sqrt(left + WAVERING**2)), middle


def main() -> None:
    """Command line."""
    from evaluators.looks.raters import load_reference

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--vocabulary", default="bauhaus")
    parser.add_argument("--count", type=int, default=1024, help="pictures")
    chosen = parser.parse_args()
    space = Space(load_vocabulary(chosen.vocabulary))
    genomes, measured = paintings(
        Studio(Settings(model=str(chosen.model), clip="", pickscore="", seed=0)), space, chosen.count
    )
    liked = likings(measured, load_reference(chosen.model), range(FIRST, FIRST + RATERS))
    mean, covariance, noise, middle = learned(space.encode(genomes), liked)
    print(save_prior(chosen.model, space, mean, covariance, noise, middle))  # noqa: T201


if __name__ == "__main__":
    main()
