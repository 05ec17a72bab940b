"""agent/replay/lookalikes.py: which recorded picture takes a painted one's place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.replay.lookalikes import LOOKS_SAME, Lookalikes, levels_apart, lookalikes
from tools.files import SavedImage
from tools.records import ImageRow

RED, REDDER, BLUE = (Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (203, 0, 0), (0, 0, 200)))


@pytest.fixture
def recorded(tmp_path: Path) -> Lookalikes:
    """A record of one red picture, saved by another program: no file that we write here has these bytes."""
    (tmp_path / "images").mkdir()
    RED.save(tmp_path / "images" / "red.png", compress_level=0)
    rows = [row("images/red.png"), row("images/gone.png", seed=2)]
    return lookalikes(rows, tmp_path)


def row(path: str, seed: int = 1) -> ImageRow:
    return ImageRow(sha256="0" * 64, idx=0, path=path, prompt="a ring", seed=seed, model="bauhaus")


def saved(looks: Lookalikes, image: Image.Image, folder: Path, prompt: str = "a ring", seed: int = 1) -> SavedImage:
    how = {"model": "bauhaus", "steps": 4, "guidance_scale": 2.0, "size": (8, 8)}
    return looks.save(image, folder / "again", prompt=prompt, seed=seed, **how)


def test_the_recorded_file_takes_the_place_of_one_that_looks_the_same(recorded: Lookalikes, tmp_path: Path) -> None:
    kept, original = saved(recorded, REDDER, tmp_path), (tmp_path / "images" / "red.png").read_bytes()
    assert kept.path.read_bytes() == original and kept.sha256 == hashlib.sha256(original).hexdigest()
    assert recorded.unequal == 1 and recorded.farthest == pytest.approx(1.0)


def test_equal_pixels_in_other_bytes_are_no_difference(recorded: Lookalikes, tmp_path: Path) -> None:
    kept = saved(recorded, RED, tmp_path)
    assert kept.path.name == "red.png" and (recorded.unequal, recorded.farthest) == (0, 0.0)


@pytest.mark.parametrize(("image", "prompt", "seed"), [(BLUE, "a ring", 1), (RED, "two rings", 1), (RED, "a ring", 9)])
def test_another_look_prompt_or_seed_is_saved_as_painted(
    recorded: Lookalikes, tmp_path: Path, image: Image.Image, prompt: str, seed: int
) -> None:
    kept = saved(recorded, image, tmp_path, prompt, seed)
    assert kept.path.stem == kept.sha256[:16] and recorded.unequal == 0


@pytest.mark.parametrize("data", [b"no picture", b""])
def test_a_recorded_file_that_is_no_picture_looks_like_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken.png").write_bytes(data)
    assert levels_apart(RED, tmp_path / "broken.png") == float("inf")


def test_a_picture_of_another_size_looks_like_nothing(tmp_path: Path) -> None:
    RED.resize((16, 8)).save(tmp_path / "wide.png")
    assert levels_apart(RED, tmp_path / "wide.png") == float("inf")


def test_the_tolerance_is_a_mean_over_all_values(tmp_path: Path) -> None:
    RED.save(tmp_path / "red.png")
    far = np.asarray(RED, int) + np.full((8, 8, 3), [6, 0, 0])
    assert levels_apart(Image.fromarray(far.astype(np.uint8)), tmp_path / "red.png") == pytest.approx(LOOKS_SAME)
