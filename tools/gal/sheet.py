"""Sheets of Generative Active Learning: a round's paintings with what is overfit and what was chosen, and the rounds' scores.

Knows pictures, marks and lines. Does not know how anything was measured.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from prompts.ground.atomic import write_atomically
from tools.files import save_png

TILE, GAP, WORDS, LINE = 96, 8, 280, 14  # pixels: a picture, around it, a row's words, one line of them
PAPER, INK, FALLEN, CHOSEN = "#ffffff", "#1b1b1b", "#b3261e", "#127a3a"
LETTERS = 44  # of a line
COLOURS = {"txt_aln": "#2b5d8a", "img_aln": "#b8570f", "ovf": "#b3261e"}


class Row(NamedTuple):
    """An anchor's paintings. `words`: lines beside them; `overfit`: one per picture; `chosen`: the number of the one that was."""

    words: Sequence[str]
    files: Sequence[Path]
    overfit: Sequence[int]
    chosen: int | None


def draw_round(rows: Sequence[Row], title: str, file: Path) -> None:
    """One row an anchor: pictures that are overfit are crossed out, chosen ones framed; numbered, to choose by."""
    line, columns = TILE + 2 * GAP, max(len(row.files) for row in rows)
    sheet = Image.new("RGB", (WORDS + columns * (TILE + GAP) + GAP, 3 * GAP + LINE + len(rows) * line), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    draw.text((GAP, GAP), title, fill=INK, font=ImageFont.load_default(13))
    for number, row in enumerate(rows):
        top = 3 * GAP + LINE + number * line
        for at, words in enumerate(_lines(row.words)):
            draw.text((GAP, top + at * LINE), words, fill=INK, font=font)
        for at, picture in enumerate(row.files):
            _paste(sheet, draw, picture, WORDS + at * (TILE + GAP), top, row.overfit[at] == 1, row.chosen == at)
            draw.text((WORDS + at * (TILE + GAP), top + TILE + 1), str(at), fill=INK, font=font)
    save_png(file, sheet)


def _paste(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, file: Path, left: int, top: int, fallen: bool, chosen: bool
) -> None:
    with Image.open(file) as picture:
        smooth = Image.Resampling.NEAREST if max(picture.size) <= TILE else Image.Resampling.LANCZOS
        sheet.paste(picture.convert("RGB").resize((TILE, TILE), smooth), (left, top))
    if fallen:
        draw.line([(left, top), (left + TILE, top + TILE)], fill=FALLEN, width=2)
    if chosen:
        draw.rectangle([left - 4, top - 4, left + TILE + 3, top + TILE + 3], outline=CHOSEN, width=4)


def _lines(words: Sequence[str]) -> list[str]:
    return [line for text in words for line in textwrap.wrap(text, LETTERS)][: TILE // LINE]


def draw_rounds(rounds: Sequence[Mapping[str, Any]], file: Path) -> None:
    """TXT-ALN, IMG-ALN and OVF by round: of the anchors as lines, of held-out prompts, where there are some, dashed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    numbers = [one["round"] for one in rounds]
    for place, (name, colour) in enumerate(COLOURS.items(), 1):
        axes = figure.add_subplot(1, 3, place)
        axes.plot(numbers, [one["scores"][name] for one in rounds], "o-", color=colour, label="anchors that were left")
        if all(one["test_scores"] for one in rounds):
            axes.plot(numbers, [one["test_scores"][name] for one in rounds], "o--", color=colour, label="held out")
        axes.set(xlabel="round", title=name.upper().replace("_", "-"), xticks=numbers)
        axes.legend(frameon=False, fontsize=8)
        axes.grid(axis="y", alpha=0.25)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "palate"})
    write_atomically(file, buffer.getvalue())
