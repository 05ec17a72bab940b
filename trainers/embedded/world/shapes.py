"""The outlines of the world's shapes, and how one is drawn: a mask, a fill and, if wanted, a contour line.

An outline is closed polygons around the origin, within a radius of 1, y downwards: the first is the body, the others are holes.
"""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

Point = tuple[float, float]
Outline = list[list[Point]]
Colour = tuple[int, int, int]


def _arc(radius: float, start: float, end: float, points: int = 40) -> list[Point]:
    """Points on a circle, angles in turns, clockwise from the right."""
    angles = [2 * math.pi * (start + (end - start) * i / points) for i in range(points + 1)]
    return [(radius * math.cos(a), radius * math.sin(a)) for a in angles]


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _moved(points: list[Point], down: float) -> list[Point]:
    return [(x, y + down) for x, y in points]


def _cross(arm: float) -> list[Point]:
    """A plus sign; `arm` is half the width of a bar."""
    a = arm
    quarter = [(-a, -1), (a, -1), (a, -a)]
    turns = [lambda x, y: (x, y), lambda x, y: (-y, x), lambda x, y: (-x, -y), lambda x, y: (y, -x)]
    return [turn(x, y) for turn in turns for x, y in quarter]


def _spiral() -> list[Point]:
    """A band one and a half turns long, as wide as the gap between its turns."""
    middle = [(0.18 + 0.68 * t / 60, 2 * math.pi * 1.55 * t / 60) for t in range(61)]
    sides = [[(r + side) * math.cos(a) for r, a in middle] for side in (0.14, -0.14)]
    downs = [[(r + side) * math.sin(a) for r, a in middle] for side in (0.14, -0.14)]
    outer, inner = (list(zip(xs, ys, strict=True)) for xs, ys in zip(sides, downs, strict=True))
    return outer + inner[::-1]


def _heart() -> list[Point]:
    angles = [2 * math.pi * i / 48 for i in range(48)]
    curve = [
        (16 * math.sin(a) ** 3, -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)))
        for a in angles
    ]
    return [(x / 17, (y - 2) / 17) for x, y in curve]


def _star() -> list[Point]:
    radii = [1.0, 0.45] * 5
    return [(r * math.sin(math.pi * i / 5), -r * math.cos(math.pi * i / 5)) for i, r in enumerate(radii)]


def _lens() -> list[Point]:
    """The opening of an eye."""
    upper = [(-1 + 2 * i / 24, -0.62 * math.sin(math.pi * i / 24)) for i in range(25)]
    return upper + [(x, -y) for x, y in reversed(upper)]


SHAPES: dict[str, Outline] = {
    "circle": [_arc(1, 0, 1)],
    "square": [_box(-0.85, -0.85, 0.85, 0.85)],
    "triangle": [[(0, -1), (0.95, 0.75), (-0.95, 0.75)]],
    "diamond": [[(0, -1), (0.72, 0), (0, 1), (-0.72, 0)]],
    "ring": [_arc(1, 0, 1), _arc(0.5, 0, 1)],
    "cross": [_cross(0.34)],
    "semicircle": [_moved(_arc(1, 0.5, 1), 0.45)],
    "arc": [_moved(_arc(1, 0.46, 1.04) + _arc(0.5, 1.04, 0.46), 0.35)],
    "bar": [_box(-1, -0.36, 1, 0.36)],
    "grid": [_box(-0.95, -0.95, 0.95, 0.95), *(_box(x, y, x + 0.38, y + 0.38) for x in (-0.57, 0.19) for y in (-0.57, 0.19))],
}  # fmt: skip
# No model meets these before a person teaches it one: subjects for personalisation.
HELD_OUT_SHAPES: dict[str, Outline] = {
    "star": [_star()],
    "heart": [_heart()],
    "eye": [_lens(), _arc(0.42, 0, 1)],
    "spiral": [_spiral()],
}


@lru_cache
def _outline(shape: str) -> Outline:
    return (SHAPES | HELD_OUT_SHAPES)[shape]


def placed(shape: str, x: float, y: float, radius: float, tilt: float) -> Outline:
    """The outline at (x, y), turned by `tilt` radians."""
    cos, sin = radius * math.cos(tilt), radius * math.sin(tilt)
    return [[(x + px * cos - py * sin, y + px * sin + py * cos) for px, py in points] for points in _outline(shape)]


def mask_of(outline: Outline, size: int) -> Image.Image:
    """White where the shape is, holes left out: an L image of size x size pixels."""
    mask = Image.new("L", (size, size))
    draw = ImageDraw.Draw(mask)
    for number, points in enumerate(outline):
        draw.polygon(points, fill=0 if number else 255)
    return mask


def draw_lines(image: Image.Image, outline: Outline, width: float, colour: Colour) -> None:
    """A contour line along every border of the shape; none if `width` is 0."""
    if not width:
        return
    draw = ImageDraw.Draw(image)
    for points in outline:
        draw.line([*points, *points[:2]], fill=colour, width=round(width), joint="curve")


def overprint(image: Image.Image, mask: Image.Image, covered: Image.Image, colour: Colour) -> None:
    """Fill the mask as ink would that is printed over ink: where something is already, the two colours darken each other."""
    mixed = ImageChops.multiply(image, Image.new("RGB", image.size, colour))
    image.paste(colour, mask=mask)
    image.paste(mixed, mask=ImageChops.multiply(mask, covered))
