"""Terminals to print on, and what a person sees there in the end; and a place whose path is long and holds blanks."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pty
import re
import selectors
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LONG = "a folder with  blanks/" + "/".join(f"and a name that goes on, part {number}" for number in range(5))
# What may be set where the tests run, and says how to print.
SAYS_HOW = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM", "TERM")
_CONTROL = re.compile(r"\x1b\[\??([\d;]*)([A-Za-z])|(\r)|(\n)")


class Terminal(io.StringIO):
    """A stream that says it is a terminal; COLUMNS tells its width."""

    def isatty(self) -> bool:
        return True


class Heard(NamedTuple):
    """What a process wrote on its two streams, and its exit status."""

    out: str
    err: str
    status: int


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours without what says how to print, but for `more`."""
    return {name: value for name, value in os.environ.items() if name not in SAYS_HOW} | dict(more)


def piped(*words: str, **more: str) -> Heard:
    """Run Python with its output in pipes."""
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment(more), timeout=300, check=False
    )
    return Heard(done.stdout, done.stderr, done.returncode)


def watched(*words: str, width: int = 60, out_is_a_file: bool = False, **more: str) -> Heard:
    """Run Python with each output stream on a terminal of its own, of that width; or standard output in a pipe."""
    (out, theirs), (err, their_err) = os.pipe() if out_is_a_file else pty.openpty(), pty.openpty()
    for end in (their_err, *([] if out_is_a_file else [theirs])):
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    child = subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=their_err,
        env=environment({"TERM": "xterm-256color", **more}),
    )  # fmt: skip
    os.close(theirs)
    os.close(their_err)
    told = _read(out, err)
    return Heard(told[out].decode(), told[err].decode(), child.wait(300))


def _read(*ends: int) -> dict[int, bytes]:
    """All that comes out of the ends, until each is closed."""
    told = dict.fromkeys(ends, b"")
    with selectors.DefaultSelector() as waiting:
        for end in ends:
            waiting.register(end, selectors.EVENT_READ)
        while waiting.get_map():
            for key, _ in waiting.select():
                piece = _piece(key.fd)
                told[key.fd] += piece
                if not piece:
                    waiting.unregister(key.fd)
                    os.close(key.fd)
    return told


def _piece(end: int) -> bytes:
    try:
        return os.read(end, 65536)
    except OSError as error:
        if error.errno != errno.EIO:  # how a terminal says that nobody writes there any more
            raise
        return b""


def screen(text: str) -> list[str]:
    """The lines that stand on a terminal in the end: after cursors moved up, and lines were erased."""
    lines, row, column, at = [""], 0, 0, 0
    for control in [*_CONTROL.finditer(text), None]:
        piece = text[at : control.start() if control else len(text)]
        lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
        column += len(piece)
        if control is None:
            break
        at = control.end()
        count, what, back, down = control.groups()
        if back:
            column = 0
        elif down:
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif what == "A":
            row = max(0, row - int(count or 1))
        elif what == "K":
            lines[row] = ""
    return [line.rstrip() for line in lines]
