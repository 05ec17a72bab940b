"""What can be measured on the pixels of any picture: tone, colour, layout, form. numpy only, deterministic.

Pictures of any size are first fitted to 64x64 (box filter), so that a number means the same for every model. Nothing
here knows what a picture is supposed to show. Each feature and its range is listed in `FEATURES`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from evaluators.looks.colour import HUES, NAMES, background_code, cores, flatten, lightness, name_codes, rgb
from evaluators.looks.shapes import Blobs, blobs

SIDE = 64

FEATURES: dict[str, str] = {
    "brightness": "mean lightness L*/100, 0..1",
    "contrast": "standard deviation of L*/100, 0..0.5",
    "colourfulness": "Hasler & Suesstrunk 2003, sec. 5: sd + 0.3 mean of the opponent channels, / 255, 0..about 1",
    "saturation": "mean chroma: largest minus smallest of R, G, B, 0..1",
    "warmth": "mean red minus mean blue, -1..1",
    "palette_entropy": "entropy of the colour names' shares / ln(number of names), 0..1",
    "symmetry_lr": "1 - mean |image - its left-right mirror| / (2 x mean |image - its mean|), 0..1",
    "symmetry_tb": "the same for the top-bottom mirror, 0..1",
    "edge_density": "share of neighbouring pixels that differ by more than 12 L* or change colour name, 0..1",
    "texture": "mean lightness step between neighbours inside regions of one colour name, L*/100, 0..1",
    "negative_space": "share of the picture that has the background's colour name, 0..1",
    "dark_share": "share of pixels with L* below 30, 0..1",
    "light_share": "share of pixels with L* above 82, 0..1",
    **{name: f"share of pixels a person would call {name}, 0..1" for name in HUES},
    "centre_offset": "distance of the figure's centre of mass from the middle / half the diagonal, 0..1",
    "spread_x": "standard deviation of the figure's columns / side, 0..0.5 (0.29: evenly across)",
    "spread_y": "standard deviation of the figure's rows / side, 0..0.5",
    "blobs": "number of blobs (evaluators.looks.shapes), 0..",
    "blob_size": "mean area of a blob as a share of the picture, 0..1 (0: no blob)",
    "largest_blob": "area of the largest blob as a share of the picture, 0..1",
    "roundness": "mean roundness of the blobs weighted by area, 0..1 (0: no blob)",
    "boxiness": "mean area / bounding box of the blobs weighted by area, 0..1 (0: no blob)",
}
FEATURE_NAMES = tuple(FEATURES)


def features(images: Sequence[Image.Image]) -> np.ndarray:
    """(N, F) float64: one row per image, columns in the order of `FEATURE_NAMES`. 1 to 2 ms a picture."""
    return np.array([list(measure(image).values()) for image in images]).reshape(-1, len(FEATURE_NAMES))


def measure(image: Image.Image) -> dict[str, float]:
    """The features of one image by name (see `FEATURES` for ranges), in the order of `FEATURE_NAMES`."""
    # Flattened first: a box filter over palette indices or under transparency would invent colours.
    pixels = rgb(flatten(image).resize((SIDE, SIDE), Image.Resampling.BOX))
    light, codes = lightness(pixels) / 100.0, name_codes(pixels)
    found = {
        **_tone(pixels, light),
        **_palette(codes),
        **_layout(pixels, light, codes),
        **_form(blobs(codes)),
    }
    return {name: float(found[name]) for name in FEATURE_NAMES}


def _tone(pixels: np.ndarray, light: np.ndarray) -> dict[str, float]:
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return {
        "brightness": light.mean(),
        "contrast": light.std(),
        "colourfulness": colourfulness(red, green, blue),
        "saturation": chroma.mean(),
        "warmth": red.mean() - blue.mean(),
        "dark_share": (light < 0.30).mean(),
        "light_share": (light > 0.82).mean(),
    }


def colourfulness(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> float:
    """Hasler & Suesstrunk 2003, M3: sqrt(sd_rg^2 + sd_yb^2) + 0.3 sqrt(mean_rg^2 + mean_yb^2), inputs in 0..1."""
    red_green, yellow_blue = red - green, 0.5 * (red + green) - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _palette(codes: np.ndarray) -> dict[str, float]:
    shares = np.bincount(codes.ravel(), minlength=len(NAMES)) / codes.size
    present = shares[shares > 0]
    entropy = -(present * np.log(present)).sum() / np.log(len(NAMES))
    return {"palette_entropy": abs(entropy), **{name: shares[NAMES.index(name)] for name in HUES}}


def _layout(pixels: np.ndarray, light: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    ground = codes == background_code(codes)
    rows, columns = np.nonzero(~ground)
    if len(rows) == 0:
        rows = columns = np.array([(SIDE - 1) / 2])
    offset = np.hypot(rows.mean() - (SIDE - 1) / 2, columns.mean() - (SIDE - 1) / 2)
    return {
        "symmetry_lr": _symmetry(pixels, pixels[:, ::-1]),
        "symmetry_tb": _symmetry(pixels, pixels[::-1]),
        "negative_space": ground.mean(),
        "centre_offset": offset / (SIDE / np.sqrt(2.0)),
        "spread_x": columns.std() / SIDE,
        "spread_y": rows.std() / SIDE,
        **_steps(light, codes),
    }


def _symmetry(pixels: np.ndarray, mirrored: np.ndarray) -> float:
    # Against the picture's own spread: otherwise every small figure on a large plain ground would look symmetric.
    spread = np.abs(pixels - pixels.mean(axis=(0, 1))).mean()
    return 1.0 if spread < 1e-4 else float(np.clip(1.0 - np.abs(pixels - mirrored).mean() / (2.0 * spread), 0.0, 1.0))


def _steps(light: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    down, right = np.abs(np.diff(light, axis=0)), np.abs(np.diff(light, axis=1))
    crossing_down, crossing_right = codes[1:] != codes[:-1], codes[:, 1:] != codes[:, :-1]
    core = cores(codes)
    inside = np.concatenate([down[core[1:] & core[:-1]], right[core[:, 1:] & core[:, :-1]]])
    edges = ((crossing_down | (down > 0.12)).mean() + (crossing_right | (right > 0.12)).mean()) / 2.0
    return {"edge_density": edges, "texture": inside.mean() if len(inside) else 0.0}


def _form(found: Blobs) -> dict[str, float]:
    if len(found) == 0:
        return dict.fromkeys(("blobs", "blob_size", "largest_blob", "roundness", "boxiness"), 0.0)
    area = found.area / SIDE**2
    return {
        "blobs": len(found),
        "blob_size": area.mean(),
        "largest_blob": area.max(),
        "roundness": np.average(found.roundness, weights=area),
        "boxiness": np.average(found.boxiness, weights=area),
    }
