"""A picture's colours as those of sRGB: by its ICC profile, by a camera's note that it is Adobe RGB, or by the gamma of a PNG.

The numbers of a pixel mean a colour only in a space: (173, 62, 62) of Adobe RGB is (200, 60, 60) here. Knows what PIL has read of a
file, and no file.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # of a profile, and PIL's mode
_EXIF, _INTEROP, _COLOUR_SPACE = 0x8769, 0xA005, 0xA001
_GAMMA = 1 / 2.2
# Adobe RGB (1998), annex: its gamma, and what of its red, green and blue makes those of sRGB, all in linear light.
_ADOBE_GAMMA = 563 / 256
_ADOBE = np.array([[1.3983557, -0.3983557, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429290, 1.0429290]], dtype=np.float32)
_NEAR = 2  # of 255: profiles of sRGB differ in their last digits, and what is there already stays as it is
# Of a profile that is damaged or of another kind than its picture.
_UNFIT = (ImageCms.PyCMSError, OSError, ValueError, TypeError, LookupError, AttributeError)


def in_srgb(image: Image.Image, source: Image.Image) -> tuple[Image.Image, str]:
    """`image`, made of what PIL opened as `source`, with its colours in sRGB, and what to tell of that, "" where nothing changed."""
    profile = source.info.get("icc_profile")
    if profile:
        try:
            return _by_profile(image, profile)
        except _UNFIT:
            return image, "pictures with a colour profile that does not fit them or is damaged, taken as sRGB"
    if source.mode == "CMYK":
        return image, "pictures in CMYK without a colour profile, turned into RGB by the plain formula"
    if _is_adobe(source):
        return _over_alpha(image, _from_adobe), "pictures in Adobe RGB (as their camera noted), converted to sRGB"
    gamma = source.info.get("gamma")
    if source.format == "PNG" and "srgb" not in source.info and gamma and abs(gamma / _GAMMA - 1) > 0.05:
        curve = [round(255 * (value / 255) ** (_GAMMA / gamma)) for value in range(256)]
        return _over_alpha(image, lambda one: one.point(curve * 3)), f"pictures of gamma {gamma:g}, brought to sRGB's"
    return image, ""


def _by_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    space = own.profile.xcolor_space.strip()
    mode = _SPACES[space]
    if mode == "RGB":
        turn = ImageCms.buildTransform(own, srgb, "RGB", "RGB")
        if _changes_nothing(turn):
            return image, ""
        made = _over_alpha(image, lambda one: _turned(one, turn))
    else:
        bare = image if image.mode == mode else _alone(image)
        if bare.mode != mode:
            raise ValueError(f"a profile of {space} in a picture of mode {image.mode}")
        turn = ImageCms.buildTransform(own, srgb, mode, "RGB")
        made = _with_alpha(_turned(bare, turn), image)
        if mode == "L" and _changes_nothing_of(bare, made):
            return image, ""
    name = " ".join(ImageCms.getProfileDescription(own).split())[:60] or space
    return made, f"pictures in the colour space {name!r}, converted to sRGB"


def _over_alpha(image: Image.Image, change: object) -> Image.Image:
    """`change` of the picture's RGB, under the transparency that it has."""
    bare = image.convert("RGBA" if "transparency" in image.info else "RGB").convert("RGB")
    return _with_alpha(change(bare), image)  # type: ignore[operator]


def _alone(image: Image.Image) -> Image.Image:
    """A grey picture without its transparency."""
    return image.convert("L") if image.mode in ("LA", "1", "L") else image


def _with_alpha(made: Image.Image, image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        made = made.copy()
        made.putalpha(image.convert("RGBA").getchannel("A"))
    return made


def _turned(image: Image.Image, turn: ImageCms.ImageCmsTransform) -> Image.Image:
    found = ImageCms.applyTransform(image, turn)
    assert found is not None, "only in place it gives nothing"
    found.info.pop("icc_profile", None)
    return found


def _changes_nothing(turn: ImageCms.ImageCmsTransform) -> bool:
    """Whether a profile is sRGB's, whatever it is called: asked of colours from all over the cube."""
    steps = np.arange(0, 256, 51, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    return _changes_nothing_of(Image.fromarray(cube), _turned(Image.fromarray(cube), turn))


def _changes_nothing_of(before: Image.Image, after: Image.Image) -> bool:
    differences = np.asarray(before.convert("RGB"), dtype=np.int16) - np.asarray(after.convert("RGB"), dtype=np.int16)
    return int(np.abs(differences).max(initial=0)) <= _NEAR


def _is_adobe(source: Image.Image) -> bool:
    """As cameras say it without a profile (DCF 2.0): interoperability index R03, or the colour space 2 that some write."""
    if source.format not in ("JPEG", "MPO", "TIFF"):
        return False
    exif = source.getexif()
    said = str(exif.get_ifd(_INTEROP).get(1, "")).strip("\0 ")
    return said == "R03" or exif.get_ifd(_EXIF).get(_COLOUR_SPACE) == 2


def _from_adobe(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    light = (np.linspace(0, 1, 256) ** _ADOBE_GAMMA).astype(np.float32)
    made = np.empty_like(values)
    for at in range(0, len(values), 256):  # by rows: floats of a whole photograph take four times its bytes
        linear = np.clip(light[values[at : at + 256]] @ _ADOBE.T, 0, 1)
        shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        made[at : at + 256] = np.round(255 * shown).astype(np.uint8)
    return Image.fromarray(made)
