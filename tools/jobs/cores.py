"""How many cores are free for a run, a training or a server, and that threads wait for each other asleep.

Two threads that meet at every operation are as slow as the slower one: beside other work a second thread makes a run ten times slower, not
faster. So the load is looked at when something starts, and it gets the threads that are free; the number is recorded with a run, because a
sum over more threads may differ in its last bit. And a thread that spins while it waits takes the core of the one that it waits for.
Knows the machine; does not know what is computed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK = 0.3  # seconds: thirty ticks of the clock that counts what a core does
ASKED = "OMP_NUM_THREADS"  # who sets it has decided
# Of OpenMP in general, Intel's (which vLLM brings) and GNU's (which torch brings). Read once, when the library is loaded.
ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds in a period, or "max"


def wait_asleep(environment: MutableMapping[str, str]) -> None:
    """Before torch is imported, or a process started: its threads must not spin. What is set already stays."""
    for name, value in ASLEEP.items():
        environment.setdefault(name, value)


def cores(quota: Path = QUOTA) -> int:
    """The cores that this process may use; a container's share of them, where it has one."""
    here = len(_allowed())
    with suppress(OSError, ValueError, ZeroDivisionError):
        share, period = quota.read_text().split()
        here = min(here, max(1, int(share) // int(period))) if share != "max" else here
    return here


def free_cores(seconds: float = LOOK) -> int:
    """Of those, how many nobody else keeps busy now: 1 at least. Looks for `seconds`, in which this thread is idle."""
    before = _idle()
    began = time.perf_counter()
    time.sleep(seconds)
    passed = time.perf_counter() - began
    idle = sum(min(1.0, (now - then) / passed) for then, now in zip(before, _idle(), strict=True))
    return max(1, min(cores(), int(idle + 0.5)))


def free_threads() -> int:
    """The threads to use: those that OMP_NUM_THREADS asks for, else as many as cores are free."""
    asked = os.environ.get(ASKED, "").split(",")[0]  # a list is for nested loops, the first counts
    return int(asked) if asked.isascii() and asked.isdecimal() and 0 < int(asked) < 10_000 else free_cores()


@contextmanager
def sharing(recorded: object = None) -> Iterator[int]:
    """Torch's threads inside: as many as are free, never more than it would take by itself.

    `recorded`: how many a run was made with, which is taken up again or made again; then as many, where there are cores for them.
    """
    import torch

    before = torch.get_num_threads()
    known = int(str(recorded)) if str(recorded).isdecimal() else 0
    wanted = known if 0 < known <= max(before, cores()) else min(before, free_threads())
    torch.set_num_threads(wanted)
    try:
        yield wanted
    finally:
        torch.set_num_threads(before)


def _allowed() -> Sequence[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


def _idle() -> list[float]:
    """Seconds that each core we may use has had nothing to do."""
    import psutil  # here: `palate logs` need not wait for it

    times = psutil.cpu_times(percpu=True)
    return [times[core].idle + getattr(times[core], "iowait", 0.0) for core in _allowed() if core < len(times)]
