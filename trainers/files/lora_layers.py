"""LoRA layers inside a loaded pipeline: which there are, what one adds to its layer, and how one is taken out.

Knows diffusers' parts and PEFT's layers. Does not know files, weights at which adapters act, nor what they were trained for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prompts.ground.quiet import quiet


def part_of(pipe: Any) -> str:
    """What the pipeline calls its denoiser."""
    return "unet" if getattr(pipe, "unet", None) is not None else "transformer"


def lora_layers(pipe: Any) -> list[Any]:
    """Every layer of the pipeline that has ever had a LoRA."""
    from peft.tuners.lora import LoraLayer

    parts = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    return [layer for part in parts for layer in part.modules() if isinstance(layer, LoraLayer)]


def change_of(layer: Any, name: str) -> Tensor:
    """What the adapter adds to its layer's weight; nothing where it has no part."""
    if name not in layer.lora_A:
        return torch.zeros(())
    up, down = (weights[name].weight.detach().float().flatten(1) for weights in (layer.lora_B, layer.lora_A))
    return layer.scaling[name] * (up @ down)


def remove(pipe: Any, name: str) -> None:
    """Take the adapter called `name` out of the pipeline, if it is there."""
    if any(name in getattr(part, "peft_config", {}) for part in pipe.components.values()):
        with quiet():
            pipe.delete_adapters(name)
