"""Python in a process of its own, whether a process still runs, and which sockets it has."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Self

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


Socket = tuple[str, str, str]
"""tcp or udp, its own address, and its state."""


def sockets_of(pid: int) -> set[Socket]:
    """Every internet socket that the process and all that it started have now."""
    import psutil

    found: set[Socket] = set()
    with suppress(psutil.Error):
        for one in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            with suppress(psutil.Error):
                found |= {
                    (
                        "udp" if each.type == socket.SOCK_DGRAM else "tcp",
                        each.laddr.ip if each.laddr else "*",
                        each.status,
                    )
                    for each in one.net_connections(kind="inet")
                }
    return found


class Ear:
    """A context manager that notes every socket of a process tree while it is inside. `bound`: those that others could reach or hear."""

    def __init__(self, pid: int) -> None:
        self.pid, self.heard, self._done = pid, set[Socket](), threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _listen(self) -> None:
        while True:
            self.heard |= sockets_of(self.pid)
            if self._done.wait(0.03):
                return

    @property
    def bound(self) -> set[Socket]:
        """Listening ones, and all of UDP."""
        return {one for one in self.heard if one[0] == "udp" or one[2] == "LISTEN"}

    @property
    def open_to_others(self) -> set[Socket]:
        return {
            one for one in self.bound if not ip_address(one[1].partition("%")[0].replace("*", "0.0.0.0")).is_loopback
        }
