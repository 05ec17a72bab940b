"""evolve_prompts: a genetic algorithm over genomes of the vocabulary, with the person's ratings as the score.

After "Human Aesthetic Preference-Based Large Text-to-Image Model Personalization", section 6: uniform crossover and uniform
mutation of discrete genes, elitism. Parents are chosen by tournament, because roulette over scores on a narrow scale is close
to uniform. Many more children are bred than wanted; a preference model over genes, fitted to the ratings, chooses among them
by a sample of its belief (Thompson 1933), so that what is unknown is still tried.

Where the run has sliders, the weight of each is one more gene: a number in the genome (tools.sliders).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from prompts.errors import ToolError
from prompts.vocabulary import Vocabulary
from tools.context import Arguments, Context, Outcome
from tools.earlier import Earlier, informed
from tools.likings import likings
from tools.sliders import Slider, genes_of

if TYPE_CHECKING:
    import numpy as np

BRED = 100  # children bred for each that is kept
TOURNAMENT = 3
Genome = dict[str, Any]  # of words, and of numbers for sliders
Rated = tuple[float, Genome]


class EvolvePrompts(Arguments):
    """Breed new prompts from the rated ones: the best live on, others cross and mutate."""

    children: Annotated[int, Field(ge=1, le=8, description="how many prompts to return")]
    mutation: Annotated[float, Field(ge=0, le=1, description="chance that a gene is redrawn")]
    elites: Annotated[int, Field(ge=0, le=4, description="how many of the best rated prompts return unchanged")]


def evolve_prompts(args: EvolvePrompts, context: Context) -> Outcome:
    """Children, best first, distinct. Raises ToolError below two rated prompts that the vocabulary can read."""
    ratings = likings(context.trail)
    rows, sliders = [row for row in context.trail.images() if row.id in ratings], context.settings.sliders
    seen = [(row, context.vocabulary.parse(row.prompt)) for row in rows]
    rated: list[Rated] = [(ratings[row.id], words | genes_of(row, sliders)) for row, words in seen if words is not None]
    if len(rated) < 2:
        raise ToolError(
            f"{len(rated)} rated prompts fit the vocabulary's form, and two are needed to cross: rate more images."
        )
    rng = random.Random(context.seed)
    elite = [genome for _, genome in sorted(rated, key=lambda pair: -pair[0])]
    elite = distinct(elite)[: min(args.elites, args.children)]
    earlier = context.start.earlier(context.vocabulary) if context.start else ()
    kept = len(elite)
    elite += more_like(context, elite, args.children - len(elite))
    count = args.children - len(elite)
    chosen = elite + screened(rated, elite, count, args.mutation, context.vocabulary, rng, sliders, earlier)
    result = {"prompts": [context.vocabulary.phrase(genome) for genome in chosen], "elites": kept}
    weights = [{slider.name: genome[slider.gene] for slider in sliders} for genome in chosen]
    return Outcome(result | ({"sliders": weights} if sliders else {}))


def more_like(context: Context, known: Sequence[Genome], room: int) -> list[Genome]:
    """Two near copies, one or two genes redrawn, of each picture that the person wants more like; at most half of the children."""
    rng, sliders, found = random.Random(f"more like {context.seed}"), context.settings.sliders, list[Genome]()
    wanted = set(context.trail.wanted_more())
    rows = [row for row in context.trail.images() if row.id in wanted]
    open_to_change = sorted(gene for gene, values in context.vocabulary.genes.items() if len(values) > 1)
    for row, changes in ((row, changes) for changes in (1, 2) for row in rows):
        words = context.vocabulary.parse(row.prompt)
        if words is None or len(found) >= room // 2:
            continue
        for gene in rng.sample(open_to_change, min(changes, len(open_to_change))):
            words = words | {
                gene: rng.choice([value for value in context.vocabulary.genes[gene] if value != words[gene]])
            }
        genome = context.vocabulary.mend(words, rng) | genes_of(row, sliders)
        found += [genome] if genome not in [*known, *found] else []
    return found


def screened(
    rated: Sequence[Rated], known: list[Genome], count: int, mutation: float, vocabulary: Vocabulary, rng: random.Random,
    sliders: Sequence[Slider] = (), earlier: Sequence[Earlier] = (),
) -> list[Genome]:  # fmt: skip
    """`count` new genomes: the most promising of `BRED` times as many children."""
    bred = distinct([child(rated, mutation, vocabulary, rng, sliders) for _ in range(BRED * count)])
    old = [*known, *(genome for _, genome in rated)]
    fresh = [genome for genome in bred if genome not in old] or [genome for genome in bred if genome not in known]
    belief = gene_belief(rated, vocabulary, sliders, earlier=earlier)
    kept: list[Genome] = []
    for _ in range(count):
        values = belief.sample(fresh, rng)
        best = max((i for i in range(len(fresh)) if fresh[i] not in kept), key=lambda i: values[i], default=None)
        if best is None:
            break
        kept.append(fresh[best])
    return kept


def child(
    rated: Sequence[Rated], mutation: float, vocabulary: Vocabulary, rng: random.Random, sliders: Sequence[Slider] = ()
) -> Genome:
    """Uniform crossover of two tournament winners (the mean of sliders' weights), then uniform mutation."""
    first, second = tournament(rated, rng), tournament(rated, rng)
    genome: Genome = {gene: rng.choice([first[gene], second[gene]]) for gene in vocabulary.genes}
    for gene, values in vocabulary.genes.items():
        if rng.random() < mutation:
            genome[gene] = rng.choice(values)
    for slider in sliders:
        genome[slider.gene] = slider.crossed(first[slider.gene], second[slider.gene], mutation, rng)
    return vocabulary.mend(genome, rng)


def tournament(rated: Sequence[Rated], rng: random.Random) -> Genome:
    """The best rated of a few drawn at random."""
    return max((rng.choice(rated) for _ in range(TOURNAMENT)), key=lambda pair: pair[0])[1]


def distinct(genomes: Sequence[Genome]) -> list[Genome]:
    """The genomes without repetitions, in order."""
    return [dict(items) for items in dict.fromkeys(tuple(sorted(genome.items())) for genome in genomes)]


class gene_belief:
    """Bayesian linear regression of ratings on one-hot genes: what each value of each gene is believed to be worth.

    A slider has two columns, its weight and the square of it: a taste may lie between the ends. `earlier` are ratings of another
    time (a profile's), in SDs already: each is evidence to the power of how much it counts, and says nothing of sliders."""

    def __init__(
        self, rated: Sequence[Rated], vocabulary: Vocabulary, sliders: Sequence[Slider] = (), *, prior: float = 0.45, noise: float = 0.6,
        earlier: Sequence[Earlier] = (),
    ) -> None:  # fmt: skip
        import numpy as np

        self.sliders = tuple(sliders)
        self.columns = {
            (gene, value): i for i, (gene, value) in enumerate((g, v) for g, vs in vocabulary.genes.items() for v in vs)
        }
        scores = np.array([score for score, _ in rated], float)
        spread = scores.std() or 1.0
        design, target = self.encode([genome for _, genome in rated]), (scores - scores.mean()) / spread
        precision = design.T @ design / noise**2 + np.eye(design.shape[1]) / prior**2
        self.covariance = np.linalg.inv(precision)
        self.mean = self.covariance @ design.T @ target / noise**2
        if earlier:
            told = design.T @ target / noise**2
            self.mean, self.covariance = informed(precision, told, self.columns, earlier, noise)

    def encode(self, genomes: Sequence[Genome]) -> np.ndarray:
        """(N, values of all genes) of 0 and 1, then weight and squared weight of each slider, from -1 to 1."""
        import numpy as np

        words, names = len(self.columns), {slider.gene for slider in self.sliders}
        rows = np.zeros((len(genomes), words + 2 * len(names)))
        for row, genome in zip(rows, genomes, strict=True):
            row[[self.columns[item] for item in genome.items() if item[0] not in names]] = 1.0
            row[words:] = [slider.unit(genome[slider.gene]) ** power for slider in self.sliders for power in (1, 2)]
        return rows

    def sample(self, genomes: Sequence[Genome], rng: random.Random, *, boldness: float = 0.3) -> np.ndarray:
        """One draw of the worth of each genome; `boldness` 0 is the mean, 1 a full posterior sample."""
        import numpy as np

        generator = np.random.default_rng(rng.getrandbits(32))
        weights = generator.multivariate_normal(self.mean, self.covariance * boldness**2, method="eigh")
        return self.encode(genomes) @ weights
