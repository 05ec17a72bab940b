import dataclasses

import pytest

from evaluators.scorers.score import Score


def test_a_score_cannot_be_changed():
    score = Score("clip_t", "abc", (0.1, 0.2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        score.values = (1.0,)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_is_refused(value):
    with pytest.raises(AssertionError, match="not finite"):
        Score("clip_t", "abc", (0.1, value))
