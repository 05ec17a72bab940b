"""Text from outside: read from a file or refused by name, and made harmless before it is shown.

Files are read as UTF-8 and nothing else: a guess would turn somebody's letters into others without a word. Their limits can be raised.

Control characters (C0, C1, line and paragraph separators) steer terminals, and marks of direction (Unicode's bidi controls) make a line
read otherwise than it is. It stands in the lowest house because whoever shows something needs it.
"""

from __future__ import annotations

import codecs
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from prompts.errors import InputError

MOST_TEXT = (
    "PALATE_MOST_TEXT",
    64 * 2**20,
)  # bytes of a file that is read whole, and of one line of a file that is read by lines
_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def harmless(value: object) -> str:
    """`value` on one line, a blank for each character that steers and nothing for a mark of direction; the rest, a path say, as it is."""
    return "".join(" " if _steers(mark) else mark for mark in str(value) if mark not in DIRECTIONS)


def clean(value: object, longest: int | None = None) -> str:
    """`value` on one line, harmless, its words one blank apart, at most `longest` characters."""
    text = " ".join(harmless(value).split())
    return text if longest is None or len(text) <= longest else text[: max(0, longest - 1)].rstrip() + "…"


def _steers(mark: str) -> bool:
    return unicodedata.category(mark) in ("Cc", "Zl", "Zp", "Cs")


def limit(one: tuple[str, int]) -> int:
    """A limit: the number that its environment variable says, or its own. Raises InputError for what is no number."""
    name, usual = one
    said = os.environ.get(name, "")
    if said and not (said.isascii() and said.isdecimal() and 0 < len(said) < 19):
        raise InputError(f"{name} = {said!r:.80} is no limit: give a whole number, {usual} as a rule")
    return int(said) if said else usual


def read_text(path: Path, what: str) -> str:
    """The text of a file, whole, its byte order mark aside. `what` it is, for messages.

    Raises InputError for a file that cannot be read, is too large, or is not UTF-8."""
    most = limit(MOST_TEXT)
    with _opened(path, what) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise InputError(_too_long(f"{what} {str(path)!r}", most))
    return decoded(data, f"{what} {str(path)!r}")


def lines_in(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, read as they are needed; ended by whatever system's mark. Raises as `read_text`."""
    most, number, where = limit(MOST_TEXT), 0, f"{what} {str(path)!r}"
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
            raise InputError(f"{where} is no text (line {line} holds a zero byte): give a text file in UTF-8")
    if mark is not None:
        raise InputError(
            f"{where} is {mark}, and UTF-8 is read: save it as UTF-8 (`iconv -f {mark} -t UTF-8 OLD > NEW`)"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line += data[: error.start].count(b"\n")
        byte = data[error.start : error.start + 1]
        raise InputError(
            f"{where} is not UTF-8: line {line} holds the byte 0x{byte[0]:02X}, in Latin-1 {byte.decode('latin-1')!r}. Save it as UTF-8 "
            "(`iconv -f LATIN1 -t UTF-8 OLD > NEW`)"
        ) from error


def _without_mark(data: bytes) -> str | None:
    """UTF-16 of Western text has a zero in every second byte, UTF-32 three of four."""
    zeros = data.count(b"\0") / len(data)
    return "UTF-32" if zeros > 0.7 else "UTF-16" if zeros > 0.35 else None


@contextmanager
def _opened(path: Path, what: str) -> Iterator[BinaryIO]:
    """A file's bytes; what is no plain file, a pipe or a device, is not even opened: it might never end."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{what} {str(path)!r} cannot be read (it is {_kind(path)}): give a plain file")
        with path.open("rb") as stream:
            yield stream
    except (OSError, ValueError) as error:  # a zero in a path is a ValueError
        told = getattr(error, "strerror", None) or error
        raise InputError(f"{what} {str(path)!r:.300} cannot be read ({told}): check the path and the file") from error


def _kind(path: Path) -> str:
    return "a folder" if path.is_dir() else "a pipe" if path.is_fifo() else "a device or a socket"


def _too_long(where: str, most: int) -> str:
    return f"{where} holds more than {most} bytes: give less, or raise the limit with the environment variable {MOST_TEXT[0]}"
