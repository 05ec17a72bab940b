"""One process at a time in a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prompts.errors import InputError


@contextmanager
def locked(folder: Path, taken: str) -> Iterator[None]:
    """Hold the lock of `folder`, which is there; the kernel frees it however this process ends.

    Raises: InputError(taken) when another process holds it; OSError where no file can be written."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(taken) from error
        yield
