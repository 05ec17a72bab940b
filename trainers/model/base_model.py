"""A loaded pipeline, and what is remembered beside it. Everything in this house knows it, and so it knows nobody.

How it is loaded, adapted, painted with and kept in memory are functions on it, in the files beside this one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

OnEncoded = Callable[[str, int, int], object]  # ("images" or "prompts", done, in all)


@dataclass(eq=False)
class BaseModel:
    """A loaded pipeline. `loaded`: sha256 of an adapter file to its name inside the pipeline, oldest first; `active`:
    the adapters that act now, with their weights, and which of them learns; `readers`: the tokenizers and embeddings that it was
    loaded with, kept since the first word was added; `parked`: parts that are away from the device; `on_encoded`: told how far the
    encoding of data is."""

    name: str
    pipe: Any
    device: torch.device
    dtype: torch.dtype
    loaded: dict[str, str] = field(default_factory=dict)
    active: tuple[dict[str, float], str | None] = field(default_factory=lambda: ({}, None))
    readers: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    parked: tuple[str, ...] = ()
    on_encoded: OnEncoded = field(default=lambda what, done, total: None, repr=False)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    @property
    def denoiser(self) -> Any:
        """Its UNet or transformer."""
        return getattr(self.pipe, "unet", None) or self.pipe.transformer

    @property
    def size(self) -> int:
        """The side in pixels that the model was made for."""
        sides = getattr(self.pipe, "default_sample_size", None) or self.denoiser.config.sample_size
        return int(sides * self.multiple)

    @property
    def multiple(self) -> int:
        return int(self.pipe.vae_scale_factor)
