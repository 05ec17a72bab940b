"""Python in a process of its own, and whether a process still runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.places import ROOT


def run_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start `code` in the clone, with all its streams in our hands."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lives(pid: int) -> bool:
    """Whether the process runs; one that ended and that nobody has collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether the process has ended, now or within so many seconds."""
    end = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not lives(pid)
