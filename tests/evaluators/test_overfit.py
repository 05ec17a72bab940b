import math

import numpy as np
import pytest

from evaluators.overfit import openness, oracle, overfit_share, select, should_stop, uncertainty

ANCHOR, OTHER = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def test_an_image_nearer_to_the_non_subject_is_overfit_and_a_tie_is_too():
    images = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])
    assert list(oracle(images, ANCHOR, OTHER)) == [0, 1, 1]


def test_the_length_of_a_feature_does_not_matter():
    images = np.random.default_rng(0).normal(size=(20, 2))
    assert list(oracle(images * 7, ANCHOR, OTHER)) == list(oracle(images, 5 * ANCHOR, OTHER))


def test_share_and_entropy_by_hand():
    assert overfit_share(np.array([1, 0, 0, 1, 0])) == 0.4
    assert uncertainty(0.5) == pytest.approx(math.log(2))
    assert uncertainty(0.1) == pytest.approx(0.3250830)
    assert uncertainty(0.0) == 0.0 == uncertainty(1.0)
    assert uncertainty(0.3) == pytest.approx(uncertainty(0.7))


def test_the_most_uncertain_are_selected_with_their_most_faithful_image():
    fidelity = np.array([[0.1, 0.2, 0.3], [0.9, 0.1, 0.1], [0.2, 0.8, 0.2]])
    assert select(np.array([0.1, 0.5, 0.6]), fidelity, 2) == [(2, 1), (1, 0)]


def test_ties_go_to_the_more_faithful_then_to_the_first():
    level = np.array([uncertainty(0.3), uncertainty(0.7), uncertainty(0.3)])
    assert [s.anchor for s in select(level, np.array([[0.2], [0.9], [0.5]]), 3)] == [1, 2, 0]
    assert [s.anchor for s in select(level, np.full((3, 2), 0.4), 2)] == [0, 1]
    assert [s.image for s in select(level, np.full((3, 2), 0.4), 2)] == [0, 0]


def test_more_are_asked_for_than_there_are():
    assert len(select(np.array([0.1]), np.array([[0.2]]), 3)) == 1


def test_openness_is_lambda_times_the_mean_and_never_above_a_third_of_a_percent():
    assert openness(np.array([0.0, 0.6])) == pytest.approx(0.0015)
    assert openness(np.array([0.2, 0.4]), rate=1.0) == pytest.approx(0.3)
    assert openness(np.full(18, uncertainty(0.5))) == pytest.approx(0.005 * math.log(2))


def test_it_stops_when_fewer_than_k_directions_are_open():
    assert should_stop(np.array([0.0, 0.1, 0.2]), 3)
    assert not should_stop(np.array([0.3, 0.1, 0.2]), 3)


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(AssertionError):
        oracle(np.ones((3, 2)), np.ones(3), np.ones(2))
    with pytest.raises(AssertionError):
        select(np.ones(3), np.ones((2, 4)), 1)
    with pytest.raises(AssertionError, match="share"):
        uncertainty(1.5)
