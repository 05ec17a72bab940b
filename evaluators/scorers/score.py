"""What a scorer returns, and the shape of a scorer. Knows nothing of any model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from prompts.errors import InputError


@dataclass(frozen=True)
class Score:
    """One number per image, and who said so. Numbers of two scorers, or of two versions, are never comparable.

    `values`: finite floats, higher is better, in the order of the images. `version`: changes when the weights do.
    """

    name: str
    version: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        bad = [value for value in self.values if not math.isfinite(value)]
        assert not bad, f"score {self.name!r} has values that are not finite: {bad!r}"


def check_one_each(images: Sequence[object], prompts: Sequence[str]) -> None:
    """Raises InputError where there is not one prompt for each image."""
    if len(images) != len(prompts):
        raise InputError(f"{len(images)} images for {len(prompts)} prompts: give one prompt for each image")


class Scorer(Protocol):
    """Judges images. `prompts` has one entry per image; `references` may be empty where a scorer needs none."""

    def __call__(
        self, images: Sequence[Image.Image], prompts: Sequence[str], references: Sequence[Image.Image]
    ) -> Score: ...
