"""kohya's names for LoRA weights, which ComfyUI, A1111 and sd-scripts read: written for every class, read for the transformers.

A UNet's modules keep diffusers' names with "_" for ".". The transformers of SD 3.5 and FLUX have their authors' names, under which
query, key and value are one layer: their LoRAs are joined into one of as many times the rank, and taken apart again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from prompts.errors import InputError

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


_BLOCK, _SINGLE = "transformer_blocks.{}", "single_transformer_blocks.{}"
_OWN, _ADDED = ("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj")
JOINTS: dict[str, list[Joint]] = {
    "SD3Transformer2DModel": [
        *_stream("joint_blocks_{}_x_block", _BLOCK, "ff", "to_out.0", _OWN, ("mlp_fc1", "mlp_fc2")),
        *_stream("joint_blocks_{}_context_block", _BLOCK, "ff_context", "to_add_out", _ADDED, ("mlp_fc1", "mlp_fc2")),
        _joints("joint_blocks_{}_x_block_attn2_qkv", f"{_BLOCK}.attn2", *_OWN),
        _joints("joint_blocks_{}_x_block_attn2_proj", f"{_BLOCK}.attn2", "to_out.0"),
    ],
    "FluxTransformer2DModel": [
        *_stream("double_blocks_{}_img", _BLOCK, "ff", "to_out.0", _OWN, ("mlp_0", "mlp_2")),
        *_stream("double_blocks_{}_txt", _BLOCK, "ff_context", "to_add_out", _ADDED, ("mlp_0", "mlp_2")),
        _joints("single_blocks_{}_linear1", _SINGLE, *(f"attn.{one}" for one in _OWN), "proj_mlp"),
        _joints("single_blocks_{}_linear2", _SINGLE, "proj_out"),
    ],
}


def kohya_names(state: Mapping[str, Tensor], alpha: float | None, denoiser: Any) -> dict[str, Tensor]:
    """`state` (PEFT names, modules of `denoiser`) under kohya's: NAME.lora_down.weight, NAME.lora_up.weight and one NAME.alpha each.

    `alpha` None: every layer has a rank of its own, and acts as it is."""
    rest = _by_module(state)
    named: dict[str, Tensor] = {}
    for name, members in _layers(denoiser):
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
    """Whether kohya's readers know every layer of `named`: of a transformer they know attention and feed-forward only."""
    known = {PREFIX + name for name, _ in _layers(denoiser)}
    return not known or all(key.split(".")[0] in known for key in named)


def from_kohya(file: Path, denoiser: Any) -> dict[str, Tensor] | None:
    """The weights of kohya's file for a transformer, under diffusers' names; None for what diffusers reads by itself.

    Raises InputError for layers that are not whole, or not of this model's width."""
    joints = type(denoiser).__name__ in JOINTS
    tensors = load_file(file) if joints else {}
    if not tensors or not all(key.startswith(PREFIX) for key in tensors):
        return None
    found: dict[str, Tensor] = {}
    for name, members in _layers(denoiser):
        down = tensors.pop(f"{PREFIX}{name}.lora_down.weight", None)
        if down is not None:
            up, alpha = (tensors.pop(f"{PREFIX}{name}.{key}", None) for key in ("lora_up.weight", "alpha"))
            found |= _apart(down, _fitting(file, name, down, up, members, denoiser), alpha, members, denoiser)
    return found | tensors  # what is left has a name that we do not know: the check of the adapter will say so


def _by_module(state: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Down and up weights of each module."""
    modules = dict.fromkeys(key.rsplit(".lora_", 1)[0] for key in state)
    return {module: (state[f"{module}.lora_A.weight"], state[f"{module}.lora_B.weight"]) for module in modules}


def _layers(denoiser: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every layer that kohya names otherwise, with the modules of `denoiser` that it joins."""
    modules = dict(denoiser.named_modules())
    for joint in JOINTS.get(type(denoiser).__name__, []):
        for number in _numbers(joint.members[0], modules):
            members = tuple(member.format(number) for member in joint.members)
            yield joint.name.format(number), members


def _numbers(member: str, modules: Mapping[str, Any]) -> list[str]:
    pattern = re.compile(re.escape(member).replace(r"\{\}", r"(\d+)"))
    return [match[1] for name in modules if (match := pattern.fullmatch(name))]


def _joined(
    pairs: list[tuple[Tensor, Tensor] | None], members: tuple[str, ...], denoiser: Any
) -> tuple[Tensor, Tensor]:
    """One LoRA that does what all of them do: downs under each other, ups on the diagonal; zeros for those that did not learn."""
    down, up = next(pair for pair in pairs if pair is not None)
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


def _fitting(file: Path, name: str, down: Tensor, up: Tensor | None, members: tuple[str, ...], denoiser: Any) -> Tensor:
    """The up weights, if the layer is whole and of this model's width."""
    layers = [denoiser.get_submodule(member) for member in members]
    needs = (sum(layer.out_features for layer in layers), layers[0].in_features)
    has = (0 if up is None else len(up), down.shape[-1])
    if needs != has or up is None or up.ndim != 2 or down.ndim != 2 or up.shape[1] != len(down) or not len(down):
        raise InputError(
            f"adapter {str(file)!r} does not fit this model: {name!r} changes a layer of {has[0]} x {has[1]}, this model's is "
            f"{needs[0]} x {needs[1]}: use the adapter with the model it was made for"
        )
    return up


def _apart(
    down: Tensor, up: Tensor, alpha: Tensor | None, members: tuple[str, ...], denoiser: Any
) -> dict[str, Tensor]:
    """Each member's part of a joined LoRA, alpha folded into the up weights; all of them see all of the down weights."""
    scale = 1.0 if alpha is None else float(alpha) / len(down)
    sides = [denoiser.get_submodule(member).out_features for member in members]
    found: dict[str, Tensor] = {}
    for member, part in zip(members, torch.split(up * scale, sides), strict=True):
        used = part.ne(0).any(dim=0)  # a number that is none counts, too: it must not vanish here
        if used.any():
            found[f"transformer.{member}.lora_A.weight"] = down[used].contiguous()
            found[f"transformer.{member}.lora_B.weight"] = part[:, used].contiguous()
    return found
