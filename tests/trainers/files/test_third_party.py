"""Adapters that other programs wrote: read as what they are, or refused by their name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from prompts.errors import InputError
from trainers.files.adapter_file import AdapterRef
from trainers.files.halves import opened
from trainers.files.lora_layers import lora_layers
from trainers.files.third_party import translated
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel
from trainers.model.paint import paint

Tiny = Callable[[str], BaseModel]
BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0"
OLD = [f"attn1.{one}" for one in ("to_q", "to_k", "to_v", "to_out.0")] + ["ff.net.0.proj"] + [f"attn2.{one}" for one in ("to_q", "to_k", "to_v", "to_out.0")]  # fmt: skip


def pair(layer: Any, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random down and up weights for a layer."""
    draw, shape = torch.Generator().manual_seed(seed), layer.weight.shape
    down = torch.randn(rank, *shape[1:], generator=draw)
    return down, torch.randn(shape[0], rank, *(1,) * (len(shape) - 2), generator=draw) / 10


def changes(model: BaseModel, file: Path) -> dict[str, Tensor]:
    """What the adapter of a file adds to each layer's weight, by the layer's name in its part."""
    with attached(model, [AdapterRef(file)]) as names:
        (name,) = names
        found = {id(one): one for one in lora_layers(model.pipe) if name in one.lora_A}
        parts = [part for part in model.pipe.components.values() if isinstance(part, torch.nn.Module)]
        return {
            path: layer.scaling[name] * (layer.lora_B[name].weight.flatten(1) @ layer.lora_A[name].weight.flatten(1)).detach()
            for part in parts for path, layer in part.named_modules() if id(layer) in found
        }  # fmt: skip


def numbered(
    model: BaseModel, folder: Path, order: list[str], targets: list[str] | None = None
) -> tuple[Path, dict[str, Tensor]]:
    """A file in cloneofsimo's layout for every transformer block, in his order; and what it does to each layer."""
    tensors, wanted = {}, {}
    blocks = [name for name, one in model.denoiser.named_modules() if type(one).__name__ == "BasicTransformerBlock"]
    for number, place in enumerate(f"{block}.{one}" for block in blocks for one in order):
        down, up = pair(model.denoiser.get_submodule(place), 2, number)
        tensors |= {f"unet:{number}:down": down, f"unet:{number}:up": up}
        wanted[place] = up @ down
    save_file(
        tensors, folder / "a.safetensors", {"unet": json.dumps(targets or ["CrossAttention", "Attention", "GEGLU"])}
    )
    return folder / "a.safetensors", wanted


@pytest.mark.parametrize("early", [True, False])
def test_numbered_layers_go_where_the_program_that_wrote_them_met_them(tiny: Tiny, tmp_path: Path, early: bool) -> None:
    """The feed-forward stood between the attentions once, and stands behind them since."""
    order = OLD if early else [*OLD[:4], *OLD[5:], OLD[4]]
    file, wanted = numbered(tiny("sd15"), tmp_path, order)
    found = changes(tiny("sd15"), file)
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[name], wanted[name], atol=1e-5) for name in wanted)


def test_numbered_layers_of_the_text_encoder_come_as_key_value_query_out(tiny: Tiny, tmp_path: Path) -> None:
    model, tensors, wanted = tiny("sd15"), {}, {}
    for number in range(12):
        place = f"encoder.layers.{number // 4}.self_attn.{('k_proj', 'v_proj', 'q_proj', 'out_proj')[number % 4]}"
        down, up = pair(model.pipe.text_encoder.get_submodule(place), 3, number)
        tensors |= {f"text_encoder:{number}:down": down, f"text_encoder:{number}:up": up}
        wanted[place] = up @ down
    save_file(tensors, tmp_path / "a.safetensors")  # without metadata the program's defaults hold
    found = changes(model, tmp_path / "a.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[name], wanted[name], atol=1e-5) for name in wanted)


@pytest.fixture(scope="module")
def real_widths() -> Any:
    """SD 1.5's UNet and text encoder in their real sizes; their weights are never made."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        text = CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
        )
    return SimpleNamespace(components={"unet": unet, "text_encoder": text}, unet=unet, text_encoder=text)


def test_a_real_file_of_that_layout_fits_every_layer_that_it_numbers(shared_data: Path, real_widths: Any) -> None:
    file = shared_data / "lora_import" / "analog_svd_rank4.safetensors"
    if not file.is_file():
        pytest.skip(f"no {file.name} in the shared data")
    found = translated(file, real_widths)
    assert found is not None and len(found) == 384
    for key, value in found.items():
        part, _, rest = key.partition(".")
        layer = real_widths.components[part].get_submodule(rest.rsplit(".lora_", 1)[0])
        assert value.shape == ((4, layer.weight.shape[1]) if ".lora_A." in key else (len(layer.weight), 4)), key
    tensors, _ = opened(file)
    assert torch.equal(found[f"unet.mid_block{BLOCK[13:]}.ff.net.0.proj.lora_B.weight"], tensors["unet:139:up"])
    assert torch.equal(found[f"unet.down_blocks.0{BLOCK[13:]}.attn2.to_k.lora_A.weight"], tensors["unet:6:down"])


def test_a_pickle_of_the_same_author_is_refused_unread(shared_data: Path, tiny: Tiny) -> None:
    file = shared_data / "lora_import" / "lora_kiriko2.ti.pt"
    if not file.is_file():
        pytest.skip(f"no {file.name} in the shared data")
    with (
        pytest.raises(InputError, match=r"pickle.*convert it to \.safetensors"),
        attached(tiny("sd15"), [AdapterRef(file)]),
    ):
        pass


def test_kohyas_names_of_a_unet_its_text_encoder_and_its_convolutions_are_read_with_their_alphas(
    tiny: Tiny, tmp_path: Path
) -> None:
    model, tensors, wanted = tiny("sd15"), {}, {}
    places = [("lora_unet_", model.denoiser, name) for name in (f"{BLOCK}.attn1.to_out.0", "down_blocks.1.resnets.0.conv1", "time_embedding.linear_1")]  # fmt: skip
    places += [("lora_te_text_model_", model.pipe.text_encoder, name) for name in ("encoder.layers.1.self_attn.v_proj", "encoder.layers.2.mlp.fc1")]  # fmt: skip
    for number, (prefix, part, name) in enumerate(places):
        down, up = pair(part.get_submodule(name), 4, number)
        said = prefix + name.replace(".", "_")
        tensors |= {
            f"{said}.lora_down.weight": down,
            f"{said}.lora_up.weight": up,
            f"{said}.alpha": torch.tensor(1.0 + number),
        }
        wanted[name] = (1.0 + number) / 4 * up.flatten(1) @ down.flatten(1)
    save_file(tensors, tmp_path / "a.safetensors")
    found = changes(model, tmp_path / "a.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[name], wanted[name], atol=1e-5) for name in wanted)


def test_both_text_encoders_of_sdxl_have_names_of_their_own(tiny: Tiny, tmp_path: Path) -> None:
    model, tensors = tiny("sdxl"), {}
    for number, part in enumerate((model.pipe.text_encoder, model.pipe.text_encoder_2), start=1):
        place = next(name for name, _ in part.named_modules() if name.endswith("layers.0.self_attn.q_proj"))
        down, up = pair(part.get_submodule(place), 2, number)
        said = f"lora_te{number}_text_model_encoder_layers_0_self_attn_q_proj"
        tensors |= {f"{said}.lora_down.weight": down, f"{said}.lora_up.weight": up * number}
    save_file(tensors, tmp_path / "a.safetensors")
    with attached(model, [AdapterRef(tmp_path / "a.safetensors")]) as names:
        touched = [[one for one in lora_layers(model.pipe) if name in one.lora_A] for name in names]
        inside = [{id(one) for one in part.modules()} for part in (model.pipe.text_encoder, model.pipe.text_encoder_2)]
    assert [sum(id(one) in those for one in touched[0]) for those in inside] == [1, 1]


def test_a_convolution_with_a_middle_is_folded_into_one_of_two_parts(tiny: Tiny, tmp_path: Path) -> None:
    """LyCORIS' Tucker form: 1x1 down, 3x3 in the rank, 1x1 up; as one convolution after the other."""
    shape, draw = tiny("sd15").denoiser.down_blocks[1].resnets[0].conv1.weight.shape, torch.Generator().manual_seed(1)
    down, mid, up = torch.randn(2, shape[1], 1, 1, generator=draw), torch.randn(2, 2, 3, 3, generator=draw), torch.randn(shape[0], 2, 1, 1, generator=draw)  # fmt: skip
    said = "lora_unet_down_blocks_1_resnets_0_conv1"
    save_file({f"{said}.lora_down.weight": down, f"{said}.lora_mid.weight": mid, f"{said}.lora_up.weight": up}, tmp_path / "a.safetensors")  # fmt: skip
    found, shown = (
        translated(tmp_path / "a.safetensors", tiny("sd15").pipe),
        torch.randn(1, shape[1], 8, 8, generator=draw),
    )
    assert found is not None
    first, last = (
        found["unet.down_blocks.1.resnets.0.conv1.lora_A.weight"],
        found["unet.down_blocks.1.resnets.0.conv1.lora_B.weight"],
    )
    step = torch.nn.functional.conv2d
    theirs = step(step(step(shown, down), mid, padding=1), up)
    assert torch.allclose(step(step(shown, first, padding=1), last), theirs, atol=1e-3)


@pytest.mark.parametrize(
    ("key", "called"),
    [
        ("lora_unet_a.hada_w1_a", "a LoHa"), ("lora_unet_a.lokr_w1", "a LoKr"), ("lora_unet_a.dora_scale", "a DoRA"),
        ("unet.a.lora_magnitude_vector", "a DoRA"), ("lora_unet_a.oft_blocks", "an OFT"), ("lora_unet_a.diff", "full differences"),
        ("lora_unet_a.on_input", r"an \(IA\)3"), ("emb_params", "words of its own"), ("model.diffusion_model.out.2.weight", "a whole checkpoint"),
    ],
)  # fmt: skip
def test_what_is_no_lora_is_refused_by_its_name_with_what_to_do(
    tiny: Tiny, tmp_path: Path, key: str, called: str
) -> None:
    file = tmp_path / "other.safetensors"
    save_file({key: torch.zeros(2, 2), "lora_unet_a.lora_down.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(InputError, match=rf"other\.safetensors.* is .*{called}.*only LoRA and LoCon.*extract a LoRA"):
        paint(["a"], model=tiny("sd15"), seed=0, steps=1, size=32, adapters={file: 1.0})


@pytest.mark.parametrize("what", ["one too few", "half a layer", "other widths", "unknown classes"])
def test_numbered_layers_that_do_not_fit_are_refused(tiny: Tiny, tmp_path: Path, what: str) -> None:
    model = tiny("sd15")
    file, _ = numbered(model, tmp_path, OLD, ["Mamba"] if what == "unknown classes" else None)
    tensors, metadata = opened(file)
    last = max(int(key.split(":")[1]) for key in tensors)
    if what == "half a layer":
        del tensors["unet:0:up"]
    elif what == "one too few":
        tensors = {key: value for key, value in tensors.items() if f":{last}:" not in key}
    elif what == "other widths":
        tensors["unet:0:down"] = torch.zeros(2, 999)
    save_file(tensors, file, metadata)
    told = {"half a layer": "'unet:0:down' has no up weights", "unknown classes": r"\['Mamba'\].*CLIPAttention"}
    with (
        pytest.raises(InputError, match=told.get(what, "does not fit this model.*made for")),
        attached(model, [AdapterRef(file)]),
    ):
        pass


def test_half_a_layer_of_kohyas_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    save_file(
        {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.zeros(2, 16)}, tmp_path / "a.safetensors"
    )
    with (
        pytest.raises(InputError, match=r"not whole.*mlp_fc1"),
        attached(tiny("sd15"), [AdapterRef(tmp_path / "a.safetensors")]),
    ):
        pass


def test_a_numbered_file_paints(tiny: Tiny, tmp_path: Path) -> None:
    file, _ = numbered(tiny("sd15"), tmp_path, OLD)
    pictures = [np.asarray(paint(["a dog"], model=tiny("sd15"), seed=0, steps=2, size=32, adapters={file: weight})[0].image) for weight in (0.0, 1.0)]  # fmt: skip
    assert (pictures[0] != pictures[1]).any()


def test_sdxls_names_of_its_authors_are_read(tiny: Tiny, tmp_path: Path) -> None:
    model, said = tiny("sdxl"), "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q"
    place = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    down, up = pair(model.denoiser.get_submodule(place), 4, 1)
    save_file({f"{said}.lora_down.weight": down, f"{said}.lora_up.weight": up, f"{said}.alpha": torch.tensor(2.0)}, tmp_path / "a.safetensors")  # fmt: skip
    found = changes(model, tmp_path / "a.safetensors")
    assert found.keys() == {place} and torch.allclose(found[place], 0.5 * up @ down, atol=1e-5)
