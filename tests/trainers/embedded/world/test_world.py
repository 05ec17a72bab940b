"""trainers/embedded/world/world.py: pictures show what their scenes say, and styles and palettes keep to themselves."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from evaluators.looks.colour import background, has_colour, hue_saturation_value
from tests.trainers.embedded.world.drawn import SIMPLE, Drawn, draw, drawn, drawn_at, simple, without
from trainers.embedded.world.grounds import HELD_OUT_TEXTURES
from trainers.embedded.world.shapes import HELD_OUT_SHAPES, SHAPES
from trainers.embedded.world.world import (
    COUNTS,
    PALETTE,
    PALETTES,
    STYLES,
    TINTED,
    VOCABULARY,
    Scene,
    colours_of,
    render,
    sample_scene,
)


@pytest.fixture(scope="module")
def shown() -> tuple[Drawn, ...]:
    return drawn(600)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [sample_scene(random.Random(seed)) for seed in range(4000)]


def untinted(shown: tuple[Drawn, ...]) -> list[Drawn]:
    return [one for one in shown if one.scene.palette not in TINTED]


def near(pixels: np.ndarray, colour: tuple[int, ...], within: float = 12.0) -> np.ndarray:
    """Which pixels have about this colour."""
    return np.linalg.norm(np.asarray(pixels, float) - np.array(colour), axis=-1) < within


def test_pictures_are_small_rgb_and_differ(shown: tuple[Drawn, ...]) -> None:
    assert all(one.image.size == (64, 64) and one.image.mode == "RGB" for one in shown)
    assert len({one.image.tobytes() for one in shown}) == len(shown)


def test_every_background_has_its_colour(shown: tuple[Drawn, ...]) -> None:
    assert [one.number for one in untinted(shown) if background(one.image) != one.scene.genome["background"]] == []


def test_named_colours_are_there(shown: tuple[Drawn, ...]) -> None:
    named = [
        has_colour(one.image, one.scene.genome[gene])
        for one in untinted(shown)
        for gene in ["background", "colour"] + ["accent_colour"] * bool(one.scene.genome["accent_shape"])
    ]
    assert len(named) > 1200 and np.mean(named) >= 0.99


def test_as_many_objects_are_drawn_as_are_said(shown: tuple[Drawn, ...]) -> None:
    assert all(len(one.masks) == one.objects and all(mask.any() for mask in one.masks) for one in shown)
    assert {one.objects for one in shown} == {1, 2, 3, 4, 5, 6}


def test_objects_apart_do_not_touch_and_the_others_do(shown: tuple[Drawn, ...]) -> None:
    several = [one for one in shown if one.objects > 1]
    common = {
        overlap: np.array([one.common for one in several if one.scene.genome["overlap"] == overlap])
        for overlap in VOCABULARY.genes["overlap"]
    }
    assert (
        np.mean(common["apart"] == 0) > 0.97 and np.mean(common["apart"] < 0.05) > 0.99
    )  # corners of squares may meet
    assert np.mean(common["overlapping"] > 0) > 0.95  # slim shapes may stand side by side
    assert np.mean(common["translucent"] > 0) > 0.95


def test_no_object_hides_another(shown: tuple[Drawn, ...]) -> None:
    for one in shown:
        later = np.zeros_like(one.masks[0])
        for mask in reversed(one.masks):
            assert (mask & ~later).sum() > 0.25 * mask.sum(), one.scene
            later |= mask


@pytest.mark.parametrize("seed", range(3))
def test_where_translucent_objects_cross_their_colours_mix(seed: int) -> None:
    scene = Scene(
        SIMPLE | {"shape": "square", "accent_shape": "circle", "overlap": "translucent", "layout": "in a row"}
    )
    mixed = tuple(a * b / 255 for a, b in zip(PALETTE["red"], PALETTE["blue"], strict=True))
    one = draw(scene, random.Random(seed))
    there, expected = near(np.asarray(one.image), mixed).sum(), (one.masks[0] & one.masks[1]).sum() / 9
    assert expected > 20 and there == pytest.approx(expected, rel=0.5)
    opaque = np.asarray(render(without(scene, overlap="overlapping"), random.Random(seed)))
    assert (
        near(opaque, mixed).sum() < 5
        and near(opaque, PALETTE["blue"]).sum() > near(np.asarray(one.image), PALETTE["blue"]).sum()
    )


def test_an_object_in_front_is_cut_out_with_a_seam_where_there_are_no_lines() -> None:
    one = draw(Scene(SIMPLE | {"count": "five", "overlap": "overlapping"}), random.Random(0))
    inside = np.any(one.masks, axis=0).reshape(64, 3, 64, 3).all((1, 3))
    seams = inside & ~near(np.asarray(one.image), PALETTE["red"])
    assert 60 < seams.sum() < 0.25 * inside.sum()
    lined = without(one.scene, lines="thin lines")
    light = near(np.asarray(render(lined, random.Random(0))), PALETTE["white"], 60)
    assert (inside & light).sum() == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_lines_show_and_bold_ones_more(shape: str) -> None:
    dark = {
        lines: near(simple(shape=shape, lines=lines), PALETTE["black"], 60).sum() for lines in VOCABULARY.genes["lines"]
    }
    assert dark["no lines"] == 0 and 20 < dark["thin lines"] < 0.8 * dark["bold lines"]


def test_lines_on_black_are_white() -> None:
    white = {
        lines: near(simple(background="black", lines=lines), PALETTE["white"], 60).sum()
        for lines in ("no lines", "bold lines")
    }
    assert white["no lines"] == 0 and white["bold lines"] > 60


def test_large_shapes_are_larger_and_more_shapes_cover_more() -> None:
    def covered(**changes: str) -> float:
        given = {"shape": "square", "layout": "scattered", **changes}
        return float(np.mean([near(simple(seed, **given), PALETTE["red"]) for seed in range(10)]))

    sizes = [covered(count=count, size="small") for count in ("one", "three", "five")]
    assert (
        covered(size="large") > 1.8 * covered(size="small") and sizes[1] > 2.0 * sizes[0] and sizes[2] > 1.2 * sizes[1]
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_told_from_every_other_by_its_pixels(shape: str) -> None:
    mine = simple(shape=shape)
    for other in set(SHAPES) - {shape}:
        assert (
            near(mine, PALETTE["red"]).sum() > 60 and (np.abs(mine - simple(shape=other)).max(-1) > 60).mean() > 0.02
        ), other


@pytest.mark.parametrize("shape", HELD_OUT_SHAPES)
def test_shapes_kept_for_later_can_be_drawn(shape: str) -> None:
    for changes in ({}, {"count": "three", "overlap": "translucent"}, {"lines": "bold lines", "layout": "symmetric"}):
        assert near(simple(shape=shape, **changes), PALETTE["red"], 40).sum() > 25


@pytest.mark.parametrize("texture", HELD_OUT_TEXTURES)
def test_textures_kept_for_later_can_be_drawn(texture: str) -> None:
    there, flat = (simple(texture=name, background="teal") for name in (texture, "flat"))
    assert there[:12].std((0, 1)).max() > 5 > flat[:12].std((0, 1)).max() and near(there, PALETTE["red"]).sum() > 400


def test_nothing_kept_for_later_is_in_a_scene(scenes: list[Scene]) -> None:
    values = {value for scene in scenes for value in scene.genome.values()}
    assert not values & {*HELD_OUT_SHAPES, *HELD_OUT_TEXTURES} and values == {*VOCABULARY.words, ""}


def test_every_word_has_a_picture() -> None:
    assert set(SHAPES) == set(VOCABULARY.genes["shape"]) == set(VOCABULARY.genes["accent_shape"])
    assert set(PALETTE) == set(VOCABULARY.genes["background"]) and set(COUNTS) == set(VOCABULARY.genes["count"])


def test_a_fifth_of_the_scenes_has_no_accent_and_bundles_are_as_frequent_as_said(scenes: list[Scene]) -> None:
    assert np.mean([not scene.genome["accent_shape"] for scene in scenes]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([bool(scene.style) for scene in scenes]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([bool(scene.palette) for scene in scenes]) == pytest.approx(0.75 * 0.25, abs=0.03)
    assert {scene.style for scene in scenes} == {"", *STYLES} and {scene.palette for scene in scenes} == {"", *PALETTES}
    assert not any(scene.style and scene.palette for scene in scenes)


def test_nothing_is_hidden_in_its_ground(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert len({scene.genome["background"], scene.genome["colour"]}) == 2, scene
        assert scene.genome["background"] != scene.genome["accent_colour"], scene


def test_styles_obey_their_bundles(scenes: list[Scene]) -> None:
    used: dict[tuple[str, str], set[str]] = {}
    for scene in scenes:
        for gene, values in STYLES.get(scene.style, {}).items():
            assert scene.genome[gene] in [*values, *[""] * (gene == "accent_shape")], scene
            used.setdefault((scene.style, gene), set()).add(scene.genome[gene])
    assert all(set(values) <= used[style, gene] for style, bundle in STYLES.items() for gene, values in bundle.items())


def test_styles_and_palettes_are_made_of_the_vocabulary() -> None:
    for bundle in STYLES.values():
        assert all(set(values) <= set(VOCABULARY.genes[gene]) for gene, values in bundle.items())
    assert all(set(colours) <= set(VOCABULARY.genes["colour"]) for colours in PALETTES.values())


def test_palettes_limit_the_colours(scenes: list[Scene]) -> None:
    for scene in scenes:
        if scene.palette:
            assert {scene.genome["colour"], scene.genome["accent_colour"]} <= set(PALETTES[scene.palette]), scene
            assert scene.genome["background"] in [*PALETTES[scene.palette], "white", "black"], scene


def test_pastel_pictures_are_light_and_monochrome_ones_of_one_hue() -> None:
    tinted = [drawn_at(number) for number in range(600) if sample_scene(random.Random(number)).palette in TINTED]
    assert (
        Counter(one.scene.palette for one in tinted)["monochrome"]
        > 10
        < Counter(one.scene.palette for one in tinted)["pastel"]
    )
    for one in tinted:
        pixels = np.asarray(one.image, np.float32).reshape(-1, 3) / 255
        if one.scene.palette == "pastel":
            assert min(min(colour) for colour in colours_of(one.scene)) > 130, one.scene
            assert one.scene.genome["lines"] != "no lines" or np.percentile(pixels, 5) > 0.35, one.scene
        else:
            hue, saturation, value = hue_saturation_value(pixels)
            told = np.exp(1j * np.deg2rad(hue[(saturation > 0.15) & (value > 0.3)]))
            assert len(told) == 0 or np.abs(told.mean()) > 0.98, one.scene


def test_scenes_that_differ_in_chance_only_look_different() -> None:
    assert not np.array_equal(simple(0, layout="scattered"), simple(1, layout="scattered"))
    assert np.array_equal(simple(3, layout="scattered"), simple(3, layout="scattered"))


def test_a_larger_rendering_is_the_same_picture() -> None:
    for number in range(60):
        scene = sample_scene(random.Random(number))
        small, large = (render(scene, random.Random(number), size) for size in (64, 128))
        apart = np.abs(np.asarray(small, float) - np.asarray(large.reduce(2), float))
        assert large.size == (128, 128) and apart.mean() < 8.0 and np.median(apart) <= 3.0, (
            scene
        )  # bold lines: a third of a pixel
