"""Latent adaptive normalization (LAN, HG-DPO Eq. 7): paint with the colours of one model and the shapes of another.

After each sampler step the latents get the channel means and spreads that the reference has there, from the same noise. Costs a
second sampling; the statistic matching loss (Eq. 8) is the cure at training time. Knows latents only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_EPSILON = 1e-6
_PACKED = 4  # FLUX's tokens hold 2 x 2 numbers of each channel


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel of each image, shaped so that they apply to its latents."""

    mean: Tensor
    spread: Tensor


def statistics(latents: Tensor) -> Statistics:
    """Of latents (N, C, H, W), or of FLUX's tokens (N, tokens, 4C)."""
    if latents.ndim == 4:
        parts = torch.std_mean(latents.float(), dim=(2, 3), correction=0, keepdim=True)
        return Statistics(parts[1], parts[0])
    parts = torch.std_mean(latents.float().unflatten(2, (-1, _PACKED)), dim=(1, 3), correction=0, keepdim=True)
    spread, mean = (part.expand(-1, -1, -1, _PACKED).flatten(2) for part in parts)
    return Statistics(mean, spread)


def normalized(latents: Tensor, wanted: Statistics) -> Tensor:
    """Eq. 7: (h - mean) / spread, with the wanted spread and mean in their place."""
    own = statistics(latents)
    moved = (latents.float() - own.mean) / (own.spread + _EPSILON) * wanted.spread + wanted.mean
    return moved.to(latents.dtype)
