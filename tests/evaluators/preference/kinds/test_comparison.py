"""evaluators/preference/kinds/comparison.py: what every kind learns from "rather this one", alone, beside ratings, and over a taste below."""

import numpy as np
import pytest

from evaluators.preference.held_out import held_out_agreement
from evaluators.preference.kinds.comparison import Comparison
from evaluators.preference.model import fit
from tests.evaluators.preference.crowd import PICTURES, QUICK, agreement, asked, tastes


@pytest.mark.parametrize("kind", QUICK)
def test_every_kind_learns_from_comparisons_alone_and_with_ratings(kind, population):
    liking, mine = (rows[0] for rows in tastes(1, seed=21))
    pairs, few = asked(liking, 60), np.where(np.arange(90) < 5, mine, np.nan)
    alone = fit(PICTURES, None, kind, comparisons=pairs, population=population)
    assert agreement(alone, liking) > 0.5 and 2 < alone.predict(PICTURES)[0].mean() < 8
    both = fit(PICTURES, few, kind, comparisons=pairs, population=population)
    mean, std = both.predict(PICTURES[60:])
    assert agreement(both, liking) > 0.5 and (std > 0).all() and np.isfinite(mean).all()


@pytest.mark.parametrize("kind", ["head", "bayes"])
def test_comparisons_alone_are_learnt_without_a_population(kind):
    liking = tastes(1, seed=22)[0][0]
    few, many = (fit(PICTURES, None, kind, comparisons=asked(liking, n)) for n in (10, 120))
    assert agreement(many, liking) > max(0.6, agreement(few, liking))
    assert many.predict(PICTURES[:60])[1].mean() < few.predict(PICTURES[:60])[1].mean()


@pytest.mark.parametrize("kind", ["head", "bayes", "knn"])
def test_a_cycle_of_comparisons_says_that_the_three_are_alike(kind, population):
    cycle = [Comparison(0, 1, "first"), Comparison(1, 2, "first"), Comparison(2, 0, "first")]
    pictures = np.eye(3)
    mean, std = fit(pictures, None, kind, comparisons=cycle).predict(pictures)
    assert np.ptp(mean) < 1e-6 and (std > 0).all() and mean == pytest.approx([5.0] * 3)


def test_a_tie_draws_two_pictures_together():
    pictures, ratings = np.eye(4), np.array([9.0, 1.0, np.nan, np.nan])
    ties = [Comparison(0, 1, "tie")] * 6
    apart, tied = (
        fit(pictures, ratings, "bayes", comparisons=c).predict(pictures)[0] for c in ([Comparison(2, 3, "tie")], ties)
    )
    assert abs(tied[0] - tied[1]) < abs(apart[0] - apart[1])


def test_held_out_agreement_takes_a_population_and_comparisons(population):
    liking, mine = (rows[0] for rows in tastes(1, seed=8))
    some = np.where(np.arange(90) < 20, mine, np.nan)
    alone = held_out_agreement(PICTURES, some, "bayes")
    helped = held_out_agreement(PICTURES, some, "bayes", population=population, comparisons=asked(liking, 20))
    assert helped.n == alone.n == 20 and helped.srocc > alone.srocc


@pytest.fixture(scope="module")
def taught():
    """A taste that is right about someone, and their likings (90,), in points around 5."""
    liking = 5 + 2 * tastes(1, seed=31)[0][0]
    return fit(PICTURES, liking, "head"), liking


@pytest.mark.parametrize("rated", [0, 5])
def test_comparisons_that_agree_with_the_taste_below_are_not_counted_twice(rated, taught):
    base, liking = taught
    ratings, spreads, middles = np.where(np.arange(90) < rated, liking, np.nan), [], []
    for seed in range(6):  # as noisy as two ratings are: with the base counted twice the spread is a third too large
        pairs = asked((liking - 5) / 2, 30, seed=seed, noise=1.1)
        mean = fit(PICTURES, ratings, "bayes", comparisons=pairs, population=base).predict(PICTURES)[0]
        spreads.append(mean.std() / base.predict(PICTURES)[0].std())
        middles.append(mean.mean())
    assert 0.9 < np.mean(spreads) < 1.08 and 4.5 < np.mean(middles) < 5.5


@pytest.mark.parametrize("kind", ["head", "bayes"])
def test_comparisons_against_the_taste_below_move_what_is_foretold(kind, taught):
    base, liking = taught
    better, worse = np.argsort(-liking[:60])[:6], np.argsort(liking[:60])[:6]
    against = [Comparison(int(a), int(b), "second") for a in better for b in worse]
    mean, before = (
        fit(PICTURES, None, kind, comparisons=against, population=base).predict(PICTURES)[0],
        base.predict(PICTURES)[0],
    )
    gap = [one[better].mean() - one[worse].mean() for one in (before, mean)]
    assert gap[0] > 4 and gap[1] < 0.5 * gap[0]
