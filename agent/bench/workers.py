"""Processes that do one cell after another, each with an interpreter and one thread of its own.

Spawned, never forked: a fork of a process that has used torch may hang. A process that is killed costs its cell, no other;
one whose owner is killed ends at once. Knows nothing of files, and not what a cell means.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from agent.llm.leash import PR_SET_PDEATHSIG
from prompts.errors import PalateError
from tools.jobs.cores import wait_asleep

Work = Callable[[dict[str, Any]], Mapping[str, Any]]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SPAWN = multiprocessing.get_context("spawn")


class Outcome(NamedTuple):
    """What became of the cell at `place`: `result` as JSON text, or `failure`, a traceback. `seconds` by the clock."""

    place: int
    result: str | None
    failure: str | None
    seconds: float


class _Worker:
    """One process, our end of its pipe, and the place of the cell that it is at."""

    def __init__(self, work: Work) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(work, theirs, os.getpid()), daemon=True)
        with _one_thread():
            self.process.start()
        theirs.close()  # so that ours says when theirs is closed
        self.place, self.ready = -1, False

    def end(self) -> None:
        self.process.kill()  # it holds nothing that could be left half done
        self.process.join()
        self.pipe.close()


def outcomes(work: Work, cells: Sequence[dict[str, Any]], processes: int) -> Iterator[Outcome]:
    """Do `work` for every cell, in up to `processes` processes at once (0: here, one after the other), and yield each
    outcome as it comes. Leaving early, or an error raised here, ends them all.

    Raises: PalateError when a process cannot even start.
    """
    if processes == 0:
        yield from (_done(work, place, cell) for place, cell in enumerate(cells))
        return
    waiting, workers = deque(enumerate(cells)), dict[Connection, _Worker]()
    try:
        while waiting or workers:
            while _another(workers, processes, len(waiting)):
                worker = _Worker(work)
                workers[worker.pipe] = worker
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                yield from _heard(workers, pipe, waiting)
    finally:
        for worker in workers.values():
            worker.end()


def _another(workers: Mapping[Connection, _Worker], processes: int, waiting: int) -> bool:
    """Whether to start one more process: those that are still starting take a cell each, too."""
    return len(workers) < processes and sum(not worker.ready for worker in workers.values()) < waiting


def _heard(
    workers: dict[Connection, _Worker], pipe: Connection, waiting: deque[tuple[int, dict[str, Any]]]
) -> Iterator[Outcome]:
    """What a process said: that it is ready, what became of its cell, or nothing because it has ended."""
    worker = workers[pipe]
    try:
        said = pipe.recv_bytes()
    except (EOFError, ConnectionError):
        del workers[pipe]
        worker.process.join()
        code = worker.process.exitcode
        worker.end()
        if not worker.ready:
            raise PalateError(
                f"A process of the bench could not start (exit code {code}): see the error above."
            ) from None
        yield Outcome(worker.place, None, f"its process ended with exit code {code}, without a word\n", 0.0)
        return
    if worker.ready:
        yield Outcome(worker.place, *json.loads(said))
    worker.ready = True
    if not waiting:
        del workers[pipe]
        worker.end()
        return
    worker.place, cell = waiting.popleft()
    pipe.send_bytes(json.dumps(cell).encode())


def _serve(work: Work, pipe: Connection, owner: int) -> None:
    """A process's whole life: cell after cell, until the pipe is closed or the owner ends."""
    _leashed(owner)
    os.dup2(2, 1)  # what a library prints is not the command's output
    pipe.send_bytes(b"ready")
    while True:
        try:
            cell = json.loads(pipe.recv_bytes())
        except (EOFError, ConnectionError):
            return
        pipe.send_bytes(json.dumps(_done(work, 0, cell)[1:]).encode())


def _leashed(owner: int) -> None:
    """Ctrl-C is the owner's to hear; its death is ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != owner:  # it ended before it could be waited for
        sys.exit(1)


def _done(work: Work, place: int, cell: dict[str, Any]) -> Outcome:
    began = time.perf_counter()
    try:
        found = work(dict(cell))
        twice = sorted(cell.keys() & found.keys())
        if twice:
            raise ValueError(f"the result has keys of its cell, {twice!r}: name them otherwise")
        result = json.dumps(dict(found), default=_plain, allow_nan=False)
    except Exception:
        return Outcome(place, None, traceback.format_exc(), time.perf_counter() - began)
    return Outcome(place, result, None, time.perf_counter() - began)


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as Python's. Raises TypeError for what is no JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} is no JSON value: give numbers, strings, lists and dicts")


@contextmanager
def _one_thread() -> Iterator[None]:
    """What is started inside has one thread: with more, sums are taken in another order, and processes get in each other's way."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    wait_asleep(os.environ)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
