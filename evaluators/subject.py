"""Subject similarity: how like its instance images a subject is painted. numpy only, on anyone's image features.

CLIP-I of DreamBooth (Ruiz et al. 2023, section 4.1): the mean cosine of generated and real images. It also rises when the whole
picture, ground and all, becomes that of the instance images: read it beside a judge that looks for the subject alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluators.numbers.win_rate import Interval, mean_interval


class Kept(NamedTuple):
    """Mean similarity before and after a change, and the change of each image with its 95 % interval; 0 is no change."""

    before: float
    after: float
    change: Interval


def subject_similarity(images: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Of each image (N, D) the mean cosine with all instance images (M, D), -1..1; rows need not be of unit length."""
    assert images.ndim == instances.ndim == 2 and images.shape[1] == instances.shape[1] and len(instances), (
        f"features (N, D) of images and (M, D) of instances: {images.shape}, {instances.shape}"
    )
    return np.asarray((_unit(images) @ _unit(instances).T).mean(axis=1), dtype=float)


def kept(before: np.ndarray, after: np.ndarray, instances: np.ndarray) -> Kept:
    """Similarity before and after, for images (N, D) of the same prompts and seeds."""
    assert before.shape == after.shape, f"pair (N, D) with (N, D): {before.shape}, {after.shape}"
    then, now = (subject_similarity(images, instances) for images in (before, after))
    changes: Sequence[float] = (now - then).tolist()
    return Kept(float(then.mean()), float(now.mean()), mean_interval(changes))


def _unit(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    assert (lengths > 0).all(), "a feature of length 0 points nowhere"
    found: np.ndarray = features / lengths
    return found
