"""evaluators/looks/colour_space.py: a pixel's numbers become the colour that their space gives them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from evaluators.looks.colour_space import in_srgb
from tests.evaluators.profiles import adobe_rgb, display_p3, grey

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def stored(image: Image.Image, kind: str = "PNG", **more: object) -> Image.Image:
    """The picture as a file gives it back."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **more)  # type: ignore[arg-type]
    found = Image.open(buffer)
    found.load()
    return found


def converted(image: Image.Image) -> tuple[tuple[int, ...], str]:
    """Its first pixel in sRGB, and what is told."""
    found, told = in_srgb(image, image)
    return found.convert("RGB").getpixel((0, 0)), told  # type: ignore[return-value]


def near(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return int(np.abs(np.subtract(found, wanted)).max()) <= 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(("profile", "there"), [(adobe_rgb(), (173, 62, 62)), (display_p3(), (183, 73, 68))])
def test_adobe_rgb_and_display_p3_are_converted_in_every_format(
    kind: str, profile: bytes, there: tuple[int, int, int]
) -> None:
    more = {"lossless": True} if kind == "WEBP" else {}
    found, told = converted(stored(Image.new("RGB", (8, 8), there), kind, icc_profile=profile, **more))
    assert near(found, (200, 60, 60)) and "converted to sRGB" in told


def test_what_is_srgb_already_stays_as_it_is_to_the_bit() -> None:
    image = stored(Image.effect_noise((32, 32), 90).convert("RGB"), icc_profile=SRGB)
    found, told = in_srgb(image, image)
    assert told == "" and found is image


def test_palettes_and_greys_of_a_profile_are_converted_too() -> None:
    few = Image.new("P", (8, 8), 0)
    few.putpalette([173, 62, 62])
    assert near(converted(stored(few, icc_profile=adobe_rgb()))[0], (200, 60, 60))
    bright, told = converted(stored(Image.new("L", (8, 8), 100), icc_profile=grey(1.0)))
    assert bright[0] > 160 and "converted" in told
    assert converted(stored(Image.new("L", (8, 8), 100), icc_profile=adobe_rgb()))[0][0] in range(98, 103)


def test_transparency_is_kept() -> None:
    image = stored(Image.new("RGBA", (8, 8), (173, 62, 62, 77)), icc_profile=adobe_rgb())
    found, _ = in_srgb(image, image)
    assert found.mode == "RGBA" and found.getpixel((0, 0))[3] == 77 and near(found.getpixel((0, 0))[:3], (200, 60, 60))  # type: ignore[index]


@pytest.mark.parametrize("profile", [b"nonsense", adobe_rgb()[:200], SRGB.replace(b"RGB ", b"XXXX", 1), grey(1.8)])
def test_a_profile_that_is_damaged_or_of_another_kind_is_told_and_not_applied(profile: bytes) -> None:
    found, told = converted(stored(Image.new("RGB", (8, 8), (173, 62, 62)), icc_profile=profile))
    assert found == (173, 62, 62) and "does not fit them or is damaged" in told


@pytest.mark.parametrize("how", ["R03", "2"])
def test_a_camera_that_only_notes_adobe_rgb_is_heard(how: str) -> None:
    exif = Image.Exif()
    if how == "2":
        exif.get_ifd(0x8769)[0xA001] = 2
    else:
        exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    image = stored(Image.new("RGB", (16, 16), (173, 62, 62)), "JPEG", exif=exif, quality=100, subsampling=0)
    found, told = converted(image)
    assert near(found, (200, 60, 60)) and "as their camera noted" in told


def test_the_gamma_of_a_png_is_heard_unless_it_is_srgbs() -> None:
    for gamma, wanted in ((1.0, 165), (0.45455, 100)):
        image = stored(Image.new("RGB", (8, 8), (100, 100, 100)))
        image.info["gamma"] = gamma
        found, told = converted(image)
        assert abs(found[0] - wanted) <= 2 and bool(told) == (wanted != 100)
    assert PngImagePlugin.PngImageFile.format == "PNG"


def test_cmyk_without_a_profile_is_told() -> None:
    image = stored(Image.new("CMYK", (8, 8), (0, 200, 200, 0)), "JPEG")
    assert "CMYK without a colour profile" in converted(image)[1]
