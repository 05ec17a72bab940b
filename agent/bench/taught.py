"""What other simulated people's ratings teach a bench's preference kinds: a Population over the first pictures of a pool.

Those people have seeds from 10,000 on; the raters of a bench have seeds below 1,000. The pictures that they rated are not
among those that a bench shows or judges.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agent.bench.pool import Pool
from evaluators.looks.raters import LEARN_FROM
from prompts.ground.atomic import write_atomically

if TYPE_CHECKING:
    from evaluators.looks.raters import Rater
    from evaluators.preference.population import Population

FIRST = LEARN_FROM  # the seed of the first of them
SUFFIX = "+population"


def needs_population(strategy: str) -> bool:
    """Whether a strategy ("maml", "bayes+population") learns from other people's ratings."""
    return strategy == "maml" or strategy.endswith(SUFFIX)


def population_file(pool: Path, pictures: int, people: int, noise: float, *, maml: bool = True) -> Path:
    """The npz beside the pool of what `people` simulated people taught, who rated the first `pictures` of it; learned first
    if it is not there. `maml`: with the network that kind "maml" starts from."""
    from agent.bench.pool import read_pool
    from evaluators.preference.population import Population

    file = pool.with_name(f"{pool.stem}-taught-{pictures}-{people}-{noise:g}{'-maml' if maml else ''}.npz")
    if not file.exists():
        shown = np.arange(pictures)
        given = np.stack([rated(rater_of(FIRST + n, noise), read_pool(pool), shown, seed=0) for n in range(people)])
        learned, buffer = Population.fit(read_pool(pool).features[shown], given, maml=maml), BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **learned.arrays())
        write_atomically(file, buffer.getvalue())
    return file


@lru_cache(maxsize=4)
def read_population(file: Path) -> Population:
    """One that `population_file` learned. Raises InputError when it is damaged."""
    from evaluators.preference.population import Population

    return Population.load(file)


@lru_cache(maxsize=256)
def rater_of(seed: int, noise: float) -> Rater:
    """A simulated rater of the bundled painter's world."""
    from agent.config import MODELS
    from evaluators.looks.raters import Rater, load_reference

    return Rater(seed, reference=load_reference(MODELS / "bauhaus"), noise=noise)


def rated(rater: Rater, pool: Pool, places: np.ndarray, seed: int) -> np.ndarray:
    """(M,) a rater's noisy ratings, 0 to 10, of the pictures at `places` (M,)."""
    pictures = [pool.images[place] for place in places]
    return np.array(rater.rate(pictures, seed=seed, measured=pool.measured[places]))
