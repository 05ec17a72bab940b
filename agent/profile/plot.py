"""Two people's words in one picture: what each is worth to A against what it is worth to B. matplotlib's Agg, no window."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.report.plots import BLUE, ORANGE
from prompts.ground.atomic import write_atomically
from prompts.ground.clean import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tools.profiles.mix import Difference, Word

NAMED = 7  # words on each side that are named


def worth_plot(found: Difference, names: tuple[str, str], file: Path) -> Path:
    """Write the plot: a point a word, on the diagonal where they agree; orange where they differ most, blue where they agree."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 7.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    _draw(figure.add_subplot(), found, names)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "palate"})
    write_atomically(file, buffer.getvalue())
    return file


def _draw(axes: Axes, found: Difference, names: tuple[str, str]) -> None:
    apart, together = found.apart(NAMED), [word for word in found.together(NAMED) if word not in found.apart(NAMED)]
    rest = [word for word in found.words if word not in apart and word not in together]
    edge = 1.15 * max((max(abs(word.a), abs(word.b)) for word in found.words), default=1.0) or 1.0
    axes.plot([-edge, edge], [-edge, edge], color="#bbbbbb", linewidth=1, zorder=1)
    axes.axhline(0, color="#dddddd", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#dddddd", linewidth=0.8, zorder=0)
    for some, colour in ((rest, "#999999"), (together, BLUE), (apart, ORANGE)):
        axes.plot([word.a for word in some], [word.b for word in some], "o", color=colour, markersize=5, alpha=0.8)
    _name(axes, [*((word, BLUE) for word in together), *((word, ORANGE) for word in apart)], edge)
    a, b = (clean(name, 40) for name in names)
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge), xlabel=f"worth to {a} (SD)", ylabel=f"worth to {b} (SD)")
    axes.set_aspect("equal")
    axes.set_title(_title(found), fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _name(axes: Axes, words: Sequence[tuple[Word, str]], edge: float) -> None:
    """Names beside the points, each a line below the last where they would touch, and a thin line back to its point."""
    taken: list[tuple[float, float]] = []
    for word, colour in sorted(words, key=lambda one: -one[0].b):
        side = -1 if word.a > 0.3 * edge else 1
        x, y = word.a + side * 0.05 * edge, word.b
        reach = x + side * 0.28 * edge  # the middle of the name
        while any(abs(y - other) < 0.044 * edge and abs(reach - middle) < 0.56 * edge for middle, other in taken):
            y -= 0.044 * edge
        taken.append((reach, y))
        axes.plot([word.a, x], [word.b, y], color=colour, linewidth=0.6, alpha=0.7)
        text = clean(f"{word.gene.replace('_', ' ')} {word.value}", 32)
        paper = {
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.75,
            "pad": 0.6,
        }  # other points shine through a little
        axes.text(x, y, text, fontsize=8, color=colour, ha="right" if side < 0 else "left", va="center", bbox=paper)


def _title(found: Difference) -> str:
    if found.liking is None:
        return "words' worths in SDs of each one's ratings"
    one = found.liking
    return (
        f"pictures liked alike at {one.srocc:.2f} ({one.low:.2f} to {one.high:.2f}); words in SDs of each one's ratings"
    )
