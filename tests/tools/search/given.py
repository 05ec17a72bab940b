"""A search without a painter: a taste over genomes that is known, and histories of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from prompts.vocabulary import Genome, load_vocabulary
from tools.search.brief import Brief, read_brief
from tools.search.history import History, Tried
from tools.search.run import search
from tools.search.space import Space
from tools.search.strategies import make_strategy
from tools.search.strategy import Means, Proposal, Strategy
from tools.searching import SearchSpec

VOCABULARY = load_vocabulary("bauhaus")
SPACE = Space(VOCABULARY)
NO_BRIEF = Brief()


def liking(genome: Genome) -> float:
    """0 to 10: teal ground, rings, not small."""
    return (
        3.0
        + 4.0 * (genome["background"] == "teal")
        + 2.0 * (genome["shape"] == "ring")
        + 1.0 * (genome["size"] == "large")
    )


def means(strategy: str = "screened", brief: str = "", wishes: Sequence[str] = (), **changes: Any) -> Means:
    given = {key: changes.pop(key) for key in list(changes) if key in SearchSpec.model_fields}
    spec = SearchSpec.model_validate({"strategy": strategy, **given})
    return Means(SPACE, spec, read_brief(brief, wishes, SPACE), **changes)


def made(strategy: str, brief: str = "", **changes: Any) -> Strategy:
    return make_strategy(means(strategy, brief, **changes))


def searched(
    strategy: Strategy, rounds: int = 4, seed: int = 0, like: Callable[[Genome], float] = liking, per_round: int = 8
) -> History:
    def paint(proposals: Sequence[Proposal]) -> list[Genome]:
        return [one.genome or {} for one in proposals]

    rate = lambda genomes: [like(genome) for genome in genomes]  # noqa: E731
    return search(strategy, paint=paint, rate=rate, rounds=rounds, per_round=per_round, rng=random.Random(seed))


def tried(count: int, seed: int = 0, round: int = 1) -> list[Tried]:
    rng = random.Random(seed)
    genomes = [VOCABULARY.random(rng) for _ in range(count)]
    return [Tried(VOCABULARY.phrase(genome), genome, liking(genome), round) for genome in genomes]


def mean_of(history: History, round: int) -> float:
    scores = [one.score or 0.0 for one in history.tried if one.round == round]
    return sum(scores) / len(scores)
