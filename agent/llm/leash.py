"""Runs a command that must not outlive who asked for it: `python leash.py PID COMMAND...`.

Even when process PID is killed outright, the command and everything it started (all of this process group) ends within
seconds. Standard library only; knows nothing of what it runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
GRACE = 5.0  # seconds between asking the group to end and making it


def main(arguments: list[str]) -> int:
    """Exit status of the command (128 + the signal that ended it)."""
    owner, command = int(arguments[0]), arguments[1:]
    signal.signal(signal.SIGTERM, lambda *_: None)  # a signal for the whole group: we leave when the command has
    signal.signal(signal.SIGINT, lambda *_: None)
    child = subprocess.Popen(command, preexec_fn=_die_with_us)
    while child.poll() is None:
        if os.getppid() != owner:
            _end_group(child)
        time.sleep(0.1)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _die_with_us() -> None:
    """In the child, before it becomes the command: should this process be killed, the command is told to end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Ends this process group, this process with it."""
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
