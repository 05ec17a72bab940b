"""evaluators/scorers/aesthetic.py: the three layouts, written tiny and as they were published."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evaluators.scorers.aesthetic import load
from evaluators.scorers.clip import Clip
from prompts.errors import InputError
from tests.evaluators.published import Draw, Tensors, five_layers, pictures

WIDTH = 128  # of the bundled CLIP
REAL = {
    "sa_0_4_vit_l_14_linear": (768, "ViT-L/14"), "sa_0_4_vit_b_16_linear": (512, "ViT-B/16"), "sa_0_4_vit_b_32_linear": (512, "ViT-B/32"),
    "sac_public_2022_06_29_vit_l_14_linear": (768, "ViT-L/14"), "sac_public_2022_06_29_vit_b_16_linear": (512, "ViT-B/16"),
    "sac_public_2022_06_29_vit_b_32_linear": (512, "ViT-B/32"),
}  # fmt: skip


def laion(width: int = WIDTH) -> Tensors:
    return {"weight": Draw(1)(1, width, scale=1.0), "bias": torch.tensor([5.0])}


def sac(width: int = WIDTH) -> Tensors:
    return {f"linear.{key}": one for key, one in laion(width).items()}


def rows(count: int, width: int, length: float) -> np.ndarray:
    """Features of that length."""
    found = np.random.default_rng(3).normal(size=(count, width))
    return (length * found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", ["laion", "sac", "laion2"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_each_layout_scores_as_its_layers_do_one_after_the_other(tmp_path: Path, kind: str, suffix: str) -> None:
    tensors = {"laion": laion(), "sac": sac(), "laion2": five_layers("", WIDTH, Draw(2))}[kind]
    file = tmp_path / f"head{suffix}"
    save_file(tensors, file) if suffix == ".safetensors" else torch.save(tensors, file)
    features = rows(6, WIDTH, 7.5)
    x = torch.tensor(features, dtype=torch.float64)
    x = x / x.norm(dim=1, keepdim=True) * (WIDTH**0.5 if kind == "sac" else 1.0)
    for name in {"laion": [""], "sac": ["linear."], "laion2": [f"layers.{i}." for i in (0, 2, 4, 6, 7)]}[kind]:
        x = x @ tensors[f"{name}weight"].double().T + tensors[f"{name}bias"].double()
    for path in (file, tmp_path):
        assert load(path).of_features(features) == pytest.approx(x[:, 0].numpy(), abs=1e-5)
    assert float(np.ptp(x.numpy())) > 0.01


@pytest.mark.parametrize("name", REAL)
def test_the_published_heads_score_features_of_known_length(shared_data: Path, name: str) -> None:
    file = shared_data / "aesthetic_heads" / f"{name}.pth"
    if not file.is_file():
        pytest.skip(f"no {file.name} in the shared data")
    width, wants = REAL[name]
    weight, bias = (one.numpy().astype(np.float64) for one in torch.load(file, weights_only=True).values())
    scale = np.sqrt(width) if name.startswith("sac") else 1.0
    features = rows(4, width, 10.0).astype(np.float64)  # of length 10: OpenAI's features are about that long
    expected = (features / 10.0 * scale) @ weight[0] + bias[0]
    head = load(file)
    assert head.of_features(features) == pytest.approx(expected, abs=1e-5)
    assert head.wants == f"OpenAI's CLIP {wants}" and head.of_features(3.0 * features) == pytest.approx(
        expected, abs=1e-5
    )
    with pytest.raises(InputError, match=re.escape(f"reads {width} features of OpenAI's CLIP {wants}, and was given features of the shape (4, 128)")):  # fmt: skip
        head.of_features(rows(4, 128, 1.0))


def test_images_are_scored_by_their_features_whatever_their_prompts(tmp_path: Path, clip: Clip) -> None:
    torch.save(laion(), tmp_path / "head.pth")
    head, images, order = load(tmp_path / "head.pth", clip), pictures(), [2, 0, 1, 4, 3]
    score = head(images, [str(number) for number in range(5)])
    assert score.name == "aesthetic" and len(score.version) == 12
    assert score.values == pytest.approx(head.of_features(clip.image_features(images)))
    turned = head([images[i] for i in order], [""] * 5)
    assert turned.values == pytest.approx([score.values[i] for i in order], abs=1e-5)
    assert head([], []).values == ()
    with pytest.raises(InputError, match="5 images for 1 prompts"):
        head(images, ["a"])


def test_the_version_is_of_the_head_and_of_its_clip(tmp_path: Path, clip: Clip) -> None:
    for name, tensors in (("one", laion()), ("two", {key: one + 1 for key, one in laion().items()})):
        torch.save(tensors, tmp_path / f"{name}.pth")
    one, two = tmp_path / "one.pth", tmp_path / "two.pth"
    assert load(one, clip).version == load(one, clip).version
    assert len({load(one, clip).version, load(two, clip).version, load(one).version, load(two).version}) == 4


def test_a_clip_that_the_head_was_not_fitted_on_is_refused(tmp_path: Path, clip: Clip) -> None:
    for name, tensors in (
        ("sac+logos+ava1-l14-linearMSE", five_layers("", 768, Draw(0))), ("mine", laion(512)), ("sa_0_4_vit_b_32_linear", laion()),
        ("mine_too", laion()),
    ):  # fmt: skip
        torch.save(tensors, tmp_path / f"{name}.pth")
    with pytest.raises(
        InputError, match=r"reads 768 features of OpenAI's CLIP ViT-L/14, and was given a CLIP with 128"
    ):
        load(tmp_path / "sac+logos+ava1-l14-linearMSE.pth", clip)
    with pytest.raises(InputError, match=r"reads 512 features of OpenAI's CLIP ViT-B/16 or ViT-B/32, and was given"):
        load(tmp_path / "mine.pth", clip)
    with pytest.raises(InputError, match=r"ViT-B/32, and was given a CLIP with patches of 8 pixels"):
        load(tmp_path / "sa_0_4_vit_b_32_linear.pth", clip)
    assert load(tmp_path / "mine_too.pth", clip).wants == "OpenAI's CLIP of width 128"
    with pytest.raises(InputError, match="loaded without a CLIP"):
        load(tmp_path / "mine_too.pth")(pictures(1), ["a"])


def test_a_head_with_activations_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    relu = {key.replace("layers.7", "layers.11"): one for key, one in five_layers("", 16, Draw(0)).items()}
    for tensors in (relu, {"scale": torch.ones(1)}):
        torch.save(tensors, tmp_path / "head.pth")
        with pytest.raises(InputError, match=r"head\.pth' holds .*activations between their layers"):
            load(tmp_path)
    torch.save({"weight": torch.ones(2, 16), "bias": torch.ones(2)}, tmp_path / "head.pth")
    with pytest.raises(InputError, match="does not end in one number"):
        load(tmp_path)
