"""The screened genetic search: many more children than wanted, and a belief about genes that chooses among them.

After "Human Aesthetic Preference-Based Large Text-to-Image Model Personalization", section 6: uniform crossover and uniform
mutation of discrete genes, elitism. Parents are chosen by tournament, because roulette over scores on a narrow scale is close
to uniform. A preference model over genes, fitted to the scores, chooses among the children by a sample of its belief
(Thompson 1933), so that what is unknown is still tried. This is what `evolve_prompts` does unless told otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prompts.vocabulary import Genome
from tools.earlier import Earlier, informed
from tools.search.genetic import Rated
from tools.search.history import History
from tools.search.space import Space, distinct
from tools.search.strategy import Proposal, filled, proposal

if TYPE_CHECKING:
    import numpy as np

BRED = 100  # children bred for each that is kept
TOURNAMENT = 3


@dataclass(frozen=True)
class Screened:
    """`elites` of the best return unchanged, the others are the most promising children, by what was rated now and `earlier`. The
    first round is random."""

    space: Space
    mutation: float = 0.2
    elites: int = 1
    earlier: tuple[Earlier, ...] = ()

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`."""
        rated = history.rated
        if len(rated) < 2:
            return filled([], count, self.space, history, rng)
        _, chosen = evolved(rated, count, self.elites, self.mutation, self.space, rng, earlier=self.earlier)
        return filled([proposal(self.space, genome) for genome in chosen], count, self.space, history, rng)


def evolved(
    rated: Sequence[Rated], count: int, elites: int, mutation: float, space: Space, rng: random.Random,
    *, near: Sequence[Genome] = (), earlier: Sequence[Earlier] = (),
) -> tuple[int, list[Genome]]:  # fmt: skip
    """How many elites, and those with the genomes `near` what is wanted more of and the best children: up to `count`, distinct."""
    elite = [genome for _, genome in sorted(rated, key=lambda pair: -pair[0])]
    elite = distinct(elite)[: min(elites, count)]
    kept = distinct([*elite, *near])[:count]
    return len(elite), kept + screened(rated, kept, count - len(kept), mutation, space, rng, earlier)


def screened(
    rated: Sequence[Rated], known: list[Genome], count: int, mutation: float, space: Space, rng: random.Random,
    earlier: Sequence[Earlier] = (),
) -> list[Genome]:  # fmt: skip
    """`count` new genomes: the most promising of `BRED` times as many children."""
    bred = distinct([child(rated, mutation, space, rng) for _ in range(BRED * count)])
    old = [*known, *(genome for _, genome in rated)]
    fresh = [genome for genome in bred if genome not in old] or [genome for genome in bred if genome not in known]
    belief = GeneBelief(rated, space, earlier=earlier)
    kept: list[Genome] = []
    for _ in range(count):
        values = belief.sample(fresh, rng)
        best = max((i for i in range(len(fresh)) if fresh[i] not in kept), key=lambda i: values[i], default=None)
        if best is None:
            break
        kept.append(fresh[best])
    return kept


def child(rated: Sequence[Rated], mutation: float, space: Space, rng: random.Random) -> Genome:
    """A child of two tournament winners."""
    first, second = tournament(rated, rng), tournament(rated, rng)
    return space.child(first, second, mutation, rng)


def tournament(rated: Sequence[Rated], rng: random.Random) -> Genome:
    """The best rated of a few drawn at random."""
    return max((rng.choice(rated) for _ in range(TOURNAMENT)), key=lambda pair: pair[0])[1]


class GeneBelief:
    """Bayesian linear regression of ratings on one-hot genes: what each value of each gene is believed to be worth.

    A number has two columns, its value and the square of it: a taste may lie between the ends. `earlier` are ratings of another
    time (a profile's), in SDs already: each is evidence to the power of how much it counts. With neither it is what it begins with."""

    def __init__(
        self, rated: Sequence[Rated], space: Space, *, prior: float = 0.45, noise: float = 0.6, earlier: Sequence[Earlier] = ()
    ) -> None:  # fmt: skip
        import numpy as np

        self.space = space
        scores = np.array([score for score, _ in rated], float)
        spread = (scores.std() or 1.0) if len(scores) else 1.0
        target = (scores - scores.mean()) / spread if len(scores) else scores
        design = space.encode([genome for _, genome in rated])
        precision = design.T @ design / noise**2 + np.eye(design.shape[1]) / prior**2
        self.covariance = np.linalg.inv(precision)
        self.mean = self.covariance @ design.T @ target / noise**2
        if earlier:
            told = design.T @ target / noise**2
            self.mean, self.covariance = informed(precision, told, space.columns, earlier, noise)

    def sample(self, genomes: Sequence[Genome], rng: random.Random, *, boldness: float = 0.3) -> np.ndarray:
        """One draw of the worth of each genome; `boldness` 0 is the mean, 1 a full posterior sample."""
        import numpy as np

        generator = np.random.default_rng(rng.getrandbits(32))
        weights = generator.multivariate_normal(self.mean, self.covariance * boldness**2, method="eigh")
        return self.space.encode(genomes) @ weights
