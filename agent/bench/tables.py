"""Rows of a grid as tables (means with 95 % intervals, paired comparisons) and as what a picture of them shows.

formats.py writes tables, plots.py draws pictures.
What is averaged is people: the seeds of one rater are averaged first, because one person's runs resemble each other and
would otherwise make every interval too narrow. Knows no bench by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evaluators.numbers.search_metrics import reached
from evaluators.numbers.win_rate import Interval, mean_interval, win_rate
from prompts.errors import InputError

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
class Curves:
    """A line a name: where on the x axis, and the interval there. `level`: a dashed line, with its name."""

    xlabel: str
    ylabel: str
    lines: Mapping[str, Mapping[float, Interval]]
    level: tuple[str, float] | None = None
    title: str = ""


@dataclass(frozen=True)
class Bars:
    """A bar a name. `level` as above."""

    ylabel: str
    values: Mapping[str, Interval]
    level: tuple[str, float] | None = None
    title: str = ""


Panel = Curves | Bars


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


def passing_table(rows: Sequence[Row], passed: str, by_round: str, *, title: str) -> Table:
    """How many searches passed a mark, and in which round (`passed`, None where they never did) of those that `by_round` lists."""
    lines = []
    for name, some in groups(rows).items():
        limit = max(len(row[by_round]) for row in some)
        found = reached([row[passed] for row in some], limit)
        share = f"{100 * found.share:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"
        lines.append((str(name), share, found.median if found.median is not None else f"more than {limit}"))
    return Table(title, ("strategy", "searches that pass it", "rounds until then, median"), tuple(lines))
