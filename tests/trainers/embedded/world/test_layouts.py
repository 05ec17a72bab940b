"""trainers/embedded/world/layouts.py: every layout is what it is called, and leaves its objects room and shape."""

from __future__ import annotations

import math
import random
from itertools import combinations, pairwise

import numpy as np
import pytest

from tests.trainers.embedded.world.drawn import SIMPLE, draw
from trainers.embedded.world.layouts import LAYOUTS, MIDDLE, Place, crowd
from trainers.embedded.world.world import ACCENT_RADIUS, COUNTS, RADIUS, VOCABULARY, Scene, places, sample_scene

NUMBERS = range(1, 7)


def arranged(layout: str, number: int, seed: int = 0) -> list[Place]:
    """Where a layout puts large objects, the last of them an accent."""
    return LAYOUTS[layout]([RADIUS["large"]] * (number - 1) + [ACCENT_RADIUS], random.Random(seed))


def points(found: list[Place]) -> np.ndarray:
    return np.array(found)[:, :2]


def off_line(dots: np.ndarray) -> float:
    """How far the dots lie from the straight line that fits them best."""
    return float(np.linalg.svd(dots - dots.mean(0))[1][-1])


def test_every_layout_of_the_vocabulary_is_there() -> None:
    assert set(LAYOUTS) == set(VOCABULARY.genes["layout"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("number", NUMBERS)
def test_objects_lie_inside_and_do_not_touch(layout: str, number: int) -> None:
    for seed in range(30):
        found = arranged(layout, number, seed)
        assert len(found) == number and min(radius for *_, radius in found) > 4.5
        for x, y, radius in found:
            assert min(x, y, 64 - x, 64 - y) >= 0.85 * radius
        for (x, y, r), (u, v, s) in combinations(found, 2):
            assert math.dist((x, y), (u, v)) >= r + s + 1.0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_object_is_larger_than_it_would_like(layout: str) -> None:
    for number in NUMBERS:
        wanted = 1.25 if layout == "centred" and number == 1 else 1.0
        found = arranged(layout, number)
        assert (
            all(radius <= wanted * RADIUS["large"] for *_, radius in found[:-1])
            and found[-1][2] <= wanted * ACCENT_RADIUS
        )


@pytest.mark.parametrize("number", NUMBERS)
def test_a_row_is_level_and_from_the_fourth_object_on_the_last_stands_alone(number: int) -> None:
    for seed in range(20):
        row, rest = points(arranged("in a row", number, seed)), np.zeros((0, 2))
        if number > 3:
            row, rest = row[:-1], row[-1:]
        assert np.ptp(row[:, 1]) == 0 and all(b - a > 10 for a, b in pairwise(sorted(row[:, 0])))
        assert all(abs(y - row[0, 1]) > 15 for _, y in rest)


@pytest.mark.parametrize("number", NUMBERS[1:])
def test_a_diagonal_leads_from_corner_to_corner_both_ways(number: int) -> None:
    rises = set()
    for seed in range(20):
        line = points(arranged("diagonal", number, seed))[: number - (number > 4)]
        slope = np.corrcoef(line.T)[0, 1]
        assert (
            abs(slope) > 0.999 and np.ptp(line[:, 0]) > 25 and np.ptp(line[:, 0]) == pytest.approx(np.ptp(line[:, 1]))
        )
        rises.add(slope > 0)
    assert rises == {True, False}


@pytest.mark.parametrize("number", NUMBERS)
def test_the_centred_lie_around_the_middle_at_one_distance(number: int) -> None:
    for seed in range(20):
        around = points(arranged("centred", number, seed)) - MIDDLE
        assert np.allclose(around.mean(0), 0, atol=1e-6) and np.ptp(np.hypot(*around.T)) < 1e-6
        assert np.hypot(*around.T).max() < 20


@pytest.mark.parametrize("number", NUMBERS)
def test_the_tiled_fill_the_cells_of_a_grid_in_reading_order(number: int) -> None:
    for seed in range(20):
        dots = points(arranged("tiled", number, seed))
        columns, rows = sorted(set(dots[:, 0])), sorted(set(dots[:, 1]))
        cells = [(column, row) for row in rows for column in columns]
        assert sorted(cells[:number]) == sorted(map(tuple, dots)) and number > len(columns) * (len(rows) - 1)


@pytest.mark.parametrize("number", NUMBERS[1:])
def test_the_radial_stand_at_equal_angles_around_a_hub(number: int) -> None:
    for seed in range(20):
        dots = points(arranged("radial", number, seed)) - MIDDLE
        if number >= 3:
            assert np.allclose(dots[-1], 0)
            dots = dots[:-1]
        angles = np.sort(np.arctan2(dots[:, 1], dots[:, 0]))
        gaps = np.diff([*angles, angles[0] + 2 * math.pi])
        assert np.allclose(gaps, 2 * math.pi / len(dots)) and np.ptp(np.hypot(*dots.T)) < 1e-6


@pytest.mark.parametrize("number", [3, 4])
def test_the_scattered_are_in_no_order(number: int) -> None:
    found = [points(arranged("scattered", number, seed)) for seed in range(40)]
    assert all(len({*dots[:, 0]}) == len({*dots[:, 1]}) == number and off_line(dots) > 1 for dots in found)
    assert len({tuple(dots.ravel()) for dots in found}) == 40


@pytest.mark.parametrize("number", [5, 6])
def test_many_scattered_ones_are_still_left_to_chance(number: int) -> None:
    radii = [RADIUS["small"]] * number  # large ones have no room: they stand in the middle of their cells
    found = [np.array(LAYOUTS["scattered"](radii, random.Random(seed)))[:, :2] for seed in range(40)]
    assert all(len({*dots[:, 0]}) == len({*dots[:, 1]}) == number for dots in found)
    assert len({tuple(dots.ravel()) for dots in found}) == 40


@pytest.mark.parametrize("number", NUMBERS)
def test_the_symmetric_mirror_from_left_to_right_accent_and_sizes_included(number: int) -> None:
    for seed in range(20):
        found = arranged("symmetric", number, seed)
        kinds = [(round(x, 6), round(y, 6), round(r, 6), place == found[-1]) for place in found for x, y, r in [place]]
        assert sorted(kinds) == sorted((round(64 - x, 6), y, r, accent) for x, y, r, accent in kinds)


@pytest.mark.parametrize("shape", ["circle", "ring", "cross"])
def test_symmetric_pictures_mirror_but_for_a_slight_tilt(shape: str) -> None:
    for count in VOCABULARY.genes["count"]:
        for overlap in ("apart", "translucent"):
            genome = {
                "count": count,
                "shape": shape,
                "accent_shape": "circle",
                "layout": "symmetric",
                "overlap": overlap,
            }
            image = np.asarray(draw(Scene(SIMPLE | genome), random.Random(1)).image, float)
            unlike = np.abs(image - image[:, ::-1]).max(-1) > 60
            assert unlike.mean() < (0.01 if shape != "cross" else 0.12), genome
    askew = np.asarray(draw(Scene(SIMPLE | {"count": "three", "layout": "scattered"}), random.Random(1)).image, float)
    assert (np.abs(askew - askew[:, ::-1]).max(-1) > 60).mean() > 0.12


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_told_apart_by_their_pictures(layout: str) -> None:
    def shown(name: str, seed: int) -> np.ndarray:
        scene = Scene(SIMPLE | {"count": "four", "layout": name})
        return np.asarray(draw(scene, random.Random(seed)).image, float)

    for other in set(LAYOUTS) - {layout}:
        apart = [np.abs(shown(layout, seed) - shown(other, seed)).mean() for seed in range(3)]
        assert max(apart) > 8, other


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("number", NUMBERS[1:])
def test_a_crowd_is_the_same_arrangement_nearer_together(layout: str, number: int) -> None:
    for seed in range(10):
        before, after = arranged(layout, number, seed), crowd(arranged(layout, number, seed), 0.7)
        nearness = [math.dist(a[:2], b[:2]) / (a[2] + b[2]) for a, b in combinations(after, 2)]
        assert min(nearness) == pytest.approx(0.7) and all(
            new[2] > old[2] for old, new in zip(before, after, strict=True)
        )
        old, new = (points(found) - points(found).mean(0) for found in (before, after))
        pull = np.sum(old * new) / np.sum(old * old)
        assert 0 < pull <= 1 and np.allclose(pull * old, new)


def test_one_object_cannot_be_crowded() -> None:
    assert crowd([(32.0, 32.0, 9.0)], 0.7) == [(32.0, 32.0, 9.0)]


def test_the_objects_of_scenes_stay_on_the_canvas() -> None:
    for number in range(2000):
        rng = random.Random(number)
        genome = sample_scene(rng).genome
        found = places(genome, rng)
        assert len(found) == COUNTS[genome["count"]] + bool(genome["accent_shape"])
        for x, y, radius in found:
            assert min(x, y, 64 - x, 64 - y) > 0.85 * radius, genome
