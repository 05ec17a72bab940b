"""evaluators/numbers/search_metrics.py against numbers that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.numbers.search_metrics import best_so_far, count_to, reached, regret, search_numbers, similarity

# Three rounds of two pictures; the best, 8, is first seen in round 3.
SCORES = np.array([4.0, 5.0, 7.0, 3.0, 8.0, 6.0])
ROUNDS = np.array([1, 1, 2, 2, 3, 3])
FEATURES = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0], [-1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])


def test_the_papers_five_numbers_by_hand() -> None:
    found = search_numbers(SCORES, ROUNDS, FEATURES)
    assert (found.best, found.gain, found.rounds_to_best) == (8.0, 3.0, 2)  # 8 - 5, the best of round 1
    # Before it: 4, 5, 7, 3; their upper quarter begins at 5.5, so that 7 alone is high. Its direction is the same: cosine 1.
    assert found.similarity == pytest.approx(1.0) and found.score_of_similar == 7.0


def test_a_threshold_says_what_is_highly_rated() -> None:
    best, before = np.array([1.0, 0.0]), np.array([[1.0, 0.1], [1.0, 1.0], [0.0, 1.0]])
    liked, score = similarity(best, before, np.array([2.0, 6.0, 9.0]), high=6.0)
    assert liked == pytest.approx(np.sqrt(0.5)) and score == 2.0  # nearest of all is the one that was not liked
    assert similarity(best, before, np.array([2.0, 6.0, 9.0]), high=9.5) == (None, 2.0)


def test_nothing_came_before_the_best_of_the_first_round() -> None:
    found = search_numbers(np.array([9.0, 1.0, 9.0]), np.array([0, 0, 1]), np.eye(3))
    assert (found.best, found.gain, found.rounds_to_best) == (9.0, 0.0, 0)
    assert found.similarity is None and found.score_of_similar is None


def test_the_order_of_the_pictures_does_not_matter() -> None:
    order = np.array([5, 2, 0, 4, 1, 3])
    shuffled = search_numbers(SCORES[order], ROUNDS[order], FEATURES[order])
    assert shuffled == search_numbers(SCORES, ROUNDS, FEATURES)


def test_best_so_far_and_regret_by_hand() -> None:
    best = best_so_far(np.array([4.0, 5.0, 3.0, 1.0, 8.0, 6.0]), ROUNDS)
    assert list(best) == [5.0, 5.0, 8.0]
    assert list(regret(best, 9.5)) == [4.5, 4.5, 1.5]


def test_rounds_and_clicks_to_a_target_by_hand() -> None:
    best = np.array([1.0, 2.0, 2.0, 5.0])
    assert count_to(best, 2.0) == 2.0
    assert count_to(best, 2.5, np.array([3, 6, 9, 12])) == 12.0
    assert count_to(best, 5.1) is None


def test_runs_that_never_arrive_are_counted_as_such() -> None:
    found = reached([4.0, None, 8.0, None, 6.0], limit=10.0)
    assert found.share == pytest.approx(0.6) and found.n == 5 and 0.2 < found.low < 0.6 < found.high < 0.9
    assert found.median == 8.0  # 4, 6, 8, never, never
    assert found.cut.mean == pytest.approx((4 + 8 + 6 + 10 + 10) / 5)
    assert reached([4.0, None, None], limit=10.0).median is None
    assert reached([4.0, 12.0], limit=10.0) == reached([4.0, None], limit=10.0)


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")], [[1.0, 2.0]]])
def test_scores_of_another_shape_are_refused(scores: list[float]) -> None:
    with pytest.raises(AssertionError):
        best_so_far(np.array(scores), np.zeros(len(scores)))
