"""How a bench's tables and rows are written: as people read them (Markdown, a terminal) and as programs do (CSV, JSON)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table as RichTable

from agent.bench.tables import Row, Table, Value
from evaluators.numbers.win_rate import Interval


def text(value: Value) -> str:
    """A value as people read it: "0.412 [0.380, 0.444]"; "-" for None."""
    if value is None:
        return "-"
    if isinstance(value, Interval):
        if not math.isfinite(value.low):
            return f"{_number(value.mean)} [one only]"
        return f"{_number(value.mean)} [{_number(value.low)}, {_number(value.high)}]"
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def markdown(table: Table) -> str:
    """The table for a file: title, columns of equal width, the note."""
    lines = [[text(value).replace("|", "\\|") for value in row] for row in (table.columns, *table.rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(table.columns))]
    told = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    told.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([f"### {table.title}", "", *told, *(["", table.note] if table.note else [])]) + "\n"


def terminal(table: Table) -> RichTable:
    """The table for prompts.ground.console: nothing in it is markup."""
    shown = RichTable(title=table.title, title_justify="left", caption=table.note or None, caption_justify="left")
    for place, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if place == 0 else "right", no_wrap=place == 0)
    for row in table.rows:
        shown.add_row(*map(text, row))
    return shown


def plain(table: Table) -> dict[str, Any]:
    """The table as JSON values: intervals as objects, an endless interval's ends as null."""
    rows = [{name: _json(value) for name, value in zip(table.columns, row, strict=True)} for row in table.rows]
    return {"title": table.title, "rows": rows, "note": table.note}


def _json(value: Value) -> Any:
    if not isinstance(value, Interval):
        return value
    return {key: part if math.isfinite(part) else None for key, part in asdict(value).items()}


def table_csv(table: Table) -> str:
    """The table as CSV: an interval becomes four columns (mean, low, high, n); None and what is endless stay empty."""
    wide = {place for place in range(len(table.columns)) if any(isinstance(row[place], Interval) for row in table.rows)}
    names = [
        name
        for place, column in enumerate(table.columns)
        for name in ([column, *(f"{column} {part}" for part in ("low", "high", "n"))] if place in wide else [column])
    ]
    lines = [[part for place, value in enumerate(row) for part in _parts(value, place in wide)] for row in table.rows]
    return _written(names, lines)


def _parts(value: Value, wide: bool) -> list[Any]:
    if isinstance(value, Interval):
        return [part if math.isfinite(part) else "" for part in (value.mean, value.low, value.high, value.n)]
    return ["" if value is None else value, *(["", "", ""] if wide else [])]


def rows_csv(rows: Sequence[Row]) -> str:
    """All rows as CSV, a column a key; lists and dicts as JSON text, None empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [[_cell(row.get(name)) for name in names] for row in rows]
    return _written(names, lines)


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, dict)) else "" if value is None else value


def _written(names: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(lines)
    return buffer.getvalue()
