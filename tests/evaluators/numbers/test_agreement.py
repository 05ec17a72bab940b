import numpy as np
import pytest

from evaluators.numbers.agreement import agree, errors, pairwise_accuracy, pearson, ranks, spearman


def test_ties_share_their_mean_rank():
    assert list(ranks(np.array([3.0, 1.0, 3.0, 2.0]))) == [3.5, 1.0, 3.5, 2.0]


def test_spearman_by_hand():
    # d = (1, -1, 0, 0): 1 - 6 * 2 / (4 * 15)
    assert spearman(np.array([1, 2, 3, 4]), np.array([2, 1, 3, 4])) == pytest.approx(0.8)
    assert spearman(np.array([1, 2, 3]), np.array([30, 20, 10])) == -1.0
    assert spearman(np.array([1, 2, 3]), np.array([5, 5, 5])) == 0.0


def test_pairwise_accuracy_by_hand():
    ratings = np.array([1.0, 2.0, 2.0, 3.0])
    assert pairwise_accuracy(np.array([1.0, 2.0, 3.0, 4.0]), ratings) == 1.0
    assert pairwise_accuracy(np.array([4.0, 3.0, 2.0, 1.0]), ratings) == 0.0
    assert pairwise_accuracy(np.zeros(4), ratings) == 0.5
    assert pairwise_accuracy(np.arange(4.0), np.ones(4)) == 0.5


def test_errors_are_of_pairs_not_of_a_table():
    assert errors(np.array([1.0, 2.0]), np.array([2.0, 4.0])) == (2.5, 1.5)
    with pytest.raises(AssertionError, match=r"\(N,\)"):
        errors(np.array([[1.0], [2.0]]), np.array([2.0, 4.0]))
    with pytest.raises(AssertionError):
        spearman(np.ones(3), np.ones(4))


def test_the_interval_holds_the_correlation_and_narrows_with_more_images():
    rng = np.random.default_rng(0)

    def width(n):
        truth = rng.normal(size=n)
        found = agree(truth + rng.normal(size=n), truth)
        assert found.low < found.srocc < found.high and found.n == n
        return found.high - found.low

    assert width(200) < width(20)


def test_pearson_by_hand():
    # deviations (-1, 0, 1) and (-2, -1, 3): 5 / sqrt(2 * 14)
    assert pearson(np.array([1, 2, 3]), np.array([0, 1, 5])) == pytest.approx(5 / np.sqrt(28))
    assert pearson(np.array([1, 2, 3]), np.array([9, 7, 5])) == pytest.approx(-1.0)
    assert pearson(np.full(3, 0.1), np.array([1, 2, 3])) == 0.0


def test_resampled_pairs_are_counted_as_if_the_pictures_were_drawn_again() -> None:
    from evaluators.numbers.agreement import _resampled_accuracy

    rng = np.random.default_rng(0)
    predicted, ratings = rng.standard_normal(12), np.round(rng.uniform(0, 4, 12))
    picks = rng.integers(0, 12, (50, 12))
    one_by_one = [pairwise_accuracy(predicted[pick], ratings[pick]) for pick in picks]
    assert np.allclose(_resampled_accuracy(predicted, ratings, picks), one_by_one)
