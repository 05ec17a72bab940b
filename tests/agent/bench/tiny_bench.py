"""A bench as small as can be, that the command's tests run in place of one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.bench.cli import Options
from agent.bench.plots import curves_over
from agent.bench.tables import Curves, Report, Row, mean_table

GIVEN = {"steps": 3, "odd": True}


def cells(options: Options) -> list[Row]:
    """Two strategies, unless others were named."""
    names = options.strategies or ("low", "high")
    return [{"strategy": s, "rater": r, "seed": seed} for s in names for r in options.raters for seed in options.seeds]


def work(cell: dict[str, Any]) -> dict[str, Any]:
    """Fails where it was told to."""
    if cell["strategy"] == "broken" and cell["rater"] == 1:
        raise ValueError("broken on purpose")
    return {"score": cell["rater"] + (10 if cell["strategy"] == "high" else 0)}


def report(rows: Sequence[Row]) -> Report:
    """One table, one picture."""
    panel = Curves("rater", "score", curves_over(rows, "rater", "score"))
    return Report("Tiny", (mean_table(rows, {"score": "score"}, title="Scores, tiny"),), {"tiny": [panel]}, ("a note",))
