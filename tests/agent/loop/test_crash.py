"""kill -9 of a real run at random moments, and its resumption: the small version of benchmarks/crash.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.crash import kill_many


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.mark.parametrize(("kills", "seed"), [(2, 0), pytest.param(3, 3, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_again_and_again_ends_whole(
    kills: int, seed: int, bundle: dict[str, str], told: list[str], tmp_path: Path
) -> None:
    """Each kill costs a new process, which has to import everything."""
    changes: dict[str, Any] = {**bundle, "rounds": 1, "limits": {"trainings": 0}}
    found = kill_many("agent", kills, seed=seed, changes=changes, tell=told.append, folder=tmp_path)
    assert sum(one["kills"] for one in found) == kills
    assert not any(one["problems"] for one in found), "\n".join(told)


def test_a_training_that_is_killed_goes_on_and_the_run_has_its_adapter(
    bundle: dict[str, str], told: list[str], tmp_path: Path
) -> None:
    (found,) = kill_many("training", 1, seed=0, changes=dict(bundle), tell=told.append, folder=tmp_path)
    assert found["kills"] == 1 and not found["problems"], "\n".join(told)
