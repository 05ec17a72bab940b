"""agent/bench/plots.py: points by hand, and pictures that are there and show what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.bench.plots import COLOURS, curves_of, curves_over, draw
from agent.bench.tables import Bars, Curves
from evaluators.numbers.win_rate import Interval


def shows(picture: np.ndarray, colour: str) -> bool:
    """Whether pixels of nearly that colour are there."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return bool((np.abs(picture.astype(int) - wanted).max(axis=2) < 12).sum() > 20)


def test_a_curve_holds_the_mean_at_every_place() -> None:
    rows = [{"strategy": "a", "rater": r, "seed": 0, "n": n, "score": r + n} for r in (0, 2) for n in (10, 5)]
    found = curves_over(rows, "n", "score")
    assert list(found["a"]) == [5.0, 10.0] and [one.mean for one in found["a"].values()] == [6.0, 11.0]
    lists = [{"strategy": "a", "rater": r, "best": [r, r + 1, r + 2][: 3 - r]} for r in (0, 1)]
    by_round = curves_of(lists, "best")["a"]
    assert [(place, one.mean, one.n) for place, one in by_round.items()] == [
        (1.0, 0.5, 2),
        (2.0, 1.5, 2),
        (3.0, 2.0, 1),
    ]


@pytest.mark.parametrize("count", [1, 4])
def test_pictures_are_made(tmp_path: Path, count: int) -> None:
    line = {1.0: Interval(0.2, 0.1, 0.3, 9), 2.0: Interval(0.5, float("-inf"), float("inf"), 1)}
    curves = Curves("round", "score", {"old": line, "new": {1.0: Interval(0.9, 0.8, 1.0, 9)}}, ("ceiling", 1.0))
    bars = Bars("score", {"old": line[1.0], "a longer name than that": line[2.0]})
    panels = [curves, bars, curves, bars][:count]
    with Image.open(draw(panels, tmp_path / "p.png")) as image:
        picture = np.asarray(image.convert("RGB"))
    assert picture.shape[1] > picture.shape[0] or count == 4
    assert shows(picture, COLOURS[0]) and shows(picture, COLOURS[1]) and not shows(picture, COLOURS[3])
