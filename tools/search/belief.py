"""The search by belief: what every word is worth to this person, as a normal that each score sharpens, and the best under a draw of it.

Every round but the last is a sample of the belief for each picture (Thompson 1933), so that what is unknown is tried in proportion to
what it may be worth; the last round is the best by the mean. The prior over what words are worth is other people's where it was
learned (tools.search.prior). The person's scale is averaged over by its evidence (Rasmussen & Williams 2006, section 5.2). Unlike the
genetic searches it looks for the best genome itself, gene by gene, and not among children. Knows no picture.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from prompts.genes import Seed, Several
from prompts.vocabulary import Genome
from tools.search.genetic import Rated
from tools.search.history import History, hashable
from tools.search.prior import Prior
from tools.search.space import Space
from tools.search.strategy import Proposal, RandomSearch, filled, proposal

BOLD = 0.7  # of a posterior's SD, in a draw
SCALES = (0.8, 1.2, 1.6, 2.2)  # points per SD of liking that a person may give
OFFSET, MIDDLE = 1.0, 0.5  # SD in points of a person's mean score, and where it is expected on the scale
STARTS, SWEEPS = 4, 4  # of the ascent, gene by gene
NUMBERS = 9  # values tried of a gene that is a number
WIDE = 24  # genomes that are kept while the runners-up are looked for


@dataclass(frozen=True)
class Posterior:
    """What each column is worth, in SDs of liking: mean (P,), covariance (P, P)."""

    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Belief:
    """The first round is random. (Drawn from the prior instead it was liked no better in the end, over 60 raters.)"""

    space: Space
    prior: Prior
    boldness: float = BOLD

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`."""
        rated = history.rated
        if not rated:
            return RandomSearch(self.space).propose(history, count, rng)
        belief = believed(rated, self.space, self.prior, history)
        taken: set[object] = {hashable(genome) for _, genome in rated}
        if history.last_round:
            found = best_of(belief.mean, count, self.space, taken, rng)
        else:
            found = self._drawn(belief, count, taken, rng)
        return filled([proposal(self.space, genome) for genome in found], count, self.space, history, rng)

    def _drawn(self, belief: Posterior, count: int, taken: set[object], rng: random.Random) -> list[Genome]:
        generator, found = np.random.default_rng(rng.getrandbits(32)), list[Genome]()
        values, vectors = np.linalg.eigh(belief.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        for _ in range(count):
            worth = belief.mean + self.boldness * (root @ generator.standard_normal(len(values)))
            new = best_of(worth, 1, self.space, taken, rng)
            taken |= {hashable(genome) for genome in new}
            found += new
        return found


def believed(rated: Sequence[Rated], space: Space, prior: Prior, history: History) -> Posterior:
    """The posterior after these scores: score = middle + offset + scale * (worth of the words + noise)."""
    rows = space.encode([genome for _, genome in rated]) - prior.middle
    points = (history.high - history.low) / 10.0
    scores = (np.array([score for score, _ in rated]) - history.low) / points - 10.0 * MIDDLE
    found = [_conditioned(rows, scores, prior, scale) for scale in SCALES]
    shares = np.exp([evidence - max(one for one, _ in found) for evidence, _ in found])
    shares /= shares.sum()
    mean = sum(share * one.mean for share, (_, one) in zip(shares, found, strict=True))
    spread = [one.covariance + np.outer(one.mean - mean, one.mean - mean) for _, one in found]
    return Posterior(np.asarray(mean), sum(share * one for share, one in zip(shares, spread, strict=True)))


def _conditioned(rows: np.ndarray, scores: np.ndarray, prior: Prior, scale: float) -> tuple[float, Posterior]:
    """Log evidence of a scale, and the posterior under it."""
    carried = scale * rows @ prior.covariance
    covariance = scale * carried @ rows.T + (scale * prior.noise) ** 2 * np.eye(len(rows)) + OFFSET**2
    root = np.linalg.cholesky(covariance)
    apart, gain = np.linalg.solve(root, scores - scale * rows @ prior.mean), np.linalg.solve(root, carried)
    evidence = -0.5 * float(apart @ apart) - float(np.log(np.diagonal(root)).sum())
    return evidence, Posterior(prior.mean + gain.T @ apart, prior.covariance - gain.T @ gain)


def best_of(worth: np.ndarray, count: int, space: Space, taken: Iterable[object], rng: random.Random) -> list[Genome]:
    """The `count` best found under a worth (P,) of the columns that are not `taken`, best first: an ascent gene by gene from a few
    starts, then the neighbours of the best.

    The first is the best there is (of numbers, to the grid) unless `different` holds every start in a lesser place. The others are
    the best within a gene of what was looked at, and no further is looked than until there are `count`: a better one may be missed."""
    value = _Value(worth, space)
    found: dict[object, tuple[float, Genome]] = {}
    for _ in range(STARTS):
        top = _climbed(space.random(rng), value, space, rng)
        found[hashable(top)] = (value(top), top)
    closed, taken = set[object](), set(taken)
    while sum(key not in taken for key in found) < count or not closed:
        front = sorted((key for key in found if key not in closed), key=lambda key: -found[key][0])[:WIDE]
        if not front:
            break
        for key in front:
            closed.add(key)
            for near in _neighbours(found[key][1], space, rng):
                found.setdefault(hashable(near), (value(near), near))
    ranked = sorted(found.items(), key=lambda item: -item[1][0])
    return [genome for key, (_, genome) in ranked if key not in taken][:count]


class _Value:
    """What a genome is worth; `encode` one at a time would be slow."""

    def __init__(self, worth: np.ndarray, space: Space) -> None:
        self.worth, self.space = worth, space
        self.word = {pair: float(worth[column]) for pair, column in space.columns.items()}

    def __call__(self, genome: Genome) -> float:
        return sum(self.of(gene, value) for gene, value in genome.items())

    def of(self, gene: str, value: object) -> float:
        """What one gene adds."""
        if isinstance(value, str):
            return self.word[gene, value]
        if isinstance(value, tuple):
            return sum(self.word[gene, word] for word in value)
        for number, (name, one) in enumerate(self.space.ranges):
            if name == gene:
                unit, at = one.unit(float(str(value))), len(self.space.columns) + 2 * number
                return float(self.worth[at] * unit + self.worth[at + 1] * unit**2)
        return 0.0  # a seed


def _climbed(genome: Genome, value: _Value, space: Space, rng: random.Random) -> Genome:
    for _ in range(SWEEPS):
        before = dict(genome)
        for gene in rng.sample(list(genome), len(genome)):
            options = [
                option for option in _options(gene, genome, space, rng) if _allowed(genome | {gene: option}, space)
            ]
            genome = genome | {gene: max([genome[gene], *options], key=lambda option: value.of(gene, option))}
        if genome == before:
            break
    return genome


def _neighbours(genome: Genome, space: Space, rng: random.Random) -> list[Genome]:
    """All that differ in one gene, and are allowed."""
    near = [genome | {gene: option} for gene in genome for option in _options(gene, genome, space, rng)]
    return [one for one in near if _allowed(one, space)]


def _options(gene: str, genome: Genome, space: Space, rng: random.Random) -> list[object]:
    """What a gene may be instead: every word, every exchange of one of several, a grid of numbers, another seed."""
    if gene in space.vocabulary.genes:
        return list(space.vocabulary.genes[gene])
    slider = next((slider for slider in space.sliders if slider.gene == gene), None)
    if slider is not None:
        grid = [slider.low + (slider.high - slider.low) * i / (NUMBERS - 1) for i in range(NUMBERS)]
        return [*(slider.weights or [round(one, 2) for one in grid])]
    one = space.vocabulary.more[gene]
    if isinstance(one, Seed):
        return [one.drawn(rng)]
    if isinstance(one, Several):
        held = genome[gene]
        swaps = [{*held} - {out} | {new} for out in held for new in one.several if new not in held]
        return [tuple(word for word in one.several if word in swap) for swap in swaps]
    return [round(one.low + (one.high - one.low) * i / (NUMBERS - 1), 2) for i in range(NUMBERS)]


def _allowed(genome: Genome, space: Space) -> bool:
    return all(genome[first] != genome[second] for first, second in space.vocabulary.different)
