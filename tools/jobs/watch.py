"""Start one training job in a process of its own, watch it, and always come back with its final state.

A fault that passes by itself is tried once more, from the last checkpoint; tools.jobs.faults says which do. Clocks on the wall may
jump: a job is alive while its state changes. Knows processes and two files, job.json and state.json. Does not know torch, nor what
the job trains.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from prompts.errors import InputError, PalateError
from tools.files import save_json
from tools.jobs.cores import free_threads, wait_asleep
from tools.jobs.faults import ended_passing, signal_of, wait_for_room
from tools.lock import locked

State = dict[str, Any]
"""state (queued | running | done | failed), pid, heartbeat (epoch s, for people), beats (signs of life so far), encoding (what, done,
total), step, total, loss, losses, error, adapter, gate (pictures painted, then the verdict), threads; retried (why it was begun a
second time), passing (whether the error may be gone when it is run again); notes (what was left out, cut or converted, a line each)."""

ENDED = ("done", "failed")
_GRACE = 30.0
PAUSE = 1.0  # seconds that one look at a job counts for at most, besides the pause that is meant


@dataclass(frozen=True)
class Ended:
    """Why a job had to be ended, and whether that may be gone when it is run again."""

    why: str
    passing: bool = False


def new_state() -> State:
    """The state of a job that nobody has started."""
    return {
        "state": "queued", "pid": None, "heartbeat": time.time(), "beats": 0, "encoding": None, "step": 0,
        "total": 0, "loss": None, "losses": {}, "error": None, "adapter": None, "gate": None, "retried": None, "passing": False,
        "notes": [], "threads": os.environ.get("OMP_NUM_THREADS"),  # of the process that writes this: the last bits depend on it
    }  # fmt: skip


def read_state(folder: Path | str) -> State:
    """The job's last written state; a fresh one when nothing was written yet."""
    try:
        return {**new_state(), **json.loads((Path(folder) / "state.json").read_text())}
    except FileNotFoundError:
        return new_state()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one process at a time trains in `folder`; the kernel frees the lock however that process ends."""
    with locked(folder, f"another process is training in {str(folder)!r}: wait for it or stop it"):
        yield


def run_job(
    job: dict[str, Any],
    folder: Path | str,
    *,
    on_state: Callable[[State], None] | None = None,
    timeout: float | None = None,
    stale_after: float = 600.0,
    threads: int | None = None,
    poll: float = 0.2,
) -> State:
    """Run `job` (see tools.jobs.job.Job; relative paths count from the current directory) in a child process to its end.

    Writes job.json, state.json and job.log in `folder`; a folder used before continues from its checkpoints.
    `timeout`, `stale_after` (the longest silence allowed; loading a large model is silent) and `poll` are seconds;
    `threads`: CPU threads, None for those that are free; the state tells how many. However the child ends, the state returned is "done" or "failed" with an
    `error` that says why; a passing fault was then met twice. The child has its own process group and stops when this process dies.
    Raises InputError when `folder` cannot be written or another process trains there."""
    folder, watcher = Path(folder), Watcher(on_state, timeout, stale_after, poll)
    state = _once(job, folder, watcher, threads)
    if state["passing"] and not watcher.too_late():
        why = str(state["error"])
        _settle(job, folder, why)
        state = _once(job, folder, watcher, threads, retried=why)
    if on_state is not None:
        on_state(state)
    return state


def _once(
    job: dict[str, Any], folder: Path, watcher: Watcher, threads: int | None, retried: str | None = None
) -> State:
    """One child from its start to its end."""
    _prepare(job, folder, retried)
    with (folder / "job.log").open("ab") as log:
        child = _start(folder, threads, log, int(job.get("processes") or 1))
        try:
            reason = watcher.follow(child, folder)
        finally:
            _stop(child)
    return _final(folder, child.returncode, reason)


def _prepare(job: dict[str, Any], folder: Path, retried: str | None) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            save_json(folder / "job.json", job)
            save_json(folder / "state.json", new_state() | {"retried": retried}, durable=False)
    except OSError as error:
        raise InputError(f"job folder {str(folder)!r} cannot be written: {error}") from error


def _settle(job: dict[str, Any], folder: Path, why: str) -> None:
    """Before it is tried again: say so in the log, and let a full disk get room."""
    wait_for_room(Path(job["out"]))
    with contextlib.suppress(OSError), (folder / "job.log").open("a") as log:
        log.write(f"{why}\nThis may pass: tried once more, from the last checkpoint.\n")


def _start(folder: Path, threads: int | None, log: Any, processes: int) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[2])
    count = str(threads or max(1, free_threads() // processes))
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
    module = ["tools.jobs.together", str(processes)] if processes > 1 else ["tools.jobs.job"]
    command = [sys.executable, "-m", *module, str((folder / "job.json").resolve())]
    env["PALATE_PARENT"] = str(os.getpid())
    wait_asleep(env)
    return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


@dataclass
class Watcher:
    """Follows a job's processes, the second like the first: `timeout` is for both together, `stale_after` for each silence."""

    on_state: Callable[[State], None] | None
    timeout: float | None
    stale_after: float
    poll: float
    began: float = field(default_factory=time.monotonic)

    def too_late(self) -> bool:
        return self.timeout is not None and time.monotonic() - self.began > self.timeout

    def follow(self, child: subprocess.Popen[bytes], folder: Path) -> Ended | None:
        """Until the child ends by itself (None), or has to be ended (why)."""
        seen, silence, looked = None, 0.0, time.monotonic()
        while child.poll() is None:
            state = read_state(folder)
            silence += min(
                time.monotonic() - looked, PAUSE + self.poll
            )  # we may have slept ourselves, and the job with us
            looked = time.monotonic()
            if state != seen:
                silence, seen = 0.0, state
                if self.on_state is not None:
                    self.on_state(state)
            if self.too_late():
                return Ended(
                    f"the job took longer than its {self.timeout:g} s: allow more time or fewer steps, and run it again"
                )
            if silence >= self.stale_after:
                why = f"the job gave no sign of life for {self.stale_after:g} s and was ended: see job.log, and run it again"
                return Ended(why, passing=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(self.poll)
        return None


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then insist; with its whole process group, of which some may outlive the first."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if not _group_lives(child):
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        until = time.monotonic() + _GRACE
        while _group_lives(child) and time.monotonic() < until:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.05)
            time.sleep(0.0 if child.returncode is None else 0.05)


def _group_lives(child: subprocess.Popen[bytes]) -> bool:
    if child.poll() is None:
        return True
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return any(_is_of(child.pid, one) for one in psutil.process_iter())  # not only zombies that nobody collects


def _is_of(group: int, process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    return False


def _final(folder: Path, code: int, reason: Ended | None) -> State:
    state = read_state(folder)
    if state["state"] == "done":
        return state
    if reason is not None or state["state"] not in ENDED or signal_of(code) is not None:
        state |= {
            "state": "failed",
            "error": reason.why if reason else _how_it_died(folder, code, state),
            "heartbeat": time.time(),
        }
    state |= {"passing": reason.passing if reason else ended_passing(code)}
    with contextlib.suppress(PalateError):  # the disk may be what it died of
        save_json(folder / "state.json", state, durable=False)
    return state


def _how_it_died(folder: Path, code: int, state: State) -> str:
    sign = signal_of(code)
    name = sign.name if sign else ""
    how = f"was killed by {name}" if name else f"ended with exit code {code}"
    lines = (folder / "job.log").read_text(errors="replace").strip().splitlines()
    where = f"at step {state['step']} of {state['total']}" if state["total"] else "before training began"
    last = f"; the last line of job.log: {lines[-1][:300]!r}" if lines else ""
    memory = " (often: out of memory)" if name == "SIGKILL" else ""
    return f"the training process {how}{memory} {where}: run it again to continue{last}"
