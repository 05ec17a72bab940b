"""tools/actions/learn.py: a taste is fitted to the ratings, saved whole, and trusted only when it could be tested."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluators.preference import model as preference
from evaluators.preference.population import Population
from evaluators.preference.scored import Scored
from prompts.errors import ToolError
from tests.tools.given import Trail, context, rated_trail
from tools.actions.learn import LearnTaste, learn_taste
from tools.context import Context
from tools.taste import POPULATION_FILE

AtHand = Callable[..., Context]


@pytest.mark.parametrize("kind", ["blend", "head", "knn", "finetune"])
def test_every_kind_is_saved_and_predicts_again(at_hand: AtHand, kind: Any) -> None:
    given = at_hand()
    (row,) = learn_taste(LearnTaste(kind=kind), given).preferences
    file = given.folder / row.path
    assert hashlib.sha256(file.read_bytes()).hexdigest() == row.sha256 and row.kind == kind
    mean, std = preference.load(file).predict(given.features(given.trail.images()))
    assert mean.shape == std.shape == (4,)


def test_the_same_ratings_give_the_same_file(at_hand: AtHand) -> None:
    given = at_hand()
    first, second = (learn_taste(LearnTaste(kind="blend"), given).preferences[0].sha256 for _ in range(2))
    assert first == second


def test_few_ratings_claim_no_agreement(at_hand: AtHand) -> None:
    assert learn_taste(LearnTaste(kind="head"), at_hand()).result == {"kind": "head", "ratings": 4}


def test_nothing_unfinished_is_left_beside_the_file(at_hand: AtHand) -> None:
    given = at_hand()
    learn_taste(LearnTaste(kind="head"), given)
    assert [path.name for path in (given.folder / "preferences").iterdir()] == ["step-5.npz"]


@pytest.mark.parametrize("trail", [Trail(), rated_trail([(5.0, "a red square")])], ids=["none", "one"])
def test_too_few_ratings_are_told(trail: Trail, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="too few to learn from"):
        learn_taste(LearnTaste(kind="head"), context(trail, tmp_path))


def with_population(given: Context, folder: Path, population: bool) -> Context:
    """The same beside a population of its own, where `population` says so."""
    features = given.features(given.trail.images())
    people = Population.fit(features, np.random.default_rng(0).normal(size=(6, 4)), maml=False)
    folder.mkdir()
    people.save(folder / POPULATION_FILE)
    return replace(given, settings=replace(given.settings, model=str(folder), population=population))


@pytest.mark.parametrize("kind", ["head", "blend", "knn"])
def test_a_population_is_used_where_the_config_asks_for_it(at_hand: AtHand, tmp_path: Path, kind: Any) -> None:
    given = at_hand()
    plain = learn_taste(LearnTaste(kind=kind), given).preferences[0].sha256
    off = learn_taste(LearnTaste(kind=kind), with_population(given, tmp_path / "off", False)).preferences[0].sha256
    found = learn_taste(LearnTaste(kind=kind), with_population(given, tmp_path / "on", True))
    assert off == plain and (found.preferences[0].sha256 == plain) is (kind == "knn")
    assert found.result["kind"] == found.preferences[0].kind == kind


def test_a_population_that_is_not_there_is_told(at_hand: AtHand, tmp_path: Path) -> None:
    given = at_hand()
    asked = replace(given, settings=replace(given.settings, model=str(tmp_path), population=True))
    with pytest.raises(ToolError, match="set population: false"):
        learn_taste(LearnTaste(kind="head"), asked)


def test_a_taste_starts_from_pickscore_where_the_config_asks_for_it(at_hand: AtHand) -> None:
    given = at_hand()
    asked = replace(given, settings=replace(given.settings, population="pickscore"))
    plain, found = (learn_taste(LearnTaste(kind="head"), one).preferences[0] for one in (given, asked))
    base = preference.load(given.folder / found.path).population
    assert found.sha256 != plain.sha256 and base is not None and base.kind == "scored"
    rows = given.trail.images()
    said = given.studio.pickscore([given.open_image(row) for row in rows], [row.prompt for row in rows], [])
    known = Scored.distilled(given.features(rows), np.array(said.values))
    assert np.array_equal(base.arrays["weight"], known.weight)


def test_pickscore_says_nothing_of_fewer_than_four_pictures(at_hand: AtHand) -> None:
    given = at_hand()
    given.trail.rows[:] = given.trail.rows[:3]  # type: ignore[attr-defined]
    asked = replace(given, settings=replace(given.settings, population="pickscore"))
    plain, found = (learn_taste(LearnTaste(kind="head"), one).preferences[0] for one in (given, asked))
    assert found.sha256 == plain.sha256
