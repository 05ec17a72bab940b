"""Pictures and captions by number, drawn once in worker processes and kept as a memory-mapped array.

A number is the same picture and the same words on every machine and in every process. Training scenes are numbers 0..N-1;
`HELD_OUT` starts a range that no script trains on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from PIL import Image

from prompts.ground.console import counted
from trainers.embedded.world.captions import caption, loose_caption
from trainers.embedded.world.world import SIZE, Scene, render, sample_scene

HELD_OUT = 10_000_000  # first number of the scenes kept for measuring
BLOCK = 500  # pictures that a worker draws at a time


def scene_of(number: int) -> Scene:
    """Scene `number`."""
    return sample_scene(random.Random(number))


def sample(number: int, size: int = SIZE) -> tuple[Image.Image, str]:
    """Picture `number`, size x size pixels, and its exact caption."""
    rng = random.Random(number)
    scene = sample_scene(rng)
    return render(scene, rng, size), caption(scene, random.Random(f"caption {number}"))


def loosely(number: int) -> str:
    """A loose caption of picture `number`."""
    return loose_caption(scene_of(number), random.Random(f"loose {number}"))


def load_dataset(work: Path, count: int, size: int = SIZE) -> tuple[np.ndarray, list[str]]:
    """(count, size, size, 3) uint8 pictures and their captions; drawn on first use, read back afterwards."""
    return drawn_once(work / f"pictures-{size}", count, partial(_block, size=size))


def _block(numbers: range, size: int) -> tuple[np.ndarray, list[str]]:
    pairs = [sample(number, size) for number in numbers]
    return np.stack([np.asarray(image) for image, _ in pairs]), [text for _, text in pairs]


def drawn_once(
    stem: Path, count: int, block: Callable[[range], tuple[np.ndarray, list[Any]]]
) -> tuple[np.ndarray, list[Any]]:
    """Pictures (count, ...) uint8 as a memory map, and what is told of each; drawn by all cores on first use.

    `block(numbers)` draws the pictures of some numbers: it is pickled to worker processes, so it must stand in a module.
    """
    array, told = stem.with_name(f"{stem.name}-{count}.npy"), stem.with_name(f"{stem.name}-{count}.json")
    if not told.exists():
        stem.parent.mkdir(parents=True, exist_ok=True)
        part = told.with_suffix(".part")
        part.write_text(json.dumps(_draw_all(array, count, block)))
        part.replace(told)  # last and at once: where it is, the pictures are whole
    return np.load(array, mmap_mode="r"), json.loads(told.read_text())


def _draw_all(path: Path, count: int, block: Callable[[range], tuple[np.ndarray, list[Any]]]) -> list[Any]:
    blocks = [range(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
    array, told = None, []
    with ProcessPoolExecutor() as workers:
        drawn = counted(workers.map(block, blocks), path.stem, len(blocks))
        for numbers, (pictures, words) in zip(blocks, drawn, strict=True):
            if array is None:
                array = open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, *pictures.shape[1:]))
            array[numbers.start : numbers.stop] = pictures
            told += words
    assert array is not None, "count must be positive"
    array.flush()
    return told


def held_out(count: int, offset: int = 0, size: int = SIZE) -> tuple[np.ndarray, list[str]]:
    """Scenes that no training saw: (count, size, size, 3) uint8 and captions."""
    pairs = [sample(HELD_OUT + offset + i, size) for i in range(count)]
    return np.stack([np.asarray(image) for image, _ in pairs]), [text for _, text in pairs]


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in -1..1, the range of every model of the studio."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
