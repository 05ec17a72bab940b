"""tools/actions/evolve.py: children of rated prompts: distinct, of the vocabulary, near their parents, elites unchanged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompts.errors import ToolError
from prompts.vocabulary import Genome, load_vocabulary
from tests.tools.given import PROMPTS, Trail, context, rated_trail
from tools.actions.evolve import EvolvePrompts, evolve_prompts
from tools.context import Settings
from tools.search.screened import GeneBelief, child, screened, tournament
from tools.search.space import Space, distinct
from tools.searching import SearchSpec

VOCABULARY = load_vocabulary("bauhaus")
SPACE = Space(VOCABULARY)
RATED = [(9.0, PROMPTS[0]), (2.0, PROMPTS[1]), (6.0, PROMPTS[2]), (4.0, PROMPTS[3])]


def genomes(count: int, seed: int = 0) -> list[tuple[float, Genome]]:
    rng = random.Random(seed)
    return [(rng.uniform(0, 10), VOCABULARY.random(rng)) for _ in range(count)]


def evolved(tmp_path: Path, rated: Any = RATED, seed_step: int = 5, **arguments: Any) -> dict[str, Any]:
    given = EvolvePrompts(**{"children": 8, "mutation": 0.2, "elites": 1, **arguments})
    return evolve_prompts(given, context(rated_trail(rated), tmp_path, step=seed_step)).result


@pytest.mark.parametrize("children", [1, 4, 8])
@pytest.mark.parametrize("mutation", [0.0, 0.2, 1.0])
def test_children_are_as_many_as_wanted_distinct_and_of_the_vocabulary(
    tmp_path: Path, children: int, mutation: float
) -> None:
    prompts = evolved(tmp_path, children=children, mutation=mutation)["prompts"]
    assert len(prompts) == len(set(prompts)) == children
    assert all(VOCABULARY.parse(prompt) for prompt in prompts)


@pytest.mark.parametrize("elites", [0, 1, 2, 4])
def test_the_best_rated_live_on_unchanged_and_first(tmp_path: Path, elites: int) -> None:
    result = evolved(tmp_path, elites=elites)
    best = [prompt for _, prompt in sorted(RATED, reverse=True)]
    assert result["prompts"][:elites] == best[:elites] and result["elites"] == elites
    assert not set(result["prompts"][elites:]) & set(best)


def test_no_more_elites_than_children(tmp_path: Path) -> None:
    assert evolved(tmp_path, children=2, elites=4)["prompts"] == [PROMPTS[0], PROMPTS[2]]


def test_the_same_step_breeds_the_same_and_another_step_others(tmp_path: Path) -> None:
    assert evolved(tmp_path) == evolved(tmp_path)
    assert evolved(tmp_path)["prompts"][1:] != evolved(tmp_path, seed_step=6)["prompts"][1:]


def test_without_mutation_every_gene_comes_from_a_parent() -> None:
    rated, rng = genomes(6), random.Random(1)
    for _ in range(200):
        bred = child(rated, 0.0, SPACE, rng)
        changed = [gene for gene in VOCABULARY.genes if bred[gene] not in {genome[gene] for _, genome in rated}]
        assert set(changed) <= {"colour", "accent_colour"}  # redrawn where it would have been the background's


def test_with_full_mutation_every_value_of_every_gene_appears() -> None:
    rated, rng = genomes(2), random.Random(1)
    bred = [child(rated, 1.0, SPACE, rng) for _ in range(600)]
    for gene, values in VOCABULARY.genes.items():
        assert {genome[gene] for genome in bred} == set(values)


def test_no_child_hides_a_shape_in_its_background() -> None:
    same = {**genomes(1)[0][1], "background": "red", "colour": "red", "accent_colour": "red"}
    rated, rng = [(9.0, same), (8.0, dict(same, shape="ring"))], random.Random(1)
    for mutation in (0.0, 0.5):
        for _ in range(200):
            bred = child(rated, mutation, SPACE, rng)
            assert bred["background"] not in (bred["colour"], bred["accent_colour"])


def test_better_rated_parents_win_tournaments_more_often() -> None:
    rated, rng = [(float(i), {"id": str(i)}) for i in range(10)], random.Random(1)
    won = [int(tournament(rated, rng)["id"]) for _ in range(3000)]
    assert np.mean(won) > 6.0 and won.count(9) > 3 * won.count(3)


def test_children_are_better_than_chance_for_a_taste_that_genes_explain() -> None:
    def liking(genome: Genome) -> float:
        return (
            3.0 * (genome["background"] == "teal")
            + 2.0 * (genome["shape"] == "ring")
            - 2.0 * (genome["size"] == "small")
        )

    rng = random.Random(3)
    rated = [(liking(genome), genome) for _, genome in genomes(32, seed=3)]
    kept = screened(rated, [], 8, 0.2, SPACE, rng)
    chance = np.mean([liking(genome) for _, genome in genomes(500, seed=4)])
    assert np.mean([liking(genome) for genome in kept]) > chance + 1.0


def test_belief_finds_the_gene_that_matters_and_is_unsure_of_what_it_never_saw() -> None:
    rated = [(8.0 if genome["texture"] == "hatched" else 3.0, genome) for _, genome in genomes(60)]
    belief = GeneBelief(rated, SPACE)
    worth = {value: belief.mean[SPACE.columns["texture", value]] for value in VOCABULARY.genes["texture"]}
    assert max(worth, key=lambda value: worth[value]) == "hatched" and worth["hatched"] > 0.5
    few = GeneBelief(rated[:2], SPACE)
    unseen = next(v for v in VOCABULARY.genes["background"] if v not in {g["background"] for _, g in rated[:2]})
    seen = rated[0][1]["background"]
    assert (
        few.covariance.diagonal()[SPACE.columns["background", unseen]]
        > few.covariance.diagonal()[SPACE.columns["background", seen]]
    )


@pytest.mark.parametrize("ratings", [(5.0, 5.0), (0.0, 10.0)])
def test_two_ratings_are_enough_equal_ones_too(tmp_path: Path, ratings: tuple[float, float]) -> None:
    prompts = evolved(tmp_path, rated=list(zip(ratings, PROMPTS[:2], strict=True)))["prompts"]
    assert len(prompts) == len(set(prompts)) == 8


def test_twice_the_same_prompt_without_mutation_has_no_new_children(tmp_path: Path) -> None:
    rated = [(5.0, PROMPTS[0]), (6.0, PROMPTS[0])]
    assert evolved(tmp_path, rated=rated, mutation=0.0)["prompts"] == [PROMPTS[0]]


@pytest.mark.parametrize("rated", [[], RATED[:1], [(5.0, "a photo of a cat"), (9.0, "квадрат"), (3.0, PROMPTS[0])]])
def test_too_few_rated_prompts_are_told(tmp_path: Path, rated: Any) -> None:
    with pytest.raises(ToolError, match="two are needed to cross"):
        evolved(tmp_path, rated=rated)


def searching(tmp_path: Path, trail: Trail, children: int = 8, **changes: Any) -> dict[str, Any]:
    spec = SearchSpec.model_validate({"strategy": "rules", **changes.pop("search", {})})
    settings = Settings(model="", clip="", pickscore="", seed=0, images_per_round=6, search=spec)
    given = EvolvePrompts(children=children, mutation=0.2, elites=1)
    return evolve_prompts(given, context(trail, tmp_path, settings=settings, **changes)).result


def test_a_whole_round_is_searched_for_whatever_the_planner_asks(tmp_path: Path) -> None:
    sizes = [
        len(searching(tmp_path, rated_trail(RATED), 2, **changes)["prompts"])
        for changes in ({}, {"images_left": 3}, {"search": {"whole_rounds": False}})
    ]
    assert sizes == [6, 3, 2]


def test_the_strategy_called_rules_breeds_as_a_run_without_one(tmp_path: Path) -> None:
    found = searching(tmp_path, rated_trail(RATED), search={"whole_rounds": False})
    assert found["prompts"] == evolved(tmp_path)["prompts"] and found["elites"] == 1


def test_what_more_is_wanted_of_keeps_the_brief_and_no_prompt_comes_twice(tmp_path: Path) -> None:
    trail = rated_trail(RATED)
    trail.more = [row.id for row in trail.rows]  # no background of theirs is purple
    found = searching(tmp_path, trail, brief="on a purple background")
    assert len({*found["prompts"]}) == 6 and all("on a purple background" in one for one in found["prompts"])
    assert all("kept to the brief" in found["reasons"][one] for one in found["prompts"][:3])


def test_distinct_keeps_the_order() -> None:
    assert distinct([{"a": "1"}, {"a": "2"}, {"a": "1"}]) == [{"a": "1"}, {"a": "2"}]
