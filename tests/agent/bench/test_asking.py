"""agent/bench/asking.py: a cell is a rater's clicks and what they taught, the same again, and compared pairwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.bench import asking
from agent.bench.cli import Options
from evaluators.looks.features import FEATURE_NAMES
from evaluators.looks.raters import load_reference
from prompts.errors import InputError

SMALL = asking.GIVEN | {"pool": 120, "held": 40, "shown": 30, "clicks": 9, "at_once": 4}


def options(*strategies: str, given: Mapping[str, Any] = SMALL) -> Options:
    return Options("asking", (200,), (0,), Path("out"), strategies, given=given)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, studio: Path) -> str:
    """Pictures that were never painted: features of the studio's reference, seen through a random matrix."""
    reference, rng = load_reference(studio), np.random.default_rng(0)
    measured = reference[rng.integers(0, len(reference), 120)] + 0.01 * rng.standard_normal((120, len(FEATURE_NAMES)))
    standard = (measured - measured.mean(axis=0)) / np.maximum(measured.std(axis=0), 1e-9)
    with np.load(studio / "population.npz", allow_pickle=False) as people:
        width = len(people["prior_centre"])
    file = tmp_path_factory.mktemp("pool") / "pool.npz"
    np.savez_compressed(
        file, measured=measured, features=np.tanh(standard @ rng.standard_normal((len(FEATURE_NAMES), width)) / 6),
        pixels=rng.integers(0, 255, (120, 2, 2, 3), dtype=np.uint8), prompts=np.array(["a red circle"] * 120),
    )  # fmt: skip
    return str(file)


@pytest.mark.parametrize("kind", ["rate", "ab", "worst"])
@pytest.mark.parametrize("prior", ["people", "looks"])
def test_both_ways_learn_from_clicks_and_the_same_again(pool: str, kind: str, prior: str) -> None:
    made = asking.cells(options(f"{kind}:random", f"{kind}:active"))
    assert [cell["strategy"] for cell in made] == [f"{kind}:random", f"{kind}:active"]
    for cell in made:
        found = asking.work(cell, pool=pool, given={**SMALL, "prior": prior})
        assert found == asking.work(cell, pool=pool, given={**SMALL, "prior": prior})
        assert len(found["accuracy"]) == 9 and all(0 <= value <= 1 for value in found["accuracy"])


def test_ratings_end_where_no_picture_is_left(pool: str) -> None:
    (cell,) = asking.cells(options("rate:active"))
    assert len(asking.work(cell, pool=pool, given={**SMALL, "shown": 5})["accuracy"]) == 5


def test_half_of_the_clicks_are_compared_rater_by_rater() -> None:
    rows = [
        {"rater": rater, "seed": 0, "strategy": f"ab:{way}", "accuracy": [0.5 + (0.01 + 0.01 * (way == "active")) * n + 0.001 * rater for n in range(1, 21)]}
        for rater in range(4) for way in ("random", "active")
    ]  # fmt: skip
    found = asking.compared(rows, "ab", levels=(20, 40))
    ((kind, level, goal, clicks, half, less),) = found
    assert (kind, level, clicks) == ("ab", 20, "10 [10, 10]") and goal.mean == pytest.approx(half.mean)
    never = [row | {"accuracy": [0.4] * 20} if row["strategy"] == "ab:active" else row for row in rows]
    assert asking.compared(never, "ab", levels=(20,))[0][3] == ">20 [>20, >20]"
    assert less.mean == pytest.approx(0.0, abs=1e-6) and asking.compared(rows, "best") == []
    assert len(asking.report(rows).tables[0].rows) == 2  # 10 and 20 clicks


def test_what_is_no_way_to_ask_is_told() -> None:
    with pytest.raises(InputError, match="unknown strategy 'ab:quick'"):
        asking.cells(options("ab:quick"))
    with pytest.raises(InputError, match="must fit into the pool"):
        asking.cells(options(given={**SMALL, "shown": 100}))
