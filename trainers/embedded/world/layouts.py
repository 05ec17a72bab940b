"""Where the objects of a scene stand, on a canvas of 64 x 64 units, for each layout of the vocabulary.

A layout takes the radii that the objects would like to have (the main ones first, the accent, if any, last) and gives every
object its (x, y, radius), shrunk just enough not to touch. `crowd` then pulls them together where they should overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from random import Random

Place = tuple[float, float, float]
CANVAS, MIDDLE, GAP = 64.0, 32.0, 0.7


def _fitted(points: Sequence[tuple[float, float]], radii: Sequence[float]) -> list[Place]:
    """The points with radii that neither touch one another nor leave the canvas."""
    places = []
    for i, ((x, y), radius) in enumerate(zip(points, radii, strict=True)):
        walls = [1.12 * wall for wall in (x, y, CANVAS - x, CANVAS - y)]  # a corner may graze the edge
        nearest = [math.dist((x, y), other) / 2 - GAP for j, other in enumerate(points) if j != i]
        places.append((x, y, min(radius, *walls, *nearest)))
    return places


def _scattered(radii: Sequence[float], rng: Random) -> list[Place]:
    """Anywhere in cells of a coarse grid, one to a cell: never touching, never in a line."""
    across, down = (2, 2) if len(radii) <= 4 else rng.choice([(3, 2), (2, 3)])
    wide, high = CANVAS / across, CANVAS / down
    cells = rng.sample([((i + 0.5) * wide, (j + 0.5) * high) for i in range(across) for j in range(down)], len(radii))
    wanted = (
        [min(radius, 9.0) for radius in radii] if len(radii) > 4 else radii
    )  # in full cells nothing could be scattered
    rooms = [(max(0.0, wide / 2 - r), max(0.0, high / 2 - r)) for r in wanted]
    points = [(x + rng.uniform(-a, a), y + rng.uniform(-b, b)) for (x, y), (a, b) in zip(cells, rooms, strict=True)]
    return _fitted(points, wanted)


def _centred(radii: Sequence[float], rng: Random) -> list[Place]:
    """One object in the middle, or a close ring of them around it."""
    if len(radii) == 1:
        return [(MIDDLE, MIDDLE, radii[0] * 1.25)]
    largest = min(max(radii), 11.5 if len(radii) < 5 else 9.0)
    reach = (largest + GAP) / math.sin(math.pi / len(radii))
    turn = rng.choice([0, math.pi / 2])
    around = [turn + 2 * math.pi * i / len(radii) for i in range(len(radii))]
    return _fitted(
        _shuffled([(MIDDLE + reach * math.cos(a), MIDDLE + reach * math.sin(a)) for a in around], rng), radii
    )


def _shuffled(points: list[tuple[float, float]], rng: Random) -> list[tuple[float, float]]:
    """The points in another order: the accent may stand anywhere among the others."""
    return rng.sample(points, len(points))


def _line(count: int, start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    steps = [(i + 0.5) / count for i in range(count)]
    return [(start[0] + s * (end[0] - start[0]), start[1] + s * (end[1] - start[1])) for s in steps]


def _row(radii: Sequence[float], rng: Random) -> list[Place]:
    """Side by side; from the fourth object on the last one sits above or below, so that none has to be tiny."""
    if len(radii) < 4:
        y = MIDDLE + rng.uniform(-4, 4)
        return _fitted(_shuffled(_line(len(radii), (0, y), (CANVAS, y)), rng), radii)
    y = rng.choice([21.0, 43.0])
    return _fitted(
        [*_line(len(radii) - 1, (0, y), (CANVAS, y)), (MIDDLE, CANVAS - y + math.copysign(4, MIDDLE - y))], radii
    )


def _diagonal(radii: Sequence[float], rng: Random) -> list[Place]:
    """From corner to corner; from the fifth object on the last one has a corner of its own."""
    up = rng.random() < 0.5
    ends = ((3.0, 61.0), (61.0, 3.0)) if up else ((3.0, 3.0), (61.0, 61.0))
    if len(radii) < 5:
        return _fitted(_shuffled(_line(len(radii), *ends), rng), radii)
    corner = rng.choice([(14.0, 14.0), (50.0, 50.0)]) if up else rng.choice([(14.0, 50.0), (50.0, 14.0)])
    return _fitted([*_line(len(radii) - 1, *ends), corner], radii)


def _tiled(radii: Sequence[float], rng: Random) -> list[Place]:
    """The cells of a grid, filled in reading order; two objects stand one above the other."""
    across, down = {1: (1, 1), 2: (1, 2), 3: (2, 2), 4: (2, 2)}.get(
        len(radii), (3, 2) if rng.random() < 0.5 else (2, 3)
    )
    wide, high = CANVAS / across, CANVAS / down
    cells = [((i + 0.5) * wide, (j + 0.5) * high) for j in range(down) for i in range(across)]
    return _fitted(_shuffled(cells[: len(radii)], rng), radii)


def _radial(radii: Sequence[float], rng: Random) -> list[Place]:
    """Around the middle at equal angles; from the third object on the last one is the hub."""
    hub = len(radii) >= 3
    count, turn = len(radii) - hub, rng.uniform(0, 2 * math.pi)
    around = [
        (MIDDLE + 21 * math.cos(turn + 2 * math.pi * i / count), MIDDLE + 21 * math.sin(turn + 2 * math.pi * i / count))
        for i in range(count)
    ]
    return _fitted([*around, (MIDDLE, MIDDLE)] if hub else around, radii)


def _symmetric(radii: Sequence[float], rng: Random) -> list[Place]:
    """Pairs left and right of a vertical axis, at one height; the others, the last one among them, on the axis."""
    pairs, axis = MIRRORED[len(radii)]
    turn = rng.choice([1, -1])
    points = [(MIDDLE + side * x, MIDDLE + turn * y) for x, y in pairs for side in (-1, 1)]
    return _fitted([*points, *((MIDDLE, MIDDLE + turn * y) for y in axis)], radii)


# For each number of objects: half the distance and the height of every pair, and the heights on the axis.
MIRRORED: dict[int, tuple[list[tuple[float, float]], list[float]]] = {
    1: ([], [0.0]), 2: ([], [-15.0, 15.0]), 3: ([(16.0, 10.0)], [-15.0]), 4: ([(20.0, 0.0)], [-20.0, 20.0]),
    5: ([(18.0, -15.0), (18.0, 15.0)], [0.0]), 6: ([(21.0, -11.0), (21.0, 11.0)], [-22.0, 22.0]),
}  # fmt: skip


LAYOUTS: dict[str, Callable[[Sequence[float], Random], list[Place]]] = {
    "scattered": _scattered, "centred": _centred, "in a row": _row, "diagonal": _diagonal,
    "tiled": _tiled, "radial": _radial, "symmetric": _symmetric,
}  # fmt: skip


def crowd(places: Sequence[Place], touch: float) -> list[Place]:
    """The same arrangement, a little larger, drawn together until the nearest two stand `touch` sums of their radii apart."""
    if len(places) < 2:
        return list(places)
    grown = [(x, y, radius * 1.15) for x, y, radius in places]
    closest = min(math.dist(a[:2], b[:2]) / (a[2] + b[2]) for a, b in combinations(grown, 2))
    pull = min(1.0, touch / closest)
    x, y = (sum(place[i] for place in grown) / len(grown) for i in (0, 1))
    return [
        (MIDDLE + pull * (px - x) + 0.5 * (x - MIDDLE), MIDDLE + pull * (py - y) + 0.5 * (y - MIDDLE), r)
        for px, py, r in grown
    ]
