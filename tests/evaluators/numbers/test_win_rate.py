import math

import numpy as np
import pytest

from evaluators.numbers.win_rate import mean_interval, progress, wilson, win_rate


def test_ties_count_half():
    found = win_rate([1, 2, 3, 4], [0, 3, 3, 1])
    assert (found.wins, found.losses, found.ties, found.n) == (2, 1, 1, 4)
    assert found.rate == 0.625 and found.low < 0.625 < found.high


def test_wilson_by_hand():
    # 10 of 20: centre 0.5, half width 1.96 * sqrt(0.25 / 20 + 1.96^2 / 1600) / (1 + 1.96^2 / 20)
    assert wilson(0.5, 20) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0.0, 10)[0] == 0.0


def test_wilson_covers_the_truth_as_often_as_it_says():
    wins = np.random.default_rng(0).binomial(30, 0.8, size=2000)
    covered = [low <= 0.8 <= high for low, high in (wilson(w / 30, 30) for w in wins)]
    assert 0.93 < np.mean(covered) < 0.98


def test_swapping_the_sides_mirrors_the_rate():
    a, b = np.random.default_rng(1).integers(0, 5, (2, 40))
    one, other = win_rate(a, b), win_rate(b, a)
    assert one.rate == pytest.approx(1 - other.rate) and one.low == pytest.approx(1 - other.high)


def test_unpaired_or_unfinished_scores_are_refused():
    with pytest.raises(AssertionError, match="pair"):
        win_rate([1, 2], [1])
    with pytest.raises(AssertionError, match="pair"):
        win_rate([], [])
    with pytest.raises(AssertionError, match="finite"):
        win_rate([1.0], [float("nan")])


@pytest.mark.parametrize(("n", "t"), [(2, 12.706), (5, 2.776), (11, 2.228), (12, 2.201), (31, 2.042), (121, 1.980)])
def test_the_mean_has_students_interval(n, t):
    values = np.arange(n, dtype=float)
    found = mean_interval(values)
    assert found.high - found.mean == pytest.approx(t * values.std(ddof=1) / math.sqrt(n), rel=5e-4)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_one_value_tells_nothing_of_its_spread():
    assert mean_interval([3.0]) == mean_interval([3.0])
    assert mean_interval([3.0]).low == -math.inf


def test_progress_counts_rounds_from_the_initial_prompt():
    found = progress([4.0, 3.0, 6.5, 6.5, 5.0])
    assert (found.best, found.gain, found.rounds_to_best) == (6.5, 2.5, 2)
    assert progress([4.0]).rounds_to_best == 0
