"""Diffusion-DPO's loss and its sign against numbers worked out by hand, and a short training of the bundled model."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image
from pydantic import ValidationError

from prompts.errors import InputError
from tests.trainers.subject import cut_short
from trainers.dpo import DpoConfig, Pair, answers, only_losers_move, train
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import encode_prompts, predictor
from trainers.model.process import process_of
from trainers.preference_losses import channel_means, dpo_loss, margins, statistic_loss

RED = Image.new("RGB", (64, 64), (220, 30, 30))
BLUE = Image.new("RGB", (64, 64), (20, 40, 200))
PAIRS = [Pair("a red field", RED, BLUE), Pair("a field", RED, BLUE)]


def margin(win: float, lose: float, beta: float = 10.0) -> torch.Tensor:
    """Against a reference whose errors are 0.5 (winner) and 0.4 (loser)."""
    return margins(*(torch.tensor([value]) for value in (win, lose, 0.5, 0.4)), beta=beta)


def test_the_loss_of_a_worked_example() -> None:
    found = margin(win=0.3, lose=0.6)  # -10 * ((0.3 - 0.6) - (0.5 - 0.4)) = 4
    assert found.item() == pytest.approx(4.0, rel=1e-5)
    assert dpo_loss(found).item() == pytest.approx(math.log(1 + math.exp(-4)), rel=1e-5)


def test_a_policy_equal_to_its_reference_costs_log_two() -> None:
    assert dpo_loss(margin(0.5, 0.4)).item() == pytest.approx(math.log(2))


def test_raising_the_winners_likelihood_or_lowering_the_losers_lowers_the_loss() -> None:
    start = dpo_loss(margin(0.5, 0.4))
    assert dpo_loss(margin(0.4, 0.4)) < start < dpo_loss(margin(0.6, 0.4))
    assert dpo_loss(margin(0.5, 0.5)) < start < dpo_loss(margin(0.5, 0.3))


def test_the_loss_is_averaged_after_the_sigmoid_not_before() -> None:
    both = dpo_loss(torch.tensor([4.0, -4.0]))
    assert both.item() == pytest.approx((math.log(1 + math.exp(-4)) + math.log(1 + math.exp(4))) / 2, rel=1e-5)


def test_the_statistic_is_the_squared_distance_of_channel_means() -> None:
    policy, frozen = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    policy[0, 0] = torch.tensor([[1.0, 3.0]])  # mean 2 against 0
    policy[0, 1] = torch.tensor([[-5.0, 5.0]])  # mean 0: a spread is no shift
    assert statistic_loss(channel_means(policy), channel_means(frozen)).item() == pytest.approx(4.0)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_winner_and_loser_policy_and_reference_share_noise_and_timestep(kind: str) -> None:
    process = process_of(DDPMScheduler(prediction_type=kind), "ours")
    draw = torch.Generator().manual_seed(0)
    win, lose, noise = (torch.randn(3, 2, 4, 4, generator=draw) for _ in range(3))
    times, asked = torch.tensor([10, 500, 990]), []

    def model(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        asked.append((x, t))
        return 0.1 * x

    now, before = (answers(model, process, win, lose, noise, times, stride=50) for _ in range(2))
    (first, t_first), (second, t_second) = asked
    assert torch.equal(first, second) and torch.equal(t_first, t_second) and torch.equal(t_first[:3], t_first[3:])
    signal, spread = process.scales(times)
    for noisy, clean in ((first[:3], win), (first[3:], lose)):
        assert torch.allclose((noisy - signal * clean) / spread, noise, atol=1e-3)
    assert torch.equal(now.packed(), before.packed())


def test_training_starts_at_log_two_and_learns_the_preference(model: BaseModel, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    config = DpoConfig(steps=20, batch_size=2, learning_rate=1e-3, beta=500, seed=3)
    adapter = train(config, PAIRS, base_model=model, out=tmp_path, on_step=lambda i, n, row: seen.append(row))
    first, last = seen[0], seen[-8:]
    assert first["dpo_loss"] == pytest.approx(math.log(2)) and first["statistic_loss"] == 0.0
    assert first["accuracy"] == 0.5 and first["margin"] == first["win_change"] == first["lose_change"] == 0.0
    assert np.mean([row["accuracy"] for row in last]) > 0.7 and np.mean([row["margin"] for row in last]) > 0
    assert all(row["statistic_loss"] > 0 for row in last)
    assert all(row["loss"] == pytest.approx(row["dpo_loss"] + 1e4 * row["statistic_loss"], rel=1e-4) for row in seen)
    assert adapter.kind == "dpo" and adapter.metrics.keys() >= {"accuracy", "margin", "loss"}


def test_statistic_matching_holds_the_channel_means_back(model: BaseModel, tmp_path: Path) -> None:
    drift = {}
    for weight in (0.0, 1e6):
        config = DpoConfig(steps=16, batch_size=1, learning_rate=2e-3, statistic_weight=weight)
        drift[weight] = train(config, PAIRS, base_model=model, out=tmp_path / str(weight)).metrics["statistic_loss"]
    assert drift[1e6] < 0.5 * drift[0.0], drift


def test_the_reference_keeps_the_personal_adapter(model: BaseModel, tmp_path: Path) -> None:
    """The model as it was before this job, not the base model: the margin starts at exactly 0 on top of an adapter."""
    fast = DpoConfig(steps=3, batch_size=2, learning_rate=1e-2)
    personal = train(fast, PAIRS, base_model=model, out=tmp_path / "personal")
    seen: list[dict[str, float]] = []
    train(
        fast, PAIRS, base_model=model, out=tmp_path / "second", adapters={personal.path: 1.0},
        on_step=lambda i, n, row: seen.append(row),
    )  # fmt: skip
    assert seen[0]["margin"] == 0.0 and seen[-1]["margin"] != 0.0
    x, times = torch.ones(1, model.denoiser.config.in_channels, 8, 8), torch.tensor([500])
    predict = predictor(model, encode_prompts(["a field"], model, 64)[[0]])
    with torch.no_grad():
        alone = predict(x, times)
        with attached(model, {personal.path: 1.0}):
            assert not torch.equal(alone, predict(x, times))
        assert torch.equal(alone, predict(x, times))


def test_no_pairs_and_unknown_settings_are_refused(model: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pairs"):
        train(DpoConfig(), [], base_model=model, out=tmp_path)
    with pytest.raises(ValidationError):
        DpoConfig(betta=1)  # type: ignore[call-arg]


def test_a_margin_that_grows_while_winners_become_less_likely_is_warned_of() -> None:
    sound, sick = {"margin": 1.0, "win_change": -0.01}, {"margin": 1.0, "win_change": 0.02}
    assert only_losers_move([sick] * 9, window=10) == 0  # too early to say
    assert only_losers_move([sick] * 10, window=10) == 1
    assert only_losers_move([sick] * 30 + [sound] * 10, window=10) == 0
    assert only_losers_move([{"margin": -1.0, "win_change": 0.02}] * 10, window=10) == 0


def test_a_rate_that_is_far_too_high_is_warned_of(model: BaseModel, tmp_path: Path) -> None:
    config = DpoConfig(steps=60, batch_size=1, rank=2, learning_rate=2e-2, statistic_weight=0, beta=500)
    assert train(config, PAIRS, base_model=model, out=tmp_path).metrics["only_losers_move"] == 1


def test_one_image_as_winner_and_loser_is_refused(model: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pair 1 \('a dog'\) has one image as winner and loser"):
        train(DpoConfig(), [PAIRS[0], Pair("a dog", RED, RED.copy())], base_model=model, out=tmp_path)


def test_with_a_few_draws_the_reference_is_asked_of_each_only_once(model: BaseModel, tmp_path: Path) -> None:
    asked: list[int] = []
    hook = model.denoiser.register_forward_pre_hook(lambda *_: asked.append(int(torch.is_grad_enabled())))
    seen: list[dict[str, float]] = []
    config = DpoConfig(steps=6, batch_size=2, learning_rate=1e-3, beta=500, draws=2)
    try:
        train(config, PAIRS, base_model=model, out=tmp_path, on_step=lambda i, n, row: seen.append(row))
    finally:
        hook.remove()
    assert asked == [0, 1, 0, 1, 1, 1, 1, 1]  # six steps, the reference in two
    assert seen[0]["margin"] == 0.0 and seen[-1]["margin"] != 0.0


def test_kept_answers_are_those_that_would_be_asked_for_again(model: BaseModel, tmp_path: Path) -> None:
    config = DpoConfig(steps=1, batch_size=2, learning_rate=1e-12, beta=500, draws=1, checkpoint_every=1)
    losses: list[dict[str, float]] = []
    longer = config.model_copy(update={"steps": 4})
    train(longer, PAIRS, base_model=model, out=tmp_path, on_step=lambda i, n, row: losses.append(row))
    assert all(row["win_change"] == pytest.approx(0, abs=1e-6) for row in losses)  # the model has not moved


def test_a_job_with_draws_that_goes_on_equals_one_that_was_never_interrupted(model: BaseModel, tmp_path: Path) -> None:
    config = DpoConfig(steps=6, batch_size=2, learning_rate=1e-3, beta=500, draws=2, checkpoint_every=1)
    whole = train(config, PAIRS, base_model=model, out=tmp_path / "whole")
    cut_short(partial(train, config, PAIRS, base_model=model), tmp_path / "cut", 3)
    assert train(config, PAIRS, base_model=model, out=tmp_path / "cut").sha256 == whole.sha256
