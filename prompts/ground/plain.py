"""How rich's tables, panels and rules read where no terminal is: plain lines, each of them whole.

A table is its title, a line a row with the cells under each other, and its note; a panel is its title with its lines indented; a rule is
its words. No frame, no padding at a line's end, nothing cut or wrapped: a program finds a path or a sentence on one line. Knows rich,
and not who prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from rich.console import Group, RenderHook
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Column, Table
from rich.text import Text

GAP, INDENT = Text("  "), Text("  ")


class Plain(RenderHook):
    """A hook of a console (`push_render_hook`): whatever is printed there is printed in plain lines."""

    def process_renderables(self, renderables: list[Any]) -> list[Any]:
        """What rich is to print instead."""
        return [part for one in renderables for part in lines(one)]


def lines(one: Any) -> Iterator[Any]:
    """The lines of a group, panel, table, rule or text, each a Text; anything else as it is."""
    if isinstance(one, Group):
        yield from (line for part in one.renderables for line in lines(part))
    elif isinstance(one, Panel):
        yield from _titled(one)
    elif isinstance(one, Table):
        yield from _rows(one)
    elif isinstance(one, Rule):
        yield _whole(one.title)
    else:
        yield _whole(one) if isinstance(one, str | Text) else one


def _whole(text: str | Text) -> Text:
    """The text, in whose lines nothing is wrapped or cut."""
    text = Text(text) if isinstance(text, str) else text.copy()
    text.no_wrap, text.overflow, text.justify = True, "ignore", None
    return text


def _titled(panel: Panel) -> Iterator[Any]:
    if panel.title:
        yield _whole(panel.title)
    for part in lines(panel.renderable):
        yield from (INDENT + line for line in part.split("\n")) if isinstance(part, Text) else [part]


def _rows(table: Table) -> Iterator[Text]:
    if table.title:
        yield _whole(table.title)
    heads = [_cell(column.header, table.header_style) for column in table.columns]
    shown = [heads] if table.show_header and any(heads) else []
    shown += [
        [_cell(cell) for cell in row] for row in zip_longest(*(column.cells for column in table.columns), fillvalue="")
    ]
    widths = [max(cell.cell_len for cell in cells) for cells in zip(*shown, strict=True)]
    yield from (_row(row, widths, table.columns) for row in shown)
    if table.caption:
        yield _whole(table.caption)


def _cell(value: Any, style: Any = "") -> Text:
    """A cell on one line, for its row is one."""
    text = _whole(value if isinstance(value, str | Text) else str(value))
    text.stylize_before(style or "")
    return Text(" ").join(text.split("\n")) if "\n" in text.plain else text


def _row(cells: Iterable[Text], widths: Sequence[int], columns: Sequence[Column]) -> Text:
    padded = []
    for cell, width, column in zip(cells, widths, columns, strict=True):
        blank = width - cell.cell_len
        cell.pad_left(blank) if column.justify == "right" else cell.pad_right(blank)
        padded.append(cell)
    row = _whole(GAP.join(padded))
    row.rstrip()
    return row
