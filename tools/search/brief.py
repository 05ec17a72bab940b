"""What the person asked for stays in the picture: the brief as a constraint on genomes and on prompts.

The words of the vocabulary that the brief says must be said by every proposal, one at least of the wishes that are loved must be,
and none that is unwanted may be. A proposal that leaves the brief is mended, never silently: its reason says how. Where a CLIP is at
hand, a prompt too far from the brief is replaced, and a picture too far from it may not be bred from (`aligned`).
Knows no strategy.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from prompts.errors import InputError
from prompts.vocabulary import Genome, Vocabulary
from tools.search.history import History
from tools.search.space import Space
from tools.search.strategy import Proposal, Strategy, proposal

TRIES = 200  # draws, to find a genome that keeps the brief; a brief that is possible needs a few
Place = tuple[str, str]  # a gene and the word that it shall have


@dataclass(frozen=True)
class Brief:
    """What is asked for. `wanted`: of each set of places one at least must hold; `unwanted`: words that no gene may have."""

    text: str = ""
    wanted: tuple[tuple[Place, ...], ...] = ()
    unwanted: frozenset[str] = frozenset()

    def missing(self, genome: Genome) -> list[tuple[Place, ...]]:
        """What is asked for and not there."""
        return [places for places in self.wanted if not any(genome[gene] == word for gene, word in places)]

    def intruding(self, genome: Genome) -> list[Place]:
        """What is there and unwanted."""
        return [(gene, word) for gene, word in genome.items() if isinstance(word, str) and word in self.unwanted]

    def keeps(self, genome: Genome) -> bool:
        """Whether a genome has all that is asked for, and nothing unwanted."""
        return not self.missing(genome) and not self.intruding(genome)

    def mended(self, genome: Genome, space: Space, rng: random.Random) -> Genome:
        """The genome with as little changed as keeps the brief. Raises InputError where nothing would."""
        for _ in range(TRIES):
            found = dict(genome)
            taken: set[str] = set()
            for places in rng.sample(self.wanted, len(self.wanted)):
                held = [gene for gene, word in places if found[gene] == word and gene not in taken]
                free = [place for place in places if place[0] not in taken]
                if not held and free:
                    gene, word = rng.choice(free)
                    found[gene], held = word, [gene]
                taken.update(held[:1])
            for gene, _ in self.intruding(found):
                found[gene] = rng.choice(self._allowed(space.vocabulary, gene))
            found = space.mend(found, rng)
            if self.keeps(found):
                return found
        raise InputError(
            f"No prompt of the vocabulary {space.vocabulary.name!r} can keep the brief {self.asked()!r}: ask for less."
        )

    def asked(self) -> str:
        """The brief as words: "red or teal, ring, not hatched"."""
        wanted = [" or ".join(dict.fromkeys(word for _, word in places)) for places in self.wanted]
        return ", ".join([*wanted, *(f"not {word}" for word in sorted(self.unwanted))])

    def missing_words(self, prompt: str) -> list[str]:
        """As `missing`, of a prompt in any form: the words that it does not say."""
        wanted = [list(dict.fromkeys(word for _, word in places)) for places in self.wanted]
        return [words[0] for words in wanted if not any(says(prompt, word) for word in words)]

    def said_unwanted(self, prompt: str) -> list[str]:
        """The unwanted words that a prompt in any form says."""
        return [word for word in sorted(self.unwanted) if says(prompt, word)]

    def _allowed(self, vocabulary: Vocabulary, gene: str) -> list[str]:
        allowed = [word for word in vocabulary.genes[gene] if word not in self.unwanted]
        if not allowed:
            raise InputError(
                f"Every word of {gene!r} is unwanted ({', '.join(sorted(self.unwanted))}): leave one of them."
            )
        return allowed


def read_brief(text: str, wishes: Sequence[str], space: Space) -> Brief:
    """The brief of a run: its words, and the wishes ("+teal", "-hatched"). Raises InputError for what cannot be kept together."""
    vocabulary = space.vocabulary
    asked = [_places(text, word, vocabulary) for word in vocabulary.words if says(text, *_forms(word, vocabulary))]
    loved = tuple(place for wish in wishes if wish[0] == "+" for place in _places("", wish[1:], vocabulary))
    unwanted = frozenset(wish[1:] for wish in wishes if wish[0] == "-")
    both = sorted({word for places in asked for _, word in places} & unwanted)
    if both:
        raise InputError(
            f"The brief {text!r} asks for {both[0]!r}, and the wish '-{both[0]}' does not want it: drop one of them."
        )
    loved = tuple(place for place in loved if place[1] not in unwanted)
    found = Brief(text, (*_sharing(asked), *([loved] if loved else [])), unwanted)
    if found.wanted or unwanted:
        found.mended(space.random(random.Random(0)), space, random.Random(0))
    return found


def says(text: str, *words: str) -> bool:
    """Whether a text says one of these words, whole."""
    folded = " ".join(text.lower().split())
    return any(re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", folded) for word in words)


def _forms(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    nouns = {noun for gene in vocabulary.agree for noun in vocabulary.genes[gene]}
    return (word, vocabulary.plurals.get(word, word + "s")) if word in nouns else (word,)


def _places(text: str, word: str, vocabulary: Vocabulary) -> tuple[Place, ...]:
    """Where a word can stand: the gene that the text names beside it ("red background"), or every gene that has it."""
    genes = [gene for gene, words in vocabulary.genes.items() if word in words]
    named = [gene for gene in genes if says(text, f"{word} {gene.replace('_', ' ')}")]
    return tuple((gene, word) for gene in named or genes)


def _sharing(asked: Sequence[tuple[Place, ...]]) -> list[tuple[Place, ...]]:
    """Words that there are too few genes for are alternatives: of "circles, squares and rings" two shapes can be kept."""
    kept: list[tuple[Place, ...]] = []
    for places in sorted(asked, key=len):
        genes = {gene for gene, _ in places}
        rivals = [one for one in kept if {gene for gene, _ in one} <= genes]
        if len(rivals) < len(genes):
            kept.append(places)
        else:
            kept[kept.index(rivals[-1])] = (*rivals[-1], *places)
    return kept


@dataclass(frozen=True)
class Kept:
    """A strategy whose proposals keep the brief: mended where they do not, replaced where CLIP finds them too far from it.

    `align(texts)` is the cosine of each text with the brief, asked where `minimum` is not None.
    """

    strategy: Strategy
    brief: Brief
    space: Space
    align: Callable[[Sequence[str]], Sequence[float]] | None = None
    minimum: float | None = None

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`."""
        found = self.strategy.propose(aligned(history, self.minimum), count, rng)
        if self.brief.wanted or self.brief.unwanted:
            found = self._distinct([self._mended(one, rng) for one in found], rng)
        return self._aligned(found, history, rng)

    def _mended(self, one: Proposal, rng: random.Random) -> Proposal:
        if one.genome is None:
            return self._mended_words(one)
        if self.brief.keeps(one.genome):
            return one
        mended = self.brief.mended(one.genome, self.space, rng)
        changed = [gene for gene in mended if mended[gene] != one.genome[gene]]
        said = f"kept to the brief ({self.brief.asked()}): " + ", ".join(
            f"{gene} {one.genome[gene]} -> {mended[gene]}" for gene in changed
        )
        return proposal(self.space, mended, _joined(one.reason, said))

    def _mended_words(self, one: Proposal) -> Proposal:
        missing, unwanted = self.brief.missing_words(one.prompt), self.brief.said_unwanted(one.prompt)
        if not missing and not unwanted:
            return one
        prompt = one.prompt
        for word in unwanted:
            prompt = re.sub(rf"(?<!\w){re.escape(word)}(?!\w),? ?", "", prompt, flags=re.IGNORECASE).strip(" ,")
        said = (
            f"kept to the brief ({self.brief.asked()}): added {missing or 'nothing'}, left out {unwanted or 'nothing'}"
        )
        return replace(
            one, prompt=", ".join([part for part in (prompt, *missing) if part]), reason=_joined(one.reason, said)
        )

    def _distinct(self, found: list[Proposal], rng: random.Random) -> list[Proposal]:
        """What mending made equal is drawn anew."""
        kept: list[Proposal] = []
        for one in found:
            if one.prompt in {other.prompt for other in kept}:
                genome = self._fresh({other.prompt for other in kept}, rng)
                one = (
                    proposal(self.space, genome, "drawn at random: keeping to the brief made it another's double")
                    if genome
                    else one
                )
            kept.append(one)
        return kept

    def _fresh(self, taken: set[str], rng: random.Random) -> Genome | None:
        drawn = (self.brief.mended(self.space.random(rng), self.space, rng) for _ in range(TRIES))
        return next((genome for genome in drawn if self.space.phrase(genome) not in taken), None)

    def _aligned(self, found: list[Proposal], history: History, rng: random.Random) -> list[Proposal]:
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
        taken = {other.prompt for other in found}
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


def _joined(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)
