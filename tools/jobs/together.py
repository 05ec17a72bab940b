"""Several processes of one job, on this machine alone: `python -m tools.jobs.together 2 job.json`. Together they are one.

They meet in a file and speak over loopback: the launchers that come with torch and accelerate meet at a port that is open to the
whole network. When one of them ends, so do the others. Knows processes. Does not know torch, nor what the job trains.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.jobs.loopback import only_loopback

MEETING = "PALATE_MEETING"  # the file in which they find each other
PARENT = "PALATE_PARENT"
_ALONE_S, _GRACE_S = 3.0, 20.0  # what the others get to end by themselves, and then after being asked
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Run the job file in so many processes; the status of the one that ended first with another than 0 (128 + its signal)."""
    count, file = int(arguments[0]), Path(arguments[1]).resolve()
    meeting = file.with_name(".meeting")
    meeting.unlink(missing_ok=True)
    ours: list[subprocess.Popen[bytes]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _ask(ours))
    if not leaves_with(os.environ.get(PARENT)):
        return 1
    try:
        ours.extend(_started(rank, count, file, meeting) for rank in range(count))
        return _waited(ours)
    finally:
        _ended(ours)
        meeting.unlink(missing_ok=True)


def _started(rank: int, count: int, file: Path, meeting: Path) -> subprocess.Popen[bytes]:
    env = os.environ | only_loopback() | {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        MEETING: str(meeting), PARENT: str(os.getpid()),
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-m", "tools.jobs.job", str(file)], env=env, stdin=subprocess.DEVNULL)


def _waited(ours: Sequence[subprocess.Popen[bytes]]) -> int:
    """Until all are done, or one is not; then the others get a moment, in which the first writes down what went wrong."""
    while all(one.poll() in (None, 0) for one in ours):
        if all(one.poll() == 0 for one in ours):
            return 0
        time.sleep(0.05)
    until = time.monotonic() + _ALONE_S
    while any(one.poll() is None for one in ours) and time.monotonic() < until:
        time.sleep(0.05)
    status = [one.returncode for one in ours if one.poll()]
    worst = min(status) if min(status) < 0 else status[0]  # who was killed explains why the others failed
    return worst if worst > 0 else 128 - worst


def _ask(ours: Sequence[subprocess.Popen[bytes]]) -> None:
    for one in ours:
        with contextlib.suppress(ProcessLookupError):
            one.terminate()


def _ended(ours: Sequence[subprocess.Popen[bytes]]) -> None:
    _ask([one for one in ours if one.poll() is None])
    until = time.monotonic() + _GRACE_S
    for one in ours:
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.wait(max(0.0, until - time.monotonic()))
        one.kill()
        one.wait()


def leaves_with(parent: str | None) -> bool:
    """Let SIGTERM come by itself when the process `parent` dies (Linux); False when it has died before we asked."""
    if not parent:
        return True
    if sys.platform == "linux":
        library: Any = ctypes.CDLL(None)
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == int(parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
