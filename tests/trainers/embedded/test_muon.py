"""trainers/embedded/muon.py: orthogonal steps for matrices and convolutions, AdamW's for the rest."""

from __future__ import annotations

import torch

from trainers.embedded.muon import Muon


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(5, 8)
        self.conv = torch.nn.Conv2d(8, 16, 3)
        self.head = torch.nn.Linear(16, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        pictures = self.embedding(ids)[:, :, None, None].expand(-1, -1, 4, 4)
        return self.head(self.conv(pictures).relu().mean((2, 3)))


def moved(module: torch.nn.Module, loss: torch.Tensor, rate: float = 1e-3) -> dict[str, torch.Tensor]:
    """How far each weight went in one step without decay."""
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    optimizer = Muon(module, rate, decay=0.0)
    loss.backward()
    optimizer.step()
    return {name: weight.detach() - before[name] for name, weight in module.named_parameters()}


def test_a_step_of_a_convolution_moves_every_direction_alike() -> None:
    module = Small()
    steps = moved(module, module(torch.arange(5)).square().sum())
    spread = torch.linalg.svdvals(steps["conv.weight"].flatten(1))[:5]  # five pictures have a gradient of rank five
    assert spread[0] / spread[-1] < 2.5


def test_a_matrix_moves_as_far_as_under_adamw_and_downhill() -> None:
    module = Small()
    loss = module(torch.arange(5)).square().sum()
    steps = moved(module, loss)
    assert (
        0.05e-3 < float(steps["head.weight"].square().mean().sqrt()) < 0.4e-3
    )  # 0.2 of the rate where the rank is full
    assert module(torch.arange(5)).square().sum() < loss


def test_vectors_and_the_borders_of_a_model_are_left_to_adamw() -> None:
    module = Small()
    steps = moved(module, module(torch.arange(5)).square().sum())
    for name in ("embedding.weight", "conv.bias", "head.bias"):  # AdamW's first step is the rate itself, everywhere
        assert torch.allclose(steps[name].abs(), torch.full_like(steps[name], 1e-3), rtol=1e-2), name


def test_a_weight_without_a_gradient_stays_where_it_is() -> None:
    module = Small()
    steps = moved(module, module.embedding(torch.arange(5)).square().sum())
    assert not steps["conv.weight"].any() and not steps["head.weight"].any() and steps["embedding.weight"].any()


def test_forgotten_gradients_do_not_add_up() -> None:
    module = Small()
    optimizer = Muon(module, 1e-3, decay=0.0)
    module(torch.arange(5)).sum().backward()
    optimizer.zero_grad()
    assert all(weight.grad is None for weight in module.parameters())
