"""tools/search: every strategy behind its interface; the genetic ones and the belief against a taste that is known."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from prompts.errors import InputError
from prompts.vocabulary import load_vocabulary
from tests.prompts.test_genes import MIXED, written
from tests.tools.given import Trail, context
from tests.tools.profiles.made import ANN, person
from tests.tools.search.given import SPACE, VOCABULARY, liking, made, mean_of, means, searched, tried
from tools.profiles.taste import Start
from tools.search.belief import Belief, believed, best_of
from tools.search.brief import read_brief
from tools.search.genetic import Genetic, by_rank, by_votes
from tools.search.history import History, hashable
from tools.search.prior import generic, prior_for, save_prior
from tools.search.record import means_of
from tools.search.run import search
from tools.search.screened import Screened
from tools.search.space import Space
from tools.search.strategies import STRATEGIES
from tools.search.strategy import RandomSearch
from tools.searching import SearchSpec
from tools.sliders import Slider

HEADLESS = ["random", "genetic", "screened", "rules", "belief"]


@pytest.mark.parametrize("name", HEADLESS)
@pytest.mark.parametrize("count", [1, 8])
def test_a_strategy_proposes_as_many_as_wanted_of_the_vocabulary_and_none_twice(name: str, count: int) -> None:
    for history in (History(), History(tuple(tried(1))), History(tuple(tried(9)), rounds_left=1)):
        found = made(name).propose(history, count, random.Random(3))
        assert len(found) == count == len({one.prompt for one in found})
        assert all(VOCABULARY.parse(one.prompt) == one.genome for one in found)


@pytest.mark.parametrize("name", HEADLESS)
def test_the_same_history_and_seed_give_the_same_proposals(name: str) -> None:
    history = History(tuple(tried(12)), rounds_left=3)
    first, again, other = (made(name).propose(history, 4, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again and first != other


@pytest.mark.parametrize("name", ["screened", "rules", "belief"])
def test_a_profiles_words_are_heard_by_the_strategies_that_believe_something(name: str) -> None:
    rng, history = random.Random(1), History(tuple(tried(6)), rounds_left=3)
    known = [VOCABULARY.random(rng) for _ in range(80)]
    earlier = tuple((3.0 * (genome["texture"] == "hatched") - 0.5, genome, 1.0) for genome in known)
    alone, told = (made(name, earlier=given).propose(history, 8, random.Random(2)) for given in ((), earlier))
    hatched = [sum((one.genome or {})["texture"] == "hatched" for one in found) for found in (alone, told)]
    assert hatched[1] >= hatched[0] + 4


def test_a_runs_strategy_is_made_with_what_its_profile_says_of_words(tmp_path: Path) -> None:
    start = Start(person("ann", ANN), 0.5)
    known = [means_of(context(Trail(), tmp_path, start=one), SPACE, SearchSpec()).earlier for one in (None, start)]
    assert known == [(), tuple(start.earlier(VOCABULARY))] and len(known[1]) == 80


def test_what_is_told_of_words_leaves_everything_else_as_believed() -> None:
    prior, genome = generic(SPACE), VOCABULARY.random(random.Random(0))
    assert prior.informed(SPACE.columns, []) is prior
    told = prior.informed(SPACE.columns, [(2.0, genome, 1.0)])
    row = SPACE.encode([genome])[0] - prior.middle
    gain = prior.covariance @ row / (row @ prior.covariance @ row + prior.noise**2)
    assert np.allclose(told.mean, 2.0 * gain) and np.allclose(told.covariance, prior.covariance - np.outer(gain, row @ prior.covariance))  # fmt: skip


def test_every_strategy_of_the_config_is_there() -> None:
    from typing import get_args

    from tools.searching import Name

    assert set(get_args(Name)) == set(STRATEGIES)


def test_what_learns_ends_above_chance_and_the_belief_above_the_rest() -> None:
    last = {
        name: np.mean([mean_of(searched(made(name), 3, seed, per_round=6), 3) for seed in range(3)])
        for name in ("random", "genetic", "screened", "belief")
    }
    assert last["random"] < last["genetic"] < last["screened"] < last["belief"]


def test_the_genetic_search_repeats_its_elite_and_nothing_else() -> None:
    history = History(tuple(tried(16)))
    found = Genetic(SPACE, elites=2).propose(history, 8, random.Random(0))
    old = {one.prompt for one in history.tried}
    assert [one.prompt for one in found[:2]] == [one.prompt for one in history.best_first[:2]]
    assert not {one.prompt for one in found[2:]} & old


def test_votes_for_one_genome_are_averaged_and_ranks_choose_parents() -> None:
    first, second = (one.genome or {} for one in tried(2))
    assert by_votes([(2.0, first), (9.0, second), (8.0, first)]) == [(9.0, second), (5.0, first)]
    rng, voted = random.Random(0), [(float(9 - i), {"id": str(i)}) for i in range(9)]
    drawn = [int(by_rank(voted, rng)["id"]) for _ in range(3000)]
    assert drawn.count(0) / 3000 == pytest.approx(9 / 45, abs=0.03) and drawn.count(8) / 3000 == pytest.approx(
        1 / 45, abs=0.01
    )


def test_a_population_without_two_parents_is_filled_at_random_and_says_so() -> None:
    found = Screened(SPACE, mutation=0.0).propose(History(tuple(tried(1) * 2)), 4, random.Random(0))
    assert len(found) == 4 and all("drawn at random" in one.reason for one in found[1:])


def test_the_best_under_a_worth_is_the_best_there_is_and_keeps_shapes_visible() -> None:
    worth = np.zeros(len(SPACE.columns))
    for gene, word, value in (
        ("background", "teal", 3.0),
        ("colour", "teal", 2.0),
        ("shape", "ring", 1.0),
        ("colour", "red", 1.5),
    ):
        worth[SPACE.columns[gene, word]] = value
    found = best_of(worth, 4, SPACE, [], random.Random(0))
    assert (found[0]["background"], found[0]["colour"], found[0]["shape"]) == (
        "teal",
        "red",
        "ring",
    )  # 5.5; teal on teal is hidden
    assert len({hashable(one) for one in found}) == 4 and all(one["background"] != one["colour"] for one in found)
    values = [sum(worth[SPACE.columns[item]] for item in one.items()) for one in found]
    assert values == sorted(values, reverse=True) == [5.5] * 4
    assert hashable(found[0]) not in {
        hashable(one) for one in best_of(worth, 4, SPACE, [hashable(found[0])], random.Random(0))
    }


def test_belief_sharpens_with_scores_and_is_less_sure_of_what_it_never_saw() -> None:
    history, prior = History(tuple(tried(40))), generic(SPACE)
    belief = believed(history.rated, SPACE, prior, history)
    teal, red = SPACE.columns["background", "teal"], SPACE.columns["background", "red"]
    assert belief.mean[teal] > belief.mean[red] + 0.2
    assert (np.diagonal(belief.covariance) <= np.diagonal(prior.covariance) + 0.05).all()
    few = believed(history.rated[:2], SPACE, prior, history)
    assert np.diagonal(few.covariance).mean() > np.diagonal(belief.covariance).mean()


def test_the_last_round_is_the_best_by_the_mean_and_earlier_ones_try_more() -> None:
    seen, strategy = tuple(tried(24)), Belief(SPACE, generic(SPACE))
    last, earlier = (strategy.propose(History(seen, rounds_left=left), 8, random.Random(0)) for left in (1, 3))
    worth = believed(History(seen).rated, SPACE, generic(SPACE), History(seen)).mean
    value = lambda found: np.mean(SPACE.encode([one.genome or {} for one in found]) @ worth)  # noqa: E731
    assert value(last) > value(earlier)
    words = lambda found: len({item for one in found for item in (one.genome or {}).items()})  # noqa: E731
    assert words(earlier) > words(last)


def test_a_learned_prior_is_read_back_and_one_of_other_words_is_not_used(tmp_path: Path) -> None:
    width = len(SPACE.columns)
    save_prior(tmp_path, SPACE, np.arange(width) / 100.0, 0.1 * np.eye(width), 0.5, np.full(width, 0.1))
    found = prior_for(SPACE, tmp_path)
    assert found.learned and found.mean[5] == pytest.approx(0.05) and found.noise == pytest.approx(0.5)
    assert not prior_for(Space(load_vocabulary("painting")), tmp_path).learned and not prior_for(SPACE, "").learned
    with_slider = prior_for(Space(VOCABULARY, (Slider(name="light", adapter="a"),)), tmp_path)
    assert with_slider.mean.shape == (width + 2,) and with_slider.learned
    (tmp_path / "taste_prior.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"no prior over tastes .* make it again"):
        prior_for(SPACE, tmp_path)


def test_no_rater_of_the_benchmarks_may_teach_a_prior() -> None:
    from tools.measured.taste_prior import learned, likings

    with pytest.raises(InputError, match="rater 7 is kept for tests"):
        likings(np.zeros((8, 3)), np.zeros((8, 3)), [7, 10_001])
    rng = np.random.default_rng(0)
    rows, worth = (rng.random((300, 6)) < 0.3).astype(float), rng.normal(size=(50, 6))
    mean, covariance, noise, _ = learned(rows, worth @ rows.T + 0.1 * rng.normal(size=(50, 300)))
    assert np.allclose(mean, worth.mean(axis=0), atol=0.1) and np.allclose(covariance, np.cov(worth.T), atol=0.25)
    assert noise == pytest.approx(np.hypot(0.1, 0.35), abs=0.03)


@pytest.mark.parametrize("name", ["genetic", "screened", "rules", "belief"])
def test_genes_of_every_kind_are_bred(name: str, tmp_path: Path) -> None:
    from tools.search.brief import Brief
    from tools.search.strategies import make_strategy
    from tools.search.strategy import Means
    from tools.searching import SearchSpec

    slider = Slider(name="light", adapter="a")
    space = Space(written(tmp_path, MIXED), (slider,))
    strategy = make_strategy(Means(space, SearchSpec.model_validate({"strategy": name}), Brief()))
    like = lambda genome: 5.0 - 3.0 * abs(genome["contrast"] - 0.5) + 2.0 * ("calm" in genome["moods"])  # noqa: E731
    history = search(
        strategy, paint=lambda found: [one.genome for one in found], rate=lambda some: [like(one) for one in some],
        rounds=4, per_round=8, rng=random.Random(0),
    )  # fmt: skip
    assert all(one.seed == (one.genome or {})["seed"] for one in history.tried)
    assert (
        len({hashable(one.genome or {}) for one in history.tried}) == 32
    )  # with a seed of its own no picture comes twice
    assert mean_of(history, 4) > mean_of(history, 1) + 0.3
    assert all(-1 <= (one.genome or {})[slider.gene] <= 1 for one in history.tried)


def test_a_search_without_an_agent_keeps_the_brief_it_is_given() -> None:
    brief = read_brief("a teal ring", [], SPACE)
    history = search(
        RandomSearch(SPACE), paint=list, rate=lambda found: [5.0] * len(found), rounds=2, per_round=4,
        rng=random.Random(0), brief=brief, space=SPACE,
    )  # fmt: skip
    assert len(history.tried) == 8 and all(one.genome and brief.keeps(one.genome) for one in history.tried)
    assert any("kept to the brief" in one.reason for one in history.tried)


def test_random_search_never_repeats_itself() -> None:
    history = searched(RandomSearch(SPACE), rounds=5)
    assert len({one.prompt for one in history.tried}) == 40 and not any(one.reason for one in history.tried)
    assert means("random").brief.wanted == () and liking(tried(1)[0].genome or {}) >= 3.0
