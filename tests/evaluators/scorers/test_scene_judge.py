"""evaluators/scorers/scene_judge.py: logits become words, pictures of any size are fitted, wrong folders are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import ResNetConfig, ResNetForImageClassification

from evaluators.scorers.scene_judge import SceneJudge, Seen
from prompts.errors import InputError

LABELS = ["circle", "square", "star", "1 objects", "2 objects", "3 objects"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that sees circles where a picture is bright, and two of them anywhere."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic", id2label=dict(enumerate(LABELS))
    )
    config.image_size, config.enlarged = 32, 2
    model = ResNetForImageClassification(config).eval()
    model.classifier[1].bias.data = torch.tensor([0.0, -1.0, 9.0, 0.0, 8.0, 0.0])
    where = tmp_path_factory.mktemp("models") / "judge"
    model.save_pretrained(where)
    return where


def picture(side: int) -> Image.Image:
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[: side // 2, : side // 4] = (240, 30, 90)
    return Image.fromarray(pixels)


def test_logits_become_names_and_a_number(folder: Path) -> None:
    judge = SceneJudge(folder)
    (seen,) = judge([picture(32)])
    (row,) = judge.logits([picture(32)])
    assert isinstance(seen, Seen) and seen.objects == 2 and "star" in seen.shapes
    assert seen.shapes == {label for label, logit in zip(LABELS[:3], row, strict=False) if logit > 0}


def test_a_larger_picture_of_the_same_gives_the_same(folder: Path) -> None:
    small, large = SceneJudge(folder).logits([picture(32), picture(256)])
    other = SceneJudge(folder).logits([Image.new("RGB", (32, 32), "white")])
    assert np.allclose(small, large, atol=1e-5) and not np.allclose(small, other, atol=1e-5)


def test_transparency_is_laid_on_white(folder: Path) -> None:
    clear, white = Image.new("RGBA", (32, 32), (0, 0, 0, 0)), Image.new("RGB", (32, 32), "white")
    first, second = SceneJudge(folder).logits([clear, white])
    assert (first == second).all()


def test_no_pictures_give_no_answers(folder: Path) -> None:
    assert SceneJudge(folder)([]) == [] and SceneJudge(folder).logits([]).shape == (0, len(LABELS))


def test_a_folder_that_is_missing_or_holds_something_else_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        SceneJudge(tmp_path / "nowhere")
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="no image classifier"):
        SceneJudge(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "enlarged"}))
    with pytest.raises(InputError, match="lacks 'enlarged'"):
        SceneJudge(tmp_path)


def test_a_folder_that_lacks_weights_is_named_and_not_filled_with_random_ones(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: one for name, one in weights.items() if "classifier" not in name}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(InputError, match="lacks weights such as 'classifier"):
        SceneJudge(tmp_path)
