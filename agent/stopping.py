"""SIGTERM and Ctrl-C as one error: everything is left in order, the run's state is true, and `resume` goes on.

The standard library only, so that a command can be stopped from its first moment. Knows nothing of runs.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from prompts.errors import PalateError
from prompts.ground.console import typed

ECHO = 0.5  # seconds: `timeout` sends its signal twice, and the second must not strike those who leave


class Stopped(PalateError):
    """SIGINT or SIGTERM: everything so far is stored. `by`: which one, in words."""

    by = "Stopped"


class _Listener:
    """The handler of both signals: notes each one's name in `came`, and raises it unless it is an echo."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self._last, self.complain = -ECHO, sys.unraisablehook

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.came.append(signal.Signals(number).name)
        before, self._last = self._last, time.monotonic()
        if self._last - before >= ECHO:
            raise KeyboardInterrupt(self.came[-1])

    def dropped(self, error: Any) -> None:
        """In place of `sys.unraisablehook`, which prints a traceback: a signal is not lost, its name is in `came`."""
        if not isinstance(error.exc_value, KeyboardInterrupt):
            self.complain(error)


@contextmanager
def stoppable() -> Iterator[list[str]]:
    """Turn SIGTERM and Ctrl-C into `Stopped`: both leave the same way, stored and resumable.

    Inside, both are a KeyboardInterrupt: an Exception would be caught, and asked again, by the language model's client.
    Yields the names of the signals that came: Python drops what is raised while an object is being deleted, so that
    the graph looks here, too, before each step. One inside another shares its handlers and its names.
    """
    try:
        with _listening() as came:
            yield came
    except KeyboardInterrupt as error:
        again = f"`{typed('resume', 'RUN')}`, or `{typed('chat', '--resume', 'RUN')}` for a chat, goes on with a run (`last` is the newest)"
        raise stopped_by(error, again) from error


def came() -> list[str]:
    """The names of the signals that came so far; none outside `stoppable`."""
    listener = signal.getsignal(signal.SIGTERM)
    return listener.came if isinstance(listener, _Listener) else []


def stopped_by(error: KeyboardInterrupt, again: str) -> Stopped:
    """The error to raise in its place; `again` says how to go on."""
    stopped = Stopped(f"Stopped by {str(error) or 'SIGINT'}. Everything so far is stored; {again}.")
    stopped.by = f"Stopped by {str(error) or 'SIGINT'}"
    return stopped


@contextmanager
def _listening() -> Iterator[list[str]]:
    around = signal.getsignal(signal.SIGTERM)
    if isinstance(around, _Listener):
        yield around.came
        return
    listener = _Listener()
    try:
        # SIGINT too: a shell starts background commands with it ignored, and then Python raises nothing
        before = {number: signal.signal(number, listener) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever runs us there handles signals
        yield listener.came
        return
    sys.unraisablehook = listener.dropped
    try:
        yield listener.came
    finally:
        sys.unraisablehook = listener.complain
        for number, handler in before.items():
            signal.signal(number, handler)
