"""The plain genetic search: rank selection, crossover by kind of gene, uniform mutation, elitism, no duplicates; votes are the score.

After "Human Aesthetic Preference-Based Large Text-to-Image Model Personalization", section 6. Roulette over scores is close to
uniform on a narrow scale, so parents are drawn by their rank (linear ranking, Baker 1985).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from prompts.vocabulary import Genome
from tools.search.history import History, hashable
from tools.search.space import Space
from tools.search.strategy import Proposal, filled, proposal

TRIES = 50  # children bred for one that is new, before a random one takes its place

Rated = tuple[float, Genome]


@dataclass(frozen=True)
class Genetic:
    """`elites` of the best return unchanged; the others are children of parents drawn by rank. The first rounds are random."""

    space: Space
    mutation: float = 0.2
    elites: int = 1

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`."""
        voted = by_votes(history.rated)
        if len(voted) < 2:
            return filled([], count, self.space, history, rng)
        kept = [genome for _, genome in voted[: min(self.elites, count)]]
        seen = {hashable(genome) for _, genome in voted}
        for _ in range(TRIES * count):
            if len(kept) == count:
                break
            first, second = by_rank(voted, rng), by_rank(voted, rng)
            bred = self.space.child(first, second, self.mutation, rng)
            if hashable(bred) not in seen:
                seen.add(hashable(bred))
                kept.append(bred)
        return filled([proposal(self.space, genome) for genome in kept], count, self.space, history, rng)


def by_votes(rated: Sequence[Rated]) -> list[Rated]:
    """Each genome once, with the mean of its votes, best first."""
    votes: dict[object, list[float]] = {}
    genomes: dict[object, Genome] = {}
    for score, genome in rated:
        votes.setdefault(hashable(genome), []).append(score)
        genomes.setdefault(hashable(genome), genome)
    found = [(sum(votes[key]) / len(votes[key]), genome) for key, genome in genomes.items()]
    return sorted(found, key=lambda pair: -pair[0])


def by_rank(voted: Sequence[Rated], rng: random.Random) -> Genome:
    """One of the genomes (best first), with a chance that falls linearly from the best to the worst."""
    weights = range(len(voted), 0, -1)
    return rng.choices(voted, weights)[0][1]
