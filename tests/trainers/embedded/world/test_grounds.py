"""trainers/embedded/world/grounds.py: a texture changes how light a background is, never its hue."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from evaluators.looks.colour import hue_saturation_value, name_pixels
from trainers.embedded.world.grounds import HELD_OUT_TEXTURES, TEXTURES, ground
from trainers.embedded.world.world import PALETTE, VOCABULARY

ALL = [*TEXTURES, *HELD_OUT_TEXTURES]


def pixels(colour: str, texture: str, side: int = 64, seed: int = 0) -> np.ndarray:
    """A background of side x side pixels, drawn three times as large."""
    return np.asarray(ground(PALETTE[colour], texture, 3 * side, random.Random(seed)).reduce(3), float)


def test_every_texture_of_the_vocabulary_is_there_and_those_for_later_are_not() -> None:
    assert set(TEXTURES) == set(VOCABULARY.genes["texture"]) and not set(HELD_OUT_TEXTURES) & set(VOCABULARY.words)


@pytest.mark.parametrize("colour", PALETTE)
def test_flat_is_one_colour(colour: str) -> None:
    assert set(map(tuple, pixels(colour, "flat").reshape(-1, 3))) == {PALETTE[colour]}


@pytest.mark.parametrize("colour", PALETTE)
def test_textures_differ_on_every_colour(colour: str) -> None:
    shown = {texture: pixels(colour, texture) for texture in ALL}
    for one, other in combinations(ALL, 2):
        assert np.abs(shown[one] - shown[other]).mean() > 2.0, (one, other)


@pytest.mark.parametrize("colour", PALETTE)
@pytest.mark.parametrize("texture", ALL)
def test_a_texture_tints_lightness_only(colour: str, texture: str) -> None:
    found = pixels(colour, texture)
    hue, saturation, value = hue_saturation_value(found.reshape(-1, 3) / 255)
    ((wanted,), _, _) = hue_saturation_value(np.array([PALETTE[colour]]) / 255)
    turned = (hue - wanted + 180) % 360 - 180
    assert (
        np.abs(turned[saturation * value > 0.15]).max(initial=0) < 4 and np.abs(found - found.mean((0, 1))).max() < 110
    )


@pytest.mark.parametrize("colour", PALETTE)
@pytest.mark.parametrize("texture", TEXTURES)
def test_a_textured_background_keeps_its_name(colour: str, texture: str) -> None:
    image = Image.fromarray(pixels(colour, texture).astype(np.uint8))
    assert np.mean(name_pixels(image) == colour) > 0.85


@pytest.mark.parametrize("texture", ["grainy", "hatched"])
def test_fine_textures_repeat_on_the_autoencoders_grid(texture: str) -> None:
    found = pixels("teal", texture)
    assert np.array_equal(found[:8, :8], found[24:32, 40:48]) and found[:8, :8].std((0, 1)).max() > 4


@pytest.mark.parametrize(("texture", "chance"), [(texture, texture in ("paper", "mosaic")) for texture in ALL])
def test_only_paper_and_mosaic_are_left_to_chance(texture: str, chance: bool) -> None:
    assert np.array_equal(pixels("red", texture, seed=1), pixels("red", texture, seed=2)) != chance


def test_a_gradient_falls_from_light_to_dark() -> None:
    rows = pixels("blue", "gradient").mean((1, 2))
    assert (np.diff(rows) <= 0.01).all() and rows[0] - rows[-1] > 20 and pixels("blue", "gradient").std(1).max() == 0


@pytest.mark.parametrize("texture", ALL)
def test_a_larger_ground_looks_the_same(texture: str) -> None:
    large = pixels("orange", texture, side=128)
    assert np.abs(large.reshape(64, 2, 64, 2, 3).mean((1, 3)) - pixels("orange", texture)).mean() < 5
