"""The interface of a search: what was tried goes in, what to paint next comes out. And the strategies by name.

A strategy is a plain value without state: all it knows is in the history, so that a run can be resumed, replayed and forked at any
round. All randomness comes from `rng`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from prompts.vocabulary import Genome
from tools.earlier import Earlier
from tools.search.brief import Brief
from tools.search.history import History, hashable
from tools.search.space import Space
from tools.searching import SearchSpec


@dataclass(frozen=True)
class Proposal:
    """One picture to paint. `seed` None: whoever paints draws one.

    `reason` says why this is not what was first proposed: "" where it is.
    """

    prompt: str
    genome: Genome
    seed: int | None = None
    reason: str = ""


class Strategy(Protocol):
    """Anything that proposes."""

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """`count` proposals for the next round, the most promising first."""
        ...


@dataclass(frozen=True)
class Means:
    """What strategies may be made of; each takes what it needs.

    `write(messages, schema)` is a language model; `sees` says whether it is shown pictures, `open_image(image)` gives one of the
    history's as PNG bytes. `align(texts)` is the cosine of each text with the brief. `prior_folder` is the painter's, where the prior
    over tastes lies (tools.search.prior).
    """

    space: Space
    spec: SearchSpec
    brief: Brief
    write: Callable[..., Any] | None = None
    sees: bool = False
    open_image: Callable[[str], bytes] | None = None
    align: Callable[[Sequence[str]], Sequence[float]] | None = None
    prior_folder: str = ""
    earlier: tuple[Earlier, ...] = ()  # what a profile says of words


def proposal(space: Space, genome: Genome, reason: str = "") -> Proposal:
    """A genome as a proposal."""
    return Proposal(space.phrase(genome), genome, space.seed_of(genome), reason)


def filled(found: Sequence[Proposal], count: int, space: Space, history: History, rng: random.Random) -> list[Proposal]:
    """`found` cut to `count`, or topped up with random genomes that are new, with the reason said."""
    kept = list(found[:count])
    seen = {hashable(one.genome) for one in history.tried if one.genome is not None}
    seen |= {hashable(one.genome) for one in kept}
    for _ in range(50 * count):
        if len(kept) == count:
            break
        genome = space.random(rng)
        if hashable(genome) not in seen:
            seen.add(hashable(genome))
            kept.append(proposal(space, genome, "drawn at random: the strategy had too few of its own"))
    return kept


@dataclass(frozen=True)
class RandomSearch:
    """Random genomes, none twice: what every other strategy has to beat."""

    space: Space

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`."""
        return [replace(one, reason="") for one in filled([], count, self.space, history, rng)]
