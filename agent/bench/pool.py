"""Pictures that a bench's cells share: random prompts, painted once by the bundled painter, and what CLIP and the pixels say.

Torch is there only while they are painted; afterwards a pool is arrays, and a cell reads it in a moment.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agent.config import MODELS
from evaluators.numbers.arrays import stored_arrays
from evaluators.scorers.weights import version_of
from prompts.ground.atomic import write_atomically
from prompts.ground.console import counted
from prompts.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from PIL import Image

SEED = 7_000_000  # far from the seeds of runs, and of the raters' reference
PAINTER, SEES = ("bauhaus/unet", "bauhaus/vae", "bauhaus/text_encoder"), "bauhaus-clip"


@dataclass(frozen=True)
class Pool:
    """N pictures: `pixels` (N, H, W, 3) bytes, `features` (N, D) unit rows of CLIP, `measured` (N, F) of evaluators.looks.features."""

    pixels: np.ndarray
    features: np.ndarray
    measured: np.ndarray
    prompts: tuple[str, ...]

    @cached_property
    def images(self) -> list[Image.Image]:
        """The pictures."""
        from PIL import Image

        return [Image.fromarray(one) for one in self.pixels]


def pool_file(folder: Path, count: int, *, seed: int = SEED) -> Path:
    """The npz of `count` pictures in `folder`, painted first if it is not there; its name says what it was made with."""
    versions = "-".join(version_of(MODELS / name)[:6] for name in (*PAINTER, SEES))
    file = folder / f"pool-{count}-{seed}-{versions}.npz"
    if not file.exists():
        buffer = BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **_painted(count, seed))
        write_atomically(file, buffer.getvalue())
    return file


@lru_cache(maxsize=4)
def read_pool(file: Path) -> Pool:
    """A pool that `pool_file` made. Raises InputError when it is damaged."""
    with stored_arrays(file, "cannot be read", "remove it, and it is painted again") as stored:
        arrays = {name: stored[name] for name in ("pixels", "features", "measured", "prompts")}
    return Pool(arrays["pixels"], arrays["features"], arrays["measured"], tuple(map(str, arrays["prompts"])))


def _painted(count: int, seed: int) -> dict[str, np.ndarray]:
    from PIL import Image

    from evaluators.looks.features import features
    from evaluators.scorers.clip import Clip
    from tools.painting import AT_ONCE, paint_in_batches
    from trainers.model.load import load

    vocabulary = load_vocabulary("bauhaus")
    prompts = [vocabulary.phrase(vocabulary.random(random.Random(f"pool {seed + n}"))) for n in range(count)]
    painter, images = load(str(MODELS / "bauhaus"), device="auto"), list[Image.Image]()
    batches = paint_in_batches(prompts, model=painter, seed=seed, steps=20, guidance_scale=3.0)
    for some in counted(batches, "painting the pool", -(-count // AT_ONCE)):
        images += [one.convert("RGB") for one in some]
    seen = Clip(MODELS / SEES, str(painter.device)).image_features(images)
    return {
        "pixels": np.stack([np.asarray(image) for image in images]),
        "features": seen,
        "measured": features(images),
        "prompts": np.array(prompts),
    }
