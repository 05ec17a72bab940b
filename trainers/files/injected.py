"""Put a LoRA file into a pipeline, and count what acts there against what the file holds. The one place where that is done.

Knows diffusers' loader and PEFT's layers. Does not know weights at which adapters act, nor why one is attached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prompts.errors import InputError
from prompts.ground.clean import clean
from prompts.ground.quiet import quiet
from trainers.files.halves import finite, halves
from trainers.files.lora_layers import remove


def inject(pipe: Any, state: Mapping[str, Tensor], name: str, file: Path) -> None:
    """Load `state` (what `translated` made of `file`) into the pipeline as the adapter `name`.

    Raises InputError when the libraries cannot take it or take other layers than are in it; the pipeline is then as it was."""
    if not hasattr(pipe, "load_lora_weights"):
        raise InputError(
            f"{type(pipe).__name__} cannot take LoRA adapters: paint without adapters or use another model"
        )
    try:
        with quiet():
            _load(pipe, state, name)
        wrong = _difference(pipe, state, name)
    except (ValueError, RuntimeError, KeyError, OSError, AttributeError, TypeError, IndexError) as error:
        wrong = f"{type(error).__name__}: {clean(error, 300)}"
    if wrong:
        remove(pipe, name)
        raise InputError(f"adapter {str(file)!r} could not be attached to this {type(pipe).__name__}: {wrong}; have it converted to a plain LoRA of this model")  # fmt: skip


def _load(pipe: Any, state: Mapping[str, Tensor], name: str) -> None:
    """The denoiser's layers by diffusers. The text encoders' without it: it reads only files in which some attention learned as well,
    and takes every other layer to have the most common rank."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        part, _, rest = key.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    for part, own in parts.items():
        if part.startswith("text_encoder"):
            _load_into(getattr(pipe, part), own, name)
        else:
            pipe.load_lora_weights({f"{part}.{key}": tensor for key, tensor in own.items()}, adapter_name=name)


def _load_into(encoder: Any, state: Mapping[str, Tensor], name: str) -> None:
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict

    ranks = {module: len(down) for module, down, _ in halves(state)}
    exact = {f"^{re.escape(module)}$": rank for module, rank in ranks.items()}
    config = LoraConfig(r=1, lora_alpha=1, target_modules=list(ranks), rank_pattern=exact, alpha_pattern=dict(exact))
    inject_adapter_in_model(config, encoder, adapter_name=name, low_cpu_mem_usage=True)
    set_peft_model_state_dict(encoder, dict(state), name, low_cpu_mem_usage=True)
    encoder._hf_peft_config_loaded = True  # by which diffusers knows that there is something to delete
    encoder.to(encoder.device, encoder.dtype)


def _difference(pipe: Any, state: Mapping[str, Tensor], name: str) -> str:
    """What acts otherwise than the file says; "" where all is there and nothing else."""
    from peft.tuners.lora import LoraLayer

    parts = {part: one for part, one in pipe.components.items() if isinstance(one, torch.nn.Module)}
    layers = {
        f"{part}.{path}": layer
        for part, one in parts.items()
        for path, layer in one.named_modules()
        if isinstance(layer, LoraLayer)
    }
    acting = {place: layer for place, layer in layers.items() if name in layer.lora_A}
    wanted = {place: (down, up) for place, down, up in halves(state)}
    for place in wanted.keys() ^ acting.keys():
        return (
            f"{place!r} is in the file and would not act"
            if place in wanted
            else f"{place!r} would act and is not in the file"
        )
    for place, pair in wanted.items():
        layer = acting[place]
        here = layer.lora_A[name].weight, layer.lora_B[name].weight
        if layer.scaling[name] != 1 or not all(_same(one, other) for one, other in zip(here, pair, strict=True)):
            return f"{place!r} would act with other weights than the file's"
        if not all(finite(one.detach()) for one in here):
            return f"{place!r} has numbers too large for {str(here[0].dtype).removeprefix('torch.')}, in which this model computes"
    return ""


def _same(here: Tensor, wanted: Tensor) -> bool:
    return here.shape == wanted.shape and torch.equal(here.detach(), wanted.to(here.device, here.dtype))
