import numpy as np
import pytest

from evaluators.numbers.comparisons import as_ratings, strengths
from prompts.errors import InputError


def test_one_comparison_by_hand():
    # The most probable s solves s = 1 / (1 + exp(2 s)): the winner's prior pull against one win.
    found = strengths([(0, 1)], 3)
    assert found[0] == pytest.approx(1 / (1 + np.exp(2 * found[0]))) == -found[1]
    assert found[2] == 0.0


def test_an_order_is_recovered_from_its_comparisons():
    truth = np.random.default_rng(0).permutation(8)
    pairs = [(a, b) for a in range(8) for b in range(8) if truth[a] > truth[b]]
    assert list(np.argsort(strengths(pairs, 8))) == list(np.argsort(truth))


def test_ratings_stay_on_the_scale():
    ratings = as_ratings([(0, 1)] * 5000, 2)
    assert 0 <= ratings[1] < 5 < ratings[0] <= 10
    assert list(as_ratings([], 2)) == [5.0, 5.0]


@pytest.mark.parametrize("pair", [(0, 0), (0, 3), (-1, 0)])
def test_an_impossible_comparison_is_refused(pair):
    with pytest.raises(InputError, match="comparison"):
        strengths([pair], 3)
