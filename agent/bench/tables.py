"""Rows of a grid as tables: means with 95 % intervals, paired comparisons, Markdown, CSV, JSON and a terminal's.

What is averaged is people: the seeds of one rater are averaged first, because one person's runs resemble each other and
would otherwise make every interval too narrow. Knows no bench by name.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table as RichTable

from evaluators.win_rate import Interval, mean_interval, win_rate
from prompts.errors import InputError

if TYPE_CHECKING:
    from agent.bench.plots import Panel

Row = Mapping[str, Any]
Value = str | int | float | bool | Interval | None


@dataclass(frozen=True)
class Paired:
    """The `difference` to a baseline over the same raters and seeds, with its 95 % interval in it; `better`: the share of
    raters with whom it is above 0 (ties half), `low`..`high` its Wilson interval."""

    difference: Interval
    better: float
    low: float
    high: float


@dataclass(frozen=True)
class Table:
    """A title, the columns' names, rows of as many values, and a line below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.columns)]
        assert not wrong, f"{len(self.columns)} columns, but {wrong[0]!r}"


@dataclass(frozen=True)
class Report:
    """What a bench found. `plots`: file name without its suffix to the panels of one picture (agent.bench.plots)."""

    title: str
    tables: tuple[Table, ...]
    plots: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def groups(rows: Iterable[Row], by: str = "strategy") -> dict[Any, list[Row]]:
    """The rows by one of their values, in the order in which the values first come."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[by], []).append(row)
    return found


def per_unit(rows: Iterable[Row], value: str, unit: Sequence[str] = ("rater",)) -> dict[tuple[Any, ...], float]:
    """The mean of `value` in each unit (a rater, as a rule). Rows in which it is None or missing are left out."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        if row.get(value) is not None:
            found.setdefault(tuple(row[name] for name in unit), []).append(float(row[value]))
    return {key: float(np.mean(values)) for key, values in found.items()}


def mean(rows: Iterable[Row], value: str, unit: Sequence[str] = ("rater",)) -> Interval | None:
    """The mean of `value` over units with Student's 95 % interval; None where no row has it."""
    values = list(per_unit(rows, value, unit).values())
    return mean_interval(values) if values else None


def means(
    rows: Iterable[Row], value: str, by: str = "strategy", unit: Sequence[str] = ("rater",)
) -> dict[Any, Interval | None]:
    """The same for each group."""
    return {name: mean(some, value, unit) for name, some in groups(rows, by).items()}


def paired(
    rows: Iterable[Row],
    value: str,
    baseline: Any,
    by: str = "strategy",
    pair: Sequence[str] = ("rater", "seed"),
    unit: Sequence[str] = ("rater",),
) -> dict[Any, Paired | None]:
    """Every other group against the `baseline` group: differences of rows that agree in `pair`, averaged in each unit.
    None where no pair is whole.

    Raises: InputError when there is no such group, or a group has two rows for one pair.
    """
    grouped = groups(rows, by)
    if baseline not in grouped:
        raise InputError(f"no {by} {baseline!r} to compare with: there are {', '.join(map(repr, grouped))}")
    first = _by_pair(grouped[baseline], pair)
    found: dict[Any, Paired | None] = {}
    for name, some in grouped.items():
        if name != baseline:
            both = [(row, first[key]) for key, row in _by_pair(some, pair).items() if key in first]
            found[name] = _paired([{**row, "_less": _less(row, other, value)} for row, other in both], unit)
    return found


def _by_pair(rows: Iterable[Row], pair: Sequence[str]) -> dict[tuple[Any, ...], Row]:
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[name] for name in pair)
        if key in found:
            raise InputError(f"two rows for {dict(zip(pair, key, strict=True))!r}: filter them, or name more in `pair`")
        found[key] = row
    return found


def _less(row: Row, other: Row, value: str) -> float | None:
    one, two = row.get(value), other.get(value)
    return None if one is None or two is None else float(one) - float(two)


def _paired(rows: list[Row], unit: Sequence[str]) -> Paired | None:
    differences = list(per_unit(rows, "_less", unit).values())
    if not differences:
        return None
    better = win_rate(differences, [0.0] * len(differences))
    return Paired(mean_interval(differences), better.rate, better.low, better.high)


def mean_table(
    rows: Sequence[Row],
    values: Mapping[str, str],
    *,
    title: str,
    by: str = "strategy",
    unit: Sequence[str] = ("rater",),
    note: str = "",
) -> Table:
    """A line a group; `values`: the rows' key to the column's heading. The last column counts units."""
    lines = []
    for name, some in groups(rows, by).items():
        counted = len({tuple(row[part] for part in unit) for row in some})
        lines.append((str(name), *(mean(some, value, unit) for value in values), counted))
    return Table(title, (by, *values.values(), "n"), tuple(lines), note)


def paired_table(
    rows: Sequence[Row],
    values: Mapping[str, str],
    baseline: Any,
    *,
    title: str,
    by: str = "strategy",
    pair: Sequence[str] = ("rater", "seed"),
    unit: Sequence[str] = ("rater",),
    note: str = "",
) -> Table:
    """A line a group and value: its difference to the baseline, and the share of units in which it is above."""
    found = {value: paired(rows, value, baseline, by, pair, unit) for value in values}
    lines: list[tuple[Value, ...]] = []
    for name in [name for name in groups(rows, by) if name != baseline]:
        for value, heading in values.items():
            one = found[value][name]
            share = None if one is None else Interval(one.better, one.low, one.high, one.difference.n)
            lines.append((str(name), heading, None if one is None else one.difference, share))
    columns = (by, "what", f"difference to {baseline}", "share above it")
    return Table(title, columns, tuple(lines), note)


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
    """The table for a terminal (rich)."""
    shown = RichTable(title=table.title, title_justify="left", caption=table.note or None, caption_justify="left")
    for place, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if place == 0 else "right", no_wrap=place == 0)
    for row in table.rows:
        shown.add_row(*(text(value).replace("[", "\\[") for value in row))
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
