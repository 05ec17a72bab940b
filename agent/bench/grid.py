"""A grid of cells: each is done once, by whichever process is free, and kept as one line of a file as soon as it is done.

Run again, it does only what is missing. The rows do not depend on how many processes there were, or on who was killed.
Knows files, signals and progress bars; not what a cell means.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.bench.kept import CELLS, Row, alone, appended, keep, key, read, settle
from agent.bench.workers import Work, outcomes
from agent.stopping import stoppable, stopped_by
from prompts.errors import InputError, PalateError
from prompts.ground.console import bars

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
    keys = [key(cell) for cell in cells]
    with alone(out):
        settle(out, json.loads(json.dumps(settings)))
        done = read(out / CELLS)
        missing = {name: dict(cell) for name, cell in zip(keys, cells, strict=True) if name not in done}
        failures = _carry_out(list(missing.values()), named(work), out, processes, done, len(set(keys)), on_cell)
    rows = [done[name] for name in keys if name in done]
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
    with stoppable(), appended(out / CELLS) as file, _bar(total - len(cells), total) as advance:
        try:
            for outcome in outcomes(work, cells, processes):
                cell = cells[outcome.place]
                if outcome.result is None:
                    failures.append((cell, str(outcome.failure)))
                else:
                    row = done[key(cell)] = keep(file, cell, json.loads(outcome.result), outcome.seconds)
                    if on_cell is not None:
                        on_cell(row)
                advance()
        except KeyboardInterrupt as error:
            kept = total - sum(key(cell) not in done for cell in cells)
            raise stopped_by(error, f"{kept} of {total} cells are done, and the same command goes on") from error
    return failures


@contextmanager
def _bar(done: int, total: int) -> Iterator[Callable[[], None]]:
    """A bar with the time left; where none can be drawn, a line now and then."""
    spoke = [time.monotonic()]
    # a cell may take minutes: its speed is that of the whole grid so far
    with bars(left=True, speed_over=1e9) as progress:
        task = progress.add_task("cells", total=total, completed=done)

        def advance() -> None:
            progress.advance(task)
            if progress.disable and time.monotonic() - spoke[0] >= SILENCE:
                spoke[0] = time.monotonic()
                progress.console.print(f"{int(progress.tasks[0].completed)} of {total} cells")

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
