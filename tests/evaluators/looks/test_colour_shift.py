"""Colour shift by hand."""

from __future__ import annotations

import pytest
from PIL import Image

from evaluators.looks.colour_shift import colour_shift


def field(*colour: int) -> Image.Image:
    return Image.new("RGB", (4, 4), colour)


def test_each_channel_is_compared_with_its_mean_before() -> None:
    green, cyan = field(0, 200, 0), field(0, 200, 200)  # hue 120 and 180
    assert colour_shift([cyan], [green]) == pytest.approx((50, 0, 0))
    dull, dark = field(100, 200, 100), field(0, 100, 0)  # saturation 0.5, value half
    assert colour_shift([dull], [green]) == pytest.approx((0, 50, 0))
    assert colour_shift([dark], [green]) == pytest.approx((0, 0, 50))


def test_a_set_is_compared_by_its_mean_and_a_smaller_mean_is_a_change_too() -> None:
    assert colour_shift([field(0, 100, 0), field(0, 200, 0)], [field(0, 200, 0)] * 2).value == pytest.approx(25)
    assert colour_shift([field(9, 9, 9)], [field(9, 9, 9)]) == (0, 0, 0)
    assert colour_shift([field(200, 0, 0)], [field(200, 200, 200)]).saturation == pytest.approx(100)
