import numpy as np
import pytest
from PIL import Image, ImageDraw

from evaluators.looks.features import FEATURE_NAMES, features, measure


def scene(*draws, ground="white", size=64):
    image = Image.new("RGB", (size, size), ground)
    for shape, box, fill in draws:
        getattr(ImageDraw.Draw(image), shape)(box, fill=fill)
    return image


def noise(seed=0, size=64):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def test_a_row_for_each_image_and_a_column_for_each_name():
    assert features([scene(), noise()]).shape == (2, len(FEATURE_NAMES))
    assert features([]).shape == (0, len(FEATURE_NAMES))


@pytest.mark.parametrize(
    "image", [scene(), scene(ground="black"), noise(), scene(ground="red"), Image.new("L", (1, 1))]
)
def test_every_feature_is_finite_and_in_its_range(image):
    found = measure(image)
    assert all(np.isfinite(value) for value in found.values())
    for name, value in found.items():
        assert value >= (-1.0 if name == "warmth" else 0.0), name
        assert name == "blobs" or value <= 1.5, name


def test_the_ends_of_tone():
    white, black, red, blue = (measure(scene(ground=ground)) for ground in ("white", "black", "#f00", "#00f"))
    assert white["brightness"] == pytest.approx(1.0, abs=1e-3) and white["light_share"] == 1.0
    assert black["brightness"] == 0.0 and black["dark_share"] == 1.0
    assert red["warmth"] == 1.0 == -blue["warmth"]
    assert red["red"] == 1.0 and red["saturation"] == 1.0 and white["saturation"] == 0.0
    assert white["contrast"] == pytest.approx(0.0, abs=1e-6)


def test_contrast_of_half_black_half_white_is_one_half():
    assert measure(scene(("rectangle", (0, 0, 31, 63), "black")))["contrast"] == pytest.approx(0.5, abs=1e-3)


def test_colourfulness_of_a_plain_red_is_its_mean_alone():
    # rg = 1, yb = 0.5, both without spread: 0.3 * sqrt(1.25)
    assert measure(scene(ground="#f00"))["colourfulness"] == pytest.approx(0.3 * np.sqrt(1.25), abs=1e-6)
    assert measure(scene(ground="grey"))["colourfulness"] == pytest.approx(0.0, abs=1e-6)


def test_palette_entropy_counts_colours_evenly_shared():
    halves = scene(("rectangle", (0, 0, 31, 63), "blue"))
    assert measure(scene())["palette_entropy"] == 0.0
    assert measure(halves)["palette_entropy"] == pytest.approx(np.log(2) / np.log(13))


def test_symmetry_tells_left_right_from_top_bottom():
    left, top = scene(("rectangle", (0, 0, 31, 63), "black")), scene(("rectangle", (0, 0, 63, 31), "black"))
    assert measure(left)["symmetry_lr"] == 0.0 and measure(left)["symmetry_tb"] == 1.0
    assert measure(top)["symmetry_lr"] == 1.0 and measure(top)["symmetry_tb"] == 0.0


def test_layout_follows_the_figure():
    middle = measure(scene(("rectangle", (24, 24, 39, 39), "red")))
    corner = measure(scene(("rectangle", (2, 2, 17, 17), "red")))
    row = measure(scene(*(("rectangle", (x, 28, x + 8, 36), "red") for x in (4, 26, 50))))
    assert middle["centre_offset"] == pytest.approx(0.0) and corner["centre_offset"] > 0.4
    assert row["spread_x"] > 3 * row["spread_y"]
    assert middle["negative_space"] == pytest.approx(1 - 256 / 4096)


def test_count_and_size_are_seen():
    one = measure(scene(("ellipse", (12, 12, 52, 52), "red")))
    three = measure(scene(*(("ellipse", (x, 28, x + 10, 38), "red") for x in (4, 26, 50))))
    assert (one["blobs"], three["blobs"]) == (1, 3)
    assert one["blob_size"] > 5 * three["blob_size"] and one["largest_blob"] == one["blob_size"]


def test_stripes_within_one_colour_are_texture_not_edges():
    plain = np.full((64, 64, 3), (29, 78, 216), float)
    striped = plain * (1 + 0.12 * np.sign(np.sin(np.arange(64) * 0.6)))[:, None, None]
    first, second = (measure(Image.fromarray(a.astype(np.uint8))) for a in (plain, striped))
    assert first["texture"] == 0.0 < second["texture"]
    assert second["edge_density"] == 0.0 and second["blobs"] == 0


@pytest.mark.parametrize("size", [32, 256])
def test_a_larger_or_smaller_copy_measures_nearly_the_same(size):
    def disc(side):
        return scene(("ellipse", (side // 4, side // 4, side // 2, side // 2), "green"), size=side)

    first, second = features([disc(64), disc(size)])
    assert np.abs(first - second).max() < 0.08


def test_measuring_twice_gives_the_same_bits():
    assert np.array_equal(features([noise(3)]), features([noise(3)]))
