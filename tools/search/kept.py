"""A strategy held to the brief: what leaves it is mended, never silently, and its reason says how.

Where a CLIP is at hand, a prompt too far from the brief is replaced, and a picture too far from it may not be bred from (`aligned`).
Knows no strategy by name.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from prompts.vocabulary import Genome
from tools.search.brief import TRIES, Brief, words_of
from tools.search.history import History, hashable
from tools.search.space import Space
from tools.search.strategy import Proposal, Strategy, proposal

_DOUBLE = "drawn at random: what was bred, kept to the brief, is there already"


@dataclass(frozen=True)
class Kept:
    """A strategy whose proposals keep the brief: mended where they do not, replaced where CLIP finds them too far from it.

    `align(texts)` is the cosine of each text with the brief, asked where `minimum` is not None. `minimum_picture` is on another scale:
    the cosine of a picture with the brief, below which it is not bred from.
    """

    strategy: Strategy
    brief: Brief
    space: Space
    align: Callable[[Sequence[str]], Sequence[float]] | None = None
    minimum: float | None = None
    minimum_picture: float | None = None

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`."""
        found = self.strategy.propose(aligned(history, self.minimum_picture), count, rng)
        return self._aligned(self.mended(found, history, rng), rng)

    def mended(self, found: Sequence[Proposal], history: History, rng: random.Random) -> list[Proposal]:
        """Proposals that keep the brief, each once. What mending made another's double, of this round or of the history, is drawn
        anew; what needs no mending may be of the history, as the elites are."""
        old = {hashable(one.genome) for one in history.tried if one.genome is not None}
        kept: dict[object, Proposal] = {}
        for one in found:
            new = one if self.brief.keeps(one.genome) else self._mended(one, rng)
            key = hashable(new.genome)
            if key in kept or (new is not one and key in old):
                genome = self._fresh({*kept, *old}, rng)
                new = proposal(self.space, genome, _DOUBLE) if genome else new
            kept.setdefault(hashable(new.genome), new)
        return list(kept.values())

    def _mended(self, one: Proposal, rng: random.Random) -> Proposal:
        mended = self.brief.mended(one.genome, self.space, rng)
        changed = [
            f"{gene} {_told(one.genome[gene])} -> {_told(mended[gene])}"
            for gene in mended
            if mended[gene] != one.genome[gene]
        ]
        said = f"kept to the brief ({self.brief.asked()}): {', '.join(changed)}"
        return proposal(self.space, mended, _joined(one.reason, said))

    def _fresh(self, taken: Collection[object], rng: random.Random) -> Genome | None:
        """A genome that keeps the brief and is not `taken` (as `hashable`); None where none was found."""
        drawn = (self.brief.mended(self.space.random(rng), self.space, rng) for _ in range(TRIES))
        return next((genome for genome in drawn if hashable(genome) not in taken), None)

    def _aligned(self, found: list[Proposal], rng: random.Random) -> list[Proposal]:
        if self.minimum is None or self.align is None or not self.brief.text:
            return found
        cosines = self.align([one.prompt for one in found])
        return [
            one if cosine >= self.minimum else self._nearer(one, cosine, found, rng)
            for one, cosine in zip(found, cosines, strict=True)
        ]

    def _nearer(self, one: Proposal, cosine: float, found: Sequence[Proposal], rng: random.Random) -> Proposal:
        """The nearest to the brief of a few drawn at random, if it is nearer."""
        assert self.align is not None and self.minimum is not None
        taken = {hashable(other.genome) for other in found}
        drawn = [genome for _ in range(32) if (genome := self._fresh(taken, rng))]
        cosines = list(self.align([self.space.phrase(genome) for genome in drawn])) if drawn else []
        best = max(range(len(drawn)), key=lambda i: cosines[i], default=None)
        said = f"{one.prompt!r} is too far from the brief (cosine {cosine:.2f}, wanted {self.minimum:.2f})"
        if best is None or cosines[best] <= cosine:
            return replace(one, reason=_joined(one.reason, f"{said}, and nothing nearer was found"))
        return proposal(self.space, drawn[best], _joined(one.reason, said))


def aligned(history: History, minimum: float | None) -> History:
    """The history to breed from: a picture too far from the brief counts as the worst there is, whatever its score."""
    if minimum is None:
        return history
    far = [one for one in history.tried if one.alignment is not None and one.alignment < minimum]
    marked = [
        replace(one, score=history.low, reason=_joined(one.reason, "its picture is too far from the brief"))
        if one in far and one.score is not None
        else one
        for one in history.tried
    ]
    return replace(history, tried=tuple(marked))


def _told(value: object) -> str:
    return " and ".join(words_of(value)) or str(value)


def _joined(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)
