"""Verification on another machine: a recorded picture takes the place of the one painted here, if the two look the same.

Hashes are promised for the same versions and device. Elsewhere the last bits differ, and with them the hash, which is the
image's name: without the recorded picture nothing after it could be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prompts.ground.atomic import write_atomically
from tools.files import SavedImage, save_image
from tools.records import ImageRow

LOOKS_SAME = 2.0  # levels of 255 that a picture's values may be off, on average

Key = tuple[str, int, tuple[str, ...]]  # prompt, seed, hashes of adapters


@dataclass
class Lookalikes:
    """The pictures of a record, by how they were painted; `unequal` of them differed here, by `farthest` levels at most."""

    recorded: dict[Key, Path]
    unequal: int = 0
    farthest: float = 0.0

    def save(self, image: Image.Image, folder: Path, *, adapters: Sequence[Any] = (), **how: Any) -> SavedImage:
        """As `tools.files.save_image`, but the recorded file where `image` is one of the record that looks the same."""
        path = self.recorded.get((how["prompt"], how["seed"], tuple(adapter["sha256"] for adapter in adapters)))
        away = levels_apart(image, path) if path else float("inf")
        if path is None or away > LOOKS_SAME:
            return save_image(image, folder, adapters=adapters, **how)
        self.unequal, self.farthest = self.unequal + (away > 0), max(self.farthest, away)
        return _copied(path, folder)


def lookalikes(images: Sequence[ImageRow], folder: Path) -> Lookalikes:
    """Of a run's images, whose files are below `folder`; those whose file is gone are left out."""
    there = [(row, folder / row.path) for row in images if (folder / row.path).is_file()]
    return Lookalikes(
        {(row.prompt, row.seed, tuple(str(a["sha256"]) for a in row.adapters)): file for row, file in there}
    )


def levels_apart(image: Image.Image, path: Path) -> float:
    """Mean absolute difference of two pictures' values, 0..255; infinite for another size, or for a file that is no picture."""
    try:
        with Image.open(path) as file:
            one, other = (np.asarray(picture.convert("RGB"), float) for picture in (image, file))
    except OSError:
        return float("inf")
    return float(np.abs(one - other).mean()) if one.shape == other.shape else float("inf")


def _copied(path: Path, folder: Path) -> SavedImage:
    data = path.read_bytes()
    write_atomically(folder / "images" / path.name, data)
    return SavedImage(hashlib.sha256(data).hexdigest(), folder / "images" / path.name)
