import numpy as np
import pytest
from PIL import Image, ImageDraw

from evaluators.looks.colour import name_codes, rgb
from evaluators.looks.shapes import blobs, label


def codes(*draws, ground="white"):
    image = Image.new("RGB", (64, 64), ground)
    for shape, box, fill in draws:
        getattr(ImageDraw.Draw(image), shape)(box, fill=fill)
    return name_codes(rgb(image))


def flooded(grid):
    """Components by flood fill, pixel by pixel: slow, plainly right."""
    out, number = -np.ones(grid.shape, int), 0
    for start in np.ndindex(grid.shape):
        if out[start] >= 0:
            continue
        stack = [start]
        while stack:
            r, c = stack.pop()
            if out[r, c] >= 0 or grid[r, c] != grid[start]:
                continue
            out[r, c] = number
            near = ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1))
            stack += [p for p in near if 0 <= p[0] < grid.shape[0] and 0 <= p[1] < grid.shape[1]]
        number += 1
    return out


@pytest.mark.parametrize("seed", range(6))
def test_labels_equal_a_flood_fill(seed):
    grid = np.random.default_rng(seed).integers(0, 2 + seed % 3, (24, 17)).astype(np.uint8)
    assert np.array_equal(label(grid), flooded(grid))


def test_a_spiral_is_one_component():
    grid = np.zeros((9, 9), np.uint8)
    grid[1, 1:8] = grid[1:8, 7] = grid[7, 1:8] = grid[3:8, 1] = grid[3, 1:6] = grid[3:6, 5] = 1
    assert len(set(label(grid)[grid == 1])) == 1


def test_separate_shapes_are_counted_and_the_background_is_not():
    found = blobs(
        codes(
            ("ellipse", (4, 4, 20, 20), "red"),
            ("rectangle", (40, 40, 55, 55), "blue"),
            ("rectangle", (40, 5, 50, 15), "red"),
        )
    )
    assert len(found) == 3


def test_a_plain_picture_has_no_blob():
    assert len(blobs(codes())) == 0


def test_a_disc_is_round_a_square_is_boxy_a_bar_is_neither_round_nor_small():
    disc, square, bar = (
        blobs(codes(draw))
        for draw in (
            ("ellipse", (16, 16, 47, 47), "red"),
            ("rectangle", (16, 16, 47, 47), "red"),
            ("rectangle", (4, 30, 59, 35), "red"),
        )
    )
    assert disc.roundness[0] == pytest.approx(1.0, abs=0.01)
    assert disc.boxiness[0] == pytest.approx(np.pi / 4, abs=0.01)
    assert square.roundness[0] == pytest.approx(3 / np.pi, abs=1e-6)
    assert square.boxiness[0] == 1.0
    assert square.area[0] == 32 * 32 and square.row[0] == 31.5 == square.column[0]
    assert bar.roundness[0] < 0.3
