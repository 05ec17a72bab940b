"""What the cells of the tests do. A module of its own, because spawned processes import it by name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np


def square(cell: dict[str, Any]) -> dict[str, Any]:
    """Quick, with numpy's numbers, and a sum that depends on its order."""
    draws = np.random.default_rng(cell["seed"]).standard_normal(1000)
    return {"square": np.int64(cell["rater"] ** 2), "sum": draws.astype(np.float32).sum(), "curve": draws[:2]}


def slow(cell: dict[str, Any]) -> dict[str, Any]:
    """Leaves a letter a call, so that a test sees what was done twice, and takes its time."""
    with (Path(os.environ["TOLD"]) / str(cell["rater"])).open("a") as file:
        file.write("x")
    time.sleep(float(os.environ["PAUSE"]))
    return square(cell)


def at_odds(cell: dict[str, Any]) -> dict[str, Any]:
    """Fails with odd raters, and is killed with rater 4."""
    if cell["rater"] % 2:
        raise ValueError("this rater is odd")
    if cell["rater"] == 4:
        os.kill(os.getpid(), 9)
    return square(cell)
