import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from evaluators.looks import colour
from prompts.errors import InputError

# What the product's world paints; a person's everyday colours besides.
WORLD = {
    "red": (214, 40, 40),
    "orange": (247, 127, 0),
    "yellow": (252, 211, 77),
    "green": (46, 139, 87),
    "teal": (0, 160, 160),
    "blue": (29, 78, 216),
    "purple": (124, 58, 237),
    "pink": (244, 143, 177),
    "black": (26, 26, 26),
    "white": (245, 245, 240),
}
EVERYDAY = {
    "red": [(255, 0, 0), (220, 20, 60), (139, 0, 0)],
    "orange": [(255, 165, 0), (255, 140, 0)],
    "yellow": [(255, 255, 0), (255, 215, 0)],
    "green": [(0, 128, 0), (0, 255, 0), (0, 100, 0)],
    "teal": [(0, 128, 128), (0, 255, 255), (64, 224, 208)],
    "blue": [(0, 0, 255), (0, 0, 128), (65, 105, 225)],
    "purple": [(128, 0, 128), (75, 0, 130), (138, 43, 226)],
    "pink": [(255, 192, 203), (255, 105, 180)],
    "black": [(0, 0, 0), (15, 15, 25)],
    "white": [(255, 255, 255), (245, 245, 220)],
    "grey": [(128, 128, 128), (192, 192, 192)],
    "brown": [(139, 69, 19), (101, 67, 33)],
}


def plain(rgb, size=64):
    return Image.new("RGB", (size, size), rgb)


def patch(ground, figure, side, blur=1.0):
    image = plain(ground)
    ImageDraw.Draw(image).rectangle((20, 20, 20 + side - 1, 20 + side - 1), fill=figure)
    return image.filter(ImageFilter.GaussianBlur(blur))


@pytest.mark.parametrize("name", WORLD)
def test_the_worlds_colours_have_their_names(name):
    assert set(colour.name_pixels(plain(WORLD[name])).ravel()) == {name}


@pytest.mark.parametrize(("name", "rgb"), [(n, rgb) for n, many in EVERYDAY.items() for rgb in many])
def test_everyday_colours_have_the_names_that_people_give_them(name, rgb):
    assert colour.name_pixels(plain(rgb, 4))[0, 0] == name


@pytest.mark.parametrize("name", WORLD)
@pytest.mark.parametrize("shift", ["scaled", "added"])
def test_brightness_may_vary_by_twelve_percent(name, shift):
    light = np.linspace(-0.12, 0.12, 64)[:, None, None]
    base = np.array(WORLD[name], float)
    pixels = base * (1 + light) if shift == "scaled" else base + 255 * light
    image = Image.fromarray(np.broadcast_to(pixels.clip(0, 255), (64, 64, 3)).astype(np.uint8))
    assert np.mean(colour.name_pixels(image) == name) > 0.99
    assert colour.background(image) == name


@pytest.mark.parametrize("name", WORLD)
def test_noise_of_a_short_diffusion_leaves_the_name(name):
    noisy = np.array(WORLD[name]) + np.random.default_rng(0).normal(0, 10, (64, 64, 3))
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    assert np.mean(colour.name_pixels(image) == name) > 0.93


def test_a_patch_is_found_and_its_soft_edge_is_no_third_colour():
    for ground in WORLD:
        for figure in WORLD:
            image = patch(WORLD[ground], WORLD[figure], 16)
            present = {name for name in colour.NAMES if colour.has_colour(image, name)}
            assert present == {ground, figure}, (ground, figure)


def test_a_speck_is_not_a_colour_of_the_picture():
    assert not colour.has_colour(patch(WORLD["white"], WORLD["red"], 4, blur=0.5), "red")
    assert colour.has_colour(patch(WORLD["white"], WORLD["red"], 4, blur=0.0), "red", share=0.003)


def test_the_background_is_what_the_frame_shows_not_what_fills_the_middle():
    image = plain(WORLD["teal"])
    ImageDraw.Draw(image).rectangle((3, 3, 60, 60), fill=WORLD["black"])
    assert colour.background(image) == "teal"


def test_transparency_lies_on_white():
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert set(colour.name_pixels(clear).ravel()) == {"white"}


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_any_mode_of_image_is_named(mode):
    assert colour.name_pixels(Image.new(mode, (5, 3))).shape == (3, 5)


def test_an_unknown_colour_is_refused_by_name():
    with pytest.raises(InputError, match="'mauve'"):
        colour.has_colour(plain((0, 0, 0)), "mauve")


def test_lightness_has_its_known_ends():
    ends = colour.lightness(np.array([[0.0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5]]))
    assert ends == pytest.approx([0.0, 100.0, 53.6], abs=0.3)
