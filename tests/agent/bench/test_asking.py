"""agent/bench/asking.py: a cell is a rater's clicks and what they taught, the same again, and compared pairwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.bench.asking import cells, compared, load_pool, work
from evaluators.features import FEATURE_NAMES
from evaluators.raters import load_reference
from prompts.errors import InputError


@pytest.fixture
def pool(tmp_path: Path, studio: Path) -> Path:
    """Pictures that were never painted: features of the studio's reference, seen through a random matrix."""
    reference = load_reference(studio)
    rng = np.random.default_rng(0)
    measured = reference[rng.integers(0, len(reference), 240)] + 0.01 * rng.standard_normal((240, len(FEATURE_NAMES)))
    standard = (measured - measured.mean(axis=0)) / np.maximum(measured.std(axis=0), 1e-9)
    clip = np.tanh(standard @ rng.standard_normal((len(FEATURE_NAMES), 96)) / 6)
    names = np.array([f"{number:064x}" for number in range(240)])
    np.savez_compressed(tmp_path / "pool.npz", clip=clip.astype(np.float32), measured=measured, names=names)
    return tmp_path / "pool.npz"


@pytest.mark.parametrize("kind", ["rate", "ab", "worst"])
def test_both_ways_learn_from_clicks_and_the_same_again(pool: Path, kind: str) -> None:
    made = cells([200], kinds=[kind], clicks=12, batch=4, prior="plain", shown=60)
    assert [cell["choose"] for cell in made] == ["random", "active"]
    for cell in made:
        found = work(cell, pool)
        assert found == work(cell, pool) and found["clicks"] == len(found["accuracy"]) == 12
        assert all(0 <= value <= 1 for value in found["accuracy"]) and np.mean(found["accuracy"][-4:]) > 0.5


def test_half_of_the_clicks_are_compared_rater_by_rater() -> None:
    rows = [
        {"rater": rater, "kind": "ab", "choose": way, "accuracy": [0.5 + (0.01 + 0.01 * (way == "active")) * n + 0.001 * rater for n in range(1, 21)]}
        for rater in range(4) for way in ("random", "active")
    ]  # fmt: skip
    (found,) = compared(rows, "ab", levels=(20, 40))
    assert (found["raters"], found["random_clicks"], found["active_clicks"]) == (4, 20, 10)
    assert found["difference"] == pytest.approx([0.0, 0.0, 0.0], abs=1e-6) and compared(rows, "best") == []


def test_a_pool_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"python -m agent.bench.asking --pool"):
        load_pool(tmp_path / "no.npz")
