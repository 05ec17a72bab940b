"""Preference "finetune": a small network on the features, trained with Adam. Needs torch to fit, numpy to predict.

The fine-tuned head of personal aesthetics assessment (L1 loss, dropout), made small for tens of ratings: an ensemble
of networks, each stopped where the fifth of the ratings that it was not shown is predicted best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_MEMBERS, _WIDTH, _STEPS, _PATIENCE, _RATE, _DROPOUT = 5, 48, 300, 40, 3e-3, 0.3
_FEWEST_FOR_STOPPING = 10


def fit(features: np.ndarray, ratings: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Train the ensemble on features (N, D) and ratings (N,), not all equal. Deterministic for a `seed` on one CPU."""
    centre, scale = features.mean(axis=0), float(features.std(axis=0).mean()) or 1.0
    inputs = (features - centre) / scale
    middle, spread = float(ratings.mean()), float(ratings.std())
    targets = (ratings - middle) / spread
    members = [_train(inputs, targets, seed * _MEMBERS + number) for number in range(_MEMBERS)]
    stacked = {name: np.stack([member[name] for member in members]) for name in members[0]}
    return {
        **stacked, "centre": centre, "scale": np.array(scale), "mean": np.array(middle), "spread": np.array(spread),
    }  # fmt: skip


def predict(arrays: dict[str, np.ndarray], features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (M,) of the ensemble; the std never falls below a tenth of the ratings' own."""
    inputs = (features - arrays["centre"]) / arrays["scale"]
    hidden = np.maximum(np.einsum("md,hwd->hmw", inputs, arrays["weight_in"]) + arrays["bias_in"][:, None], 0.0)
    outputs = np.einsum("hmw,hw->hm", hidden, arrays["weight_out"]) + arrays["bias_out"][:, None]
    spread = float(arrays["spread"])
    return arrays["mean"] + spread * outputs.mean(axis=0), spread * np.hypot(outputs.std(axis=0), 0.1)


def _train(inputs: np.ndarray, targets: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(targets), generator=generator)
    held = len(targets) // 5 if len(targets) >= _FEWEST_FOR_STOPPING else 0
    x, y = torch.from_numpy(inputs).float()[order], torch.from_numpy(targets).float()[order]
    weights = _initial(x.shape[1], generator)
    # Without enough ratings to hold some back, a short fixed training is the regulariser.
    steps = _STEPS if held else _STEPS // 6
    optimizer = torch.optim.AdamW(weights.values(), lr=_RATE, weight_decay=1e-2)
    best, best_loss, best_step = _copy(weights), float("inf"), 0
    for step in range(steps):
        optimizer.zero_grad()
        loss = (_forward(weights, x[held:], generator) - y[held:]).abs().mean()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            watched = float((_forward(weights, x[:held], None) - y[:held]).abs().mean()) if held else -float(step)
        if watched < best_loss:
            best, best_loss, best_step = _copy(weights), watched, step
        elif step - best_step > _PATIENCE:
            break
    return best


def _initial(dimension: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    import torch

    first = torch.randn(_WIDTH, dimension, generator=generator) / dimension**0.5
    last = torch.randn(_WIDTH, generator=generator) * 0.1 / _WIDTH**0.5
    tensors = {"weight_in": first, "bias_in": torch.zeros(_WIDTH), "weight_out": last, "bias_out": torch.zeros(())}
    return {name: tensor.requires_grad_() for name, tensor in tensors.items()}


def _forward(weights: dict[str, torch.Tensor], x: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """`generator` None: no dropout."""
    import torch

    hidden = torch.relu(x @ weights["weight_in"].T + weights["bias_in"])
    if generator is not None:
        kept = torch.rand(hidden.shape, generator=generator) >= _DROPOUT
        hidden = hidden * kept / (1.0 - _DROPOUT)
    return hidden @ weights["weight_out"] + weights["bias_out"]


def _copy(weights: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().double().numpy().copy() for name, tensor in weights.items()}
