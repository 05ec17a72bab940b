"""trainers/embedded/world/shapes.py: outlines within their radius, masks with holes, and inks that mix."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from trainers.embedded.world.shapes import HELD_OUT_SHAPES, SHAPES, draw_lines, mask_of, overprint, placed

ALL = SHAPES | HELD_OUT_SHAPES
WHITE, RED = (255, 255, 255), (200, 0, 0)


def mask(shape: str, tilt: float = 0.0) -> np.ndarray:
    """Where a shape of radius 30 lies in 80 x 80 pixels."""
    return np.asarray(mask_of(placed(shape, 40, 40, 30, tilt), 80)) > 0


def common(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("shape", ALL)
def test_a_shape_fills_its_radius_and_leaves_it_at_corners_only(shape: str) -> None:
    reach = [math.hypot(*point) for points in ALL[shape] for point in points]
    assert 0.9 <= max(reach) <= 1.35 and all(
        abs(value) <= 1.01 for points in ALL[shape] for point in points for value in point
    )
    assert 0.15 < mask(shape).sum() / (math.pi * 30**2) < 1.2


def test_no_shape_is_another_one() -> None:
    masks = {shape: mask(shape) for shape in ALL}
    assert [pair for pair in combinations(ALL, 2) if common(masks[pair[0]], masks[pair[1]]) > 0.85] == []


@pytest.mark.parametrize(("shape", "holes"), [("ring", 1), ("grid", 4), ("eye", 1), ("circle", 0)])
def test_holes_are_left_out(shape: str, holes: int) -> None:
    body = np.asarray(mask_of(placed(shape, 40, 40, 30, 0.0)[:1], 80)) > 0
    assert len(ALL[shape]) == 1 + holes and (body & ~mask(shape)).any() == bool(holes)


@pytest.mark.parametrize("shape", ["square", "cross", "grid"])
def test_a_quarter_turn_of_a_square_shape_changes_nothing_and_an_eighth_does(shape: str) -> None:
    assert common(mask(shape), mask(shape, math.pi / 2)) > 0.93 and common(mask(shape), mask(shape, math.pi / 4)) < 0.8


def test_a_shape_stands_where_it_is_placed_turned_clockwise() -> None:
    left, _, right, _ = (placed("bar", 10, 20, 5, math.pi / 2)[0][corner] for corner in range(4))
    assert left == pytest.approx((10 + 0.36 * 5, 20 - 5)) and right == pytest.approx((10 - 0.36 * 5, 20 + 5))


def test_a_line_follows_every_border_and_none_is_drawn_at_no_width() -> None:
    image = Image.new("RGB", (80, 80), WHITE)
    draw_lines(image, placed("ring", 40, 40, 30, 0.0), 0.0, RED)
    assert image.getcolors() == [(6400, WHITE)]
    draw_lines(image, placed("ring", 40, 40, 30, 0.0), 4.0, RED)
    row = np.asarray(image)[40, :, 1] < 128
    assert (row[1:] & ~row[:-1]).sum() == 4 and 12 <= row.sum() <= 20


def test_translucent_ink_covers_bare_ground_and_darkens_what_is_there() -> None:
    image, covered = Image.new("RGB", (80, 80), WHITE), Image.new("L", (80, 80))
    first = mask_of(placed("square", 30, 40, 20, 0.0), 80)
    second = mask_of(placed("square", 50, 40, 20, 0.0), 80)
    overprint(image, first, covered, RED)
    overprint(image, second, first, (128, 255, 255))
    assert [image.getpixel((x, 40)) for x in (2, 20, 40, 60)] == [WHITE, RED, (100, 0, 0), (128, 255, 255)]
