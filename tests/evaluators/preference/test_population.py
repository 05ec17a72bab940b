"""evaluators/preference/population.py: what the tastes of others teach about one who rated little."""

import numpy as np
import pytest

from evaluators.preference.model import KINDS, fit
from evaluators.preference.population import Population
from prompts.errors import InputError
from tests.evaluators.preference.crowd import PICTURES, agreement, tastes


def test_a_population_teaches_how_tastes_differ(population):
    likings, ratings = tastes(20, seed=9)
    found = {name: [] for name in ("alone", "bayes", "maml", "mean")}
    for liking, mine in zip(likings, ratings, strict=True):
        shown = PICTURES[:8], mine[:8]
        found["alone"].append(agreement(fit(*shown, "head"), liking))
        found["bayes"].append(agreement(fit(*shown, "bayes", population=population), liking))
        found["maml"].append(agreement(fit(*shown, "maml", population=population), liking))
        found["mean"].append(np.corrcoef(population.mean(PICTURES[60:]), liking[60:])[0, 1])
    means = {name: np.mean(values) for name, values in found.items()}
    assert means["bayes"] > max(means["alone"], means["mean"]) + 0.1 and means["bayes"] > 0.8
    assert means["maml"] > means["alone"] + 0.1


def test_the_std_under_a_population_is_honest(population):
    likings, ratings = tastes(40, seed=11)
    inside = []
    for liking, mine in zip(likings, ratings, strict=True):
        mean, std = fit(PICTURES[:15], mine[:15], "bayes", population=population).predict(PICTURES[60:])
        inside.append(np.mean(np.abs(mean - (5 + 1.5 * liking[60:])) < 1.96 * std))
    assert 0.85 < np.mean(inside) < 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_one_rating_starts_from_the_population(kind, population):
    liking = tastes(1)[0][0]
    model = fit(PICTURES[:1], [7.0], kind, population=population)
    mean, std = model.predict(PICTURES[60:])
    assert np.corrcoef(mean, population.mean(PICTURES[60:]))[0, 1] > 0.8 and agreement(model, liking) > 0.3
    assert (std > 0.3).all() and 2 < mean.mean() < 10


@pytest.mark.parametrize("kind", ["bayes", "head", "blend", "maml"])
def test_equal_ratings_leave_the_population_and_a_wide_std(kind, population):
    mean, std = fit(PICTURES[:6], [8.0] * 6, kind, population=population).predict(PICTURES[60:])
    assert (std > 0.3).all() and np.isfinite(mean).all() and abs(mean.mean() - 8) < 1.5


def test_a_population_needs_people_who_differ(tmp_path):
    with pytest.raises(InputError, match="at least 3 who differ"):
        Population.fit(PICTURES, np.full((5, 90), 4.0))
    with pytest.raises(InputError, match=r"\(R, P\)"):
        Population.fit(PICTURES, np.ones((5, 3)))
    with pytest.raises(InputError, match="no population at"):
        Population.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    with pytest.raises(InputError, match="no saved population"):
        Population.load(tmp_path / "other.npz")


def test_a_population_learns_from_people_who_rated_different_pictures():
    ratings = tastes(60, seed=2)[1]
    rng = np.random.default_rng(0)
    sparse = np.where(rng.random(ratings.shape) < 0.4, ratings, np.nan)
    sparse[0] = np.nan  # one who rated nothing
    people = Population.fit(PICTURES[:60], sparse[:, :60], maml=False)
    found = [
        agreement(fit(PICTURES[:8], mine[:8], "bayes", population=people), liking)
        for liking, mine in zip(*tastes(10, seed=9), strict=True)
    ]
    assert people.raters == 59 and np.mean(found) > 0.75
