"""Scenes with their pictures and the mask of every object, drawn once for all tests of the world."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from trainers.embedded.world import world
from trainers.embedded.world.world import COUNTS, VOCABULARY, Scene, render, sample_scene

Masks = list[np.ndarray]
# The simplest scene: a large red circle in the middle of white.
SIMPLE = VOCABULARY.random(random.Random(0)) | {
    "background": "white", "count": "one", "size": "large", "colour": "red", "shape": "circle", "accent_colour": "blue", "accent_shape": "",
    "layout": "centred", "overlap": "apart", "lines": "no lines", "texture": "flat",
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A scene, its picture of 64 x 64 pixels, and where every object lies (before the picture is reduced), the accent last."""

    number: int
    scene: Scene
    image: Image.Image
    masks: Masks

    @property
    def objects(self) -> int:
        """How many objects the scene's words promise."""
        return COUNTS[self.scene.genome["count"]] + bool(self.scene.genome["accent_shape"])

    @property
    def common(self) -> float:
        """The largest share of a smaller object that two objects have in common."""
        pairs = [(a & b).sum() / min(a.sum(), b.sum()) for a, b in combinations(self.masks, 2)]
        return float(max(pairs, default=0.0))


def draw(scene: Scene, rng: random.Random, number: int = 0) -> Drawn:
    """Render the scene and keep the masks of its objects."""
    masks, mask_of = [], world.mask_of

    def kept(*given: Any) -> Image.Image:
        masks.append(np.asarray(mask_of(*given)) > 0)
        return mask_of(*given)

    with patch.object(world, "mask_of", kept):
        return Drawn(number, scene, render(scene, rng), masks)


def drawn_at(number: int) -> Drawn:
    """Scene `number`, drawn as the dataset draws it."""
    rng = random.Random(number)
    return draw(sample_scene(rng), rng, number)


@lru_cache
def drawn(count: int) -> tuple[Drawn, ...]:
    """The first scenes of the training."""
    return tuple(drawn_at(number) for number in range(count))


def simple(seed: int = 0, side: int = 64, **changes: str) -> np.ndarray:
    """The pixels (side, side, 3) of the simplest scene with changes, as floats."""
    return np.asarray(render(Scene(SIMPLE | changes), random.Random(seed), side), float)


def without(scene: Scene, **changes: str) -> Scene:
    """The scene with some genes changed."""
    return replace(scene, genome=scene.genome | changes)
