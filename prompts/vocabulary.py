"""A vocabulary: the genes a prompt is made of, the sentence that holds them, and the way back from sentence to genes.

It knows words only: not how they look, nor which model paints them. A genome is a plain dict, gene to value: a word as a rule,
a tuple of words, a number or a seed where the file says so (prompts.genes).
The genes are the paper's chromosome (Human Aesthetic Preference-Based Large Text-to-Image Model Personalization, section 6.1).
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prompts.errors import InputError
from prompts.genes import MoreGene, Range, Seed, Several, read_gene
from prompts.ground.clean import clean
from prompts.ground.yaml_files import read_yaml

Genome = dict[str, Any]  # a word for each gene of a list; what the others hold is in prompts.genes
GUIDANCE = "guidance_scale"  # the one number that acts without being said: how closely a picture follows its prompt
REMEMBERED = 50_000  # prompts whose genomes are kept
FOLDER = Path(__file__).parent / "vocabularies"
MOST_TOLD = 8


class BadGene(ValueError):
    """What is wrong with a gene, which it names."""

    def __init__(self, gene: str, said: str) -> None:
        super().__init__(f"gene {gene!r:.80}: {said}")
        self.gene = gene


class Vocabulary(BaseModel):
    """Genes with their values, and the template that turns one value of each into a prompt.

    In a file all genes stand under `genes`. Here those that hold one word of a list are `genes`, the others `more`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[^/]+$", max_length=80)
    template: str
    genes: dict[str, list[str]]
    more: dict[str, MoreGene] = {}
    agree: dict[str, str] = {}
    plurals: dict[str, str] = {}
    different: list[tuple[str, str]] = []

    @model_validator(mode="before")
    @classmethod
    def _sorted_by_kind(cls, given: Any) -> Any:
        known = given.get("more", {}) if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(given.get("genes"), dict) or not isinstance(known, dict):
            return given
        read = {str(gene): _named(str(gene), values) for gene, values in given["genes"].items()}
        more = {gene: one for gene, one in read.items() if not isinstance(one, list)}
        plain = {gene: one for gene, one in read.items() if isinstance(one, list)}
        return given | {"genes": plain} | ({"more": known | more} if more else {})

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_guidance()
        said = set(self._places())
        known = [*self.genes, *self.more]
        for gene in known:
            if not gene.isidentifier():
                raise BadGene(
                    gene, "its name must be one word of letters, digits and _, for the template has it in braces"
                )
        unsaid = [gene for gene in known if self._is_said(gene) and gene not in said]
        if unsaid:
            raise ValueError(
                f"the gene {unsaid[0]!r:.80} has no place in the template {self.template!r:.200}: write {{{unsaid[0]:.80}}} into it"
            )
        for gene in sorted(said - {gene for gene in known if not isinstance(self.more.get(gene), Seed)}):
            raise ValueError(
                f"the template's {{{gene:.80}}} is no gene that can be said: known are {', '.join(known):.300}"
            )
        if sum(isinstance(one, Seed) for one in self.more.values()) > 1:
            raise ValueError(f"two genes of {', '.join(self.more)} are seeds: a picture has one")
        for gene in [*self.agree, *self.agree.values(), *(gene for pair in self.different for gene in pair)]:
            if gene not in self.genes:
                raise ValueError(
                    f"{gene!r:.80} under agree or different is no gene of words: known are {', '.join(self.genes):.300}"
                )
        for first, second in self.different:
            if first == second or len({*self.genes[first], *self.genes[second]}) < 2:
                raise ValueError(
                    f"{[first, second]!r:.200} under different can never differ: give two genes, and more words"
                )
        return self

    def _places(self) -> Iterator[str]:
        """What stands in the template's braces. Raises ValueError for more than a gene's name."""
        for _, field, how, kind in string.Formatter().parse(self.template):
            if how or kind:
                raise ValueError(
                    f"the template's {{{field:.80}}} has a format: write the gene's name alone in the braces"
                )
            if field is not None:
                yield field

    def _check_guidance(self) -> None:
        found = self.more.get(GUIDANCE)
        if GUIDANCE in self.genes or not (
            found is None or (isinstance(found, Range) and 0 <= found.low < found.high <= 50)
        ):
            raise BadGene(GUIDANCE, "it is a number that the painter has: give {from: 1.0, to: 7.0}, within 0 and 50")

    def _is_said(self, gene: str) -> bool:
        return gene in self.genes or not (isinstance(self.more[gene], Seed) or gene == GUIDANCE)

    def phrase(self, genome: Genome) -> str:
        """The prompt for a genome. Raises KeyError for a missing gene: genomes are complete by construction."""
        words = {gene: value if isinstance(value, str) else _said(value) for gene, value in genome.items()}
        for noun, number in self.agree.items():
            if genome[number] != self.genes[number][0]:
                words[noun] = self._plural(genome[noun])
        return with_articles(self.template.format(**words))

    def parse(self, prompt: str) -> Genome | None:
        """The genome whose phrase is `prompt` (case and spacing aside), or None for a sentence of another shape, and for one whose
        values no genome may have: a word twice, a number out of its range.

        What a prompt does not say, a seed or a guidance scale, is not in it. Read once: a long run asks for the same prompts at every round.
        """
        known = self._known
        if prompt not in known:
            if len(known) >= REMEMBERED:
                known.clear()
            known[prompt] = self._parsed(prompt)
        found = known[prompt]
        return None if found is None else dict(found)

    @cached_property
    def _known(self) -> dict[str, Genome | None]:
        return {}

    def _parsed(self, prompt: str) -> Genome | None:
        match = self._pattern.fullmatch(" ".join(prompt.lower().split()).rstrip("."))
        if match is None:
            return None
        found = {gene: self._read(gene, text) for gene, text in match.groupdict().items()}
        return found if all(self._fits(gene, value) for gene, value in found.items()) else None

    def random(self, rng: Random) -> Genome:
        """A uniformly drawn genome that respects `different`."""
        drawn: Genome = {gene: rng.choice(values) for gene, values in self.genes.items()}
        return self.mend(drawn | {gene: one.drawn(rng) for gene, one in self.more.items()}, rng)

    def mend(self, genome: Genome, rng: Random) -> Genome:
        """The genome with its second gene redrawn wherever two genes must differ and do not."""
        mended = dict(genome)
        for first, second in self.different:
            if mended[first] == mended[second]:
                mended[second] = rng.choice([value for value in self.genes[second] if value != mended[first]])
        return mended

    @cached_property
    def worded(self) -> dict[str, list[str]]:
        """The words of every gene that holds words, be it one or several."""
        return self.genes | {gene: one.several for gene, one in self.more.items() if isinstance(one, Several)}

    @cached_property
    def words(self) -> list[str]:
        """Every word of every gene, once, in order."""
        return list(dict.fromkeys(word for values in self.worded.values() for word in values))

    def _plural(self, word: str) -> str:
        return self.plurals.get(word, word + "s")

    def _read(self, gene: str, text: str) -> Any:
        one = self.more.get(gene)
        if isinstance(one, Range):
            return float(text)
        if isinstance(one, Several):
            return tuple(word for word in one.several if word.lower() in text.split(", "))
        return self._forms.get(text, text)

    def _fits(self, gene: str, value: Any) -> bool:
        one = self.more.get(gene)
        return not isinstance(one, Several | Range) or one.holds(value)

    @cached_property
    def _forms(self) -> dict[str, str]:
        """Every form of every word as a prompt may have it, and the word."""
        forms = {word.lower(): word for word in self.words}
        return forms | {self._plural(word).lower(): word for word in self.words}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        pattern = re.sub(r"\ba (?=\\{)", "an? ", re.escape(self.template).replace(r"\ ", " "))
        for gene, values in self.genes.items():
            forms = values + [self._plural(v) for v in values] if gene in self.agree else values
            pattern = pattern.replace(re.escape("{" + gene + "}"), f"(?P<{gene}>{_any(forms)})")
        for gene, one in self.more.items():
            choice = (
                rf"{_any(one.several)}(?:, {_any(one.several)}){{{one.draw - 1}}}"
                if isinstance(one, Several)
                else r"-?\d+(?:\.\d+)?"
            )
            pattern = pattern.replace(re.escape("{" + gene + "}"), f"(?P<{gene}>{choice})")
        return re.compile(pattern, re.IGNORECASE)


def _named(gene: str, values: Any) -> list[str] | MoreGene:
    """A gene read. Raises ValueError naming it."""
    try:
        return read_gene(values)
    except ValidationError as error:
        raise BadGene(gene, "; ".join(_told(one) for one in error.errors())) from error
    except ValueError as error:
        raise BadGene(gene, str(error)) from error


def _place(error: Any) -> tuple[Any, ...]:
    """Where in the file pydantic's error lies."""
    cause = error.get("ctx", {}).get("error")
    return ("genes", cause.gene) if isinstance(cause, BadGene) else error["loc"]


def _told(error: Any) -> str:
    where = ".".join(clean(part, 80) for part in error["loc"])
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{where} = {error['input']!r:.200}: {said}" if where else said


def _said(value: Any) -> str:
    """What is no single word, as a prompt says it."""
    return ", ".join(value) if isinstance(value, tuple | list) else f"{value:g}"


def _any(forms: list[str]) -> str:
    """A pattern for any of these, the longest first."""
    return f"(?:{'|'.join(re.escape(form) for form in sorted(forms, key=len, reverse=True))})"


def with_articles(text: str) -> str:
    """The text with "a" turned into "an" before a vowel: "an orange ring"."""
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


@lru_cache
def load_vocabulary(name: str) -> Vocabulary:
    """The vocabulary called `name` (a bundled name or a path to a YAML file). Raises InputError."""
    path = FOLDER / f"{name}.yaml" if os.path.isfile(FOLDER / f"{name}.yaml") else Path(name)
    if not os.path.exists(path) or os.path.isdir(path):
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.yaml")))
        raise InputError(
            f"There is no vocabulary {name!r:.300}. Use one of: {known}; or give the path of a YAML file like them."
        )
    read = read_yaml(path, "The vocabulary")
    try:
        return Vocabulary.model_validate(read.values)
    except ValidationError as error:
        said = "; ".join(_told(one) + read.at(_place(one)) for one in error.errors()[:MOST_TOLD])
        raise InputError(
            f"The vocabulary {str(path)!r} cannot be read: {said}. Compare it with prompts/vocabularies."
        ) from error
