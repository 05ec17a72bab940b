"""LoRA files under the names of a pipeline's layers, every layer of a file in its place, or the file refused.

Knows which halves fit which layer, and cloneofsimo's lora, which numbers layers instead of naming them. Does not know PEFT or painting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from prompts.errors import InputError
from prompts.ground.clean import clean
from trainers.files.halves import Layer, LoraFile, read, shown
from trainers.files.kohya import apart, fitting
from trainers.files.names import Names

_NUMBERED = re.compile(r"^(unet|text_encoder(?:_2)?):\d+$")
Halves = tuple[Tensor, Tensor]

# cloneofsimo's lora walks the classes that it names; below them it takes every linear layer (and convolution) in this order.
_LEAVES = {
    "Attention": ("to_q", "to_k", "to_v", "to_out.0"), "GEGLU": ("proj",), "CLIPAttention": ("k_proj", "v_proj", "q_proj", "out_proj"),
    "ResnetBlock2D": ("conv1", "time_emb_proj", "conv2", "conv_shortcut"),
}  # fmt: skip
_NOW = {"CrossAttention": "Attention"}  # what diffusers calls the class by now
_TARGETS = {"unet": ["Attention", "GEGLU"], "text_encoder": ["CLIPAttention"], "text_encoder_2": ["CLIPAttention"]}
_BLOCKS = (("attn1", "ff.net.0", "attn2"), ("attn1", "attn2", "ff.net.0"))  # diffusers until 0.17, and since


def translated(file: Path, pipe: Any) -> dict[str, Tensor]:
    """The weights of `file` under the names by which `pipe` loads them (PEFT's, its part before), alpha folded into the up weights.

    Raises InputError for files that are no LoRA, not whole, or not of this model: whatever a file holds is in what is returned."""
    lora = read(file)
    if any(_NUMBERED.match(name) for name in lora.layers):
        return _from_numbers(lora, pipe)
    names = Names(pipe)
    found: dict[str, Tensor] = {}
    for name, layer in lora.layers.items():
        for module, (down, up) in _placed(lora, name, layer, names, pipe).items():
            if f"{module}.lora_A.weight" in found:
                raise InputError(
                    f"adapter {str(file)!r} changes {module!r} twice, {shown(layer.key)} being the second: export it with one"
                )
            found |= {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}
    return found


def _placed(lora: LoraFile, name: str, layer: Layer, names: Names, pipe: Any) -> dict[str, Halves]:
    """The pipeline's layers that a layer of the file means, each with its halves."""
    places = names.find(name)
    shape = tuple(layer.down.shape)
    if not places:
        raise lora.unfit(f"it has no place for {shown(layer.key)} of shape {shape}")
    fitting_ones = [
        one for one in places if fitting(layer.down, layer.up, one.members, pipe.components[one.part]) is None
    ]
    if len(fitting_ones) > 1:
        raise lora.unfit(
            f"{shown(layer.key)} may be of {' or of '.join(one.part for one in fitting_ones)}, and its name does not say of which"
        )
    place = (fitting_ones or places)[0]
    module = pipe.components[place.part]
    if needs := fitting(layer.down, layer.up, place.members, module):
        up = tuple(layer.up.shape)
        raise lora.unfit(
            f"{shown(layer.key)} has shape {shape} and the up weights beside it {up}, which changes a layer of {up[0]} x "
            f"{layer.down[0].numel()}, and this model's is {needs[0]} x {needs[1]}"
        )
    if place.part not in getattr(pipe, "_lora_loadable_modules", (place.part,)):
        raise lora.unfit(f"{shown(layer.key)} is of {place.part}, in which a {type(pipe).__name__} takes no LoRA")
    parts = apart(layer.down, layer.scaled, place.members, module)
    return {
        f"{place.part}.{member}": _shaped(lora, layer, halves, module.get_submodule(member))
        for member, halves in parts.items()
    }


def _shaped(lora: LoraFile, layer: Layer, halves: Halves, module: Any) -> Halves:
    """Halves of the dimensions that the layer has: a convolution of 1 x 1 is a linear layer, and programs write it as either."""
    down, up = halves
    window = tuple(module.weight.shape[2:])
    if up.flatten(1).shape[1] != len(down) or (len(window) == 2 and down.ndim == 4 and tuple(down.shape[2:]) != window):
        raise lora.unfit(f"{shown(layer.key)} has shape {tuple(down.shape)} and its up weights {tuple(up.shape)}, this model's layer is {tuple(module.weight.shape)}")  # fmt: skip
    if len(window) == 2 and down.ndim == 2 and window != (1, 1):
        raise lora.unfit(
            f"{shown(layer.key)} has shape {tuple(down.shape)}, this model's layer is {tuple(module.weight.shape)}"
        )
    ones = (1,) * len(window)
    return down.reshape(len(down), -1, *window) if window else down.flatten(1), up.reshape(len(up), len(down), *ones)


def _from_numbers(lora: LoraFile, pipe: Any) -> dict[str, Tensor]:
    """cloneofsimo's layers: pairs in the order in which his program meets the layers of each part."""
    strange = next((one.key for name, one in lora.layers.items() if not _NUMBERED.match(name)), None)
    if strange is not None:
        raise InputError(
            f"adapter {str(lora.file)!r} holds {shown(strange)} besides numbered layers: export it without"
        )
    found: dict[str, Tensor] = {}
    for part in dict.fromkeys(name.split(":")[0] for name in sorted(lora.layers)):
        layers = _in_order(lora, part)
        for name, one in zip(_places(lora, part, layers, pipe), layers, strict=True):
            down, up = _shaped(lora, one, (one.down, one.scaled), pipe.components[part].get_submodule(name))
            found |= {f"{part}.{name}.lora_A.weight": down, f"{part}.{name}.lora_B.weight": up}
    return found


def _in_order(lora: LoraFile, part: str) -> list[Layer]:
    count = sum(name.startswith(f"{part}:") for name in lora.layers)
    try:
        return [lora.layers[f"{part}:{number}"] for number in range(count)]
    except KeyError as error:
        raise InputError(f"adapter {str(lora.file)!r} is not whole: it lacks the layer {error.args[0]!r}") from error


def _places(lora: LoraFile, part: str, layers: list[Layer], pipe: Any) -> list[str]:
    """The module that each number means: of the two orders that there have been, the one whose widths fit."""
    module, targets = pipe.components.get(part), _targets(lora.file, lora.metadata, part)
    seen = []
    for order in _BLOCKS if module is not None else ():
        places = list(_walk(module, targets, order))
        fits = [fitting(one.down, one.up, (place,), module) is None for place, one in zip(places, layers, strict=False)]
        if len(places) == len(layers) and all(fits):
            return places
        seen = places
    raise lora.unfit(
        f"it numbers {len(layers)} layers of {sorted(targets)} in {part!r}, this model has {len(seen)}, or of other widths"
    )


def _targets(file: Path, metadata: Mapping[str, str], part: str) -> set[str]:
    try:
        given = json.loads(metadata.get(part, "null")) or _TARGETS[part]
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"adapter {str(file)!r} names its layers as {clean(metadata[part], 80)!r}: export it again"
        ) from error
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise InputError(
            f"adapter {str(file)!r} names its layers as {clean(given, 80)!r}, not as a list of classes: export it again"
        )
    known = {_NOW.get(one, one) for one in given}
    if not known <= _LEAVES.keys():
        unknown = [clean(one, 40) for one in sorted(known - _LEAVES.keys())]
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
