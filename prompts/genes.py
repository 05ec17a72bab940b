"""Genes that are more than one word of a list: several words at once, a number, a seed; each draws, crosses and says itself.

The heterogeneous encoding of "Human Aesthetic Preference-Based Large Text-to-Image Model Personalization", sections 6.1 and 6.2:
a single discrete value crosses uniformly (either parent's), several discrete values are drawn without replacement from both
parents' together, a continuous value is the parents' mean, a seed is one parent's. They know no prompt and no picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Gene(BaseModel):
    """What the kinds share: a YAML mapping with no unknown keys, in which true is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=True)


class Several(Gene):
    """`draw` different words of a list; a genome holds them as a tuple, in the list's order."""

    several: list[str]
    draw: int = Field(ge=1)

    @model_validator(mode="after")
    def _enough(self) -> Self:
        check_words(self.several)
        if self.draw > len(self.several):
            raise ValueError(f"draw = {self.draw!r} of {len(self.several)} words: draw fewer, or give more words")
        return self

    def drawn(self, rng: Random) -> tuple[str, ...]:
        """Any of its words, without replacement."""
        return self._ordered(rng.sample(self.several, self.draw))

    def crossed(self, first: Sequence[str], second: Sequence[str], rng: Random) -> tuple[str, ...]:
        """Drawn without replacement from the words of both parents."""
        both = [word for word in self.several if word in {*first, *second}]
        return self._ordered(rng.sample(both, self.draw))

    def exchanged(self, words: Sequence[str], out: str, new: str) -> tuple[str, ...]:
        """The words with `new` in the place of `out`."""
        return self._ordered([new, *(word for word in words if word != out)])

    def holds(self, value: Sequence[str]) -> bool:
        """Whether a genome may have this: `draw` different words of the list."""
        return len(value) == len({*value} & {*self.several}) == self.draw

    def _ordered(self, words: Sequence[str]) -> tuple[str, ...]:
        return tuple(word for word in self.several if word in words)


class Range(Gene):
    """A number from `low` to `high` ("from" and "to" in YAML), to hundredths."""

    low: float = Field(alias="from", allow_inf_nan=False)
    high: float = Field(alias="to", allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"from = {self.low!r} must be below to = {self.high!r}")
        return self

    def drawn(self, rng: Random) -> float:
        """Any number of the range, uniformly."""
        return round(rng.uniform(self.low, self.high), 2)

    def crossed(self, first: float, second: float, rng: Random) -> float:
        """The parents' mean."""
        return round((first + second) / 2, 2)

    def holds(self, value: float) -> bool:
        """Whether a genome may have this: a number of the range, whose ends are rounded as what is drawn is."""
        return round(self.low, 2) <= value <= round(self.high, 2)

    def unit(self, value: float) -> float:
        """The number on a scale from -1 to 1."""
        return 2 * (value - self.low) / (self.high - self.low) - 1


class Seed(Gene):
    """The seed that a picture is painted with: one of 0 to `seeds` - 1."""

    seeds: int = Field(ge=2, le=2**31)

    def drawn(self, rng: Random) -> int:
        """Any seed."""
        return rng.randrange(self.seeds)

    def crossed(self, first: int, second: int, rng: Random) -> int:
        """One parent's: the mean of two seeds is as good as any other number."""
        return rng.choice([first, second])


MoreGene = Several | Range | Seed


def check_words(words: Sequence[str]) -> None:
    """Raises ValueError for no words, an empty word, a word that is there twice (case and spacing aside)."""
    if not words:
        raise ValueError("no values: give at least one")
    seen: dict[str, str] = {}
    for word in words:
        plain = " ".join(word.lower().split())
        if not plain:
            raise ValueError(f"the value {word!r:.80} is empty: leave it out, or say it in a word")
        if plain in seen:
            raise ValueError(f"the value {word!r:.80} is there twice (as {seen[plain]!r}): leave one out")
        seen[plain] = word


def read_gene(given: Any) -> list[str] | MoreGene:
    """A gene as YAML gives it. Raises ValueError for anything that is none."""
    if isinstance(given, list):
        words = [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in given]
        if not all(isinstance(word, str) for word in words):
            wrong = next(word for word in words if not isinstance(word, str))
            raise ValueError(f"the value {wrong!r:.80} is no word: put it in quotation marks")
        check_words(words)
        return words
    kinds: dict[str, type[MoreGene]] = {"several": Several, "from": Range, "to": Range, "seeds": Seed}
    kind = next((kinds[key] for key in given if key in kinds), None) if isinstance(given, dict) else None
    if kind is None:
        raise ValueError(
            f"{given!r:.200} is no gene: give a list of words, {{several: [...], draw: 2}}, {{from: 0.0, to: 1.0}} or {{seeds: 1000}}"
        )
    return kind.model_validate(given)
