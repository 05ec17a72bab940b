"""What a command makes is its person's alone, and nothing of it stays in the temporary folder.

Knows permissions and temporary files, those of libraries included. Does not know what a command does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

OURS = 0o077  # folders 0700, files 0600: ratings and pictures are nobody else's business
PREFIX, HELD = "palate.", ".held"
SOCKETS, LONGEST = (
    "VLLM_RPC_BASE_PATH",
    60,
)  # vLLM's sockets have names of 37 characters, and their paths may have some hundred
CACHE = "TORCHINDUCTOR_CACHE_DIR"  # torch makes it when it is imported, and leaves it


@contextmanager
def private(*, shared: bool = False) -> Iterator[None]:
    """Inside, new files are for their owner only, unless what is made is to be `shared`; temporary ones are gone at the end.

    Those of a command that was killed go when the next one begins: the kernel has let go of its lock."""
    before = None if shared else os.umask(OURS)
    try:
        with _temporary():
            yield
    finally:
        if before is not None:
            os.umask(before)


@contextmanager
def _temporary() -> Iterator[None]:
    """A temporary folder of this command and its children, in the usual one. Without a usual one that can be written, none."""
    try:
        usual = Path(tempfile.gettempdir())
        sweep(usual)
        mine, held = _held(usual)
    except OSError:
        yield
        return
    kept, environment = tempfile.tempdir, {name: os.environ.get(name) for name in ("TMPDIR", CACHE, SOCKETS)}
    try:
        tempfile.tempdir = os.environ["TMPDIR"] = str(mine)
        if len(str(mine)) > LONGEST:
            os.environ.setdefault(SOCKETS, str(usual))
        yield
    finally:
        tempfile.tempdir = kept
        for name, value in environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        shutil.rmtree(mine, ignore_errors=True)
        held.close()


def _held(usual: Path) -> tuple[Path, IO[str]]:
    """A new folder, and the file in it whose lock says that it is in use. Raises OSError."""
    while True:
        mine = Path(tempfile.mkdtemp(prefix=PREFIX, dir=usual))
        held = (mine / HELD).open("w")
        fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held.fileno()).st_nlink:
            return mine, held
        held.close()  # another command swept it away before it was locked


def sweep(usual: Path) -> None:
    """Remove the temporary folders of our commands that have ended: nobody holds them any more."""
    for left in usual.glob(f"{PREFIX}*"):
        with suppress(OSError), (left / HELD).open("r+") as held:  # another person's is not ours to open
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
