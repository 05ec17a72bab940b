"""Files that are whole or absent, whatever happens while they are written.

Knows paths and full disks. Does not know what is in a file. It stands in the lowest house because trainers, tools and the agent
all write so.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from pathlib import Path

from prompts.errors import PalateError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PART_NAME = re.compile(r"\.(?:checkpoint-\d+|final|model)\.(\d+)")  # folders that a training writes and then renames
UNFINISHED_NAME = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}\.tmp")  # as `write_atomically` names them, with its process id


def write_atomically(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write `data` to `path`, making its folder: after a crash the old file or the new one is there, never a part.

    `durable`: also after a power cut; without it ten times quicker, for what is written at every step.
    Raises: PalateError naming the path, and the free space when the disk is full; nothing is left behind.
    """
    content = data.encode() if isinstance(data, str) else data
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(unfinished, content, durable)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise PalateError(_why_not_written(path, len(content), error)) from error


def abandoned(folder: Path) -> list[Path]:
    """Unfinished files and a training's unfinished folders anywhere below `folder` whose process has ended.

    What is not named as ours is left alone."""
    return [path for path in folder.rglob(".*") if _is_abandoned(path.name)]


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; it may be gone. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, data: bytes, durable: bool) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why_not_written(path: Path, wanted: int, error: OSError) -> str:
    if error.errno not in FULL:
        return f"cannot write {str(path)!r} ({error.strerror}): check that the folder exists and is yours."
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    free = shutil.disk_usage(folder).free / 2**20
    return (
        f"no room to write {str(path)!r}: {wanted / 2**20:.1f} MiB wanted, {free:.1f} MiB free ({error.strerror}): "
        "make room on the disk, then run again."
    )


def _is_abandoned(name: str) -> bool:
    matched = UNFINISHED_NAME.fullmatch(name) or PART_NAME.fullmatch(name)
    if matched is None:
        return False
    try:
        os.kill(int(matched[1]), 0)  # signal 0 only asks whether the process is there
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return int(matched[1]) == os.getpid()
