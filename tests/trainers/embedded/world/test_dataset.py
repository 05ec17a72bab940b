"""trainers/embedded/world/dataset.py: a number is always the same picture and words, drawn once, and never one held out."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.places import ROOT
from trainers.embedded.recipe import RECIPES
from trainers.embedded.world import dataset
from trainers.embedded.world.captions import caption, loose_caption
from trainers.embedded.world.dataset import HELD_OUT, held_out, load_dataset, loosely, sample, scene_of, to_tensor
from trainers.embedded.world.grounds import HELD_OUT_TEXTURES
from trainers.embedded.world.shapes import HELD_OUT_SHAPES

NUMBERS = (0, 7, HELD_OUT)


def told(number: int) -> str:
    image, text = sample(number)
    return f"{hashlib.sha256(image.tobytes()).hexdigest()} {text} | {loosely(number)}"


def test_a_number_is_the_same_picture_and_captions_in_every_process() -> None:
    code = (
        "import hashlib; from trainers.embedded.world.dataset import sample, loosely\n"
        f"for n in {NUMBERS}: i, c = sample(n); print(hashlib.sha256(i.tobytes()).hexdigest(), c, '|', loosely(n))"
    )
    command, seed = [sys.executable, "-c", code], {"PYTHONHASHSEED": "1"}
    there = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=seed).stdout
    assert there.splitlines() == [told(number) for number in NUMBERS]


def test_words_and_pictures_of_a_number_are_of_one_scene() -> None:
    for number in range(50):
        scene, (image, text) = scene_of(number), sample(number)
        assert text == caption(scene, random.Random(f"caption {number}")) and image.size == (64, 64)
        assert loosely(number) == loose_caption(scene, random.Random(f"loose {number}"))


def test_a_number_of_another_size_is_the_same_scene() -> None:
    small, large = (sample(3, size) for size in (64, 128))
    assert large[0].size == (128, 128) and small[1] == large[1]
    assert np.abs(np.asarray(large[0].reduce(2), float) - np.asarray(small[0], float)).mean() < 8


def test_nothing_kept_for_later_is_in_the_training() -> None:
    for number in range(2000):
        seen = {*scene_of(number).genome.values(), *loosely(number).replace(",", "").split()}
        assert not seen & {*HELD_OUT_SHAPES, *HELD_OUT_TEXTURES}, number


def test_pictures_are_drawn_once_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dataset, "BLOCK", 3)  # more blocks than one, the last of them shorter
    pictures, captions = load_dataset(tmp_path, 7)
    assert capfd.readouterr() == ("", "")  # its bar is for terminals
    assert pictures.shape == (7, 64, 64, 3) and pictures.dtype == np.uint8
    for number in range(7):
        image, text = sample(number)
        assert np.array_equal(pictures[number], np.asarray(image)) and captions[number] == text
    monkeypatch.setattr(dataset, "sample", None)  # drawing again would fail
    again, same = load_dataset(tmp_path, 7)
    assert np.array_equal(again, pictures) and same == captions


def test_another_count_or_size_is_another_file(tmp_path: Path) -> None:
    assert load_dataset(tmp_path, 2)[0].shape == (2, 64, 64, 3)
    assert load_dataset(tmp_path, 3)[0].shape == (3, 64, 64, 3)
    pictures, captions = load_dataset(tmp_path, 2, size=128)
    assert pictures.shape == (2, 128, 128, 3) and captions == [sample(0)[1], sample(1)[1]]


def test_pictures_whose_drawing_was_interrupted_are_drawn_anew(tmp_path: Path) -> None:
    whole, captions = load_dataset(tmp_path, 2)
    (file,) = tmp_path.glob("*.json")
    file.rename(file.with_suffix(".part"))  # killed before the last step
    again, same = load_dataset(tmp_path, 2)
    assert np.array_equal(whole, again) and same == captions and file.is_file()


def test_held_out_scenes_are_none_of_the_training() -> None:
    pictures, texts = held_out(3)
    assert texts[1] == sample(HELD_OUT + 1)[1] and held_out(1, offset=2)[1] == texts[2:]
    assert held_out(1, size=128)[0].shape == (1, 128, 128, 3) and pictures.shape == (3, 64, 64, 3)
    assert all(10 * how["data"]["count"] < HELD_OUT for how in RECIPES.values())


def test_tensors_are_what_every_model_takes() -> None:
    pictures = np.zeros((2, 8, 16, 3), np.uint8)
    pictures[1, :, :, 0] = 255
    tensor = to_tensor(pictures)
    assert tensor.shape == (2, 3, 8, 16) and tensor.dtype.is_floating_point
    assert tensor[0].unique().tolist() == [-1.0] and tensor[1, 0].unique().tolist() == [1.0]
