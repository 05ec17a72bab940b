"""A person's files: ordinary, of a size, UTF-8; or refused by name.

Read as UTF-8 and nothing else: a guess would turn somebody's letters into others without a word. Limits can be raised. Does not know what
is in a file. It stands in the lowest house because every house is given files.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from prompts.errors import InputError

KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)  # fmt: skip
MOST_TEXT = (
    "PALATE_MOST_TEXT",
    64 * 2**20,
)  # bytes of a file that is read whole, and of one line of a file that is read by lines
_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip


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


def limit(one: tuple[str, int]) -> int:
    """A limit: the number that its environment variable says, or its own. Raises InputError for what is no number."""
    name, usual = one
    said = os.environ.get(name, "")
    if said and not (said.isascii() and said.isdecimal() and 0 < len(said) < 19):
        raise InputError(f"{name} = {said!r:.80} is no limit: give a whole number, {usual} as a rule")
    return int(said) if said else usual


def read_text(path: Path, what: str, most: int | None = None) -> str:
    """The text of a file, whole, its byte order mark aside. `what` it is, for messages; `most`: bytes, where the usual limit is not meant.

    Raises InputError for a file that cannot be read, is too large, or is not UTF-8."""
    usual, most = most is None, most or limit(MOST_TEXT)
    with _opened(path, what) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise InputError(_too_long(f"{what} {_short(path)}", most, raised=usual))
    return decoded(data, f"{what} {_short(path)}")


def lines_in(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, read as they are needed; ended by whatever system's mark. Raises as `read_text`."""
    most, number, where = limit(MOST_TEXT), 0, f"{what} {_short(path)}"
    with _opened(path, what) as stream:
        while line := stream.readline(most + 1):
            if len(line) > most:
                raise InputError(_too_long(f"line {number + 1} of {where}", most))
            text = decoded(line, where, number + 1)
            for one in text.removesuffix("\n").removesuffix("\r").split("\r"):
                number += 1
                yield number, one


def decoded(data: bytes, where: str, line: int = 1) -> str:
    """Bytes as the UTF-8 that they are, from `line` of `where` on. Raises InputError that names what else they look like."""
    if line == 1:
        data = data.removeprefix(codecs.BOM_UTF8)
    mark = next((name for mark, name in _MARKS if line == 1 and data.startswith(mark)), None)
    if mark is None and b"\0" in data:
        mark = _without_mark(data)
        if mark is None:
            line += data[: data.index(b"\0")].count(b"\n")
            raise InputError(
                f"{where} cannot be read, it is no text (line {line} holds a zero byte): give a text file in UTF-8"
            )
    if mark is not None:
        raise InputError(
            f"{where} cannot be read, it is {mark}, and UTF-8 is read: save it as UTF-8 (`iconv -f {mark} -t UTF-8 OLD > NEW`)"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line += data[: error.start].count(b"\n")
        byte = data[error.start : error.start + 1]
        raise InputError(
            f"{where} cannot be read, it is not UTF-8: line {line} holds the byte 0x{byte[0]:02X}, in Latin-1 {byte.decode('latin-1')!r}. Save it as UTF-8 "
            "(`iconv -f LATIN1 -t UTF-8 OLD > NEW`)"
        ) from error


def _without_mark(data: bytes) -> str | None:
    """UTF-16 of Western text has a zero in every second byte, UTF-32 three of four."""
    zeros = data.count(b"\0") / len(data)
    return "UTF-32" if zeros > 0.7 else "UTF-16" if zeros > 0.35 else None


@contextmanager
def _opened(path: Path, what: str) -> Iterator[BinaryIO]:
    """A file's bytes; what is no ordinary file is not even opened: it might never end."""
    try:
        with ordinary(path, what).open("rb") as stream:
            yield stream
    except OSError as error:
        raise InputError(f"{what} {_short(path)} cannot be read ({error.strerror}): check that it is yours to read") from error  # fmt: skip


def _too_long(where: str, most: int, *, raised: bool = True) -> str:
    more = f", or raise the limit with the environment variable {MOST_TEXT[0]}" if raised else ""
    return f"{where} cannot be read, it holds more than {most:,} bytes: give less{more}"


def _short(path: Path) -> str:
    said = repr(str(path))
    return said if len(said) <= 300 else f"{said[:120]}... ({len(said):,} characters)"
