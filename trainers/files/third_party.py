"""LoRA files of other programs: refuse what is no plain LoRA by its name, and give the rest the names of the model's layers.

Knows kohya's names with text encoders and LyCORIS' convolutions (LoCon), and cloneofsimo's lora, which numbers layers instead of
naming them. Does not know PEFT or painting; what diffusers reads by itself is left to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from prompts.errors import InputError
from trainers.files.kohya import from_kohya

# Keys that give away what is no LoRA, and what its people call it.
OTHERS = {
    r"\.hada_w[12]": "a LoHa", r"\.lokr_w[12]|\.lokr_t2": "a LoKr", r"\.dora_scale$|lora_magnitude_vector": "a DoRA",
    r"\.oft_(blocks|diag|R)|\.boft_|\.oft_r\.": "an OFT", r"\.on_input$": "an (IA)3", r"\.diff(_b)?$": "a file of full differences",
    r"\.[ab][12]\.weight$": "a GLoRA", r"^model\.diffusion_model\.|^first_stage_model\.": "a whole checkpoint",
    r"^emb_params$|^string_to_param|^bundle_emb\.|^clip_[lg]$|^<.*>$": "a file with words of its own (textual inversion)",
}  # fmt: skip
INSTEAD = (
    "only LoRA and LoCon can be loaded: merge it into its base model with the program that made it and extract a LoRA from the "
    "difference, or ask its author for a plain LoRA"
)
KOHYA = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_")
_PREFIXES = {"unet": KOHYA[:1], "text_encoder": KOHYA[1:3], "text_encoder_2": KOHYA[3:]}
_NUMBERED = re.compile(r"^(?P<part>unet|text_encoder(?:_2)?):(?P<number>\d+):(?P<side>up|down)$")

# cloneofsimo's lora walks the classes that it names; below them it takes every linear layer (and convolution) in this order.
_LEAVES = {
    "Attention": ("to_q", "to_k", "to_v", "to_out.0"), "GEGLU": ("proj",), "CLIPAttention": ("k_proj", "v_proj", "q_proj", "out_proj"),
    "ResnetBlock2D": ("conv1", "time_emb_proj", "conv2", "conv_shortcut"),
}  # fmt: skip
_NOW = {"CrossAttention": "Attention"}  # what diffusers calls the class by now
_TARGETS = {"unet": ["Attention", "GEGLU"], "text_encoder": ["CLIPAttention"], "text_encoder_2": ["CLIPAttention"]}
_BLOCKS = (("attn1", "ff.net.0", "attn2"), ("attn1", "attn2", "ff.net.0"))  # diffusers until 0.17, and since


def opened(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a LoRA file. Raises InputError for a damaged file and, by name, for what is no LoRA."""
    try:
        with safe_open(file, "pt") as stream:
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118  not a dict
            metadata = dict(stream.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(f"adapter {str(file)!r} is not a LoRA file we can read ({error}): export it again") from error
    for pattern, name in OTHERS.items():
        if key := next((key for key in tensors if re.search(pattern, key)), None):
            raise InputError(f"adapter {str(file)!r} is {name} (its key {key!r}), and {INSTEAD}")
    return tensors, metadata


def translated(file: Path, pipe: Any) -> dict[str, Tensor] | None:
    """The weights of `file` under names that `pipe` loads, alpha folded into the up weights; None for what diffusers reads by itself.

    Raises InputError for files that are no LoRA, not whole, or not of this model."""
    tensors, metadata = opened(file)
    if any(_NUMBERED.match(key) for key in tensors):
        return _from_numbers(file, tensors, metadata, pipe)
    if not tensors or not all(key.startswith(KOHYA) for key in tensors):
        return None
    denoiser = pipe.components.get("unet") or pipe.components.get("transformer")
    theirs = from_kohya(file, denoiser)
    return _from_names(file, tensors, pipe) if theirs is None else theirs


def layer(file: Path, name: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Down and up weights of one layer of kohya's, its alpha and its middle (Tucker's core of a convolution) folded in."""
    down, up, mid, alpha = (tensors.get(f"{name}.{key}") for key in ("lora_down.weight", "lora_up.weight", "lora_mid.weight", "alpha"))  # fmt: skip
    if down is None or up is None:
        raise InputError(f"adapter {str(file)!r} is not whole: its layer {name!r} lacks its up or down weights")
    rank = len(down)
    if mid is not None:
        down = torch.einsum("mnhw,ni->mihw", mid.float(), down.float().flatten(1))
    return down, up.float() * (1.0 if alpha is None else float(alpha) / rank)


def _from_names(file: Path, tensors: dict[str, Tensor], pipe: Any) -> dict[str, Tensor] | None:
    """kohya's names of a UNet's and text encoders' layers; SDXL's of its authors are left to diffusers, middles folded in."""
    known = _flat(pipe)
    found: dict[str, Tensor] = {}
    names = dict.fromkeys(key.split(".")[0] for key in tensors)
    ours = all(name in known for name in names)
    if not ours and not any(key.endswith(".lora_mid.weight") for key in tensors):
        return None
    for name in names:
        down, up = layer(file, name, tensors)
        keys = (f"{known[name]}.lora_A.weight", f"{known[name]}.lora_B.weight") if ours else (f"{name}.lora_down.weight", f"{name}.lora_up.weight")  # fmt: skip
        found |= dict(zip(keys, (down, up), strict=True))
    return found


def _flat(pipe: Any) -> dict[str, str]:
    """kohya's name of every module, and the pipeline's: the parts' names joined by "_", which is no way back by itself."""
    found: dict[str, str] = {}
    for part, prefixes in _PREFIXES.items():
        module = pipe.components.get(part)
        for name, _ in module.named_modules() if module is not None else ():
            said = name if part == "unet" or name.startswith("text_model.") else f"text_model.{name}"
            found |= {prefix + said.replace(".", "_"): f"{part}.{name}" for prefix in prefixes}
    return found


def _from_numbers(
    file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], pipe: Any
) -> dict[str, Tensor]:
    """cloneofsimo's layers: pairs in the order in which his program meets the layers of each part."""
    strange = next((key for key in tensors if not _NUMBERED.match(key)), None)
    if strange is not None:
        raise InputError(f"adapter {str(file)!r} holds {strange!r} besides numbered layers: export it without")
    found: dict[str, Tensor] = {}
    for part in dict.fromkeys(key.split(":")[0] for key in sorted(tensors)):
        ups, downs = (_in_order(file, tensors, part, side) for side in ("up", "down"))
        for name, up, down in zip(_places(file, part, ups, downs, metadata, pipe), ups, downs, strict=True):
            found |= {f"{part}.{name}.lora_A.weight": down, f"{part}.{name}.lora_B.weight": up}
    return found


def _in_order(file: Path, tensors: Mapping[str, Tensor], part: str, side: str) -> list[Tensor]:
    count = sum(key.startswith(f"{part}:") for key in tensors) // 2
    try:
        return [tensors[f"{part}:{number}:{side}"] for number in range(count)]
    except KeyError as error:
        raise InputError(f"adapter {str(file)!r} is not whole: it lacks {error.args[0]!r}") from error


def _places(
    file: Path, part: str, ups: list[Tensor], downs: list[Tensor], metadata: Mapping[str, str], pipe: Any
) -> list[str]:
    """The module that each number means: of the two orders that there have been, the one whose widths fit."""
    module, targets = pipe.components.get(part), _targets(file, metadata, part)
    seen = []
    for order in _BLOCKS if module is not None else ():
        places = list(_walk(module, targets, order))
        weights = [module.get_submodule(place).weight for place in places]
        fits = [(len(w), w.shape[1]) == (len(up), down.shape[1]) for w, up, down in zip(weights, ups, downs, strict=False)]  # fmt: skip
        if len(places) == len(ups) and all(fits):
            return places
        seen = places
    raise InputError(
        f"adapter {str(file)!r} does not fit this model: it numbers {len(ups)} layers of {sorted(targets)} in {part!r}, this "
        f"model has {len(seen)}, or of other widths: use the adapter with the model it was made for"
    )


def _targets(file: Path, metadata: Mapping[str, str], part: str) -> set[str]:
    try:
        given = json.loads(metadata.get(part, "null")) or _TARGETS[part]
    except ValueError as error:
        raise InputError(f"adapter {str(file)!r} names its layers as {metadata[part]!r}: export it again") from error
    known = {_NOW.get(one, one) for one in given}
    if not known <= _LEAVES.keys():
        unknown = sorted(known - _LEAVES.keys())
        raise InputError(f"adapter {str(file)!r} changes layers in {unknown}, whose order only its author knows: known are {sorted(_LEAVES)}")  # fmt: skip
    return known


def _walk(module: Any, targets: set[str], order: tuple[str, ...]) -> Iterator[str]:
    for name, one in _classes(module, order):
        if type(one).__name__ in targets:
            inside = dict(one.named_modules())
            yield from (f"{name}.{leaf}" for leaf in _LEAVES[type(one).__name__] if leaf in inside)


def _classes(module: Any, order: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Every module by name; those of a transformer block in the order in which diffusers once made them."""
    for name, one in module.named_modules():
        if type(one).__name__ == "BasicTransformerBlock":
            inside = dict(one.named_modules())
            yield from ((f"{name}.{part}", inside[part]) for part in order if part in inside)
        elif ".transformer_blocks." not in name:
            yield name, one
