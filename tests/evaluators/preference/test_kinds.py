"""What every kind of taste has to do alike: agree with itself, be saved, follow a drift, cost nothing unrated, refuse bad input."""

import numpy as np
import pytest

from evaluators.preference.kinds.comparison import Comparison
from evaluators.preference.model import fit, load
from evaluators.preference.population import Population
from prompts.errors import InputError
from tests.evaluators.preference.crowd import PICTURES, QUICK, WIDTH, agreement, tastes


@pytest.mark.parametrize("kind", QUICK)
def test_the_joint_agrees_with_the_prediction(kind, population):
    model = fit(PICTURES[:20], tastes(1)[1][0][:20], kind, population=population)
    mean, std = model.predict(PICTURES[60:70])
    joint, covariance = model.joint(PICTURES[60:70])
    assert joint == pytest.approx(mean) and np.diag(covariance) == pytest.approx(std**2)
    assert np.linalg.eigvalsh(covariance).min() > -1e-8


def test_the_heads_joint_agrees_with_its_prediction():
    model = fit(PICTURES[:20], tastes(1)[1][0][:20], "head")
    mean, std = model.predict(PICTURES[60:70])
    joint, covariance = model.joint(PICTURES[60:70])
    assert joint == pytest.approx(mean) and np.diag(covariance) == pytest.approx(std**2)
    assert np.abs(covariance - np.diag(std**2)).max() > 0.01


def test_a_drift_of_the_offset_is_learnt_where_an_order_is_given(population):
    gains = []
    for liking, mine in zip(*tastes(10, seed=6), strict=True):
        drifting = mine[:40] + np.linspace(-3, 3, 40)
        order = np.arange(40)
        still = fit(PICTURES[:40], drifting, "bayes", population=population)
        moving = fit(PICTURES[:40], drifting, "bayes", population=population, order=order)
        gains.append(agreement(moving, liking) - agreement(still, liking))
    assert np.mean(gains) > 0.01


def test_repeats_of_a_picture_tell_the_persons_noise(population):
    rows, steady = np.repeat(np.arange(10), 3), np.repeat(tastes(1, noise=0)[1][0][:10], 3)
    shaken = steady + np.tile([-1.5, 0.0, 1.5], 10)
    sure, unsure = (
        fit(PICTURES[rows], r, "bayes", population=population).predict(PICTURES[:10])[1] for r in (steady, shaken)
    )
    assert sure.mean() < unsure.mean()


@pytest.mark.parametrize("kind", QUICK)
def test_all_is_there_again_after_saving(kind, population, tmp_path):
    population.save(tmp_path / "people.npz")
    again = Population.load(tmp_path / "people.npz")
    mine = tastes(1)[1][0]
    model = fit(PICTURES[:20], mine[:20], kind, population=again, comparisons=[Comparison(0, 3, "first")])
    model.save(tmp_path / "taste.npz")
    for first, second in zip(model.predict(PICTURES), load(tmp_path / "taste.npz").predict(PICTURES), strict=True):
        assert np.array_equal(first, second)
    same = fit(PICTURES[:20], mine[:20], kind, population=population, comparisons=[Comparison(0, 3, "first")])
    assert same.predict(PICTURES)[0] == pytest.approx(model.predict(PICTURES)[0])


def test_stored_pictures_without_a_rating_cost_and_change_nothing(population):
    mine = tastes(1)[1][0]
    stored = np.vstack([PICTURES, np.full((5, WIDTH), np.nan)])  # not even looked at
    some = np.where(np.arange(95) % 3 == 0, np.append(mine, [np.nan] * 5), np.nan)
    some[90:] = np.nan
    for kind in ("head", "bayes"):
        mean = fit(stored, some, kind, population=population).predict(PICTURES)[0]
        assert np.array_equal(mean, fit(PICTURES[::3], mine[::3], kind, population=population).predict(PICTURES)[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"comparisons": [Comparison(0, 0, "first")]}, "two different pictures"),
        ({"comparisons": [Comparison(0, 99, "first")]}, r"0\.\.3"),
        ({"comparisons": [Comparison(0, 1, "skip")]}, "leave out a comparison that was skipped"),
        ({"order": np.arange(3)}, "one time for each"),
        ({"features": np.full((4, WIDTH), np.nan)}, "finite"),
        ({"features": np.ones((4, 3))}, "population was fitted on 12"),
        ({"kind": "maml", "population": None}, "give a Population"),
        ({"ratings": None}, "at least 1 rating, or a comparison"),
        ({"ratings": [1, 2, 3, np.inf]}, "not all finite"),
    ],
)
def test_bad_input_is_refused_in_words(change, words, population):
    given = {"features": PICTURES[:4], "ratings": [1.0, 2, 3, 4], "kind": "bayes", "population": population} | change
    with pytest.raises(InputError, match=words):
        fit(given.pop("features"), given.pop("ratings"), given.pop("kind"), **given)
