"""tools/gal/select.py: each strategy takes what it says it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluators.overfit import Selected
from prompts.errors import InputError
from tools.gal.select import Look, by_chance, by_clip, by_uncertainty, checked


@pytest.fixture
def look() -> Look:
    """Four anchors, three images each: none, one, all and two of them overfit."""
    overfit = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 1], [1, 1, 0]])
    fidelity = np.array([[0.9, 0.8, 0.7], [0.2, 0.1, 0.3], [0.1, 0.1, 0.1], [0.2, 0.1, 0.5]])
    text = np.array([[0.1, 0.2, 0.1], [0.6, 0.1, 0.1], [0.1, 0.1, 0.7], [0.3, 0.3, 0.2]])
    return Look(2, [0, 4, 5, 7], ["a", "b", "c", "d"], overfit, fidelity, text, [[Path("x.png")] * 3] * 4)


def test_uncertainty_takes_the_most_faithful_image_of_what_is_half_overfit(look: Look) -> None:
    assert look.uncertainties == pytest.approx([0, 0.6365, 0, 0.6365], abs=1e-4)
    assert by_uncertainty(look, 2) == [Selected(3, 2), Selected(1, 2)]


def test_clip_takes_what_fits_its_prompt_best(look: Look) -> None:
    assert by_clip(look, 3) == [Selected(2, 2), Selected(1, 0), Selected(3, 0)]


def test_chance_takes_other_anchors_in_other_rounds_and_the_same_ones_again(look: Look) -> None:
    drawn = {tuple(by_chance(seed)(look, 2)) for seed in range(60)}
    assert all(len({one.anchor for one in pair}) == 2 for pair in drawn) and len(drawn) > 30
    assert {one for pair in drawn for one in pair} == {Selected(row, image) for row in range(4) for image in range(3)}
    assert by_chance(7)(look, 2) == by_chance(7)(look, 2)


@pytest.mark.parametrize("chosen", [[], [Selected(4, 0)], [Selected(0, 3)], [Selected(0, -1)], [Selected(0, 0)] * 2])
def test_a_choice_that_is_none_is_refused(look: Look, chosen: list[Selected]) -> None:
    with pytest.raises(InputError, match="the round chooses"):
        checked(chosen, look, 2, "the round")
