"""Paintings on the way of a training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainers.subject import cut_short
from trainers.engine.samples import SEED
from trainers.model.base_model import BaseModel
from trainers.model.paint import paint
from trainers.sft import SftConfig, train

PROMPTS = ("a red dog", "a blue field")
CONFIG = SftConfig(
    steps=5, batch_size=1, size=32, learning_rate=2e-2, checkpoint_every=2, sample_prompts=PROMPTS, sample_every=2, sample_steps=2
)  # fmt: skip
DATA = [(Image.new("RGB", (32, 32), "red"), "a photo of the dog")]


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file), dtype=int)


@pytest.fixture(scope="module")
def trained(tiny: Callable[[str], BaseModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples") / "out"
    train(CONFIG, DATA, base_model=tiny("sd15"), out=out)
    return out / "samples"


def test_every_so_many_steps_and_at_the_end_there_is_a_row_and_the_grid_has_all(trained: Path) -> None:
    rows = sorted(trained.glob("step-*.png"))
    assert [row.stem for row in rows] == ["step-000000", "step-000002", "step-000004", "step-000005"]
    assert pixels(rows[0]).shape == (32, 64, 3)
    assert (pixels(trained / "grid.png") == np.concatenate([pixels(row) for row in rows])).all()


def test_the_first_row_is_the_model_as_it_was_and_the_last_the_adapter(
    trained: Path, tiny: Callable[[str], BaseModel]
) -> None:
    def row(**how: object) -> np.ndarray:
        made = paint(PROMPTS, model=tiny("sd15"), seed=SEED, steps=2, size=32, **how)  # type: ignore[arg-type]
        return np.concatenate([np.asarray(one.image, dtype=int) for one in made], axis=1)

    assert (pixels(trained / "step-000000.png") == row()).all()
    last = pixels(trained / "step-000005.png")
    assert np.abs(last - row(adapters={trained.parent: 1.0})).max() <= 2 and (last != row()).any()


def test_a_training_with_paintings_is_the_training_without_them(
    trained: Path, tiny: Callable[[str], BaseModel], tmp_path: Path
) -> None:
    plain = train(CONFIG.model_copy(update={"sample_prompts": ()}), DATA, base_model=tiny("sd15"), out=tmp_path)
    assert plain.file.read_bytes() == (trained.parent / plain.file.name).read_bytes()
    assert not (tmp_path / "samples").exists()


def test_an_interrupted_training_ends_with_the_same_paintings(
    trained: Path, tiny: Callable[[str], BaseModel], tmp_path: Path
) -> None:
    cut_short(partial(train, CONFIG, DATA, base_model=tiny("sd15")), tmp_path, 3)
    train(CONFIG, DATA, base_model=tiny("sd15"), out=tmp_path)
    for file in sorted(trained.glob("*.png")):
        assert (pixels(file) == pixels(tmp_path / "samples" / file.name)).all(), file.name
