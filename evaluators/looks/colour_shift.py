"""How far a set of pictures moved in colour: percentage change of hue, saturation and value (HG-DPO, Table 2). numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from evaluators.looks.colour import hue_saturation_value, rgb


class ColourShift(NamedTuple):
    """Change of the mean in per cent of the mean before, never negative; 0 is no shift."""

    hue: float
    saturation: float
    value: float


def colour_shift(after: Sequence[Image.Image], before: Sequence[Image.Image]) -> ColourShift:
    """Of pictures made `after` something against the same prompts and seeds `before`.

    The paper gives no formula: these are means over all pixels, hue as a number of 0..360 degrees, as image libraries give it.
    A channel that was 0 everywhere has no percentage: its change is then in hundredths of the channel's range."""
    now, then = (np.array([_means(image) for image in images]).mean(axis=0) for images in (after, before))
    base = np.where(then > 1e-6, then, np.array([360.0, 1.0, 1.0]))
    return ColourShift(*(float(change) for change in 100 * np.abs(now - then) / base))


def _means(image: Image.Image) -> list[float]:
    return [float(channel.mean()) for channel in hue_saturation_value(rgb(image))]
