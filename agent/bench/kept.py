"""A bench's folder: its settings, and its cells as lines that are on the disk as soon as they are done.

One process writes at a time. What a killed process left unfinished is dropped, whatever else is wrong is told by name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from prompts.errors import InputError, PalateError
from tools.files import save_json
from tools.lock import locked

Row = dict[str, Any]
CELLS, SETTINGS = "cells.jsonl", "settings.json"


def read_rows(out: Path) -> list[Row]:
    """All rows that a folder keeps, in the order in which they were done. Raises InputError for a damaged file."""
    return list(read(out / CELLS).values())


def key(cell: Mapping[str, Any]) -> str:
    """What makes a cell that cell, whatever the order of its keys."""
    for name, value in cell.items():
        if not isinstance(value, (str, int, float, bool, type(None))):
            raise InputError(f"cell {dict(cell)!r}: its {name} is no string, number, true, false or null")
    return json.dumps(cell, sort_keys=True, allow_nan=False)


def read(file: Path) -> dict[str, Row]:
    """The rows of a file by cell, without a last line that a killed process left unfinished."""
    if not file.exists():
        return {}
    found, lines = {}, file.read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        try:
            kept = json.loads(line)
            found[key(kept["cell"])] = {**kept["cell"], **kept["result"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{str(file)!r}, line {number} is damaged ({error!r}): remove that line, and its cell is done again"
            ) from error
    return found


@contextmanager
def appended(file: Path) -> Iterator[IO[bytes]]:
    """The file, open behind its last whole line."""
    with file.open("ab+") as stream:
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
        yield stream


def keep(file: IO[bytes], cell: Row, result: Row, seconds: float) -> Row:
    """Write one line, on the disk before anything else happens, and answer the row. Raises PalateError."""
    line = json.dumps({"cell": cell, "result": result, "seconds": round(seconds, 3)})
    try:
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise PalateError(
            f"cannot write {file.name!r} ({error.strerror}): make room, then run the same again."
        ) from error
    return {**cell, **result}


def settle(out: Path, settings: dict[str, Any]) -> None:
    """Keep the settings beside the cells. Raises InputError naming what differs from those that are there."""
    kept, cells = out / SETTINGS, out / CELLS
    if not cells.exists() or not cells.stat().st_size:
        save_json(kept, settings)
        return
    try:
        before = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(out)!r} has cells but no readable {SETTINGS} ({error}): give another --out") from error
    for name in sorted(before.keys() | settings.keys()):
        if before.get(name) != settings.get(name):
            raise InputError(
                f"{str(out)!r} holds a bench with other settings: its {name} was {before.get(name)!r:.200}, now "
                f"{settings.get(name)!r:.200}: give another --out, or the same settings to go on with it"
            )


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """One process writes a folder's cells. The kernel frees the lock however that process ends."""
    taken = f"another process is at work in {str(out)!r}: wait for it, or give another --out"
    with ExitStack() as held:
        try:
            out.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(out, taken))
        except OSError as error:
            raise InputError(f"cannot write in {str(out)!r} ({error.strerror}): give another --out") from error
        yield
