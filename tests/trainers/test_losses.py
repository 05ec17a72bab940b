"""Every training loss and its gradient against the papers' equations, written again in float64 from the papers' own symbols.

The policy is a 1 x 1 convolution, so that its gradient can be compared; the transcription shares no line with the trainers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

from trainers.dpo import answers
from trainers.dreambooth import prior_preservation_loss
from trainers.model.process import Process, process_of
from trainers.preference_losses import advantage, dco_losses, dpo_loss, kto_loss, margins, statistic_loss

KINDS = ("epsilon", "v_prediction", "flow")
BETA, LAMBDA, STRIDE = 3.0, 10.0, 50
KEPT = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)  # scaled_linear, in float64 as all here is


def process(kind: str) -> Process:
    scheduler = FlowMatchEulerDiscreteScheduler() if kind == "flow" else DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind
    )  # fmt: skip
    found = process_of(scheduler, kind)
    if found.kept is not None:
        assert np.allclose(found.kept, KEPT, rtol=1e-4)
    return found if found.kept is None else replace(found, kept=torch.from_numpy(KEPT))


class Case:
    """Random tensors in float64: two images a row, one noise, and the weights of policy and reference."""

    def __init__(self, kind: str) -> None:
        self.kind, draw = kind, torch.Generator().manual_seed(11)
        self.win, self.lose, self.noise = (
            torch.randn(4, 3, 5, 5, generator=draw, dtype=torch.float64) for _ in range(3)
        )
        self.times = (
            torch.tensor([20.0, 310, 650, 990], dtype=torch.float64)
            if kind == "flow"
            else torch.tensor([20, 310, 650, 990])
        )
        self.policy, self.reference = (torch.randn(3, 3, generator=draw, dtype=torch.float64) for _ in range(2))
        self.policy.requires_grad_(True)

    def predict(self, weights: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        return lambda x, t: torch.einsum("oc,nchw->nohw", weights, x)

    def scales(self, row: int, shift: int = 0) -> tuple[float, float]:
        """The factors of x_0 and of the noise."""
        t = float(self.times[row]) - shift
        if self.kind == "flow":
            sigma = max(t, 0) / 1000
            return 1 - sigma, sigma
        kept = KEPT[int(t)] if t >= 0 else 1.0
        return float(np.sqrt(kept)), float(np.sqrt(1 - kept))

    def noisy(self, image: torch.Tensor, row: int) -> torch.Tensor:
        a, s = self.scales(row)
        return a * image[row] + s * self.noise[row]

    def error(self, weights: torch.Tensor, image: torch.Tensor, row: int) -> torch.Tensor:
        """L of one image: || target - prediction ||^2 over its C * H * W numbers."""
        a, s = self.scales(row)
        target = {
            "epsilon": self.noise[row],
            "v_prediction": a * self.noise[row] - s * image[row],
            "flow": self.noise[row] - image[row],
        }[self.kind]
        answer = (weights @ self.noisy(image, row).reshape(3, 25)).reshape(3, 5, 5)
        return ((target - answer) ** 2).sum() / 75

    def channel_means(self, weights: torch.Tensor, row: int) -> torch.Tensor:
        """mu of l^{t-1}: the winner's latent after one sampler step."""
        (a, s), (a_next, s_next) = self.scales(row), self.scales(row, STRIDE)
        x = self.noisy(self.win, row)
        answer = (weights @ x.reshape(3, 25)).reshape(3, 5, 5)
        if self.kind == "flow":
            stepped = x + (s_next - s) * answer
        else:
            noise = answer if self.kind == "epsilon" else s * x + a * answer
            stepped = a_next * (x - s * noise) / a + s_next * noise
        return stepped.reshape(3, 25).sum(1) / 25

    def margin(self, row: int) -> torch.Tensor:
        """beta * ((L_ref - L_theta) of the winner - the same of the loser): the inside of Eq. 3 in design.md's convention."""
        gains = [
            self.error(self.reference, image, row) - self.error(self.policy, image, row)
            for image in (self.win, self.lose)
        ]
        return BETA * (gains[0] - gains[1])


def log_sigmoid(x: torch.Tensor) -> torch.Tensor:
    return -torch.log(1 + torch.exp(-x))


def dpo(case: Case) -> torch.Tensor:
    return -sum(log_sigmoid(case.margin(row)) for row in range(4)) / 4


def statistic(case: Case) -> torch.Tensor:
    """HG-DPO Eq. 8."""
    found = [case.channel_means(case.policy, row) - case.channel_means(case.reference, row) for row in range(4)]
    return sum((gap**2).sum() for gap in found) / 4


def kto(case: Case) -> torch.Tensor:
    """Two liked, two disliked; the batch's mean stands for the distance, and no gradient goes through it."""
    images, signs = (case.win, case.win, case.lose, case.lose), (1, 1, -1, -1)
    gains = [
        BETA * (case.error(case.reference, image, row) - case.error(case.policy, image, row))
        for row, image in enumerate(images)
    ]
    distance = max(float(sum(gains).detach()) / 4, 0.0)
    return sum(1 - 1 / (1 + torch.exp(-sign * (gain - distance))) for sign, gain in zip(signs, gains, strict=True)) / 4


def dco(case: Case) -> torch.Tensor:
    gains = [
        BETA * (case.error(case.reference, case.win, row) - case.error(case.policy, case.win, row)) for row in range(4)
    ]
    return -sum(log_sigmoid(gain) for gain in gains) / 4


def sft(case: Case) -> torch.Tensor:
    return sum(case.error(case.policy, case.win, row) for row in range(4)) / 4


def with_prior(case: Case) -> torch.Tensor:
    """DreamBooth Eq. 2 with GAL's Eq. 9: the instance weighed, the prior never."""
    own = sum(w * case.error(case.policy, case.win, row) for row, w in enumerate((1, 1, 0.25, 0.25))) / 4
    return own + 0.5 * sum(case.error(case.policy, case.lose, row) for row in range(4)) / 4


def ours(name: str, case: Case) -> torch.Tensor:
    """The same by the trainers' own functions."""
    forward, policy, reference = process(case.kind), case.predict(case.policy), case.predict(case.reference)

    def error(predict: Callable[..., torch.Tensor], image: torch.Tensor) -> torch.Tensor:
        return forward.errors(predict, image, case.noise, case.times)[0]

    if name in ("dpo", "statistic", "hg-dpo"):
        now, before = (
            answers(predict, forward, case.win, case.lose, case.noise, case.times, STRIDE)
            for predict in (policy, reference)
        )
        preference = dpo_loss(margins(now.win, now.lose, before.win, before.lose, BETA))
        moved = statistic_loss(now.means, before.means)
        return {"dpo": preference, "statistic": moved, "hg-dpo": preference + LAMBDA * moved}[name]
    if name == "kto":
        judged = torch.cat([case.win[:2], case.lose[2:]])
        return kto_loss(
            advantage(error(policy, judged), error(reference, judged), BETA), torch.tensor([True, True, False, False])
        )
    if name == "dco":
        return dco_losses(advantage(error(policy, case.win), error(reference, case.win), BETA)).mean()
    weights = torch.tensor([1, 1, 0.25, 0.25], dtype=torch.float64)
    if name == "sft":
        return error(policy, case.win).mean()
    return prior_preservation_loss(error(policy, case.win), error(policy, case.lose), 0.5, weights)


TRANSCRIBED: dict[str, Callable[[Case], torch.Tensor]] = {
    "dpo": dpo, "statistic": statistic, "hg-dpo": lambda case: dpo(case) + LAMBDA * statistic(case), "kto": kto, "dco": dco,
    "sft": sft, "dreambooth": with_prior,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TRANSCRIBED)
def test_the_loss_and_its_gradient_are_the_equations(name: str, kind: str) -> None:
    case = Case(kind)
    expected, found = TRANSCRIBED[name](case), ours(name, case)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    wanted, got = (torch.autograd.grad(loss, case.policy, retain_graph=True)[0] for loss in (expected, found))
    assert wanted.abs().max() > 1e-4  # nothing vanishes here
    assert torch.allclose(got, wanted, rtol=1e-6, atol=1e-6 * wanted.abs().max().item())
