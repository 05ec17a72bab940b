"""evaluators/preference/kinds/scale.py: a scale is recognised, and changes nothing but itself."""

import numpy as np
import pytest

from evaluators.preference.kinds.scale import length_of, spread_of
from evaluators.preference.model import fit
from tests.evaluators.preference.crowd import PICTURES, tastes


@pytest.mark.parametrize("kind", ["bayes", "maml", "head"])
def test_another_scale_changes_nothing_but_the_scale(kind, population):
    mine = np.round(tastes(1, seed=4)[1][0][:30])
    mean, std = fit(PICTURES[:30], mine, kind, population=population).predict(PICTURES[60:])
    small, small_std = fit(PICTURES[:30], mine / 10, kind, population=population).predict(PICTURES[60:])
    assert 10 * small == pytest.approx(mean, abs=1e-6) and 10 * small_std == pytest.approx(std, abs=1e-6)


def test_scales_are_recognised():
    assert [length_of(np.array(r)) for r in ([0.2, 0.9], [1, 5, 3], [7.5], [60.0], [500.0])] == [1, 5, 10, 100, 500]
    assert spread_of(np.array([7.0])) == 2.0 and spread_of(np.array([0.4, 0.4])) == pytest.approx(0.2)
