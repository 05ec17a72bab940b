"""Weights of the denoiser itself as what learns: all of them, or some.

Knows how they learn in float32 and how the model comes back as it was. Does not know what is made of them in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from trainers.engine.training import Training
from trainers.model.base_model import BaseModel


class OwnWeights:
    """Those weights of the denoiser whose name is `wanted`. The model's own stay beside the ones that learn, on its device."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self.wanted = wanted
        self.own: dict[str, tuple[torch.nn.Parameter, Tensor]] = {}

    def begin(self, training: Training) -> None:
        for name, value in self.weights(training.model).items():
            self.own[name] = value, value.data
            value.data = value.data.float().clone()  # the base may be bfloat16, whose steps are too coarse to learn in
            value.requires_grad_(True)

    def weights(self, model: BaseModel) -> dict[str, torch.nn.Parameter]:
        """By the name that they have without LoRAs around them."""
        named = ((name.replace(".base_layer", ""), value) for name, value in model.denoiser.named_parameters())
        return {name: value for name, value in named if ".lora_" not in name and self.wanted(name)}

    @contextmanager
    def before(self, training: Training) -> Iterator[None]:
        learned = [(value, value.data) for value, _ in self.own.values()]
        for value, own in self.own.values():
            value.data = own
        try:
            yield
        finally:
            for value, data in learned:
                value.data = data

    def changes(self) -> dict[str, Tensor]:
        """By module: what each weight learned, in float32."""
        return {
            name.removesuffix(".weight"): value.data.float() - own.float() for name, (value, own) in self.own.items()
        }

    def end(self, training: Training) -> None:
        for value, own in self.own.values():
            value.data = own
            value.grad = None
            value.requires_grad_(False)
        self.own = {}
