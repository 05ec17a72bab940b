"""Which layers of a pipeline a name in somebody's file means: diffusers', kohya's, their authors', PEFT's and OneTrainer's names.

Knows how programs spell a module's path, and what they put before it for each part. Does not know weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from trainers.files.header import RAW
from trainers.files.kohya import JOINTS, XLABS, joint_layers
from trainers.files.lora_layers import part_of

_FIRST, _SECOND, _THIRD = "text_encoder", "text_encoder_2", "text_encoder_3"
_ANY, _DENOISER, _T5 = "any", "denoiser", "t5"
# What stands before a module's path; the longest that fits decides. FLUX's T5 is its second text encoder, and kohya's third.
PREFIXES = {
    RAW: _ANY, "lycoris_": _ANY, "lora_unet_": _DENOISER, "lora_transformer_": _DENOISER, "diffusion_model.": _DENOISER,
    "model.diffusion_model.": _DENOISER, "unet.": "unet", "transformer.": "transformer", "lora_te_": _FIRST, "lora_te1_": _FIRST,
    "lora_te2_": _SECOND, "lora_te3_": _T5, "text_encoder.": _FIRST, "text_encoder_2.": _SECOND, "text_encoder_3.": _THIRD,
    "text_encoders.clip_l.": _FIRST, "text_encoders.clip_g.": _SECOND, "text_encoders.t5xxl.": _T5, "clip_l.": _FIRST, "clip_g.": _SECOND,
    "t5.": _T5, "t5xxl.": _T5,
}  # fmt: skip
PREFIXES |= {
    f"{one[:-1]}.": part for one, part in PREFIXES.items() if one.startswith("lora_")
}  # OneTrainer's, the dots kept
_OLD = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}  # diffusers' once, of text encoders
_RESNET = {
    "conv1": "in_layers_2",
    "conv2": "out_layers_3",
    "time_emb_proj": "emb_layers_1",
    "conv_shortcut": "skip_connection",
}
_UNET = {
    "input_blocks_0_0": "conv_in", "out_2": "conv_out", "time_embed_0": "time_embedding.linear_1", "time_embed_2": "time_embedding.linear_2",
    "label_emb_0_0": "add_embedding.linear_1", "label_emb_0_2": "add_embedding.linear_2",
}  # fmt: skip


def part_named(name: str) -> str:
    """The part that a file's name speaks of, told without a pipeline; the denoiser where it names none."""
    prefix = max((one for one in PREFIXES if name.startswith(one)), key=len, default="")
    said = PREFIXES.get(prefix, "")
    if said == _ANY:
        return part_named(name[len(prefix) :])
    if said in (_FIRST, _SECOND, _THIRD):
        return said
    head = name.partition(":")[0]  # cloneofsimo's
    return (
        head
        if head in (_FIRST, _SECOND)
        else _T5
        if said == _T5
        else _FIRST
        if name.startswith("text_model")
        else _DENOISER
    )


class Place(NamedTuple):
    """Layers of one part of a pipeline that a file names as one; they are joined in this order."""

    part: str
    members: tuple[str, ...]


class Names:
    """All names of the layers of a pipeline. Made once for a file: a pipeline has thousands of layers."""

    def __init__(self, pipe: Any) -> None:
        modules = {key: one for key, one in pipe.components.items() if isinstance(one, torch.nn.Module)}
        self._denoiser = part_of(pipe)
        self._known = {part: _names(module) for part, module in modules.items() if part == self._denoiser or part.startswith("text_encoder")}  # fmt: skip

    def find(self, name: str) -> list[Place]:
        """The places that a file's name may mean: none where this pipeline has no such layer, several where the file leaves it open."""
        prefix = max((one for one in PREFIXES if name.startswith(one)), key=len, default="")
        said, rest = PREFIXES.get(prefix, _ANY), name[len(prefix) :]
        if said == _ANY and prefix and (found := self.find(rest)):
            return found  # PEFT's prefix around another one
        flat = rest.replace(".processor", "").replace(".", "_")
        return [Place(part, members) for part in self._parts(said) if (members := self._known[part].get(flat))]

    def _parts(self, said: str) -> list[str]:
        """The parts that a prefix speaks of, of those that the pipeline has."""
        if said == _ANY:
            return list(self._known)
        third = _THIRD if _THIRD in self._known else _SECOND
        part = {_DENOISER: self._denoiser, _T5: third}.get(said, said)
        return [part] if part in self._known else []


def _names(module: torch.nn.Module) -> dict[str, tuple[str, ...]]:
    """Every name of every layer that a LoRA can change, its dots as "_"; diffusers' own wins over all others."""
    own = {path.replace(".", "_"): (path,) for path in layers_of(module)}
    others: dict[str, tuple[str, ...]] = {}
    for path in layers_of(module):
        head, _, leaf = path.rpartition(".")
        if leaf == "0" and head.endswith("to_out"):
            others[head.replace(".", "_")] = (path,)
        if leaf in _OLD:
            others[f"{head}.{_OLD[leaf]}".replace(".", "_")] = (path,)
    others |= {name: members for known in (JOINTS, XLABS) for name, members in joint_layers(module, known)}
    others |= {name: (path,) for name, path in _authors(module) if (path,) in own.values()}
    whole = others | own
    # transformers 4 had the encoder's layers below text_model, and files say so; ComfyUI's have "transformer" above it
    flat = {name.removeprefix("text_model_"): members for name, members in whole.items()}
    above = {f"{around}{name}": members for name, members in flat.items() for around in ("text_model_", "transformer_text_model_", "transformer_")}  # fmt: skip
    text = hasattr(module, "get_input_embeddings")
    return (above if text else {}) | (flat if text else {}) | whole


def layers_of(module: torch.nn.Module) -> list[str]:
    """The paths of the layers that a LoRA can change, those of other LoRAs left out."""
    found = []
    for path, one in module.named_modules():
        base = getattr(one, "base_layer", one)
        inside = ".base_layer" in path or ".lora_" in path
        if isinstance(base, torch.nn.Linear | torch.nn.Conv2d) and not inside:
            found.append(path)
    return found


def _authors(module: Any) -> Iterator[tuple[str, str]]:
    """The names that the authors of SD and SDXL have for a UNet's layers, and diffusers'."""
    if not hasattr(module, "down_blocks"):
        return
    yield from _UNET.items()
    for name, path in _blocks(module):
        for leaf, _ in module.get_submodule(path).named_modules():
            yield f"{name}_{_RESNET.get(leaf, leaf.replace('.', '_'))}", f"{path}.{leaf}"
            if leaf == "conv" and "downsamplers" in path:
                yield f"{name}_op", f"{path}.{leaf}"


def _blocks(module: Any) -> Iterator[tuple[str, str]]:
    """Their names of resnets, attentions and samplers, which they count through, and ours."""
    number = 1
    for at, block in enumerate(module.down_blocks):
        for i in range(len(block.resnets)):
            yield from _inner(f"input_blocks_{number}", f"down_blocks.{at}", block, i)
            number += 1
        if getattr(block, "downsamplers", None):
            yield f"input_blocks_{number}_0", f"down_blocks.{at}.downsamplers.0"
            number += 1
    middle = ("resnets.0", "attentions.0", "resnets.1") if getattr(module, "mid_block", None) is not None else ()
    yield from ((f"middle_block_{i}", f"mid_block.{one}") for i, one in enumerate(middle))
    number = 0
    for at, block in enumerate(module.up_blocks):
        for i in range(len(block.resnets)):
            found = _inner(f"output_blocks_{number}", f"up_blocks.{at}", block, i)
            if i == len(block.resnets) - 1 and getattr(block, "upsamplers", None):
                found.append((f"output_blocks_{number}_{len(found)}", f"up_blocks.{at}.upsamplers.0"))
            yield from found
            number += 1


def _inner(name: str, path: str, block: Any, i: int) -> list[tuple[str, str]]:
    found = [(f"{name}_0", f"{path}.resnets.{i}")]
    if getattr(block, "attentions", None):
        found.append((f"{name}_1", f"{path}.attentions.{i}"))
    return found
