"""Whatever a file holds acts, or is named: counted in the pipeline, for every way in which programs name layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from safetensors.torch import load_file, save_file
from torch import Tensor

from prompts.errors import InputError
from tests.tiny_models import build
from trainers.files.adapter_file import AdapterRef
from trainers.files.injected import inject
from trainers.files.kohya import kohya_names, text_names
from trainers.files.lora_layers import change_of, lora_layers
from trainers.files.names import layers_of
from trainers.files.third_party import translated
from trainers.merge import merge
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel
from trainers.model.load import load

Tiny = Callable[[str], BaseModel]
PARTS = {"sd15": ("unet", "text_encoder"), "sdxl": ("unet", "text_encoder", "text_encoder_2"), "sd3": ("transformer", "text_encoder", "text_encoder_2"), "flux": ("transformer", "text_encoder")}  # fmt: skip
# How a program names a layer's halves: the part's prefix, whether the path keeps its dots, and what follows.
STYLES: dict[str, tuple[Callable[[str], str], bool, str, str]] = {
    "diffusers": (lambda part: f"{part}.", True, ".lora_A.weight", ".lora_B.weight"),
    "diffusers of old": (lambda part: f"{part}.", True, ".lora.down.weight", ".lora.up.weight"),
    "kohya": (lambda part: {"unet": "lora_unet_", "transformer": "lora_unet_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}[part], False, ".lora_down.weight", ".lora_up.weight"),
    "OneTrainer": (lambda part: {"unet": "lora_unet_", "transformer": "lora_transformer_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}[part], False, ".lora_down.weight", ".lora_up.weight"),
    "SimpleTuner for ComfyUI": (lambda part: {"unet": "diffusion_model.", "transformer": "diffusion_model."}.get(part, f"{part}."), True, ".lora_A.weight", ".lora_B.weight"),
    "OneTrainer, its dots kept": (lambda part: {"unet": "lora_unet.", "transformer": "lora_transformer.", "text_encoder": "lora_te1.", "text_encoder_2": "lora_te2."}[part], True, ".lora_down.weight", ".lora_up.weight"),
    "PEFT, raw": (lambda part: "base_model.model." + ("" if part in ("unet", "transformer") else f"{part}."), True, ".lora_A.weight", ".lora_B.weight"),
    "PEFT, its adapter named": (lambda part: f"base_model.model.{part}.", True, ".lora_A.default.weight", ".lora_B.default.weight"),
}  # fmt: skip


def halves_for(layer: Any, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    draw, shape = torch.Generator().manual_seed(seed), layer.weight.shape
    return torch.randn(rank, *shape[1:], generator=draw), torch.randn(
        shape[0], rank, *(1,) * (len(shape) - 2), generator=draw
    )


def written(
    model: BaseModel, style: str, chosen: list[tuple[str, str, int, float | None]]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A file's tensors for (part, path, rank, alpha), and what each does to its layer."""
    before, dots, low, high = STYLES[style]
    tensors, wanted = {}, {}
    for number, (part, path, rank, alpha) in enumerate(chosen):
        down, up = halves_for(getattr(model.pipe, part).get_submodule(path), rank, number)
        name = before(part) + (path if dots else path.replace(".", "_"))
        tensors |= {f"{name}{low}": down, f"{name}{high}": up} | (
            {} if alpha is None else {f"{name}.alpha": torch.tensor(alpha)}
        )
        wanted[f"{part}.{path}"] = (1.0 if alpha is None else alpha / rank) * up.flatten(1) @ down.flatten(1)
    return tensors, wanted


def acting(model: BaseModel, file: Path) -> dict[str, Tensor]:
    """What the file's adapter adds to every layer of the pipeline, by part and path."""
    with attached(model, [AdapterRef(file)]) as names:
        (name,) = names
        here = {id(one) for one in lora_layers(model.pipe) if name in one.lora_A}
        parts = {part: one for part, one in model.pipe.components.items() if isinstance(one, torch.nn.Module)}
        return {f"{part}.{path}": change_of(one, name) for part, module in parts.items() for path, one in module.named_modules() if id(one) in here}  # fmt: skip


@settings(deadline=None, derandomize=True, database=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_layer_of_every_program_acts_as_its_file_says(data: st.DataObject, tiny: Tiny, tmp_path: Path) -> None:
    kind = data.draw(st.sampled_from(sorted(PARTS)))
    model = tiny(kind)
    known = [(part, path) for part in PARTS[kind] for path in layers_of(getattr(model.pipe, part))]
    few = st.lists(st.sampled_from(known), min_size=1, max_size=5, unique=True)
    chosen = [
        (*one, data.draw(st.integers(1, 5)), data.draw(st.sampled_from([None, 1.0, 0.5, 16.0])))
        for one in data.draw(few)
    ]
    tensors, wanted = written(model, data.draw(st.sampled_from(sorted(STYLES))), chosen)
    save_file(tensors, tmp_path / "a.safetensors")
    found = acting(model, tmp_path / "a.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[place], wanted[place], atol=1e-4, rtol=1e-4) for place in wanted)


@settings(deadline=None, derandomize=True, database=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(sorted(PARTS)), style=st.sampled_from(sorted(STYLES)), data=st.data())
def test_a_layer_that_is_not_there_is_named_as_the_file_has_it(
    kind: str, style: str, data: st.DataObject, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(kind)
    path = data.draw(st.sampled_from(layers_of(model.denoiser)))
    tensors, _ = written(model, style, [(PARTS[kind][0], path, 2, None)])
    low, high = STYLES[style][2:]
    name = next(iter(tensors)).removesuffix(low)
    at = data.draw(st.integers(max(len(name) - len(path), 0), len(name) - 1))
    wrong = data.draw(st.sampled_from([f"{name[:at]}q{name[at:]}", f"{name}q", name[:at] + "9" + name[at + 1 :]]))
    if wrong == name or translated_or_none(
        {f"{wrong}{low}": tensors[f"{name}{low}"], f"{wrong}{high}": tensors[f"{name}{high}"]}, tmp_path, model
    ):
        return  # another layer that there is
    strange = {f"{wrong}{low}": torch.ones(2, 7), f"{wrong}{high}": torch.ones(7, 2)}
    save_file(tensors | strange, tmp_path / "a.safetensors")
    with pytest.raises(InputError) as raised, attached(model, [AdapterRef(tmp_path / "a.safetensors")]):
        pass
    assert f"{wrong}{low}" in str(raised.value)


def translated_or_none(tensors: dict[str, Tensor], folder: Path, model: BaseModel) -> dict[str, Tensor] | None:
    save_file(tensors, folder / "probe.safetensors")
    try:
        return translated(folder / "probe.safetensors", model.pipe)
    except InputError:
        return None


def test_kohyas_modulation_and_embedders_of_flux_act(tiny: Tiny, tmp_path: Path) -> None:
    """The strangers' file: of its four kinds of layers only attention acted."""
    model = tiny("flux")
    theirs = {
        "double_blocks_0_img_attn_proj": "transformer_blocks.0.attn.to_out.0", "double_blocks_0_img_mod_lin": "transformer_blocks.0.norm1.linear",
        "single_blocks_0_modulation_lin": "single_transformer_blocks.0.norm.linear", "img_in": "x_embedder",
    }  # fmt: skip
    tensors, wanted = {}, {}
    for number, (name, path) in enumerate(theirs.items()):
        down, up = halves_for(model.denoiser.get_submodule(path), 4, number)
        tensors |= {f"lora_unet_{name}.lora_down.weight": down.clone(), f"lora_unet_{name}.lora_up.weight": up.clone()}
        wanted[f"transformer.{path}"] = up @ down
    save_file(tensors, tmp_path / "a.safetensors")
    found = acting(model, tmp_path / "a.safetensors")
    assert found.keys() == wanted.keys()
    assert sum(one.norm() ** 2 for one in found.values()) == pytest.approx(
        sum(one.norm() ** 2 for one in wanted.values())
    )


@pytest.mark.parametrize(
    "name", ["double_blocks_7_img_attn_proj", "double_blocks_0_img_atn_proj", "guidance_in_inn_layer"]
)
def test_a_block_that_is_not_there_or_a_misspelt_layer_is_refused_by_attach_and_import_alike(
    name: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("flux")
    down, up = halves_for(model.denoiser.transformer_blocks[0].attn.to_out[0], 2, 0)
    good = {
        "lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": down,
        "lora_unet_double_blocks_0_img_attn_proj.lora_up.weight": up,
    }
    save_file(
        good | {f"lora_unet_{name}.lora_down.weight": down.clone(), f"lora_unet_{name}.lora_up.weight": up.clone()},
        tmp_path / "a.safetensors",
    )
    with pytest.raises(InputError, match=f"no place for 'lora_unet_{name}.lora_down.weight'"):
        merge([AdapterRef(tmp_path / "a.safetensors")], model=model, out=tmp_path / "out")
    with (
        pytest.raises(InputError, match=f"no place for 'lora_unet_{name}.lora_down.weight'"),
        attached(model, [AdapterRef(tmp_path / "a.safetensors")]),
    ):
        pass
    assert not (tmp_path / "out" / "adapter.json").exists()


@pytest.mark.parametrize("kind", ["sd3", "flux", "sdxl"])
def test_our_own_kohya_file_with_text_encoders_reads_back(kind: str, tiny: Tiny, tmp_path: Path) -> None:
    model, draw, tensors = tiny(kind), torch.Generator().manual_seed(1), {}
    for part in PARTS[kind][1:]:
        path = f"{part}.text_model.encoder.layers.1.self_attn.q_proj"
        tensors |= {
            f"{path}.lora_A.weight": torch.randn(2, 16, generator=draw),
            f"{path}.lora_B.weight": torch.randn(16, 2, generator=draw),
        }
    attention = next(path for path in layers_of(model.denoiser) if path.endswith("to_q"))
    down, up = halves_for(model.denoiser.get_submodule(attention), 3, 2)
    tensors |= {f"{PARTS[kind][0]}.{attention}.lora_A.weight": down, f"{PARTS[kind][0]}.{attention}.lora_B.weight": up}
    save_file(tensors, tmp_path / "a.safetensors")
    made = merge([AdapterRef(tmp_path / "a.safetensors")], model=model, out=tmp_path / "out", name="mine")
    kohya = made.path / "mine_kohya.safetensors"
    assert any(key.startswith("lora_te1_") for key in load_file(kohya))
    found, wanted = acting(model, kohya), acting(model, tmp_path / "a.safetensors")
    assert found.keys() == wanted.keys() and len(found) == len(PARTS[kind])
    assert all(torch.allclose(found[place], wanted[place], atol=1e-5) for place in wanted)
    assert json.loads((made.path / "adapter.json").read_text())["kohya_check"] == "loaded"


def test_the_last_modulation_is_turned_on_the_way_out_and_in(tiny: Tiny, tmp_path: Path) -> None:
    """Its authors say shift and scale, diffusers scale and shift."""
    model = tiny("flux")
    down, up = halves_for(model.denoiser.norm_out.linear, 2, 0)
    named = kohya_names(
        {"norm_out.linear.lora_A.weight": down, "norm_out.linear.lora_B.weight": up}, None, model.denoiser
    )
    half = len(up) // 2
    assert torch.equal(
        named["lora_unet_final_layer_adaLN_modulation_1.lora_up.weight"], torch.cat([up[half:], up[:half]])
    )
    save_file(named, tmp_path / "a.safetensors")
    assert torch.allclose(
        acting(model, tmp_path / "a.safetensors")["transformer.norm_out.linear"], up @ down, atol=1e-5
    )


def test_a_text_encoder_that_takes_no_lora_is_named(tiny: Tiny, tmp_path: Path) -> None:
    """diffusers has no way into T5; its layers would have been left out."""
    model = tiny("sd3")
    path = "encoder.block.0.layer.0.SelfAttention.q"
    down, up = halves_for(model.pipe.text_encoder_3.get_submodule(path), 2, 0)
    name = f"lora_te3_{path.replace('.', '_')}"
    save_file({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, tmp_path / "a.safetensors")
    with (
        pytest.raises(InputError, match=f"{name}.*text_encoder_3.*takes no LoRA"),
        attached(model, [AdapterRef(tmp_path / "a.safetensors")]),
    ):
        pass


def test_a_name_that_fits_two_parts_is_refused_as_open(tiny: Tiny, tmp_path: Path) -> None:
    name = "base_model.model.text_model.encoder.layers.0.self_attn.q_proj"
    save_file(
        {f"{name}.lora_A.weight": torch.ones(2, 16), f"{name}.lora_B.weight": torch.ones(16, 2)},
        tmp_path / "a.safetensors",
    )
    with (
        pytest.raises(InputError, match="text_encoder or of text_encoder_2"),
        attached(tiny("sdxl"), [AdapterRef(tmp_path / "a.safetensors")]),
    ):
        pass


def test_one_layer_under_two_names_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("sd15")
    tensors, _ = written(model, "kohya", [("unet", "mid_block.resnets.0.conv1", 2, None)])
    other, _ = written(model, "diffusers", [("unet", "mid_block.resnets.0.conv1", 2, None)])
    save_file(tensors | other, tmp_path / "a.safetensors")
    with (
        pytest.raises(InputError, match=r"changes 'unet.mid_block.resnets.0.conv1' twice"),
        attached(model, [AdapterRef(tmp_path / "a.safetensors")]),
    ):
        pass


def test_what_a_library_would_leave_out_is_told_and_nothing_stays_behind(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count itself: diffusers is made to drop a layer."""
    model = tiny("sd15")
    tensors, _ = written(
        model, "diffusers", [("unet", "mid_block.resnets.0.conv1", 2, None), ("unet", "conv_in", 2, None)]
    )
    load = type(model.pipe).load_lora_weights
    monkeypatch.setattr(
        type(model.pipe),
        "load_lora_weights",
        lambda pipe, state, **more: load(
            pipe, {key: one for key, one in state.items() if "conv_in" not in key}, **more
        ),
    )
    with pytest.raises(InputError, match=r"'unet.conv_in' is in the file and would not act"):
        inject(model.pipe, tensors, "dropped", tmp_path / "a.safetensors")
    assert not any("dropped" in one.lora_A for one in lora_layers(model.pipe))


def test_text_names_are_those_that_clip_has(tiny: Tiny) -> None:
    state = {
        "encoder.layers.0.mlp.fc1.lora_A.weight": torch.ones(1, 16),
        "encoder.layers.0.mlp.fc1.lora_B.weight": torch.ones(32, 1),
    }
    assert "lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha" in text_names(state, "lora_te2_")


def test_numbers_that_the_models_type_cannot_hold_are_told(tmp_path: Path) -> None:
    """Finite in the file, infinite in float16: it would have painted black."""
    pipe = load(str(build("sd15", tmp_path / "model")), device="cpu").pipe.to(torch.float16)
    name, shape = "unet.mid_block.resnets.0.conv1", pipe.unet.mid_block.resnets[0].conv1.weight.shape
    state = {
        f"{name}.lora_A.weight": torch.full((1, *shape[1:]), 1e6),
        f"{name}.lora_B.weight": torch.ones(shape[0], 1, 1, 1),
    }
    with pytest.raises(InputError, match="too large for float16"):
        inject(pipe, state, "large", tmp_path / "a.safetensors")
