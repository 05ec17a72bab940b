"""What a bench leaves behind: report.md, report.json, CSV of the cells and of each table, and its pictures; and what it tells."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from agent.bench.formats import markdown, plain, rows_csv, table_csv, terminal
from agent.bench.plots import draw
from agent.bench.tables import Report, Row
from prompts.ground.atomic import write_atomically
from prompts.ground.clean import legible
from prompts.ground.console import make_console
from tools.files import save_json

if TYPE_CHECKING:
    from rich.console import Console


def write(report: Report, rows: Sequence[Row], out: Path, *, as_json: bool, console: Console | None = None) -> None:
    """Write everything into `out`, and tell the tables: to a person, or as one JSON object."""
    found = save(report, rows, out)
    console = console or make_console()
    if as_json:
        console.file.write(json.dumps(found) + "\n")
        return
    console.print(Text(report.title, "bold"))
    for table in report.tables:
        console.print(terminal(table))
    for note in report.notes:
        console.print(note)
    console.print(f"tables, CSV and {len(report.plots)} pictures: {out}", soft_wrap=True)


def save(report: Report, rows: Sequence[Row], out: Path) -> dict[str, Any]:
    """The files; answers what report.json holds. Raises PalateError when one cannot be written."""
    files = ["cells.csv"]
    write_atomically(out / "cells.csv", rows_csv(rows).encode())
    for number, table in enumerate(report.tables, 1):
        files.append(f"table-{number}-{_name(table.title)}.csv")
        write_atomically(out / files[-1], table_csv(table).encode())
    pictures = [draw(panels, out / f"{name}.png").name for name, panels in report.plots.items()]
    parts = [f"# {report.title}", *map(markdown, report.tables), *report.notes]
    parts += [f"![{name}]({name})" for name in pictures]
    write_atomically(out / "report.md", legible("\n\n".join(part.rstrip() for part in parts)) + "\n")
    tables = [plain(table) for table in report.tables]
    found = {"title": report.title, "out": str(out), "cells": len(rows), "tables": tables, "notes": list(report.notes)}
    found |= {"files": ["report.md", *files, *pictures]}
    save_json(out / "report.json", found)
    return found


def _name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-")
