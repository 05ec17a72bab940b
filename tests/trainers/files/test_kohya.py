"""kohya's names for the transformers: what diffusers' own reader makes of them, and layers that kohya joins."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import FluxTransformer2DModel
from diffusers.loaders.lora_conversion_utils import _convert_kohya_flux_lora_to_diffusers
from safetensors.torch import save_file
from torch import Tensor

from prompts.errors import InputError
from trainers.files.kohya import kohya_names
from trainers.files.third_party import translated

RANK, ALPHA = 2, 3.0


@pytest.fixture(scope="module")
def flux() -> FluxTransformer2DModel:
    """FLUX's own width with one block of each kind; its weights are never made."""
    with torch.device("meta"):
        return FluxTransformer2DModel(num_layers=1, num_single_layers=1)


def read(file: Path, denoiser: FluxTransformer2DModel) -> dict[str, Tensor]:
    """What our reader makes of a file for a pipeline of which only the transformer is there."""
    return translated(file, SimpleNamespace(components={"transformer": denoiser}, transformer=denoiser))


def learned(denoiser: FluxTransformer2DModel, modules: list[str]) -> dict[str, Tensor]:
    draw, state = torch.Generator().manual_seed(5), {}
    for module in modules:
        layer = denoiser.get_submodule(module)
        state[f"{module}.lora_A.weight"] = torch.randn(RANK, layer.in_features, generator=draw)
        state[f"{module}.lora_B.weight"] = torch.randn(layer.out_features, RANK, generator=draw)
    return state


def change(state: dict[str, Tensor], module: str) -> Tensor:
    return state[f"{module}.lora_B.weight"][:64] @ state[f"{module}.lora_A.weight"][:, :64]


ATTENTION = [f"transformer_blocks.0.attn.{one}" for one in ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj")]
SINGLE = [f"single_transformer_blocks.0.attn.{one}" for one in ("to_q", "to_k", "to_v")]


def test_diffusers_reads_our_names_of_flux_as_what_was_trained(flux: FluxTransformer2DModel) -> None:
    state = learned(flux, ATTENTION + SINGLE)
    named = kohya_names(state, ALPHA, flux)
    assert set(named) >= {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", "lora_unet_single_blocks_0_linear1.alpha"}  # fmt: skip
    theirs = _convert_kohya_flux_lora_to_diffusers(dict(named))
    for module in ATTENTION + SINGLE:
        found = change(theirs, f"transformer.{module}")
        assert torch.allclose(found, ALPHA / RANK * change(state, module), atol=1e-4), module
    assert not change(
        theirs, "transformer.single_transformer_blocks.0.proj_mlp"
    ).any()  # beside them, and it did not learn


def test_our_reader_takes_apart_what_was_joined(flux: FluxTransformer2DModel, tmp_path: Path) -> None:
    state = learned(flux, ATTENTION + SINGLE)
    save_file(kohya_names(state, ALPHA, flux), tmp_path / "a.safetensors")
    found = read(tmp_path / "a.safetensors", flux)
    assert set(found) == {f"transformer.{key}" for key in state}
    for module in ATTENTION + SINGLE:
        assert torch.allclose(change(found, f"transformer.{module}"), ALPHA / RANK * change(state, module), atol=1e-4)


def test_a_joined_layer_that_was_trained_as_one_is_read_by_its_rows(
    flux: FluxTransformer2DModel, tmp_path: Path
) -> None:
    """As kohya's own trainer makes them: every output of q, k and v sees the same few directions."""
    name, draw = "lora_unet_double_blocks_0_img_attn_qkv", torch.Generator().manual_seed(6)
    down, up = torch.randn(4, 3072, generator=draw), torch.randn(3 * 3072, 4, generator=draw)
    save_file({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, tmp_path / "a.safetensors")
    found = read(tmp_path / "a.safetensors", flux)
    for number, one in enumerate(("to_q", "to_k", "to_v")):
        rows = up[3072 * number :][:64] @ down[:, :64]
        assert torch.allclose(change(found, f"transformer.transformer_blocks.0.attn.{one}"), rows, atol=1e-4)


def test_a_name_that_we_do_not_know_is_refused_as_the_file_has_it(flux: FluxTransformer2DModel, tmp_path: Path) -> None:
    name = "lora_unet_double_blocks_99_img_attn_qkv"
    save_file(
        {f"{name}.lora_down.weight": torch.zeros(2, 3072), f"{name}.lora_up.weight": torch.zeros(9216, 2)},
        tmp_path / "a.safetensors",
    )
    with pytest.raises(InputError, match=rf"no place for '{name}"):
        read(tmp_path / "a.safetensors", flux)
