"""The one place that makes consoles and progress bars, and writes commands: every word that `rich` writes for a person goes through here.

A terminal gets its real width, colours and bars. Anything else, a pipe, a file, a log, is read by programs too: there a line is a line
however long it is, without styles, frames or bars (prompts/ground/plain.py). What is printed is never read as markup, on a terminal neither:
a person's "[bold]" stays what they wrote. Knows no command and no record. It stands in the lowest house, as the errors do, because
every house speaks to people; `rich` is imported when something is said, so that `palate --help` need not wait for it. A command that a
person is told to type is written by `typed`, for the home that the running command uses: typed as it stands, it finds the same record.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from prompts.ground.clean import legible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

T = TypeVar("T")

USUAL_HOME = Path(".palate")
_homes: list[Path] = []  # of the command that runs; none where Palate is used from Python
WIDE = 100_000  # columns off a terminal, for what prompts/ground/plain.py does not know


@contextmanager
def at_home(home: Path) -> Iterator[None]:
    """Inside, the commands that `typed` writes are for the home that is in force here."""
    _homes.append(home)
    try:
        yield
    finally:
        _homes.pop()


def typed(*words: object, lasting: bool = False) -> str:
    """A command of ours as a person may type it, each word quoted for a shell, with --home where a bare one would look elsewhere.

    `lasting`: it will stand in a file, which may be read from another folder."""
    home = _homes[-1] if _homes else None
    usual = home is None or (home == USUAL_HOME and "PALATE_HOME" not in os.environ and not lasting)
    where = [] if usual else ["--home", str(home.absolute() if home and lasting else home)]
    return shlex.join(["palate", *where, *map(str, words)])


def make_console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """A console on standard output, on standard error, or on `file`."""
    stream = file or (sys.stderr if stderr else sys.stdout)
    how: dict[str, Any] = _screen(stream) if is_terminal(stream) else _pipe()
    # where it goes is decided here: rich would take FORCE_COLOR="" for a no, and a notebook for a browser
    made = _harmless_console()(
        stderr=stderr, file=file, force_jupyter=False, markup=False, highlight=False, emoji=False, **how
    )
    if not made.is_terminal:
        from prompts.ground.plain import Plain

        made.push_render_hook(Plain())
    return made


@cache
def _harmless_console() -> type[Console]:
    """rich's console, whose text cannot steer the terminal: it lets ESC through, whoever wrote it. Styles and cursor moves are rich's own."""
    from rich.console import Console
    from rich.segment import Segment

    class Harmless(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for one in super().render(renderable, options):
                yield one if one.control else Segment(legible(one.text), one.style)

    return Harmless


def say(text: object, *, stderr: bool = False) -> None:
    """Print plain lines for a person, who cannot be harmed by what stands in them."""
    (sys.stderr if stderr else sys.stdout).write(f"{legible(text)}\n")


def is_terminal(stream: Any) -> bool:
    """Whether a person watches. FORCE_COLOR asks for colours, not for this; TTY_COMPATIBLE=0 says that a terminal is none."""
    try:
        return bool(stream.isatty()) and os.environ.get("TTY_COMPATIBLE") != "0"
    except (AttributeError, ValueError):  # there is no such stream, or it is closed
        return False


def bars(*more: str, left: bool = False, speed_over: float = 30.0, often: float = 10.0) -> Progress:
    """Progress bars, to be used in a with block: on standard error, gone at the end, and nothing at all off a terminal.

    `more`: columns after the count, such as "loss {task.fields[loss]:.4f}". `left`: whether to tell the time left, by the speed of the
    last `speed_over` seconds. `often`: times a second that they are drawn. What is printed on the terminal meanwhile appears above them.
    """
    from rich.progress import Progress

    shown = make_console(stderr=True)
    return Progress(
        *_columns(left), *more, console=shown, transient=True, disable=not (shown.is_terminal and shown.is_interactive),
        speed_estimate_period=speed_over, refresh_per_second=often,
        redirect_stdout=is_terminal(sys.stdout),  # or what belongs into a file would go to the terminal
    )  # fmt: skip


def _columns(left: bool) -> list[Any]:
    """What is done, how far, for how long; in a narrow terminal the bar gives way, not the numbers."""
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column

    whole = Column(no_wrap=True)
    times = [TimeElapsedColumn(whole), *([TimeRemainingColumn(table_column=whole)] if left else [])]
    return [SpinnerColumn(), "{task.description}", BarColumn(), MofNCompleteColumn(table_column=whole), *times]


def counted(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The items one by one, under a bar that counts them."""
    with bars(left=True) as shown:
        yield from shown.track(items, total=total, description=what)


def _screen(stream: Any) -> dict[str, Any]:
    """A terminal. rich finds its size, but takes every dumb one for 80 wide, and COLUMNS=0 for an order."""
    said = os.environ.get("COLUMNS", "")
    if os.environ.get("TERM", "").lower() not in ("dumb", "unknown") and said != "0":
        return {"force_terminal": True}
    try:
        width = int(said if said.isdecimal() else 0) or os.get_terminal_size(stream.fileno()).columns
    except OSError:
        width = 0
    return {"force_terminal": True, "width": width or 80, "height": 25}


def _pipe() -> dict[str, Any]:
    """Anything else. Colours only for who asks for them (force-color.org); NO_COLOR (no-color.org) has the last word."""
    forced = os.environ.get("FORCE_COLOR") and not os.environ.get("NO_COLOR")
    return {
        "force_terminal": False, "force_interactive": False, "soft_wrap": True, "width": WIDE, "color_system": "standard" if forced else None,
    }  # fmt: skip
