"""kohya's names for LoRA weights, which ComfyUI, A1111 and sd-scripts read, and the layers that they join.

A UNet's modules keep diffusers' names with "_" for ".". The transformers of SD 3.5 and FLUX have their authors' names, under which
query, key and value are one layer: their LoRAs are joined into one of as many times the rank, and taken apart again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

PREFIX = "lora_unet_"


class Joint(NamedTuple):
    """One layer of kohya's, and the diffusers modules that it joins, in their order; {} is the block's number."""

    name: str
    members: tuple[str, ...]


def _joints(name: str, module: str, *members: str) -> Joint:
    return Joint(name, tuple(f"{module}.{member}" for member in members))


def _stream(name: str, block: str, ff: str, out: str, qkv: tuple[str, str, str], mlp: tuple[str, str]) -> list[Joint]:
    """Attention and feed-forward of one stream (image or text) of a joint block."""
    return [
        _joints(f"{name}_attn_qkv", f"{block}.attn", *qkv), _joints(f"{name}_attn_proj", f"{block}.attn", out),
        _joints(f"{name}_{mlp[0]}", f"{block}.{ff}", "net.0.proj"), _joints(f"{name}_{mlp[1]}", f"{block}.{ff}", "net.2"),
    ]  # fmt: skip


_TIME, _POOLED = "time_text_embed.timestep_embedder", "time_text_embed.text_embedder"
_BLOCK, _SINGLE = "transformer_blocks.{}", "single_transformer_blocks.{}"
_OWN, _ADDED = ("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj")
JOINTS: dict[str, list[Joint]] = {
    "SD3Transformer2DModel": [
        *_stream("joint_blocks_{}_x_block", _BLOCK, "ff", "to_out.0", _OWN, ("mlp_fc1", "mlp_fc2")),
        *_stream("joint_blocks_{}_context_block", _BLOCK, "ff_context", "to_add_out", _ADDED, ("mlp_fc1", "mlp_fc2")),
        _joints("joint_blocks_{}_x_block_attn2_qkv", f"{_BLOCK}.attn2", *_OWN),
        _joints("joint_blocks_{}_x_block_attn2_proj", f"{_BLOCK}.attn2", "to_out.0"),
        _joints("joint_blocks_{}_x_block_adaLN_modulation_1", _BLOCK, "norm1.linear"),
        _joints("joint_blocks_{}_context_block_adaLN_modulation_1", _BLOCK, "norm1_context.linear"),
        _joints("x_embedder_proj", "pos_embed", "proj"),
        Joint("context_embedder", ("context_embedder",)),
        _joints("t_embedder_mlp_0", _TIME, "linear_1"),
        _joints("t_embedder_mlp_2", _TIME, "linear_2"),
        _joints("y_embedder_mlp_0", _POOLED, "linear_1"),
        _joints("y_embedder_mlp_2", _POOLED, "linear_2"),
        _joints("final_layer_adaLN_modulation_1", "norm_out", "linear"),
        Joint("final_layer_linear", ("proj_out",)),
    ],
    "FluxTransformer2DModel": [
        *_stream("double_blocks_{}_img", _BLOCK, "ff", "to_out.0", _OWN, ("mlp_0", "mlp_2")),
        *_stream("double_blocks_{}_txt", _BLOCK, "ff_context", "to_add_out", _ADDED, ("mlp_0", "mlp_2")),
        _joints("single_blocks_{}_linear1", _SINGLE, *(f"attn.{one}" for one in _OWN), "proj_mlp"),
        _joints("single_blocks_{}_linear2", _SINGLE, "proj_out"),
        _joints("double_blocks_{}_img_mod_lin", _BLOCK, "norm1.linear"),
        _joints("double_blocks_{}_txt_mod_lin", _BLOCK, "norm1_context.linear"),
        _joints("single_blocks_{}_modulation_lin", _SINGLE, "norm.linear"),
        Joint("img_in", ("x_embedder",)),
        Joint("txt_in", ("context_embedder",)),
        _joints("time_in_in_layer", _TIME, "linear_1"),
        _joints("time_in_out_layer", _TIME, "linear_2"),
        _joints("vector_in_in_layer", _POOLED, "linear_1"),
        _joints("vector_in_out_layer", _POOLED, "linear_2"),
        _joints("guidance_in_in_layer", "time_text_embed.guidance_embedder", "linear_1"),
        _joints("guidance_in_out_layer", "time_text_embed.guidance_embedder", "linear_2"),
        _joints("final_layer_adaLN_modulation_1", "norm_out", "linear"),
        Joint("final_layer_linear", ("proj_out",)),
    ],
}
XLABS: dict[str, list[Joint]] = {
    "FluxTransformer2DModel": [
        _joints("double_blocks_{}_qkv_lora1", f"{_BLOCK}.attn", *_OWN), _joints("double_blocks_{}_proj_lora1", f"{_BLOCK}.attn", "to_out.0"),
        _joints("double_blocks_{}_qkv_lora2", f"{_BLOCK}.attn", *_ADDED), _joints("double_blocks_{}_proj_lora2", f"{_BLOCK}.attn", "to_add_out"),
        _joints("single_blocks_{}_qkv_lora", f"{_SINGLE}.attn", *_OWN),
    ],
}  # fmt: skip


def kohya_names(state: Mapping[str, Tensor], alpha: float | None, denoiser: Any) -> dict[str, Tensor]:
    """`state` (PEFT names, modules of `denoiser`) under kohya's: NAME.lora_down.weight, NAME.lora_up.weight and one NAME.alpha each.

    `alpha` None: every layer has a rank of its own, and acts as it is."""
    rest = _by_module(state)
    named: dict[str, Tensor] = {}
    for name, members in joint_layers(denoiser):
        if any(member in rest for member in members):
            joined = _joined([rest.pop(one, None) for one in members], members, denoiser)
            named |= _written(PREFIX + name, joined, None if alpha is None else alpha * len(members))
    for module, pair in rest.items():
        named |= _written(PREFIX + module.replace(".", "_"), pair, alpha)
    return named


def text_names(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """`state` (PEFT names) of a CLIP text encoder under kohya's, alpha as rank; `prefix` is lora_te_, for SDXL lora_te1_ or lora_te2_."""
    named: dict[str, Tensor] = {}
    for module, pair in _by_module(state).items():
        name = module if module.startswith("text_model.") else f"text_model.{module}"
        named |= _written(prefix + name.replace(".", "_"), pair, None)
    return named


def has_names_for(named: Mapping[str, Tensor], denoiser: Any) -> bool:
    """Whether kohya's readers know every layer of `named`: of a transformer they know those that it has a name for."""
    known = {PREFIX + name for name, _ in joint_layers(denoiser)}
    return not known or all(key.split(".")[0] in known for key in named if key.startswith(PREFIX))


def _by_module(state: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Down and up weights of each module."""
    modules = dict.fromkeys(key.rsplit(".lora_", 1)[0] for key in state)
    return {module: (state[f"{module}.lora_A.weight"], state[f"{module}.lora_B.weight"]) for module in modules}


def joint_layers(denoiser: Any, known: Mapping[str, list[Joint]] = JOINTS) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every layer that kohya names otherwise, with the modules of `denoiser` that it joins."""
    modules = dict(denoiser.named_modules())
    for joint in known.get(type(denoiser).__name__, []):
        for number in _numbers(joint.members[0], modules):
            members = tuple(member.format(number) for member in joint.members)
            if all(member in modules for member in members):
                yield joint.name.format(number), members


def _numbers(member: str, modules: Mapping[str, Any]) -> list[str]:
    pattern = re.compile(re.escape(member).replace(r"\{\}", r"(\d+)"))
    return [match[1] if pattern.groups else "" for name in modules if (match := pattern.fullmatch(name))]


def _joined(
    pairs: list[tuple[Tensor, Tensor] | None], members: tuple[str, ...], denoiser: Any
) -> tuple[Tensor, Tensor]:
    """One LoRA that does what all of them do: downs under each other, ups on the diagonal; zeros for those that did not learn."""
    down, up = next(pair for pair in pairs if pair is not None)
    if len(members) == 1:
        return down, _turned(up, members[0], denoiser)
    sides = [denoiser.get_submodule(member).out_features for member in members]
    full = [
        pair or (torch.zeros_like(down), up.new_zeros(side, up.shape[1]))
        for pair, side in zip(pairs, sides, strict=True)
    ]
    return torch.cat([one for one, _ in full]), torch.block_diag(*(one for _, one in full))


def _written(name: str, pair: tuple[Tensor, Tensor], alpha: float | None) -> dict[str, Tensor]:
    down, up = (one.detach().contiguous().cpu() for one in pair)
    said = torch.tensor(float(len(down) if alpha is None else alpha))
    return {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": said}


def fitting(down: Tensor, up: Tensor, members: tuple[str, ...], module: Any) -> tuple[int, int] | None:
    """The width and height that the members have together, if these halves are not of them; else None."""
    layers = [module.get_submodule(member) for member in members]
    needs = sum(len(layer.weight) for layer in layers), layers[0].weight[0].numel()
    return None if needs == (len(up), down[0].numel()) else needs


def apart(down: Tensor, up: Tensor, members: tuple[str, ...], module: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Each member's part of a joined LoRA, whose scale is folded in; all of them see all of the down weights.

    A member that changes nothing is left out, as long as another one does."""
    if len(members) == 1:
        return {members[0]: (down, _turned(up, members[0], module))}
    sides = [len(module.get_submodule(member).weight) for member in members]
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for member, part in zip(members, torch.split(up, sides), strict=True):
        used = part.flatten(1).ne(0).any(dim=0)
        if part.flatten(1).shape[1] != len(down) or not up.any():
            used = torch.ones(len(down), dtype=torch.bool)
        if used.any():
            found[member] = down[used].contiguous(), part[:, used].contiguous()
    return found


def _turned(up: Tensor, member: str, module: Any) -> Tensor:
    """Last modulations say shift and scale at their authors', scale and shift in diffusers."""
    owner = module.get_submodule(member.rpartition(".")[0])
    return torch.cat(up.chunk(2)[::-1]) if type(owner).__name__ == "AdaLayerNormContinuous" else up
