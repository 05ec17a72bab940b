"""trainers/embedded/recipe.py: a training that was killed goes on as if nothing had happened."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from prompts.errors import InputError
from trainers.embedded import recipe
from trainers.embedded.recipe import RECIPES, Average, learning_rate, train


class Killed(Exception):
    pass


def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))


def run(module: torch.nn.Module, work: Path, steps: int, die_at: int | None = None) -> dict[str, torch.Tensor]:
    def loss_at(step: int) -> torch.Tensor:
        if step == die_at:
            raise Killed
        data = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        return ((module(data + 0.1 * torch.randn_like(data)) - data.sum(1, keepdim=True)) ** 2).mean()

    return train("tiny", module, loss_at, work, steps=steps, rate=1e-2)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("die_at", [0, 1, 7, 29])
def test_a_training_that_was_killed_and_resumed_gives_the_same_weights(
    tmp_path: Path, die_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**6, 35))  # a checkpoint about every other step
    monkeypatch.setattr(recipe.time, "monotonic", lambda: float(next(clock)))
    whole, resumed = tiny(), tiny()
    (tmp_path / "whole").mkdir()
    (tmp_path / "resumed").mkdir()
    wanted = run(whole, tmp_path / "whole", 30)
    with pytest.raises(Killed):
        run(resumed, tmp_path / "resumed", 30, die_at=die_at)
    fresh: Any = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    if die_at < 2:  # nothing was saved yet: the same beginning is the script's business
        fresh.load_state_dict(tiny().state_dict())
    found = run(fresh, tmp_path / "resumed", 30)
    assert same(wanted, found) and same(whole.state_dict(), fresh.state_dict())


def test_a_finished_training_is_not_begun_again(tmp_path: Path) -> None:
    first = run(tiny(), tmp_path, 5)
    again = run(tiny(), tmp_path, 5, die_at=0)
    assert same(first, again)


def test_a_half_written_checkpoint_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "tiny.checkpoint.part").write_bytes(b"half")
    assert run(tiny(), tmp_path, 3) and (tmp_path / "tiny.checkpoint.pt").is_file()


def test_a_checkpoint_of_another_optimizer_is_refused_by_name(tmp_path: Path) -> None:
    run(tiny(), tmp_path, 3)
    file = tmp_path / "tiny.checkpoint.pt"
    state = torch.load(file, weights_only=True)
    torch.save(state | {"optimizer": torch.optim.AdamW(tiny().parameters()).state_dict()}, file)
    with pytest.raises(InputError, match=r"tiny.checkpoint.pt' is of another model or optimizer: delete it"):
        run(tiny(), tmp_path, 5)


def test_a_checkpoint_of_another_model_is_refused_by_name(tmp_path: Path) -> None:
    run(tiny(), tmp_path, 3)
    with pytest.raises(InputError, match="is of another model or optimizer"):
        run(torch.nn.Linear(4, 1), tmp_path, 5)


def test_the_log_has_a_line_every_twenty_steps(tmp_path: Path) -> None:
    run(tiny(), tmp_path, 41)
    rows = [line.split(",") for line in (tmp_path / "tiny.log.csv").read_text().splitlines()]
    assert [int(row[0]) for row in rows] == [0, 20, 40] and all(float(row[1]) >= 0 for row in rows)


def test_the_rate_warms_up_stays_and_comes_straight_down() -> None:
    rates = [learning_rate(step, 1000, 2.0) for step in range(1000)]
    assert rates[0] == pytest.approx(2.0 / 50) and all(a < b for a, b in pairwise(rates[:50]))
    assert set(rates[50:751]) == {2.0}
    assert rates[875] == pytest.approx(1.0) and all(a >= b for a, b in pairwise(rates[750:]))
    assert rates[-1] == pytest.approx(0.04) == min(rates)


def test_the_plateau_does_not_know_how_long_the_training_will_be() -> None:
    short, long = ([learning_rate(step, steps, 1.0) for step in range(750)] for steps in (1000, 5000))
    assert short == long


@pytest.mark.parametrize("steps", [1, 2, 60])
def test_a_training_of_a_few_steps_has_a_rate_too(steps: int) -> None:
    assert all(0 < learning_rate(step, steps, 1.0) <= 1.0 for step in range(steps))


def test_the_average_follows_with_a_window_of_a_tenth_of_the_steps() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    average = Average(module)
    for step in range(1000):
        with torch.no_grad():
            module.weight.fill_(step)
        average.update(module, step)
    lag = 999 - float(average.weights["weight"])
    assert 50 < lag < 150


def test_both_recipes_name_the_same_parts() -> None:
    assert RECIPES["cpu"].keys() == RECIPES["gpu"].keys() >= {"data", "clip", "vae", "unet", "pickscore", "lm"}
    for part in RECIPES["cpu"]:
        assert RECIPES["cpu"][part].keys() == RECIPES["gpu"][part].keys()
    assert all(
        math.isfinite(value) and value > 0
        for how in RECIPES.values()
        for part in how.values()
        for value in part.values()
    )
