"""What a profile is for: how it likes pictures, what its words are worth, and where a new run starts from.

Several tastes in one profile are a mixture: each on its own scale of SDs, then weighted. As evidence for a new run a profile's
ratings count with a power: the power prior of Ibrahim and Chen (2000), a likelihood raised to a strength from 0 (nothing) to 1 (as
if given now); so it is with words. What is learned of pictures starts from the profile's taste made smaller (see `Start.prior`).
Knows no files.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evaluators.preference import model as preference
from evaluators.preference.kinds.comparison import Comparison
from evaluators.preference.model import Preference
from prompts.errors import InputError
from prompts.vocabulary import Vocabulary
from tools.earlier import Earlier
from tools.profiles.profile import Profile
from tools.profiles.records import Compared, Genome, Rated, Worth
from tools.search.screened import GeneBelief
from tools.search.space import Space

Z = 1.959964


def liking(profile: Profile, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (M,) of the liking in SDs of the person's own ratings, for features (M, D).

    Raises InputError for features of another dimension than the profile's."""
    wanted = profile.manifest.features
    if features.ndim != 2 or features.shape[1] != wanted.dimension:
        raise InputError(
            f"features of shape {features.shape} do not fit the profile {profile.name!r}, whose pictures were seen by {wanted.model!r} "
            f"with {wanted.dimension} numbers each: use that CLIP, or another profile."
        )
    found = [taste.predict(features) for taste in profile.tastes]
    about = profile.manifest.tastes
    means = np.array([(mean - one.centre) / one.spread for (mean, _), one in zip(found, about, strict=True)])
    stds = np.array([std / one.spread for (_, std), one in zip(found, about, strict=True)])
    weights = np.array([one.weight for one in about]) / sum(one.weight for one in about)
    mixed = weights @ means
    return mixed, np.sqrt(np.maximum(weights @ (stds**2 + means**2) - mixed**2, 0.0))


def evidence(
    ratings: Sequence[Rated], comparisons: Sequence[Compared], images: Sequence[str]
) -> tuple[np.ndarray, list[Comparison]]:
    """What `preference.fit` learns from: values (N,) of N different pictures, the mean of each one's ratings and NaN for a picture
    without; and the comparisons by row."""
    row = {image: number for number, image in enumerate(images)}
    given: list[list[float]] = [[] for _ in images]
    for one in ratings:
        given[row[one.image]].append(one.value)
    values = np.array([np.mean(values) if values else np.nan for values in given])
    return values, [Comparison(row[one.first], row[one.second], one.answer) for one in comparisons]


def standardised(profile: Profile) -> list[tuple[Rated, float]]:
    """Each rating with its value in SDs of its giver's ratings."""
    about = profile.manifest.tastes
    return [(one, (one.value - about[one.source].centre) / about[one.source].spread) for one in profile.ratings]


def worths(rated: Sequence[tuple[float, Mapping[str, str]]], vocabulary: Vocabulary) -> Genome:
    """What each word is worth, from ratings (any scale) of genomes; in SDs, as evolve_prompts believes it.

    Below two rated genomes (prompts in free words have none) every word is worth 0, as wide as the belief begins."""
    mean, spread, columns = _believed(rated, vocabulary)
    genes: dict[str, dict[str, Worth]] = {gene: {} for gene in vocabulary.genes}
    for (gene, value), column in columns.items():
        middle, half = float(mean[column]), Z * float(spread[column])
        count = sum(genome[gene] == value for _, genome in rated)
        genes[gene][value] = Worth(worth=middle, low=middle - half, high=middle + half, count=count)
    different = tuple(vocabulary.different)
    return Genome(vocabulary=vocabulary.name, genes=genes, different=different, best=best_words(genes, different))


def _believed(
    rated: Sequence[tuple[float, Mapping[str, str]]], vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray, dict[tuple[str, str], int]]:
    """Mean and SD of each column of the belief, and the columns."""
    enough = [(value, dict(genome)) for value, genome in rated] if len(rated) > 1 else []
    belief = GeneBelief(enough, words_of(vocabulary))
    return belief.mean, np.sqrt(belief.covariance.diagonal()), belief.space.columns


def words_of(vocabulary: Vocabulary) -> Space:
    """The genes that hold one word: profiles know no others."""
    return Space(Vocabulary.model_construct(**{**dict(vocabulary), "more": {}}))


def best_words(genes: Mapping[str, Mapping[str, Worth]], different: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The words of most worth, one of each gene; where two may not be the same, the second gives way if it has another."""
    order = {gene: sorted(values, key=lambda value: -values[value].worth) for gene, values in genes.items()}
    best = {gene: values[0] for gene, values in order.items()}
    for first, second in different:
        if best[first] == best[second]:
            best[second] = next((value for value in order[second] if value != best[first]), best[second])
    return best


@dataclass(frozen=True)
class Start:
    """Where a run starts from: a profile, at a strength above 0 and up to 1."""

    profile: Profile
    strength: float

    def prior(self) -> Preference:
        """The profile's taste about its middle, times the strength, in points: what a new person's ratings correct.

        This is no power prior: a lower strength makes the taste smaller, not less sure, and none of its own uncertainty is passed on.
        Learned anew from the profile's pictures, once: from its ratings and comparisons where it is one person's, from the mixture's
        likings where it is several."""
        return self._prior

    @cached_property
    def _prior(self) -> Preference:
        profile, scale = self.profile, self.profile.manifest.scale
        if len(profile.tastes) > 1:
            return preference.fit(profile.features, self.strength * liking(profile, profile.features)[0] * scale.sd)
        values, comparisons = evidence(profile.ratings, profile.comparisons, profile.images)
        if not comparisons:
            return preference.fit(profile.features, self.strength * (values - scale.mean))
        return _scaled(preference.fit(profile.features, values, comparisons=comparisons), scale.mean, self.strength)

    def chosen(
        self, genomes: Sequence[dict[str, str]], count: int, vocabulary: Vocabulary, rng: random.Random
    ) -> list[dict[str, str]]:
        """The `count` of `genomes` that promise most before anything is rated, each by a sample of the belief of its own."""
        earlier, left = self.earlier(vocabulary), list(genomes)
        found: list[dict[str, str]] = []
        if not earlier:
            return []
        belief = GeneBelief([], words_of(vocabulary), earlier=earlier)
        for _ in range(count):
            if left:
                found.append(left[int(np.argmax(belief.sample(left, rng)))])
                left = [genome for genome in left if genome != found[-1]]
        return found

    def earlier(self, vocabulary: Vocabulary) -> list[Earlier]:
        """Its ratings as evidence about the words of `vocabulary`; those of other words are left out."""
        return [
            (value, dict(one.genome), self.strength * one.weight)
            for one, value in standardised(self.profile)
            if one.genome is not None and known(one.genome, vocabulary)
        ]


def _scaled(taste: Preference, middle: float, strength: float) -> Preference:
    """The taste about `middle`, times the strength. Only for one with comparisons: its points are centre + unit * liking.

    Ratings are scaled before they are learned from instead; who prefers which of two has no size that could be."""
    centre, unit = (float(taste.arrays[name]) for name in ("centre", "unit"))
    moved = {"centre": np.array(strength * (centre - middle)), "unit": np.array(strength * unit)}
    return replace(taste, arrays={**taste.arrays, **moved})


def known(genome: Mapping[str, str], vocabulary: Vocabulary) -> bool:
    """Whether a genome is of this vocabulary."""
    genes = vocabulary.genes
    return genome.keys() == genes.keys() and all(value in genes[gene] for gene, value in genome.items())
