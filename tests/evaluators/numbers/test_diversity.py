import numpy as np
import pytest

from evaluators.numbers.diversity import diversity


def test_by_hand():
    assert diversity(np.array([[1.0, 0.0], [0.0, 2.0]])) == pytest.approx(1.0)
    assert diversity(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]])) == pytest.approx(2 / 3)


def test_copies_and_single_images_are_not_diverse():
    assert diversity(np.ones((4, 3))) == pytest.approx(0.0)
    assert diversity(np.ones((1, 3))) == 0.0
