"""A pair of pictures, and the job that learns from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.fixture
def pairs(tmp_path: Path) -> list[dict[str, Any]]:
    """Red rather than blue, as a data set names it; the files are in `tmp_path`."""
    for name, colour in (("win", (220, 30, 30)), ("lose", (20, 40, 200))):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{name}.png")
    return [{"prompt": "a red field", "win": str(tmp_path / "win.png"), "lose": str(tmp_path / "lose.png")}]


@pytest.fixture
def dpo(studio: Path, tmp_path: Path, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Twenty steps on the bundled painter, a checkpoint every two."""
    config = {"steps": 20, "batch_size": 1, "rank": 2, "checkpoint_every": 2}
    out = str(tmp_path / "out")
    return {"kind": "dpo", "config": config, "base_model": str(studio), "dataset": pairs, "out": out, "device": "cpu"}
