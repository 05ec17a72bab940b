"""What a search has tried so far: prompts with their scores, best first where it is read, and bounded in tokens.

Scores are on one scale, 0 to 10 unless told otherwise; a language model reads them as whole numbers from 0 to 100, as in OPRO
(references: "Large Language Models as Optimizers", section 3). Knows no model and no store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prompts.vocabulary import Genome

if TYPE_CHECKING:
    import numpy as np

CHARACTERS_PER_TOKEN = 4  # of English, in most tokenizers: an estimate for a budget, no count


@dataclass(frozen=True)
class Tried:
    """One picture of the search. `score` None: not judged. `genome` None: the vocabulary cannot read the prompt.

    `image` is the picture's path or id, `tags` the words that CLIP finds in it, `features` (D,) its CLIP features, `alignment`
    the cosine of the picture with the brief. `feedback` is what was said about its round, `reason` why the prompt is not the one
    that was first proposed ("" as a rule).
    """

    prompt: str
    genome: Genome | None = None
    score: float | None = None
    round: int = 1
    seed: int | None = None
    feedback: str = ""
    image: str = ""
    tags: tuple[str, ...] = ()
    features: np.ndarray | None = field(default=None, compare=False, repr=False)
    alignment: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class History:
    """All that was tried, in order. `rounds_left` counts the round that is proposed now; None: nobody knows.

    Scores lie between `low` and `high`.
    """

    tried: tuple[Tried, ...] = ()
    rounds_left: int | None = None
    low: float = 0.0
    high: float = 10.0

    @property
    def scored(self) -> list[Tried]:
        """Those with a score, in order."""
        return [one for one in self.tried if one.score is not None]

    @property
    def best_first(self) -> list[Tried]:
        """Those with a score, the best first; ties keep their order."""
        return sorted(self.scored, key=lambda one: -score_of(one))

    @property
    def rated(self) -> list[tuple[float, Genome]]:
        """(score, genome) of what has both, in order: what genetic strategies breed from."""
        return [(score_of(one), one.genome) for one in self.scored if one.genome is not None]

    @property
    def rounds(self) -> int:
        """How many rounds were tried."""
        return max((one.round for one in self.tried), default=0)

    @property
    def last_round(self) -> bool:
        """Whether what is proposed now is known to be the last."""
        return self.rounds_left == 1

    def has(self, prompt: str) -> bool:
        """Whether this prompt was tried, case and spacing aside."""
        return folded(prompt) in {folded(one.prompt) for one in self.tried}

    def whole(self, score: float) -> int:
        """The score as a whole number, 0 to 100."""
        share = (score - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)))

    def within(
        self,
        tokens: int,
        line: Callable[[Tried], str],
        *,
        top: int | None = None,
        count: Callable[[str], int] | None = None,
    ) -> list[Tried]:
        """The best scored, distinct by prompt, best first: at most `top`, and as many as their lines have `tokens` for."""
        kept, left = [], tokens
        for one in distinct_prompts(self.best_first)[:top]:
            left -= (count or tokens_of)(line(one)) + 1  # its line break
            if left < 0:
                break
            kept.append(one)
        return kept

    def grown(self, more: Iterable[Tried]) -> History:
        """With another round, which leaves one fewer."""
        left = None if self.rounds_left is None else self.rounds_left - 1
        return replace(self, tried=(*self.tried, *more), rounds_left=left)


def score_of(one: Tried) -> float:
    """The score of what has one."""
    assert one.score is not None
    return one.score


def distinct_prompts(tried: Iterable[Tried]) -> list[Tried]:
    """The first of each prompt."""
    found: dict[str, Tried] = {}
    for one in tried:
        found.setdefault(folded(one.prompt), one)
    return list(found.values())


def folded(prompt: str) -> str:
    """A prompt as it is compared: case, spacing and a full stop aside."""
    return " ".join(prompt.lower().split()).rstrip(".")


def tokens_of(text: str) -> int:
    """About how many tokens a text is."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def hashable(genome: Genome) -> tuple[tuple[str, Any], ...]:
    """A genome as a key."""
    return tuple(sorted(genome.items()))
