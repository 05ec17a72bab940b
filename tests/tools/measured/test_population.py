"""tools/measured/population.py: simulated people above seed 10,000 teach a prior on a model's own pictures, painted once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluators.looks.features import FEATURE_NAMES
from evaluators.looks.raters import Rater, load_reference, save_reference
from evaluators.preference.model import fit
from evaluators.preference.population import Population
from prompts.vocabulary import load_vocabulary
from tools.context import Studio
from tools.measured import population
from tools.measured.population import FIRST_RATER, look, make_population, rated


class _Idle:
    """A studio whose painter is out."""

    def __init__(self, studio: Studio) -> None:
        self.settings = studio.settings

    @property
    def painter(self) -> None:
        raise AttributeError("never painted again")


def test_a_population_is_made_from_pictures_that_are_painted_once(
    atelier: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, cache = np.random.default_rng(0).random((40, len(FEATURE_NAMES))), tmp_path / "cache" / "pictures.npz"
    save_reference(tmp_path, reference)
    how = {"pictures": 6, "raters": 5, "cache": cache}
    path = make_population(atelier, load_vocabulary("bauhaus"), tmp_path, **how)
    people = Population.load(path)
    monkeypatch.setattr("tools.measured.population.version_of", lambda folder: "another model")
    with pytest.raises(AttributeError, match="never painted again"):
        look(_Idle(atelier), load_vocabulary("bauhaus"), 6, cache)
    monkeypatch.undo()
    clip, measured = look(_Idle(atelier), load_vocabulary("bauhaus"), 6, cache)
    assert 3 <= people.raters <= 5 and people.width == clip.shape[1] and measured.shape == (6, len(FEATURE_NAMES))


def test_raters_have_scales_of_their_own_and_repeat_themselves() -> None:
    reference = np.random.default_rng(0).random((40, len(FEATURE_NAMES)))
    first, again = (rated(reference, reference, range(FIRST_RATER, FIRST_RATER + 4)) for _ in range(2))
    assert np.array_equal(first, again) and first.min() >= 0 and first.max() <= 10
    assert np.ptp(first.mean(axis=1)) > 0.1 and np.array_equal(first * 2, np.round(first * 2))


def test_the_bundled_population_is_small_and_places_a_taste_drawn_from_it_by_twenty_ratings(studio: Path) -> None:
    path = studio / "population.npz"
    if not path.is_file():
        pytest.skip(f"no population at {path}: make it with python -m tools.measured.population")
    people = Population.load(path)
    assert path.stat().st_size < 1.5 * 2**20 and people.raters >= 100
    # Whether real tastes are like it, this cannot tell: the next test does.
    prior, rng = people.prior, np.random.default_rng(0)
    features = prior.pictures.astype(float) * prior.scale + prior.centre
    covariance = prior.covariance(features, features)
    root = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(features)))
    likings = prior.mean(features) + (root @ rng.normal(size=(len(features), 8))).T
    found = []
    for liking in likings:
        ratings = 5 + 2 * (liking + np.sqrt(prior.noise) * rng.normal(size=len(liking)))
        mean, _ = fit(features[:20], ratings[:20], "bayes", population=people).predict(features[20:])
        found.append(np.corrcoef(mean, liking[20:])[0, 1])
    assert np.mean(found) > 0.4 and load_reference(studio).shape[1] == len(FEATURE_NAMES)


@pytest.mark.slow
def test_the_bundled_population_foretells_simulated_people_it_never_met(
    atelier: Studio, studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = studio / "population.npz"
    if not path.is_file():
        pytest.skip(f"no population at {path}: make it with python -m tools.measured.population")
    monkeypatch.setattr(population, "FIRST_PROMPT", 600_000)  # pictures that nobody in it rated
    painter = Studio(replace(atelier.settings, steps=8))
    clip, measured = look(painter, load_vocabulary("bauhaus"), 40, tmp_path / "pictures.npz")
    reference, people, found = load_reference(studio), Population.load(path), []
    for number, ratings in enumerate(rated(reference, measured, range(10))):
        liking = Rater(number, reference=reference).utility_of(measured)[10:]
        alone = fit(clip[:10], ratings[:10]).predict(clip[10:])[0]
        helped = fit(clip[:10], ratings[:10], "bayes", population=people).predict(clip[10:])[0]
        found.append([np.corrcoef(one, liking)[0, 1] for one in (alone, helped)])
    alone, helped = np.mean(found, axis=0)
    assert helped > 0.4 and helped > alone + 0.1
