"""Pictures of a bench: curves with bands, and bars with intervals. matplotlib's Agg, no window.

matplotlib is imported when a picture is drawn. A band or a whisker is a 95 % interval; one that is endless (of one value)
is not drawn.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.bench.tables import Bars, Curves, Panel, Row, groups, mean
from evaluators.numbers.win_rate import Interval
from prompts.ground.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Told apart by people who see few colours, too (Okabe & Ito 2008); lines also differ in their marks.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31", "#7f7f7f", "#5e4fa2")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


def curves_over(
    rows: Iterable[Row], x: str, value: str, *, by: str = "strategy", unit: Sequence[str] = ("rater",)
) -> dict[str, dict[float, Interval]]:
    """For `Curves.lines`: in each group the mean of `value` at every value of `x`, a row one point."""
    found: dict[str, dict[float, Interval]] = {}
    for name, some in groups(rows, by).items():
        points = {float(place): mean(there, value, unit) for place, there in groups(some, x).items()}
        found[str(name)] = {place: interval for place, interval in sorted(points.items()) if interval is not None}
    return found


def curves_of(
    rows: Iterable[Row], curve: str, *, by: str = "strategy", unit: Sequence[str] = ("rater",), first: int = 1
) -> dict[str, dict[float, Interval]]:
    """The same where each row holds a whole list, such as the best so far by round; its first value lies at `first`."""
    points = [
        {**{name: row[name] for name in (by, *unit)}, "_x": first + place, "_y": value}
        for row in rows
        for place, value in enumerate(row[curve])
    ]
    return curves_over(points, "_x", "_y", by=by, unit=unit)


def draw(panels: Sequence[Panel], file: Path) -> Path:
    """Write the panels side by side, up to three in a row, as one PNG."""
    buffer = io.BytesIO()
    _figure(panels).savefig(buffer, format="png", metadata={"Software": "palate"})
    write_atomically(file, buffer.getvalue())
    return file


def _figure(panels: Sequence[Panel]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wide = min(3, len(panels))
    high = math.ceil(len(panels) / wide)
    figure = Figure(figsize=(5.0 * wide, 3.6 * high), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(high, wide, number)
        if isinstance(panel, Curves):
            _curves(axes, panel)
        else:
            _bars(axes, panel)
        _dress(axes, panel)
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    """One for all panels, below them: each name once."""
    named = [axes.get_legend_handles_labels() for axes in figure.axes]
    shown = {name: handle for handles, names in named for handle, name in zip(handles, names, strict=True)}
    if shown:
        columns = min(len(shown), 3 * len(figure.axes))
        figure.legend(
            shown.values(), shown.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=9
        )


def _curves(axes: Any, panel: Curves) -> None:
    for number, (name, points) in enumerate(panel.lines.items()):
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        places = sorted(points)
        axes.plot(places, [points[x].mean for x in places], color=colour, marker=mark, markersize=4.5, label=name)
        known = [x for x in places if math.isfinite(points[x].low)]
        low, high = [points[x].low for x in known], [points[x].high for x in known]
        if len(points) > 1:
            axes.fill_between(known, low, high, color=colour, alpha=0.13, linewidth=0)
        else:  # a band of no width would not be seen
            axes.vlines(known, low, high, color=colour, linewidth=1.2, alpha=0.6)
    axes.set_xlabel(panel.xlabel)
    places = sorted({x for points in panel.lines.values() for x in points})
    if len(places) <= 8:
        axes.set_xticks(places, [f"{x:g}" for x in places])


def _bars(axes: Any, panel: Bars) -> None:
    for number, (name, value) in enumerate(panel.values.items()):
        axes.bar(name, value.mean, color=COLOURS[number % len(COLOURS)], alpha=0.75, width=0.62)
        if math.isfinite(value.low):
            whisker = [[value.mean - value.low], [value.high - value.mean]]
            axes.errorbar(name, value.mean, yerr=whisker, color="black", capsize=4, linewidth=1.2)
    if sum(map(len, panel.values)) > 30:
        axes.tick_params(axis="x", labelrotation=30)


def _dress(axes: Any, panel: Panel) -> None:
    if panel.level is not None:
        axes.axhline(panel.level[1], color="#555555", linestyle="--", linewidth=1.0, label=panel.level[0])
    axes.set(ylabel=panel.ylabel, title=panel.title)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
