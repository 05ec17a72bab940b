"""A vocabulary: the genes a prompt is made of, the sentence that holds them, and the way back from sentence to genes.

It knows words only: not how they look, nor which model paints them. A genome is a plain `dict[str, str]`, gene to value.
The genes are the paper's chromosome (Human Aesthetic Preference-Based Large Text-to-Image Model Personalization, section 6.1).
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from prompts.errors import InputError

Genome = dict[str, str]
FOLDER = Path(__file__).parent / "vocabularies"


class Vocabulary(BaseModel):
    """Genes with their values, and the template that turns one value of each into a prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    template: str
    genes: dict[str, list[str]]
    agree: dict[str, str] = {}
    plurals: dict[str, str] = {}
    different: list[tuple[str, str]] = []

    def phrase(self, genome: Genome) -> str:
        """The prompt for a genome. Raises KeyError for a missing gene: genomes are complete by construction."""
        words = dict(genome)
        for noun, number in self.agree.items():
            if genome[number] != self.genes[number][0]:
                words[noun] = self._plural(genome[noun])
        return with_articles(self.template.format(**words))

    def parse(self, prompt: str) -> Genome | None:
        """The genome whose phrase is `prompt` (case and spacing aside), or None for a sentence of another shape."""
        match = self._pattern.fullmatch(" ".join(prompt.lower().split()).rstrip("."))
        if match is None:
            return None
        singular = {self._plural(word): word for word in self.words}
        return {gene: singular.get(word, word) for gene, word in match.groupdict().items()}

    def random(self, rng: Random) -> Genome:
        """A uniformly drawn genome that respects `different`."""
        return self.mend({gene: rng.choice(values) for gene, values in self.genes.items()}, rng)

    def mend(self, genome: Genome, rng: Random) -> Genome:
        """The genome with its second gene redrawn wherever two genes must differ and do not."""
        mended = dict(genome)
        for first, second in self.different:
            if mended[first] == mended[second]:
                mended[second] = rng.choice([value for value in self.genes[second] if value != mended[first]])
        return mended

    @cached_property
    def words(self) -> list[str]:
        """Every value of every gene, once, in order."""
        return list(dict.fromkeys(word for values in self.genes.values() for word in values))

    def _plural(self, word: str) -> str:
        return self.plurals.get(word, word + "s")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        pattern = re.sub(r"\ba (?=\\{)", "an? ", re.escape(self.template).replace(r"\ ", " "))
        for gene, values in self.genes.items():
            forms = values + [self._plural(v) for v in values] if gene in self.agree else values
            choice = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
            pattern = pattern.replace(re.escape("{" + gene + "}"), f"(?P<{gene}>{choice})")
        return re.compile(pattern)


def with_articles(text: str) -> str:
    """The text with "a" turned into "an" before a vowel: "an orange ring"."""
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


@lru_cache
def load_vocabulary(name: str) -> Vocabulary:
    """The vocabulary called `name` (a bundled name or a path to a YAML file). Raises InputError."""
    path = FOLDER / f"{name}.yaml" if (FOLDER / f"{name}.yaml").exists() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.yaml")))
        raise InputError(
            f"There is no vocabulary {name!r}. Use one of: {known}; or give the path of a YAML file like them."
        )
    try:
        return Vocabulary.model_validate(yaml.safe_load(path.read_text()))
    except (ValidationError, yaml.YAMLError) as error:
        raise InputError(
            f"The vocabulary {str(path)!r} cannot be read: {error}. Compare it with prompts/vocabularies."
        ) from error
