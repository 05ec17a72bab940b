"""Diffusion-DPO with statistic matching: move a model towards the images a person preferred, and not further.

HG-DPO (Na et al. 2024) Eq. 3, 8 and 9. Knows pairs of images and the losses on them. Does not know who preferred what,
or why; the reference is the model as it was before this job, personal adapters included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Unpack

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from prompts.errors import InputError
from trainers.engine.checkpoint import fingerprint
from trainers.engine.draws import answered, draw
from trainers.engine.fit import fit
from trainers.engine.lora import Lora
from trainers.engine.pair_store import PairStore
from trainers.engine.training import How, Training
from trainers.files.adapter_file import Adapter
from trainers.model.attach import Adapters
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import Conditions, encode_images, encode_prompts, predictor, trainable
from trainers.model.process import Predict, Process
from trainers.preference_losses import channel_means, dpo_loss, margins, statistic_loss
from trainers.sft import SftConfig

WINDOW = 50  # steps over which winners and losers are watched


class DpoConfig(SftConfig):
    """Settings of one Diffusion-DPO job: those of supervised fine-tuning, by pairs, and the losses'."""

    batch_size: int = Field(8, ge=1, le=256, description="pairs per step")
    beta: float = Field(2500.0, gt=0, le=1e6, description="pull towards the reference; 5000 in scripts with 0.5 * beta")
    statistic_weight: float = Field(10_000.0, ge=0, le=1e7, description="lambda of statistic matching; 0 turns it off")
    statistic_stride: int = Field(50, ge=1, le=999, description="timesteps in one sampler step; 50 = 20 steps of 1000")
    draws: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="noises that a pair meets, again and again; the reference is asked of each once. None: fresh ones",
    )


@dataclass(frozen=True)
class Pair:
    """Two images for one prompt: `win` was preferred."""

    prompt: str
    win: Image.Image
    lose: Image.Image


class EncodedPairs:
    """Pairs in memory, with the same face as a PairStore: encoded once, batch by rows. Raises InputError for a pair of one image."""

    def __init__(self, pairs: Sequence[Pair], model: BaseModel, size: int, adapters: Adapters = ()) -> None:
        check_pairs(pairs)
        self.pairs = pairs
        if pairs:
            images = [pair.win for pair in pairs] + [pair.lose for pair in pairs]
            self.win, self.lose = encode_images(images, model, size).chunk(2)
            self.conditions = encode_prompts([pair.prompt for pair in pairs], model, size, adapters)

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Conditions]:
        """Latents (N, C, H, W) of winners and losers, and their conditions."""
        chosen = list(rows)
        return self.win[chosen].to(device), self.lose[chosen].to(device), self.conditions[chosen]

    def fingerprint(self) -> str:
        """A hash over pixels and prompts."""
        return fingerprint([(image, pair.prompt) for pair in self.pairs for image in (pair.win, pair.lose)], None)


class Answers(NamedTuple):
    """A model's errors (N,) on winners and losers, and the channel means (N, C) of its winner's latents after one sampler step."""

    win: Tensor
    lose: Tensor
    means: Tensor

    def packed(self) -> Tensor:
        """(N, 2 + C)."""
        return torch.cat([self.win[:, None], self.lose[:, None], self.means], dim=1)

    @classmethod
    def unpacked(cls, packed: Tensor) -> Answers:
        """Back from (N, 2 + C)."""
        return cls(packed[:, 0], packed[:, 1], packed[:, 2:])


def answers(
    predict: Predict, process: Process, win: Tensor, lose: Tensor, noise: Tensor, times: Tensor, stride: int
) -> Answers:
    """Ask a model of both images under ONE noise (N, C, H, W) and ONE timestep (N,) per pair.

    The sampler step is of `stride` timesteps, without guidance."""
    latents, twice, both = torch.cat([win, lose]), torch.cat([noise, noise]), torch.cat([times, times])
    errors, predicted, noisy = process.errors(predict, latents, twice, both)
    n = len(win)
    stepped = process.move(noisy[:n], predicted[:n], times, times - stride)
    return Answers(errors[:n], errors[n:], channel_means(stepped))


def train(
    config: DpoConfig,
    dataset: Sequence[Pair] | PairStore,
    *,
    base_model: BaseModel,
    out: Path,
    adapters: Adapters = (),
    **how: Unpack[How],
) -> Adapter:
    """Train a LoRA on pairs with HG-DPO's Eq. 9, Diffusion-DPO + lambda * statistic matching.

    `adapters` act, frozen, in both policy and reference. Runs where `base_model` is, and continues from the last
    checkpoint in `out` when run again with the same arguments. `on_step` and losses.jsonl get loss, dpo_loss,
    statistic_loss, margin, accuracy (share of pairs with a positive margin, ties half), win_change and lose_change
    (error of the policy minus the reference's) and only_losers_move (1 warns). Raises InputError and PalateError as dreambooth.train does."""
    size = config.size or base_model.size
    process = trainable(base_model, size)
    pairs = dataset if isinstance(dataset, PairStore) else EncodedPairs(dataset, base_model, size, adapters)
    if not len(pairs):
        raise InputError("dataset holds no pairs: rate or compare more images, or lower the pools' minimum_margin")

    def losses(training: Training) -> tuple[Tensor, dict[str, float]]:
        rows, numbers = training.rows("pairs", len(pairs)), training.numbers(len(pairs), config.draws)
        win, lose, conditions = pairs.batch(rows, base_model.device)
        noise, times = draw(process, win, training, rows, numbers)

        def ask(places: list[int]) -> Answers:
            predict = predictor(base_model, conditions[places].joined(conditions[places]))
            return answers(
                predict, process, win[places], lose[places], noise[places], times[places], config.statistic_stride
            )

        def ask_reference(places: list[int]) -> Tensor:
            with training.as_before():
                return ask(places).packed()

        known = answered(ask_reference, training, rows, numbers, (len(pairs), config.draws or 1))
        loss, shown = _total(ask(list(range(len(rows)))), Answers.unpacked(known), config)
        return loss, shown | {"only_losers_move": only_losers_move([*training.history[-WINDOW:], shown])}

    return fit(
        config, losses, Lora(config), kind="dpo", model=base_model, adapters=adapters, out=out, data=pairs.fingerprint(),
        **how,
    )  # fmt: skip


def check_pairs(pairs: Sequence[Pair]) -> None:
    """Raises InputError for a pair of one image."""
    for number, pair in enumerate(pairs):
        if pair.win.size == pair.lose.size and pair.win.tobytes() == pair.lose.tobytes():
            raise InputError(
                f"pair {number} ({pair.prompt!r:.80}) has one image as winner and loser: drop it, there is nothing to prefer"
            )


def only_losers_move(history: Sequence[Mapping[str, float]], window: int = WINDOW) -> float:
    """1 when, over the last `window` steps, the pairs came apart although winners too became less likely; else 0.

    The early warning of a DPO that unlearns: the margin rises, the pictures get worse (a rate that is too high, or a beta too low)."""
    last = history[-window:]
    if len(last) < window:
        return 0.0
    margin, win = (sum(row[key] for row in last) / window for key in ("margin", "win_change"))
    return float(margin > 0 and win > 0)


def _total(policy: Answers, reference: Answers, config: DpoConfig) -> tuple[Tensor, dict[str, float]]:
    margin = margins(policy.win, policy.lose, reference.win, reference.lose, config.beta)
    preference, statistic = dpo_loss(margin), statistic_loss(policy.means, reference.means)
    loss = preference + config.statistic_weight * statistic
    wins = (margin > 0).float() + 0.5 * (margin == 0).float()
    return loss, {
        "loss": loss.item(),
        "dpo_loss": preference.item(),
        "statistic_loss": statistic.item(),
        "margin": margin.mean().item(),
        "accuracy": wins.mean().item(),
        "win_change": (policy.win - reference.win).mean().item(),
        "lose_change": (policy.lose - reference.lose).mean().item(),
    }
