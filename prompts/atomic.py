"""Files that are whole or absent, whatever happens while they are written; and a person's files, ordinary and of a size, or refused.

Knows paths and full disks. Does not know what is in a file. It stands in the lowest house because trainers, tools and the agent
all write so.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from pathlib import Path

from prompts.errors import InputError, PalateError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)  # fmt: skip
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


def ordinary(path: Path, what: str) -> Path:
    """`path`, where a file lies that ends when it is read; `what` it is to the person ("config"). Nothing is opened: a pipe waits for ever.

    Raises InputError for a folder, a pipe, a socket, a device, for what is not there and for a name that no file can have."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{what} {_short(path)} cannot be read ({why}): give the path of a file that is there"
        ) from error
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in KINDS if test(mode)), "no file")
        raise InputError(f"{what} {_short(path)} cannot be read, it is {kind}: give the path of an ordinary file")
    return path


def nameable(name: str) -> str:
    """`name` as it is. Raises ValueError for one that no file can have (too long, a NUL), and for the home of somebody unknown."""
    longest = max(len(part.encode(errors="replace")) for part in name.split("/"))
    if longest > 255 or len(name) > 4000 or "\0" in name:
        raise ValueError("no file or folder can have such a name: a part of a path has 255 bytes at most, and no NUL")
    if name.startswith("~") and os.path.expanduser(name) == name:
        raise ValueError("nobody of that name has a home here: write the path out")
    return name


def read_whole(path: Path, what: str, most: int) -> bytes:
    """All of an ordinary file. Raises InputError as `ordinary` does, and for one of more than `most` bytes, of which no more are read."""
    try:
        with ordinary(path, what).open("rb") as file:
            found = file.read(most + 1)
    except OSError as error:
        raise InputError(
            f"{what} {_short(path)} cannot be read ({error.strerror}): check that it is yours to read"
        ) from error
    if len(found) > most:
        raise InputError(
            f"{what} {_short(path)} cannot be read, it is larger than {most:,} bytes: take out what it does not need"
        )
    return found


def read_text(path: Path, what: str, most: int) -> str:
    """The text of an ordinary file in UTF-8, with or without its mark. Raises InputError as `read_whole` does, and for another encoding."""
    data = read_whole(path, what, most)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
        raise InputError(f"{what} {_short(path)} cannot be read, it is UTF-16: save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, wrong = data.count(b"\n", 0, error.start) + 1, data[error.start]
        raise InputError(
            f"{what} {_short(path)} cannot be read, line {line}: the byte 0x{wrong:02x} is not UTF-8: save it as UTF-8"
        ) from error


def _short(path: Path) -> str:
    said = repr(str(path))
    return said if len(said) <= 300 else f"{said[:120]}... ({len(said):,} characters)"


def abandoned(folder: Path) -> list[Path]:
    """Unfinished files anywhere below `folder` whose process has ended. Files that are not named as ours are left alone."""
    return [path for path in folder.rglob(".*.tmp") if _is_abandoned(path.name)]


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
    matched = UNFINISHED_NAME.fullmatch(name)
    if matched is None:
        return False
    try:
        os.kill(int(matched[1]), 0)  # signal 0 only asks whether the process is there
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return int(matched[1]) == os.getpid()
