"""A grid of cells: each is done once, by whichever process is free, and kept as one line of a file as soon as it is done.

Run again, it does only what is missing. The rows do not depend on how many processes there were, or on who was killed.
Knows files, signals and progress bars; not what a cell means.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from agent.bench.workers import Outcome, Work, outcomes
from agent.stopping import stoppable, stopped_by
from prompts.errors import InputError, PalateError
from tools.files import save_json

Row = dict[str, Any]
CELLS, SETTINGS = "cells.jsonl", "settings.json"
SILENCE = 30.0  # seconds between two lines where no bar can be drawn


class CellsFailed(PalateError):
    """Some cells failed; the others are done, and in `rows`."""

    def __init__(self, message: str, rows: list[Row]) -> None:
        super().__init__(message)
        self.rows = rows


def run_grid(
    cells: Sequence[Mapping[str, Any]],
    work: Work | str,
    out: Path,
    *,
    processes: int = 1,
    settings: Mapping[str, Any],
    on_cell: Callable[[Row], None] | None = None,
) -> list[Row]:
    """The rows of `cells`, in their order: each cell's own values and what `work` answered for it, as JSON keeps them.

    cells: dicts of JSON scalars. work: a function of one cell, of a module's top level (or "module:function"), that answers
    a dict of finite JSON values or numpy numbers; it may be a functools.partial. It is called in `processes` spawned
    processes with one thread each (0: in this one, to look for an error). `settings`: all else that the results depend on.
    `on_cell` hears each row as it comes.
    Raises: InputError when `out` holds other settings, is in use or damaged; CellsFailed at the end when cells failed, with
    their tracebacks; Stopped for SIGINT and SIGTERM. What is done stays done in every case.
    """
    if processes < 0:
        raise InputError(f"{processes!r} processes: give 1 or more")
    keys = [_key(cell) for cell in cells]
    with _alone(out):
        _settle(out, json.loads(json.dumps(settings)))
        done = _read(out / CELLS)
        missing = {key: dict(cell) for key, cell in zip(keys, cells, strict=True) if key not in done}
        failures = _carry_out(list(missing.values()), named(work), out, processes, done, len(set(keys)), on_cell)
    rows = [done[key] for key in keys if key in done]
    if failures:
        raise CellsFailed(_told(failures, len(set(keys))), rows)
    return rows


def named(work: Work | str) -> Work:
    """The function that "module:function" names, or what is a function already. Raises InputError."""
    if not isinstance(work, str):
        return work
    module, _, name = work.partition(":")
    try:
        found: Work = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"no work {work!r} ({error}): name it as module:function") from error
    return found


def read_rows(out: Path) -> list[Row]:
    """All rows that a folder keeps, in the order in which they were done. Raises InputError for a damaged file."""
    return list(_read(out / CELLS).values())


def _carry_out(
    cells: list[Row],
    work: Work,
    out: Path,
    processes: int,
    done: dict[str, Row],
    total: int,
    on_cell: Callable[[Row], None] | None,
) -> list[tuple[Row, str]]:
    """Does the cells, filling `done`; returns those that failed with their tracebacks."""
    failures = []
    with stoppable(), _appended(out / CELLS) as file, _bar(total - len(cells), total) as advance:
        try:
            for outcome in outcomes(work, cells, processes):
                cell = cells[outcome.place]
                if outcome.result is None:
                    failures.append((cell, str(outcome.failure)))
                else:
                    row = done[_key(cell)] = _keep(file, cell, outcome)
                    if on_cell is not None:
                        on_cell(row)
                advance()
        except KeyboardInterrupt as error:
            kept = total - sum(_key(cell) not in done for cell in cells)
            raise stopped_by(error, f"{kept} of {total} cells are done, and the same command goes on") from error
    return failures


def _keep(file: IO[bytes], cell: Row, outcome: Outcome) -> Row:
    """One line, on the disk before anything else happens."""
    result = json.loads(outcome.result or "{}")
    line = json.dumps({"cell": cell, "result": result, "seconds": round(outcome.seconds, 3)})
    try:
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise PalateError(
            f"cannot write {file.name!r} ({error.strerror}): make room, then run the same again."
        ) from error
    return {**cell, **result}


def _key(cell: Mapping[str, Any]) -> str:
    """What makes a cell that cell, whatever the order of its keys."""
    for name, value in cell.items():
        if not isinstance(value, (str, int, float, bool, type(None))):
            raise InputError(f"cell {dict(cell)!r}: its {name} is no string, number, true, false or null")
    return json.dumps(cell, sort_keys=True, allow_nan=False)


def _read(file: Path) -> dict[str, Row]:
    """The rows of a file by cell, without a last line that a killed process left unfinished."""
    if not file.exists():
        return {}
    found, lines = {}, file.read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        try:
            kept = json.loads(line)
            found[_key(kept["cell"])] = {**kept["cell"], **kept["result"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{str(file)!r}, line {number} is damaged ({error!r}): remove that line, and its cell is done again"
            ) from error
    return found


@contextmanager
def _appended(file: Path) -> Iterator[IO[bytes]]:
    """The file, open behind its last whole line."""
    with file.open("ab+") as stream:
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
        yield stream


def _settle(out: Path, settings: dict[str, Any]) -> None:
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
def _alone(out: Path) -> Iterator[None]:
    """One process writes a folder's cells. The kernel frees the lock however that process ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write in {str(out)!r} ({error.strerror}): give another --out") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another process is at work in {str(out)!r}: wait for it, or give another --out"
            ) from error
        yield


@contextmanager
def _bar(done: int, total: int) -> Iterator[Callable[[], None]]:
    """A bar with the time left; where none can be drawn, a line now and then."""
    console, spoke = Console(stderr=True), [time.monotonic()]
    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    # a cell may take minutes: its speed is that of the whole grid so far
    with Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=1e9) as progress:
        task = progress.add_task("cells", total=total, completed=done)

        def advance() -> None:
            progress.advance(task)
            if not console.is_terminal and time.monotonic() - spoke[0] >= SILENCE:
                spoke[0] = time.monotonic()
                console.print(f"{int(progress.tasks[0].completed)} of {total} cells", highlight=False)

        yield advance


def _told(failures: Sequence[tuple[Row, str]], total: int) -> str:
    """Every different traceback once, with the cells that ended in it."""
    by_trace: dict[str, list[Row]] = {}
    for cell, trace in failures:
        by_trace.setdefault(trace, []).append(cell)
    parts = [f"{len(failures)} of {total} cells failed; the others are kept, and the same command tries these again."]
    for trace, cells in by_trace.items():
        more = f" and {len(cells) - 2} more" if len(cells) > 2 else ""
        parts.append(f"{', '.join(json.dumps(cell) for cell in cells[:2])}{more}:\n{trace.rstrip()}")
    return "\n".join(parts)
