"""Names the colours in a picture the way a person would, by ranges of hue, chroma and lightness.

Knows nothing of any renderer or palette. Two decisions shape the rules:
- Hue ranges come from HSV, where blue and purple are far apart (in Lab they nearly touch). Whether a pixel has a hue
  at all is decided by chroma and saturation together: a dark pixel needs less chroma to look coloured.
- Lightness is CIE L*, which follows the eye: a yellow and a blue of the same HSV value are not equally light.
A soft edge between two colours passes through a third (red to white is pink), so questions about presence count only
pixels whose whole neighbourhood agrees.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from prompts.errors import InputError

NAMES = (
    "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink",
    "black", "white", "grey", "brown", "other",
)  # fmt: skip
HUES = NAMES[:8]

# Where each hue ends, in degrees of HSV hue; red closes the circle.
_HUE_ENDS = np.array([16.0, 42.0, 66.0, 163.0, 197.0, 243.0, 290.0, 343.0, 360.0])
_HUE_CODES = np.array([NAMES.index(n) for n in (*HUES, "red")], dtype=np.uint8)


def flatten(image: Image.Image) -> Image.Image:
    """Any PIL image as RGB; transparency is laid on white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def rgb(image: Image.Image) -> np.ndarray:
    """(H, W, 3) float32 in 0..1 of any PIL image; transparency is laid on white."""
    return np.asarray(flatten(image), dtype=np.float32) / 255.0


# L* of every linear-light level, tabulated: a cube root for each pixel costs more than all the rules together.
_LINEAR = np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.linspace(0, 1, 256)])
_LUMINANCE = np.linspace(0.0, 1.0, 4097)
_LSTAR = np.where(_LUMINANCE > 0.008856, 116.0 * np.cbrt(_LUMINANCE) - 16.0, 903.3 * _LUMINANCE).astype(np.float32)


def lightness(pixels: np.ndarray) -> np.ndarray:
    """CIE L* (0..100) of sRGB pixels (..., 3) in 0..1."""
    linear = _LINEAR[np.clip(pixels * 255.0 + 0.5, 0, 255).astype(np.uint8)]
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return _LSTAR[(np.clip(luminance, 0.0, 1.0) * 4096.0).astype(np.int16)]


def hue_saturation_value(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HSV of sRGB pixels (..., 3) in 0..1: hue in degrees 0..360, saturation and value in 0..1."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    safe = np.where(chroma > 0, chroma, 1.0)
    sector = np.where(
        value == red,
        ((green - blue) / safe) % 6.0,
        np.where(value == green, (blue - red) / safe + 2.0, (red - green) / safe + 4.0),
    )
    return sector * 60.0, chroma / np.where(value > 0, value, 1.0), value


def name_codes(pixels: np.ndarray) -> np.ndarray:
    """(..., ) uint8 indices into `NAMES` for sRGB pixels (..., 3) in 0..1."""
    hue, saturation, value = hue_saturation_value(pixels)
    light, chroma = lightness(pixels), saturation * value
    codes = _HUE_CODES[np.minimum(np.searchsorted(_HUE_ENDS, hue, side="right"), 8)]
    warm = (hue < 20.0) | (hue >= 290.0)
    # Between orange and yellow the eye decides by lightness: a light amber is yellow, a darker one orange.
    amber = (hue >= 40.0) & (hue < 44.0)
    codes = np.where(amber, np.where(light > 74.0, NAMES.index("yellow"), NAMES.index("orange")), codes)
    # Pale reds and magentas are pink; deep magentas go to the neighbour that they resemble.
    codes = np.where(warm & (light > 54.0) & (saturation < 0.66), NAMES.index("pink"), codes)
    codes = np.where((hue >= 290.0) & (hue < 312.0) & (light < 42.0), NAMES.index("purple"), codes)
    codes = np.where((hue >= 8.0) & (hue < 48.0) & (light < 50.0) & (value < 0.68), NAMES.index("brown"), codes)
    grey = (chroma < 0.11) | ((saturation < 0.15) & (value > 0.6))
    neutral = np.where(light > 82.0, NAMES.index("white"), NAMES.index("grey"))
    codes = np.where(grey, neutral, codes)
    codes = np.where(~grey & (saturation < 0.2) & (light < 82.0) & (light > 25.0), NAMES.index("other"), codes)
    black = (light < 27.0) & ((chroma < 0.15) | (value < 0.2))
    return np.where(black, NAMES.index("black"), codes).astype(np.uint8)


def name_pixels(image: Image.Image) -> np.ndarray:
    """(H, W) array of colour names (each one of `NAMES`)."""
    return np.array(NAMES)[name_codes(rgb(image))]


def background(image: Image.Image) -> str:
    """The dominant colour name of a 2-pixel frame around the picture; ties go to the name first in `NAMES`."""
    return NAMES[background_code(name_codes(rgb(image)))]


def background_code(codes: np.ndarray) -> int:
    """Index into `NAMES` of the dominant colour in the 2-pixel frame of (H, W) codes."""
    frame = np.concatenate([codes[:2].ravel(), codes[-2:].ravel(), codes[2:-2, :2].ravel(), codes[2:-2, -2:].ravel()])
    return int(np.bincount(frame, minlength=len(NAMES)).argmax())


def cores(codes: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose 3x3 neighbourhood has one colour. Soft edges one or two pixels wide have none."""
    across = np.zeros(codes.shape, dtype=bool)
    across[:, 1:-1] = (codes[:, 1:-1] == codes[:, :-2]) & (codes[:, 1:-1] == codes[:, 2:])
    core = np.zeros(codes.shape, dtype=bool)
    core[1:-1] = across[:-2] & across[1:-1] & across[2:]
    core[1:-1] &= (codes[1:-1] == codes[:-2]) & (codes[1:-1] == codes[2:])
    return core


def opened(codes: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels that lie in some 3x3 block of one colour (the cores, grown back)."""
    core = cores(codes)
    wide = core.copy()
    wide[:, 1:] |= core[:, :-1]
    wide[:, :-1] |= core[:, 1:]
    grown = wide.copy()
    grown[1:] |= wide[:-1]
    grown[:-1] |= wide[1:]
    return grown


def has_colour(image: Image.Image, name: str, share: float = 0.015) -> bool:
    """True if at least `share` of the picture (default 1.5 %: an 8x8 patch of 64x64) is `name`, and a third of that in
    patches 3 pixels wide or more, which the soft edge between two other colours never is.

    Raises: InputError for a name that is not in `NAMES`.
    """
    if name not in NAMES:
        raise InputError(f"unknown colour {name!r}: use one of {', '.join(NAMES)}")
    codes = name_codes(rgb(image))
    named = codes == NAMES.index(name)
    return bool(named.mean() >= share and (opened(codes) & named).mean() >= share / 3.0)
