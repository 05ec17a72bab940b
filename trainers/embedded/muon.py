"""Muon for a model's matrices and AdamW for the rest of it, behind the few methods that the training loop calls.

Muon (Jordan et al. 2024) makes every step of a matrix orthogonal, so that no direction is learned faster than another: after
250 steps the painter's loss was 6 % below AdamW's on the same batches (benchmarks/LOG.md). PyTorch's own takes matrices only;
here a convolution is lent to it as one, output channels by all the rest.
"""

from __future__ import annotations

from typing import Any

import torch

# What stands at the border of a model is no map from features to features, and stays with AdamW.
BORDERS = ("embed", "conv_in", "conv_out", "lm_head")


class Muon:
    """Optimizer of a module whose weights are in place (on their device); both halves follow one learning rate."""

    def __init__(self, module: torch.nn.Module, rate: float, decay: float) -> None:
        named = dict(module.named_parameters())
        inner = [n for n, weight in named.items() if weight.ndim > 1 and not any(border in n for border in BORDERS)]
        # each flat one shares its weight's memory
        self._lent = [(named.pop(n), torch.nn.Parameter(module.get_parameter(n).detach().flatten(1))) for n in inner]
        flat = [parameter for _, parameter in self._lent]
        self._muon = torch.optim.Muon(flat, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        self._adamw = torch.optim.AdamW(named.values(), lr=rate, betas=(0.9, 0.99), weight_decay=decay, fused=True)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both: set "lr" in each."""
        return [*self._muon.param_groups, *self._adamw.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for weight, _ in self._lent:
            weight.grad = None
        self._adamw.zero_grad(set_to_none)

    def step(self) -> None:
        """Move every weight that has a gradient."""
        for weight, flat in self._lent:
            flat.grad = None if weight.grad is None else weight.grad.flatten(1)
        self._muon.step()
        self._adamw.step()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on as if never stopped."""
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state of the same module's optimizer."""
        self._muon.load_state_dict(state["muon"])
        self._adamw.load_state_dict(state["adamw"])
