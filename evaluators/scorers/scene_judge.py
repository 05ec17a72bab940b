"""Which shapes a picture shows and how many objects there are, by a classifier trained on renderings alone.

A check on painters that shares neither weights nor data with them (`trainers.embedded.judge` makes the bundled one). Loads a
local folder with a transformers image classifier: its labels are names of shapes, and "1 objects", "2 objects" and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from evaluators.looks.colour import flatten
from evaluators.scorers.weights import version_of
from prompts.errors import InputError
from prompts.ground.quiet import quiet

BATCH = 64
COUNTED = " objects"  # how the label of a number of objects ends


class Seen(NamedTuple):
    """What is in a picture. `objects`: how many in all, main ones and accents alike."""

    shapes: frozenset[str]
    objects: int


class SceneJudge:
    """The classifier of `folder` in float32 on `device`.

    Raises: InputError if the folder is missing, or does not hold such a classifier.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        self.version = version_of(Path(folder))
        self.model = _load(Path(folder)).eval().requires_grad_(False).to(device)
        self.device = device
        labels = [self.model.config.id2label[i] for i in range(self.model.config.num_labels)]
        self.shapes = [label for label in labels if not label.endswith(COUNTED)]
        self.counts = [int(label.removesuffix(COUNTED)) for label in labels[len(self.shapes) :]]

    def __call__(self, images: Sequence[Image.Image]) -> list[Seen]:
        """What is in each image (N); pictures of any size are first fitted to the classifier's."""
        return [self._seen(row) for row in self.logits(images)]

    @torch.inference_mode()
    def logits(self, images: Sequence[Image.Image]) -> np.ndarray:
        """(N, shapes + counts) float32; a shape is there where its logit is above 0, a count where it is the largest."""
        rows = [self._batch(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate(rows) if rows else np.zeros((0, len(self.shapes) + len(self.counts)), np.float32)

    def _batch(self, images: Sequence[Image.Image]) -> np.ndarray:
        config = self.model.config
        side = (config.image_size, config.image_size)
        pixels = np.stack([np.asarray(flatten(image).resize(side, Image.Resampling.BOX)) for image in images])
        shown = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        large = torch.nn.functional.interpolate(shown, scale_factor=config.enlarged, mode="bilinear")
        logits: torch.Tensor = self.model(large.to(self.device)).logits
        return logits.float().cpu().numpy()

    def _seen(self, row: np.ndarray) -> Seen:
        there = frozenset(name for name, logit in zip(self.shapes, row, strict=False) if logit > 0)
        return Seen(there, self.counts[int(row[len(self.shapes) :].argmax())])


def _load(folder: Path) -> Any:
    from transformers import AutoModelForImageClassification

    options: dict[str, Any] = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
    try:
        with quiet():
            loaded: Any = AutoModelForImageClassification.from_pretrained(folder, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{str(folder)!r} is no image classifier ({error}): check the folder") from error
    model, report = loaded
    made_up = sorted(str(key) for key in (*report["missing_keys"], *report["mismatched_keys"]))
    if made_up:  # transformers would only say so, and judge by random numbers
        raise InputError(f"{str(folder)!r} lacks weights such as {made_up[0]!r}: check the folder")
    missing = [key for key in ("image_size", "enlarged") if not hasattr(model.config, key)]
    if missing:
        raise InputError(f"{str(folder)!r} is no judge of scenes: its config.json lacks {missing[0]!r}")
    return model
