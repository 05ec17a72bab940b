"""The backgrounds of the world: a colour, and a texture that only makes it lighter and darker.

Fine textures repeat every 8 pixels of 64, the autoencoder's grid: a pattern that every latent decodes alike is one that a small
decoder can paint.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image

Light = Callable[[int, Random], np.ndarray]
PERIOD = 8  # tiles across 64 pixels
# Specks of a tile, as (x, y, light) in eighths: uneven enough to read as grain.
SPECKS = ((0, 1, 1.0), (3, 0, -1.0), (6, 2, 0.8), (1, 4, -0.9), (4, 3, 0.9), (7, 5, -1.0), (2, 6, 1.0), (5, 6, -0.8))


def _flat(side: int, rng: Random) -> np.ndarray:
    return np.zeros((side, side))


def _gradient(side: int, rng: Random) -> np.ndarray:
    return np.repeat(np.linspace(0.14, -0.14, side)[:, None], side, axis=1)


def _grainy(side: int, rng: Random) -> np.ndarray:
    unit = side // 64
    tile = np.zeros((8 * unit, 8 * unit))
    for x, y, light in SPECKS:
        tile[y * unit : (y + 1) * unit + unit // 2, x * unit : (x + 1) * unit + unit // 2] = 0.2 * light
    return np.tile(tile, (PERIOD, PERIOD))


def _hatched(side: int, rng: Random) -> np.ndarray:
    """Diagonal lines, three pixels of every eight."""
    along = np.add.outer(np.arange(side), np.arange(side)) * 64 / side % 8
    return np.where(along < 3, -0.16, 0.05)


def _paper(side: int, rng: Random) -> np.ndarray:
    """Soft clouds, and edges that have darkened."""
    clouds = np.array([rng.uniform(-1, 1) for _ in range(36)], np.float32).reshape(6, 6)
    soft = np.asarray(Image.fromarray(clouds).resize((side, side), Image.Resampling.BICUBIC))
    edge = np.abs(np.linspace(-1, 1, side)) ** 4
    return 0.06 * soft - 0.12 * np.maximum.outer(edge, edge)


def _halftone(side: int, rng: Random) -> np.ndarray:
    """Dots that grow from the top to the bottom."""
    x, y = np.meshgrid(*[(np.arange(side) * 64 / side % 8) - 4] * 2)
    reach = np.repeat(np.linspace(0.8, 3.4, side)[:, None], side, axis=1)
    return np.where(np.hypot(x, y) < reach, -0.22, 0.04)


def _mosaic(side: int, rng: Random) -> np.ndarray:
    """Square stones of uneven brightness with dark joints."""
    stones = np.array([rng.uniform(-0.16, 0.16) for _ in range(64)]).reshape(8, 8)
    light = np.kron(stones, np.ones((side // 8, side // 8)))
    joint = (np.arange(side) * 64 / side % 8) < 1
    return np.where(joint[:, None] | joint[None, :], -0.2, light)


TEXTURES: dict[str, Light] = {
    "flat": _flat,
    "gradient": _gradient,
    "grainy": _grainy,
    "hatched": _hatched,
    "paper": _paper,
}
HELD_OUT_TEXTURES: dict[str, Light] = {"halftone": _halftone, "mosaic": _mosaic}  # styles to be personalised later


def ground(colour: tuple[int, int, int], texture: str, side: int, rng: Random) -> Image.Image:
    """The empty canvas, side x side pixels; a dark colour is lightened a little first, so that its texture can be seen."""
    light = (TEXTURES | HELD_OUT_TEXTURES)[texture](side, rng)[:, :, None]
    base = np.array(colour, float)
    if texture != "flat" and base.max() < 60:
        return Image.fromarray(np.clip(base + (light + 0.12) * 110, 0, 255).astype(np.uint8))
    towards = np.where(light > 0, 255 - base, base)
    return Image.fromarray(np.clip(base + light * towards, 0, 255).astype(np.uint8))
