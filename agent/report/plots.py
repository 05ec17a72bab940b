"""One picture of a run's scores: every rating as a point, the rounds' means as a line. matplotlib's Agg, no window.

matplotlib is imported when a plot is drawn, because nothing else here needs the second that it takes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.store.store import Store
from agent.store.summary import ordered, ratings_by_image
from prompts.ground.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE = "#2b5d8a", "#b8570f"
Points = dict[int, list[float]]  # round to values


def score_plot(store: Store, run_id: str, file: Path, hidden: Mapping[int, float] | None = None) -> Path | None:
    """Write the plot to `file`: ratings, or where there are none the first known score; beside it the hidden utility.

    `hidden`: round to mean, in SDs of random prompts. None, and no file, where there is nothing to show.
    """
    label, points = _points(store, run_id)
    panels: list[tuple[str, Points, Mapping[int, float], str]] = []
    if points:
        panels.append((label, points, {number: sum(all_) / len(all_) for number, all_ in points.items()}, BLUE))
    if hidden:
        panels.append(("hidden utility (SD)", {}, hidden, ORANGE))
    if not panels:
        return None
    buffer = io.BytesIO()
    _figure(panels).savefig(buffer, format="png", metadata={"Software": "palate"})
    write_atomically(file, buffer.getvalue())
    return file


def _points(store: Store, run_id: str) -> tuple[str, Points]:
    """What to plot: its name and its values by round."""
    shown: dict[int, list[str]] = {}
    for number, image in store.shown_by_round(run_id):
        shown.setdefault(number, []).append(image)
    values, label = ratings_by_image(store, run_id), "rating (0 to 10)"
    if not values:
        scores = store.scores(run_id)
        label = next(iter(ordered({row.name for row in scores})), "")
        values = {row.image: row.value for row in scores if row.name == label}
    found = {number: [values[image] for image in ids if image in values] for number, ids in shown.items()}
    return label, {number: kept for number, kept in found.items() if kept}


def _figure(panels: Sequence[tuple[str, Points, Mapping[int, float], str]]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels), 3.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for number, panel in enumerate(panels, 1):
        _panel(figure.add_subplot(1, len(panels), number), *panel)
    return figure


def _panel(axes: Any, label: str, points: Points, means: Mapping[int, float], colour: str) -> None:
    for number, values in points.items():
        spread = [number + 0.16 * ((2 * k + 1) / len(values) - 1) for k in range(len(values))]
        axes.plot(spread, values, "o", color=colour, alpha=0.35, markersize=4.5, markeredgewidth=0)
    rounds = sorted(means)
    axes.plot(rounds, [means[number] for number in rounds], "o-", color=colour, linewidth=2, markersize=6)
    axes.set(xlabel="round", ylabel=label, xticks=rounds)
    if label.startswith("rating"):
        axes.set_ylim(-0.3, 10.3)
    axes.margins(x=0.12)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
