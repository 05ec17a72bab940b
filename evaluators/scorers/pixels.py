"""Pictures as the tensors that models of CLIP's family take: square, and with CLIP's mean and spread taken out.

Two ways to make a picture square. Does not know which model wants which.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from evaluators.looks.colour import flatten, rgb

MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of CLIP's training data


def padded(image: Image.Image, side: int) -> torch.Tensor:
    """(3, side, side) float32: the longer side fitted (bicubic on floats, antialiased), black on both sides of the shorter."""
    pixels = torch.from_numpy(rgb(image).transpose(2, 0, 1).copy())
    high, wide = pixels.shape[1:]
    scale = side / max(high, wide)
    size = (max(1, round(high * scale)), max(1, round(wide * scale)))
    if size != (high, wide):
        pixels = torch.nn.functional.interpolate(pixels[None], size=size, mode="bicubic", antialias=True)[0]
    above, left = (side - size[0]) // 2, (side - size[1]) // 2
    return _normal(torch.nn.functional.pad(pixels, (left, side - size[1] - left, above, side - size[0] - above)))


def cropped(image: Image.Image, side: int) -> torch.Tensor:
    """(3, side, side) float32: the shorter side fitted (bicubic on whole numbers, as Pillow does), the middle of the longer kept."""
    picture = flatten(image)
    shorter = min(picture.size)
    wide, high = (int(side * length / shorter) for length in picture.size)
    fitted = picture.resize((wide, high), Image.Resampling.BICUBIC)
    left, above = round((wide - side) / 2.0), round((high - side) / 2.0)
    kept = fitted.crop((left, above, left + side, above + side))
    return _normal(torch.from_numpy((np.asarray(kept, dtype=np.float32) / 255.0).transpose(2, 0, 1).copy()))


def _normal(pixels: torch.Tensor) -> torch.Tensor:
    mean, spread = (torch.tensor(one).view(3, 1, 1) for one in (MEAN, SPREAD))
    return (pixels - mean) / spread
