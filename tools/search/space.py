"""What a search may propose: the genomes of a vocabulary, and the weights of a run's sliders beside them.

Draws, crosses and mutates a genome gene by gene ("Human Aesthetic Preference-Based Large Text-to-Image Model Personalization",
section 6.2): a word by uniform crossover, several words without replacement, a number by the mean, all by uniform mutation.
Knows no scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from prompts.genes import Range, Seed, Several
from prompts.vocabulary import GUIDANCE, Genome, Vocabulary
from tools.search.history import hashable
from tools.sliders import Slider

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Space:
    """A vocabulary, and the sliders whose weights are genes too."""

    vocabulary: Vocabulary
    sliders: tuple[Slider, ...] = ()

    def random(self, rng: Random) -> Genome:
        """A uniformly drawn genome."""
        drawn = {slider.gene: slider.drawn(rng) for slider in self.sliders}
        return self.vocabulary.random(rng) | drawn

    def child(self, first: Genome, second: Genome, mutation: float, rng: Random) -> Genome:
        """Each gene crossed by its kind; then, with chance `mutation`, drawn anew."""
        vocabulary = self.vocabulary
        genome: Genome = {gene: rng.choice([first[gene], second[gene]]) for gene in vocabulary.genes}
        for gene, values in vocabulary.genes.items():
            if rng.random() < mutation:
                genome[gene] = rng.choice(values)
        for gene, one in vocabulary.more.items():
            fresh = rng.random() < mutation
            genome[gene] = one.drawn(rng) if fresh else one.crossed(first[gene], second[gene], rng)
        for slider in self.sliders:
            genome[slider.gene] = slider.crossed(first[slider.gene], second[slider.gene], mutation, rng)
        return vocabulary.mend(genome, rng)

    def mend(self, genome: Genome, rng: Random) -> Genome:
        """As `Vocabulary.mend`."""
        return self.vocabulary.mend(genome, rng)

    def phrase(self, genome: Genome) -> str:
        """The prompt of a genome."""
        return self.vocabulary.phrase({gene: genome[gene] for gene in (*self.vocabulary.genes, *self.vocabulary.more)})

    def parse(self, prompt: str) -> Genome | None:
        """The genes that a prompt says; None where it is of another form."""
        return self.vocabulary.parse(prompt)

    def whole(self, genome: Genome, rng: Random) -> Genome:
        """With what a prompt does not say, drawn where it is missing."""
        missing = {gene: one for gene, one in self.vocabulary.more.items() if gene not in genome}
        drawn = {gene: one.drawn(rng) for gene, one in missing.items()}
        return genome | drawn | {s.gene: s.drawn(rng) for s in self.sliders if s.gene not in genome}

    @property
    def seed_gene(self) -> str | None:
        """The gene that is a picture's seed; None: there is none, and the best may be painted again."""
        return next((gene for gene, one in self.vocabulary.more.items() if isinstance(one, Seed)), None)

    def seed_of(self, genome: Genome) -> int | None:
        """The seed that a genome wants its picture painted with; None: any."""
        return genome[self.seed_gene] if self.seed_gene else None

    def how(self, genome: Genome) -> dict[str, Any]:
        """What a genome says of the painting and not in words: its seed and guidance scale, where those are genes."""
        seed = {"seed": genome[self.seed_gene]} if self.seed_gene else {}
        return seed | ({GUIDANCE: genome[GUIDANCE]} if GUIDANCE in self.vocabulary.more else {})

    def unsaid(self, seed: int, guidance_scale: float) -> Genome:
        """The same, read back from how a picture was painted."""
        known = {GUIDANCE: guidance_scale} | ({self.seed_gene: seed} if self.seed_gene else {})
        return {gene: value for gene, value in known.items() if gene in self.vocabulary.more}

    @cached_property
    def columns(self) -> dict[tuple[str, str], int]:
        """(gene, word) to its column in `encode`."""
        pairs = [(gene, word) for gene, words in self.vocabulary.genes.items() for word in words]
        pairs += [
            (gene, word)
            for gene, one in self.vocabulary.more.items()
            if isinstance(one, Several)
            for word in one.several
        ]
        return {pair: column for column, pair in enumerate(pairs)}

    @cached_property
    def ranges(self) -> list[tuple[str, Range | Slider]]:
        """The genes that are numbers."""
        more = [(gene, one) for gene, one in self.vocabulary.more.items() if isinstance(one, Range)]
        return [*more, *((slider.gene, slider) for slider in self.sliders)]

    def encode(self, genomes: Sequence[Genome]) -> np.ndarray:
        """(N, P): 0 and 1 for each word of each gene, then each number and its square, from -1 to 1. Seeds tell nothing."""
        import numpy as np

        words = len(self.columns)
        rows = np.zeros((len(genomes), words + 2 * len(self.ranges)))
        for row, genome in zip(rows, genomes, strict=True):
            row[[self.columns[item] for item in self._worded(genome)]] = 1.0
            row[words:] = [one.unit(genome[gene]) ** power for gene, one in self.ranges for power in (1, 2)]
        return rows

    def _worded(self, genome: Genome) -> list[tuple[str, Any]]:
        found = [(gene, genome[gene]) for gene in self.vocabulary.genes]
        several = [gene for gene, one in self.vocabulary.more.items() if isinstance(one, Several)]
        return found + [(gene, word) for gene in several for word in genome[gene]]


def distinct(genomes: Sequence[Genome]) -> list[Genome]:
    """The genomes without repetitions, in order."""
    return [dict(items) for items in dict.fromkeys(hashable(genome) for genome in genomes)]
