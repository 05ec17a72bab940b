"""What the person asked for stays in the picture: the brief as a constraint on genomes and on prompts.

The words of the vocabulary that the brief says must be said by every proposal, one at least of the wishes that are loved must be,
and none that is unwanted may be. What was said last counts. Knows no strategy; kept.py holds them to it.
"""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from prompts.errors import InputError
from prompts.genes import Several
from prompts.vocabulary import Genome, Vocabulary
from tools.search.space import Space

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
        return [places for places in self.wanted if not any(word in words_of(genome[gene]) for gene, word in places)]

    def intruding(self, genome: Genome) -> list[Place]:
        """What is there and unwanted."""
        return [(gene, word) for gene, value in genome.items() for word in words_of(value) if word in self.unwanted]

    def keeps(self, genome: Genome) -> bool:
        """Whether a genome has all that is asked for, and nothing unwanted."""
        return not self.missing(genome) and not self.intruding(genome)

    def mended(self, genome: Genome, space: Space, rng: random.Random) -> Genome:
        """The genome with as little changed as keeps the brief. Raises InputError where nothing would."""
        for _ in range(TRIES):
            found, taken = dict(genome), set[Place]()
            for places in rng.sample(self.wanted, len(self.wanted)):
                _give(found, places, taken, space.vocabulary, rng)
            for gene, word in self.intruding(found):
                allowed = self._allowed(space.vocabulary, gene, found[gene])
                found[gene] = _exchanged(found[gene], word, (gene, rng.choice(allowed)), space.vocabulary)
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

    def _allowed(self, vocabulary: Vocabulary, gene: str, value: object) -> list[str]:
        """What may stand in the place of an unwanted word; of several words none twice."""
        there = () if gene in vocabulary.genes else words_of(value)
        allowed = [word for word in vocabulary.worded[gene] if word not in self.unwanted and word not in there]
        if not allowed:
            which = f"Every word of {gene!r} is" if gene in vocabulary.genes else f"Too many words of {gene!r} are"
            raise InputError(f"{which} unwanted ({', '.join(sorted(self.unwanted))}): leave one of them.")
        return allowed


def read_brief(text: str, wishes: Sequence[str], space: Space, avoided: Sequence[str] = ()) -> Brief:
    """The brief of a run: its words, and the wishes in their order ("+teal", "-hatched"). `avoided` are the words of `text` that it
    says are not wanted. What was said last counts: where all cannot be kept together, the oldest that is in the way is given up."""
    said = _said(text, wishes, space.vocabulary, avoided)
    while _problem(_brief(text, said, space.vocabulary), space):
        rest = [[one for one in said if one is not gone] for gone in said]
        said = next((some for some in rest if not _problem(_brief(text, some, space.vocabulary), space)), rest[0])
    return _brief(text, said, space.vocabulary)


def check_brief(text: str, wishes: Sequence[str], space: Space, avoided: Sequence[str] = ()) -> None:
    """Raises InputError for a brief and wishes, given as to `read_brief`, that cannot be kept together."""
    said = _said(text, wishes, space.vocabulary, avoided)
    both = [wish[1:] for wish in said if wish[0] == "-" and wish[1:] not in avoided and wish[1:] in _asked(text, space.vocabulary)]  # fmt: skip
    if both:
        raise InputError(
            f"The brief {text!r} asks for {both[0]!r}, and the wish '-{both[0]}' does not want it: drop one of them."
        )
    problem = _problem(_brief(text, said, space.vocabulary), space)
    if problem is not None:
        raise problem


def check_wishes(wishes: Sequence[str], vocabulary: Vocabulary) -> None:
    """Raises InputError for a wish whose word the vocabulary does not have, with the words that are nearest to it."""
    for wish in wishes:
        if wish[1:] not in vocabulary.words:
            raise InputError(
                f"wishes: {wish!r} is no word of the vocabulary {vocabulary.name!r}, so nothing could heed it. {nearest(wish[1:], vocabulary)}"
            )


def nearest(word: str, vocabulary: Vocabulary) -> str:
    """The vocabulary's words that are like `word`, as a hint; where none is, where to find them."""
    plain = {one.lower(): one for one in vocabulary.words}
    parts = [one for low, one in plain.items() if _bare(word.lower()) in low.split() or word.lower() in low]
    near = [plain[one] for one in difflib.get_close_matches(word.lower(), list(plain), 3, 0.6)]
    near += [
        plain[one]
        for low in [_bare(word.lower())]
        for one in plain
        if difflib.SequenceMatcher(None, low, _bare(one)).ratio() > 0.75
    ]
    found = list(dict.fromkeys([*near, *parts]))[:3]
    if found:
        return f"Did you mean {' or '.join(map(repr, found))}?"
    some = dict.fromkeys(values[0] for values in vocabulary.worded.values())
    return f"Its words are such as {', '.join(map(repr, [*some][:6]))}."


def _bare(word: str) -> str:
    """A word without its article: who asks for "the harbour" means "a harbour"."""
    return re.sub(r"^(?:an?|the) (?=\S)", "", word)


def _said(text: str, wishes: Sequence[str], vocabulary: Vocabulary, avoided: Sequence[str]) -> list[str]:
    """All that was said, the oldest first: "=red" of the text, "-red" of the text or of a wish, "+red" of a wish."""
    signs = dict.fromkeys(avoided, "-")
    for wish in wishes:
        signs.pop(wish[1:], None)
        signs[wish[1:]] = wish[0]
    asked = [word for word in _asked(text, vocabulary) if word not in avoided and signs.get(word) != "-"]
    return [*(f"={word}" for word in asked), *(f"{sign}{word}" for word, sign in signs.items())]


def _asked(text: str, vocabulary: Vocabulary) -> list[str]:
    return [word for word in vocabulary.words if says(text, *_forms(word, vocabulary))]


def _brief(text: str, said: Sequence[str], vocabulary: Vocabulary) -> Brief:
    asked = [_places(text, one[1:], vocabulary) for one in said if one[0] == "="]
    loved = tuple(place for one in said if one[0] == "+" for place in _places("", one[1:], vocabulary))
    unwanted = frozenset(one[1:] for one in said if one[0] == "-")
    return Brief(text, (*_sharing(asked, vocabulary), *([loved] if loved else [])), unwanted)


def _problem(brief: Brief, space: Space) -> InputError | None:
    """Why no genome keeps a brief."""
    try:
        brief.mended(space.random(random.Random(0)), space, random.Random(0))
    except InputError as error:
        return error
    return None


def words_of(value: object) -> tuple[str, ...]:
    """The words that a gene has: one, several, or of a number none."""
    return (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()


def _room(vocabulary: Vocabulary, gene: str) -> int:
    """How many words a gene has."""
    one = vocabulary.more.get(gene)
    return one.draw if isinstance(one, Several) else 1


def _give(
    found: Genome, places: Sequence[Place], taken: set[Place], vocabulary: Vocabulary, rng: random.Random
) -> None:
    """One of the places to `found`, where it has none, and to `taken`; what is taken already stays."""
    open_now = [place for place in places if place not in taken]
    held = [place for place in open_now if place[1] in words_of(found[place[0]])]
    free = [place for place in open_now if sum(gene == place[0] for gene, _ in taken) < _room(vocabulary, place[0])]
    if not held and free:
        gene, word = rng.choice(free)
        out = next((one for one in words_of(found[gene]) if (gene, one) not in taken), word)
        found[gene], held = _exchanged(found[gene], out, (gene, word), vocabulary), [(gene, word)]
    taken.update(held[:1])


def _exchanged(value: object, out: str, new: Place, vocabulary: Vocabulary) -> object:
    """What a gene has, with a new word in the place of `out`."""
    one = vocabulary.more.get(new[0])
    return one.exchanged(words_of(value), out, new[1]) if isinstance(one, Several) else new[1]


def says(text: str, *words: str) -> bool:
    """Whether a text says one of these words, whole."""
    folded = " ".join(text.lower().split())
    return any(re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", folded) for word in words)


def _forms(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    nouns = {noun for gene in vocabulary.agree for noun in vocabulary.genes[gene]}
    if word in nouns:
        return word, vocabulary.plurals.get(word, word + "s")
    bare = _bare(word)
    return (word,) if bare == word or bare in vocabulary.words else (word, bare)


def _places(text: str, word: str, vocabulary: Vocabulary) -> tuple[Place, ...]:
    """Where a word can stand: the gene that the text names beside it ("red background"), or every gene that has it."""
    genes = [gene for gene, words in vocabulary.worded.items() if word in words]
    named = [gene for gene in genes if says(text, f"{word} {gene.replace('_', ' ')}")]
    return tuple((gene, word) for gene in named or genes)


def _sharing(asked: Sequence[tuple[Place, ...]], vocabulary: Vocabulary) -> list[tuple[Place, ...]]:
    """Words that there is too little room for are alternatives: of "circles, squares and rings" two shapes can be kept."""
    kept: list[tuple[Place, ...]] = []
    for places in sorted(asked, key=len):
        genes = {gene for gene, _ in places}
        rivals = [one for one in kept if {gene for gene, _ in one} <= genes]
        if len(rivals) < sum(_room(vocabulary, gene) for gene in genes):
            kept.append(places)
        else:
            kept[kept.index(rivals[-1])] = (*rivals[-1], *places)
    return kept
