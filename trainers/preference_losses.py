"""What a preference costs: losses on errors of a policy and of its reference. Pure arithmetic on tensors.

An error L (N,) is the mean over C, H, W of (prediction - target)^2. Knows no images, models or noise.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def advantage(policy: Tensor, reference: Tensor, beta: float) -> Tensor:
    """-beta * (L of the policy - L of the reference), (N,): positive where the policy has become likelier to paint the image."""
    return -beta * (policy - reference)


def margins(win: Tensor, lose: Tensor, win_reference: Tensor, lose_reference: Tensor, beta: float) -> Tensor:
    """-beta * ((L_w - L_l) of the policy - (L_w - L_l) of the reference), (N,): positive prefers the winner."""
    return advantage(win, win_reference, beta) - advantage(lose, lose_reference, beta)


def dpo_loss(margin: Tensor) -> Tensor:
    """Diffusion-DPO (Wallace et al. 2023, Eq. 14; HG-DPO Eq. 3): mean of -log sigmoid(margin); log 2 at margin 0.

    Errors are means over C, H, W, so beta 2500 here is 5000 in scripts that write 0.5 * beta. HG-DPO's Eq. 3 has the
    loser's reference look at the winner's latent, a misprint that we do not follow."""
    return -F.logsigmoid(margin).mean()


def kto_loss(
    advantages: Tensor,
    liked: Tensor,
    like_weight: float = 1.0,
    dislike_weight: float = 1.0,
    mean: Tensor | None = None,
) -> Tensor:
    """Diffusion-KTO (Li et al. 2024, arXiv:2404.04465) with the Kahneman-Tversky utility: mean of weight * (1 - sigmoid(+-(a - Q))).

    `advantages` (N,): as `advantage` gives them; `liked` (N,) bool: the sign is + for liked images, - for disliked ones.
    Q, the policy's distance from its reference, is the batch's mean advantage, at least 0, and has no gradient; `mean`: that
    advantage, where the batch is larger than these N."""
    distance = (advantages.detach().mean() if mean is None else mean).clamp(min=0)
    sign = liked.to(advantages) * 2 - 1
    weight = liked.to(advantages) * (like_weight - dislike_weight) + dislike_weight
    return (weight * (1 - (sign * (advantages - distance)).sigmoid())).mean()


def dco_losses(advantages: Tensor) -> Tensor:
    """Direct consistency optimisation (Lee et al. 2024, arXiv:2402.12004): -log sigmoid(advantage), (N,); fits the images while it
    stays near the reference, so that no images of the class are needed."""
    return -F.logsigmoid(advantages)


def channel_means(latents: Tensor) -> Tensor:
    """The statistic of HG-DPO Eq. 8: (N, C) of latents (N, C, H, W)."""
    return latents.mean(dim=(2, 3))


def statistic_loss(policy: Tensor, reference: Tensor) -> Tensor:
    """HG-DPO Eq. 8: squared distance of two latents' channel means (N, C), averaged over N."""
    return (policy - reference).square().sum(dim=1).mean()
