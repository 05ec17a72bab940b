"""A picture besides the words, with a tiny IP-Adapter of random weights in the files' real layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from prompts.errors import InputError
from tests.tiny_models import build, ip_adapter
from trainers.files.adapter_file import AdapterRef
from trainers.model.base_model import BaseModel
from trainers.model.ip_adapter import Shown
from trainers.model.load import load
from trainers.model.paint import paint

RED, BLUE = (Image.new("RGB", (40, 30), colour) for colour in ((220, 30, 30), (20, 40, 200)))


def painted(model: BaseModel, shown: Shown | None = None, **more: object) -> np.ndarray:
    prompts = ["a red dog", "a blue field"]
    return np.stack(
        [
            np.asarray(one.image, int)
            for one in paint(prompts, model=model, seed=3, steps=2, size=32, shown=shown, **more)
        ]
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_picture_changes_what_is_painted_by_its_weight_and_leaves_no_trace(name: str, tmp_path: Path) -> None:
    model = load(str(build(name, tmp_path / "model")), device="cpu")
    file, before, parts = ip_adapter(model.denoiser, tmp_path / "ip"), painted(model), dict(model.pipe.components)
    red, blue = painted(model, Shown(RED, file, 1.0)), painted(model, Shown(BLUE, file.parent, 1.0))
    assert (red != before).any(axis=(1, 2, 3)).all() and (red != blue).any()
    assert (painted(model, Shown(RED, file, 0.3)) != red).any()
    assert np.abs(painted(model, Shown(RED, file, 0.0)) - before).max() <= 1
    assert (painted(model) == before).all() and dict(model.pipe.components) == parts


def test_a_picture_and_a_lora_act_together(tmp_path: Path) -> None:
    model = load(str(build("sd15", tmp_path / "model")), device="cpu")
    file, key = (
        ip_adapter(model.denoiser, tmp_path / "ip"),
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v",
    )
    draw = torch.Generator().manual_seed(0)
    save_file({f"{key}.lora_A.weight": torch.randn(2, 16, generator=draw), f"{key}.lora_B.weight": torch.randn(32, 2, generator=draw)}, tmp_path / "a.safetensors")  # fmt: skip
    shown, lora = Shown(RED, file, 1.0), [AdapterRef(tmp_path / "a.safetensors")]
    plain, both = painted(model, adapters=lora), painted(model, shown, adapters=lora)
    assert (
        (both != plain).any()
        and (both != painted(model, shown)).any()
        and (painted(model, adapters=lora) == plain).all()
    )


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_families_without_a_unet_refuse_it(name: str, tiny: Callable[[str], BaseModel], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"takes no IP-Adapter here: SD 1.5 and SDXL do"):
        painted(tiny(name), Shown(RED, tmp_path))


def test_files_that_cannot_be_used_are_refused_and_the_model_paints_on(tmp_path: Path) -> None:
    model = load(str(build("sd15", tmp_path / "model")), device="cpu")
    file, before = ip_adapter(model.denoiser, tmp_path / "ip"), painted(model)
    (tmp_path / "alone").mkdir()
    save_file(load_file(file), tmp_path / "alone" / "a.safetensors")
    other = file.with_name("other.safetensors")
    save_file({key: torch.zeros(7, 9) if "to_k_ip" in key else value for key, value in load_file(file).items()}, other)
    wrong = [(tmp_path / "a.bin", 1.0, "pickle"), (tmp_path / "alone" / "a.safetensors", 1.0, "image_encoder"), (file, 3.0, "weight 3.0"), (other, 1.0, "does not fit")]  # fmt: skip
    for path, weight, told in wrong:
        with pytest.raises(InputError, match=told):
            painted(model, Shown(RED, path, weight))
        assert (painted(model) == before).all()
