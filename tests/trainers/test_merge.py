"""One adapter made of several: it paints what the stack paints, and says what a lower rank costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from prompts.errors import InputError
from tests.tiny_models import PIPELINES
from tests.trainers import subject
from trainers import sft
from trainers.files.adapter_file import Adapter, AdapterRef, sha256
from trainers.files.lora_layers import change_of, lora_layers
from trainers.merge import merge, reduced, stacked
from trainers.model.base_model import BaseModel

Tiny = Callable[[str], BaseModel]
PROMPT = "a photo of the red dog"
LAYERS = {
    "unet": ("to_q", "ff.net.0.proj", "conv1"), "transformer": ("to_q", "to_out.0"),
}  # fmt: skip


def painted(model: BaseModel, adapters: list[AdapterRef]) -> np.ndarray:
    return subject.painted(model, PROMPT, adapters=adapters)


def trained(model: BaseModel, out: Path, seed: int, **more: object) -> Adapter:
    """One step at a large rate: enough to be somewhere else."""
    config = sft.SftConfig(steps=1, batch_size=1, learning_rate=5e-2, size=32, rank=2, seed=seed, **more)  # type: ignore[arg-type]
    return sft.train(config, [(Image.new("RGB", (32, 32), (40 * seed, 90, 20)), PROMPT)], base_model=model, out=out)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_merged_adapter_paints_what_the_stack_paints_from_both_files(name: str, tiny: Tiny, tmp_path: Path) -> None:
    """Of different ranks, alphas and layers, one with a negative weight."""
    model = tiny(name)
    wide = LAYERS["unet" if hasattr(model.pipe, "unet") else "transformer"]
    one, other = (
        trained(model, tmp_path / "one", 1),
        trained(model, tmp_path / "two", 2, target_modules=wide, alpha=3.0),
    )
    stack = [AdapterRef(one.path, 0.8), AdapterRef(other.path, -0.5)]
    both, base = painted(model, stack), painted(model, [])
    made = merge(stack, model=model, out=tmp_path / "merged", name="both")
    assert (both != base).any() and made.kind == "merge" and made.metrics["lost_share"] == 0
    for file in (made.path, made.path / "both_kohya.safetensors"):
        assert np.abs(painted(model, [AdapterRef(file)]) - both).max() <= 2, file
    card = json.loads((made.path / "adapter.json").read_text())
    assert card["parents"] == [
        {"name": "one", "sha256": sha256(one.file), "weight": 0.8}, {"name": "two", "sha256": sha256(other.file), "weight": -0.5},
    ]  # fmt: skip
    assert card["config"]["rank"] == 4 and "merged from its parents" in (made.path / "README.md").read_text()
    assert (painted(model, []) == base).all()


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_layers_of_text_encoders_are_merged_too(name: str, tiny: Tiny, tmp_path: Path) -> None:
    model, draw = tiny(name), torch.Generator().manual_seed(0)
    for number in (1, 2):
        key = f"text_encoder.text_model.encoder.layers.{number}.self_attn.q_proj"
        save_file(
            {f"{key}.lora_A.weight": torch.randn(2, 16, generator=draw), f"{key}.lora_B.weight": torch.randn(16, 2, generator=draw)},
            tmp_path / f"{number}.safetensors",
        )  # fmt: skip
    stack = [AdapterRef(tmp_path / f"{number}.safetensors", 0.7) for number in (1, 2)]
    made = merge(stack, model=model, out=tmp_path / "merged")
    both = painted(model, stack)
    assert (both != painted(model, [])).any()
    for file in (made.path, made.path / "merged_kohya.safetensors"):
        assert np.abs(painted(model, [AdapterRef(file)]) - both).max() <= 2, file
    assert json.loads((made.path / "adapter.json").read_text())["kohya_check"] == "loaded"


@pytest.mark.parametrize("place", ["mlp.fc1", "self_attn.q_proj"])
def test_a_stock_pipeline_reads_what_text_encoders_learned(place: str, tiny: Tiny, tmp_path: Path) -> None:
    """diffusers' own reader knows a file of feed-forward layers alone only under its own names."""
    model, key = tiny("sd15"), f"text_encoder.text_model.encoder.layers.1.{place}"
    wide, high = model.pipe.text_encoder.get_submodule(key.removeprefix("text_encoder.text_model.")).weight.shape[::-1]
    save_file(
        {f"{key}.lora_A.weight": torch.ones(2, wide), f"{key}.lora_B.weight": torch.ones(high, 2)},
        tmp_path / "a.safetensors",
    )
    made = merge([AdapterRef(tmp_path / "a.safetensors")], model=model, out=tmp_path / "merged")
    stock = StableDiffusionPipeline.from_pretrained(model.name)
    stock.load_lora_weights(str(made.path), adapter_name="mine")
    (changed,) = [one for one in lora_layers(stock) if "mine" in one.lora_A]
    assert torch.allclose(change_of(changed, "mine"), torch.full((high, wide), 2.0), atol=1e-5)


def test_a_lower_rank_says_what_it_loses_and_a_high_one_loses_nothing(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("sd15")
    stack = [AdapterRef(trained(model, tmp_path / str(seed), seed).path) for seed in (1, 2)]
    lost = [merge(stack, model=model, out=tmp_path / f"rank-{rank}", rank=rank).metrics["lost_share"] for rank in (1, 2, 4)]  # fmt: skip
    assert 1 > lost[0] > lost[1] > 0 and lost[2] == pytest.approx(0, abs=1e-9)
    ranks = {value.shape[0] for key, value in load_file(tmp_path / "rank-2" / "pytorch_lora_weights.safetensors").items() if key.endswith(("lora_A.weight", "lora.down.weight"))}  # fmt: skip
    assert ranks == {2}
    assert np.abs(painted(model, [AdapterRef(tmp_path / "rank-4")]) - painted(model, stack)).max() <= 2


@pytest.mark.parametrize("window", [(), (3, 3)])
def test_a_reduced_layer_is_the_best_of_its_rank(window: tuple[int, ...]) -> None:
    """Against the singular values of the whole product, for a linear layer and a convolution."""
    draw = torch.Generator().manual_seed(0)
    pairs = [
        (torch.randn(3, 5, *window, generator=draw), torch.randn(7, 3, *(1,) * len(window), generator=draw)) for _ in range(2)
    ]  # fmt: skip
    whole = sum(up.flatten(1) @ down.flatten(1) for down, up in pairs)
    pair = stacked(pairs)
    assert torch.allclose(pair[1].flatten(1) @ pair[0].flatten(1), whole, atol=1e-5)
    (down, up), lost, there = reduced(pair, 2)
    values = torch.linalg.svdvals(whole)
    assert down.shape == (2, 5, *window) and up.shape == (7, 2, *(1,) * len(window))
    assert lost == pytest.approx(values[2:].square().sum().item(), rel=1e-4) and there == pytest.approx(values.square().sum().item(), rel=1e-4)  # fmt: skip
    assert (whole - up.flatten(1) @ down.flatten(1)).square().sum().item() == pytest.approx(lost, rel=1e-3)


def test_what_cannot_be_merged_is_refused_and_writes_nothing(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("sd15")
    one = AdapterRef(trained(model, tmp_path / "one", 1).path)
    foreign = AdapterRef(trained(tiny("flux"), tmp_path / "flux", 1).path)
    wrong = [([AdapterRef(one.path, 0.0)], None, "nothing to merge"), ([one, foreign], None, "does not fit"), ([one], 0, "rank 0 must be")]  # fmt: skip
    for refs, rank, told in wrong:
        with pytest.raises(InputError, match=told):
            merge(refs, model=model, out=tmp_path / "new", rank=rank)
    with pytest.raises(InputError, match="holds an adapter already"):
        merge([one], model=model, out=Path(one.path))
    assert not (tmp_path / "new").exists()
