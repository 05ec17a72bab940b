"""Which faults of a training pass by themselves: these are tried once more, and never use a training up for good.

Knows errors, and how processes end. Does not know what is trained, nor who waits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from prompts.errors import InputError
from prompts.ground.atomic import FULL

LASTING, PASSING = (
    1,
    75,
)  # exit status: the second is EX_TEMPFAIL, "try again". A full disk cannot keep it from being told.
ROOM, PATIENCE = 2**20, 60.0  # bytes that must fit, and for how many seconds that is waited for
_TRANSIENT = FULL | {
    errno.EIO, errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT, errno.ENOBUFS, errno.EINTR,
    errno.ECONNRESET, errno.EPIPE, errno.EBUSY, errno.ETXTBSY,
}  # fmt: skip
_OF_LIBRARIES = ("OutOfMemoryError", "AcceleratorError", "DistNetworkError", "DistBackendError")  # torch's
_IN_WORDS = re.compile(r"os error (\d+)|can't allocate memory|CUDA error")  # safetensors', and those without a class


def passes(error: BaseException) -> bool:
    """Whether the same may succeed when it is tried again: the disk, memory or a device failed, and not what was asked."""
    if isinstance(error, InputError):
        return False
    return any(_passes(one) for one in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _passes(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ in _OF_LIBRARIES:
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _TRANSIENT
    said = _IN_WORDS.search(str(error))
    return said is not None and (said[1] is None or int(said[1]) in _TRANSIENT)


def signal_of(status: int) -> signal.Signals | None:
    """The signal that ended a process: as Popen has it (-9), or as shells and our own launcher do (137)."""
    try:
        return signal.Signals(-status if status < 0 else status - 128) if status < 0 or status > 128 else None
    except ValueError:
        return None


def ended_passing(status: int) -> bool:
    """Whether a process that left with `status` was taken away, or says that trying again may help."""
    return status == PASSING or signal_of(status) is not None


def wait_for_room(folder: Path, patience: float = PATIENCE) -> bool:
    """Wait until something can be written below `folder`; whether it can. A disk that is full for a moment gets that moment."""
    until = time.monotonic() + patience
    while not _has_room(folder):
        if time.monotonic() > until:
            return False
        time.sleep(min(1.0, patience))
    return True


def _has_room(folder: Path) -> bool:
    probe = folder / f".room.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0" * ROOM)
        with probe.open("rb") as written:
            os.fsync(written.fileno())  # quotas and network disks say it late
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return True
