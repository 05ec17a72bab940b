"""Pictures and captions by number, drawn once in worker processes and kept as a memory-mapped array.

Training scenes are numbers 0..N-1; `HELD_OUT` starts a range that no script trains on.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap

from trainers.embedded.world import SIZE, sample

HELD_OUT = 10_000_000  # first number of the scenes kept for measuring


def load_dataset(work: Path, count: int) -> tuple[np.ndarray, list[str]]:
    """(count, 64, 64, 3) uint8 pictures and their captions; drawn on first use, read back afterwards."""
    pictures, captions = work / f"pictures-{count}.npy", work / f"captions-{count}.json"
    if not captions.exists():
        work.mkdir(parents=True, exist_ok=True)
        part = captions.with_suffix(".part")
        part.write_text(json.dumps(_draw_all(pictures, count)))
        part.replace(captions)  # the captions come last and at once: where they are, the pictures are whole
    return np.load(pictures, mmap_mode="r"), json.loads(captions.read_text())


def _draw_all(path: Path, count: int) -> list[str]:
    array = open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, SIZE, SIZE, 3))
    captions: list[str] = []
    with ProcessPoolExecutor() as workers:
        for start, (block, texts) in zip(range(0, count, 500), workers.map(_block, range(0, count, 500)), strict=True):
            array[start : start + 500] = block[: count - start]
            captions += texts
    array.flush()
    return captions[:count]


def _block(start: int) -> tuple[np.ndarray, list[str]]:
    pairs = [sample(start + i) for i in range(500)]
    return np.stack([np.asarray(image) for image, _ in pairs]), [text for _, text in pairs]


def held_out(count: int, offset: int = 0) -> tuple[np.ndarray, list[str]]:
    """Scenes that no training saw: (count, 64, 64, 3) uint8 and captions."""
    pairs = [sample(HELD_OUT + offset + i) for i in range(count)]
    return np.stack([np.asarray(image) for image, _ in pairs]), [text for _, text in pairs]


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in -1..1, the range of every model of the studio."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
