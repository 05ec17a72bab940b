"""Choosing winner and loser of a pool."""

from __future__ import annotations

import numpy as np
import pytest

from prompts.errors import InputError
from tools.jobs.pools import check_scores, choose, mixed

SCORES = np.array([0.2, 0.9, 0.5, 0.1])


def test_the_best_is_chosen_against_the_worst() -> None:
    assert choose(SCORES) == [(1, 3, pytest.approx(0.8))]


@pytest.mark.parametrize(("rank", "place"), [(2, 2), (3, 0), (4, 3), (9, 3)])
def test_the_loser_can_have_another_rank(rank: int, place: int) -> None:
    (found,) = choose(SCORES, loser_rank=rank)
    assert (found.win, found.lose) == (1, place)


def test_a_pool_of_equals_or_of_one_teaches_nothing() -> None:
    assert choose(np.array([0.5, 0.5])) == choose(np.array([0.5])) == []
    assert choose(SCORES, minimum_margin=0.8) == [] and len(choose(SCORES, minimum_margin=0.79)) == 1


def test_an_image_without_a_score_is_not_in_the_pool() -> None:
    assert choose(np.array([np.nan, 0.3, np.inf, 0.1])) == [(1, 3, pytest.approx(0.2))]
    assert choose(np.array([np.nan, 0.3])) == []


def test_more_pairs_of_a_pool_go_inwards_until_they_meet() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.7, 0.3])
    assert [(one.win, one.lose) for one in choose(scores, pairs=2)] == [(1, 0), (3, 4)]
    assert [(one.win, one.lose) for one in choose(scores, pairs=9)] == [(1, 0), (3, 4)]  # the middle one has no partner
    assert [one.win for one in choose(scores, pairs=2, minimum_margin=0.5)] == [1]


def test_a_scorer_that_gives_no_number_at_all_is_refused() -> None:
    check_scores("fine", np.array([np.nan, 1.0]))
    with pytest.raises(InputError, match=r"'broken' gave .*nan.* for all 2 images"):
        check_scores("broken", np.array([np.nan, np.nan]))


def test_one_scorer_keeps_its_unit_and_several_are_brought_to_one() -> None:
    first, second = np.array([20.0, 22.0, 24.0]), np.array([0.3, 0.1, 0.2])
    assert mixed({"a": first}, {"a": 0.5}).tolist() == [10, 11, 12]
    spread = np.sqrt(2 / 3)
    both = mixed({"a": first, "b": second}, {"a": 1.0, "b": 2.0})
    assert both == pytest.approx([(-1 + 2) / spread, -2 / spread, 1 / spread])
    assert mixed({"a": first, "b": second * 1000}, {"a": 1.0, "b": 2.0}) == pytest.approx(both)
    assert mixed({"a": first, "b": np.ones(3)}, {"a": 1.0, "b": 9.0}) == pytest.approx(np.array([-1, 0, 1]) / spread)
