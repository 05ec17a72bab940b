"""Two profiles beside each other: where they agree and differ, and a third that is something of both. Knows no files, draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluators.numbers.agreement import Agreement, agree
from evaluators.preference.model import Preference
from prompts.errors import InputError
from tools.profiles.profile import Profile
from tools.profiles.records import MOST_TASTES, SMALLEST, Genome, Manifest, Rated, Scale, Taste, Worth
from tools.profiles.taste import best_words, liking

SHOWN = 10  # words of a table


@dataclass(frozen=True)
class Word:
    """A word's worth to two people, in SDs of their ratings; `sure` when the difference's 95 % interval leaves out 0."""

    gene: str
    value: str
    a: float
    b: float
    half: float  # of the difference's interval

    @property
    def difference(self) -> float:
        return self.a - self.b

    @property
    def sure(self) -> bool:
        return abs(self.difference) > self.half


@dataclass(frozen=True)
class Difference:
    """`liking`: rank correlation of how the two like the same pictures (all of both), or None and `why` not; `words`: of every word
    that both know; `correlation`: of the words' worths."""

    liking: Agreement | None
    why: str
    pictures: int
    words: tuple[Word, ...]
    correlation: float | None

    def apart(self, count: int = SHOWN) -> list[Word]:
        """The words that differ most."""
        return sorted(self.words, key=lambda word: -abs(word.difference))[:count]

    def together(self, count: int = SHOWN) -> list[Word]:
        """The words that both like, or both do not: by the smaller of the two worths."""
        same = [word for word in self.words if word.a * word.b > 0]
        return sorted(same, key=lambda word: -min(abs(word.a), abs(word.b)))[:count]


def diff(a: Profile, b: Profile) -> Difference:
    """Where two tastes agree and differ. Both know their own pictures best, so each judges the other's as well."""
    words = _words(a.genome, b.genome)
    pair = [word.a for word in words], [word.b for word in words]
    correlation = float(np.corrcoef(pair)[0, 1]) if len(words) > 2 and min(map(np.ptp, pair)) > 0 else None
    why = _apart(a, b)
    if why:
        return Difference(None, why, 0, words, correlation)
    features = np.concatenate([a.features, b.features[[image not in a.row for image in b.images]]])
    found = agree(liking(a, features)[0], liking(b, features)[0])
    return Difference(found, "", len(features), words, correlation)


def _apart(a: Profile, b: Profile) -> str:
    """Why two profiles' pictures cannot be compared; "" when they can."""
    one, two = a.manifest.features, b.manifest.features
    if (one.version, one.dimension) == (two.version, two.dimension):
        return ""
    return (
        f"{a.name!r} was seen by {one.model!r} (version {one.version}, {one.dimension} numbers) and {b.name!r} by {two.model!r} (version "
        f"{two.version}, {two.dimension} numbers)"
    )


def _words(a: Genome, b: Genome) -> tuple[Word, ...]:
    both = [(gene, value) for gene, values in a.genes.items() for value in values if value in b.genes.get(gene, {})]
    return tuple(_word(gene, value, a.genes[gene][value], b.genes[gene][value]) for gene, value in both)


def _word(gene: str, value: str, a: Worth, b: Worth) -> Word:
    half = float(np.hypot((a.high - a.low) / 2, (b.high - b.low) / 2))
    return Word(gene, value, a.worth, b.worth, half)


def blend(profiles: Sequence[Profile], weights: Sequence[float], name: str) -> Profile:
    """A mixture of tastes and of worths; ratings are kept, each counting as much as its profile's share. Not yet a file.

    Comparisons are kept as they are: what they say is in the taste that was learned from them, and that has its share.

    Raises InputError for weights that are no shares, or profiles of different CLIPs or vocabularies."""
    shares = _shares(profiles, weights)
    first = profiles[0]
    for other in profiles[1:]:
        if why := _apart(first, other):
            raise InputError(f"{why}: a blend needs pictures that were seen by one CLIP. Export one of them anew with the other's.")  # fmt: skip
        if first.genome.vocabulary != other.genome.vocabulary or _all_words(first) != _all_words(other):
            raise InputError(
                f"{first.name!r} knows the words of {first.genome.vocabulary!r} and {other.name!r} those of "
                f"{other.genome.vocabulary!r}: blend profiles of one vocabulary."
            )
    images = {image: row for one in profiles for image, row in zip(one.images, one.features, strict=True)}
    tastes: list[Preference] = []
    about: list[Taste] = []
    ratings: list[Rated] = []
    for one, share in zip(profiles, shares, strict=True):
        ratings += [_moved(line, share, len(about)) for line in one.ratings]
        about += [_shared(taste, one, share, len(about) + place) for place, taste in enumerate(one.manifest.tastes)]
        tastes += one.tastes
    _check_parts(about)
    genome = _mixed([one.genome for one in profiles], shares)
    comparisons = tuple(line for one in profiles for line in one.comparisons)
    manifest = first.manifest.model_copy(
        update={
            "name": name, "created": max(one.manifest.created for one in profiles), "scale": _scale(profiles, shares), "ratings": len(ratings),
            "comparisons": len(comparisons), "tastes": tuple(about), "members": {},
        }
    )  # fmt: skip
    adapters = tuple({line.sha256: line for one in profiles for line in one.adapters}.values())
    return Profile(
        Manifest.model_validate(manifest.model_dump()), tuple(ratings), comparisons, tuple(images), np.stack(list(images.values())),
        tuple(tastes), genome, adapters, "",
    )  # fmt: skip


def _check_parts(about: Sequence[Taste]) -> None:
    """Raises InputError for more tastes, or smaller shares, than a profile can hold: blends are blended too."""
    if len(about) > MOST_TASTES:
        raise InputError(f"{len(about)} tastes are more than the {MOST_TASTES} that a profile can hold: blend fewer profiles.")  # fmt: skip
    if (least := min(about, key=lambda one: one.weight)).weight < SMALLEST:
        raise InputError(f"{least.name!r} would have a share of {least.weight!r}, too small to count: leave it out, or give it more weight.")  # fmt: skip


def _all_words(profile: Profile) -> dict[str, set[str]]:
    return {gene: set(values) for gene, values in profile.genome.genes.items()}


def _shares(profiles: Sequence[Profile], weights: Sequence[float]) -> list[float]:
    if len(profiles) < 2 or len(profiles) != len(weights):
        raise InputError(f"weights {list(weights)!r} for {len(profiles)} profiles: name two profiles or more, and a weight for each.")  # fmt: skip
    if not all(np.isfinite(weight) and weight > 0 for weight in weights):
        raise InputError(f"weights {list(weights)!r}: give numbers above 0, for example 0.7 0.3.")
    return [float(weight / sum(weights)) for weight in weights]


def _moved(line: Rated, share: float, places: int) -> Rated:
    return line.model_copy(update={"weight": line.weight * share, "source": line.source + places})


def _shared(taste: Taste, source: Profile, share: float, place: int) -> Taste:
    return taste.model_copy(
        update={"member": f"preference-{place}.npz", "weight": taste.weight * share, "profile": taste.profile or source.sha256 or None}
    )  # fmt: skip


def _scale(profiles: Sequence[Profile], shares: Sequence[float]) -> Scale:
    mean = sum(one.manifest.scale.mean * share for one, share in zip(profiles, shares, strict=True))
    sd = sum(one.manifest.scale.sd * share for one, share in zip(profiles, shares, strict=True))
    return Scale(mean=min(10.0, mean), sd=min(10.0, sd))  # shares may sum to a little more than 1


def _mixed(genomes: Sequence[Genome], shares: Sequence[float]) -> Genome:
    first = genomes[0]
    genes = {
        gene: {value: _worth([one.genes[gene][value] for one in genomes], shares) for value in values}
        for gene, values in first.genes.items()
    }  # fmt: skip
    best = best_words(genes, first.different)
    return Genome(vocabulary=first.vocabulary, genes=genes, different=first.different, best=best)


def _worth(worths: Sequence[Worth], shares: Sequence[float]) -> Worth:
    """The mean, with the interval of a weighted sum of what is known of each."""
    mean = sum(one.worth * share for one, share in zip(worths, shares, strict=True))
    half = float(np.hypot.reduce([(one.high - one.low) / 2 * share for one, share in zip(worths, shares, strict=True)]))
    return Worth(worth=mean, low=mean - half, high=mean + half, count=sum(one.count for one in worths))
