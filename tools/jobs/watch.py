"""Start one training job in a process of its own, watch it, and always come back with its final state.

Knows processes and two files, job.json and state.json. Does not know torch, nor what the job trains.
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
from pathlib import Path
from typing import Any

from prompts.errors import InputError, PalateError
from tools.files import save_json
from tools.jobs.cores import free_threads, wait_asleep
from tools.lock import locked

State = dict[str, Any]
"""state (queued | running | done | failed), pid, heartbeat (epoch s), encoding (what, done, total), step, total, loss, losses, error,
adapter, gate (pictures painted, then the verdict), threads."""

ENDED = ("done", "failed")
_GRACE = 30.0


def new_state() -> State:
    """The state of a job that nobody has started."""
    return {
        "state": "queued", "pid": None, "heartbeat": time.time(), "encoding": None, "step": 0,
        "total": 0, "loss": None, "losses": {}, "error": None, "adapter": None, "gate": None,
        "threads": os.environ.get("OMP_NUM_THREADS"),  # of the process that writes this: the last bits depend on it
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
    `error` that says why. The child has its own process group and stops when this process dies. Raises InputError when
    `folder` cannot be written or another process trains there."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            save_json(folder / "job.json", job)
            save_json(folder / "state.json", new_state(), durable=False)
    except OSError as error:
        raise InputError(f"job folder {str(folder)!r} cannot be written: {error}") from error
    with (folder / "job.log").open("ab") as log:
        child = _start(folder, threads, log, int(job.get("processes") or 1))
        try:
            reason = _watch(child, folder, on_state, timeout, stale_after, poll)
        finally:
            _stop(child)
    return _final(folder, child.returncode, reason, on_state)


def _start(folder: Path, threads: int | None, log: Any, processes: int) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[2])
    count = str(threads or max(1, free_threads() // processes))
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
    # what `accelerate launch` starts on GPUs, and on a CPU it would start one process only
    launch = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    )
    command = [sys.executable, *launch, "-m", "tools.jobs.job", str((folder / "job.json").resolve())]
    env["PALATE_PARENT"] = str(os.getpid())
    wait_asleep(env)
    return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _watch(
    child: subprocess.Popen[bytes],
    folder: Path,
    on_state: Callable[[State], None] | None,
    timeout: float | None,
    stale_after: float,
    poll: float,
) -> str | None:
    """Follow the child until it ends (None), or until it has to be ended (why)."""
    started, seen = time.monotonic(), None
    while child.poll() is None:
        state = read_state(folder)
        if on_state is not None and state != seen:
            on_state(state)
        seen = state
        if timeout is not None and time.monotonic() - started > timeout:
            return f"the job took longer than its {timeout:g} s: allow more time or fewer steps, and run it again"
        if time.time() - state["heartbeat"] > stale_after:
            return f"the job gave no sign of life for {stale_after:g} s and was ended: see job.log, and run it again"
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(poll)
    return None


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then insist; with its whole process group."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)


def _final(folder: Path, code: int, reason: str | None, on_state: Callable[[State], None] | None) -> State:
    state = read_state(folder)
    if state["state"] not in ENDED or (reason and state["state"] != "done"):
        state |= {"state": "failed", "error": reason or _how_it_died(folder, code, state), "heartbeat": time.time()}
        with contextlib.suppress(PalateError):  # the disk may be what it died of
            save_json(folder / "state.json", state, durable=False)
    if on_state is not None:
        on_state(state)
    return state


def _how_it_died(folder: Path, code: int, state: State) -> str:
    name = signal.Signals(-code).name if code < 0 else ""
    how = f"was killed by {name}" if name else f"ended with exit code {code}"
    lines = (folder / "job.log").read_text(errors="replace").strip().splitlines()
    where = f"at step {state['step']} of {state['total']}" if state["total"] else "before training began"
    last = f"; the last line of job.log: {lines[-1][:300]!r}" if lines else ""
    memory = " (often: out of memory)" if name == "SIGKILL" else ""
    return f"the training process {how}{memory} {where}: run it again to continue{last}"
