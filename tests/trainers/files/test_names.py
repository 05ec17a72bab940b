"""Names of layers, held against diffusers' own tables where it has some."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel
from diffusers.loaders.lora_conversion_utils import (
    _convert_kohya_flux_lora_to_diffusers,
    _convert_non_diffusers_lora_to_diffusers,
    _maybe_map_sgm_blocks_to_diffusers,
)

from trainers.files.kohya import joint_layers
from trainers.files.names import Names, Place, layers_of, part_named
from trainers.model.base_model import BaseModel

Tiny = Callable[[str], BaseModel]


@pytest.fixture(scope="module")
def sdxl() -> UNet2DConditionModel:
    """SDXL's UNet with all its blocks and two transformer blocks in each; its weights are never made."""
    with torch.device("meta"):
        return UNet2DConditionModel(
            cross_attention_dim=64, attention_head_dim=8, block_out_channels=(32, 64, 64), use_linear_projection=True, addition_embed_type="text_time",
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), transformer_layers_per_block=2,
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), addition_time_embed_dim=8, projection_class_embeddings_input_dim=64,
        )  # fmt: skip


def by_diffusers(name: str, unet: Any) -> str:
    """The module that diffusers' converter makes of one of kohya's names."""
    state = {f"lora_unet_{name}.lora_{half}.weight": torch.zeros(1, 1) for half in ("down", "up")}
    found, _ = _convert_non_diffusers_lora_to_diffusers(_maybe_map_sgm_blocks_to_diffusers(state, unet.config))
    key = next(iter(found)).removeprefix("unet.").replace(".processor", "")
    module = key.removesuffix(".lora.down.weight").removesuffix("_lora.down.weight")
    return f"{module}.0" if module.endswith(".to_out") else module


def test_sdxls_authors_names_mean_the_layers_that_diffusers_says(sdxl: UNet2DConditionModel) -> None:
    names = Names(SimpleNamespace(components={"unet": sdxl}, unet=sdxl))
    known = {
        name: members
        for name, members in names._known["unet"].items()
        if "block" in name and not name.startswith(("down_blocks", "mid_block", "up_blocks"))
    }
    theirs = {name: by_diffusers(name, sdxl) for name in known if not name.endswith("_0_conv")}  # theirs is called "op"
    assert theirs == {name: known[name][0] for name in theirs}
    blocks = {path for path in layers_of(sdxl) if "_block" in path}
    assert set(theirs.values()) == {"conv_in", *blocks} and len(blocks) > 200


def test_fluxs_names_mean_the_layers_that_diffusers_says() -> None:
    with torch.device("meta"):
        flux = FluxTransformer2DModel(num_layers=1, num_single_layers=1)
    for name, members in joint_layers(flux):
        wide, high = (
            flux.get_submodule(members[0]).in_features,
            sum(flux.get_submodule(one).out_features for one in members),
        )
        state = {
            f"lora_unet_{name}.lora_down.weight": torch.ones(1, wide),
            f"lora_unet_{name}.lora_up.weight": torch.ones(high, 1),
        }
        try:
            found = _convert_kohya_flux_lora_to_diffusers(state)
        except Exception:  # layers that diffusers does not read, as the embedder of the guidance
            assert not name.startswith(("double_blocks", "single_blocks")), name
            continue
        theirs = {key.removeprefix("transformer.").rsplit(".lora_", 1)[0] for key in found if ".lora_A." in key}
        assert theirs <= set(members) or theirs == set(), (name, theirs)
        assert theirs == set(members) or not name.startswith(("double_blocks", "single_blocks"))


@pytest.mark.parametrize(
    ("kind", "name", "places"),
    [
        ("flux", "double_blocks.0.processor.qkv_lora2", [("transformer", ("add_q_proj", "add_k_proj", "add_v_proj"))]),
        ("flux", "diffusion_model.double_blocks.0.img_attn.proj", [("transformer", ("to_out.0",))]),
        ("flux", "base_model.model.single_blocks.0.modulation.lin", [("transformer", ("norm.linear",))]),
        ("flux", "lora_te3_encoder_block_0_layer_0_SelfAttention_q", [("text_encoder_2", ("SelfAttention.q",))]),
        ("sd3", "lora_te3_encoder_block_0_layer_0_SelfAttention_q", [("text_encoder_3", ("SelfAttention.q",))]),
        ("sd3", "clip_g.transformer.text_model.encoder.layers.0.mlp.fc1", [("text_encoder_2", ("mlp.fc1",))]),
        ("sdxl", "text_encoder.text_model.encoder.layers.0.self_attn.to_q", [("text_encoder", ("q_proj",))]),
        ("sd15", "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out", [("unet", ("to_out.0",))]),
        ("sd15", "transformer.conv_in", []), ("flux", "unet.x_embedder", []), ("sd15", "lora_te2_text_model_encoder_layers_0_mlp_fc1", []),
        ("sd15", "", []), ("sd15", "base_model.model.", []), ("sd15", "lora_unet_", []), ("sd15", "lora_unet_conv_norm_out", []),
    ],
)  # fmt: skip
def test_a_name_means_the_layers_of_one_part(kind: str, name: str, places: list[Any], tiny: Tiny) -> None:
    found = Names(tiny(kind).pipe).find(name)
    assert [(one.part, len(one.members)) for one in found] == [(part, len(ends)) for part, ends in places]
    assert all(
        path.endswith(end)
        for one, (_, ends) in zip(found, places, strict=True)
        for path, end in zip(one.members, ends, strict=True)
    )
    assert all(isinstance(one, Place) for one in found)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("unet:3", "denoiser"), ("text_encoder:3", "text_encoder"), ("lora_te2_x", "text_encoder_2"), ("base_model.model.unet.x", "denoiser"),
        ("transformer.x", "denoiser"), ("text_model.encoder.x", "text_encoder"), ("lora_te3_x", "t5"), ("x", "denoiser"),
    ],
)  # fmt: skip
def test_the_part_of_a_name_is_told_without_a_model(name: str, part: str) -> None:
    assert part_named(name) == part
