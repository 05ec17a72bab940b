"""What a training writes while it goes on: losses.jsonl, a line a step, and tensorboard/, for whoever watches with TensorBoard.

Knows files. Does not know what the numbers mean, nor checkpoints.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError

from prompts.errors import PalateError
from prompts.ground.atomic import write_atomically

LINES, BOARD = "losses.jsonl", "tensorboard"


class Journal:
    """The two logs in `out`, which go on after `history`: lines of steps beyond it were lost with their steps and are cut off.

    Raises PalateError on a full disk, here and in every method."""

    def __init__(self, out: Path, history: Sequence[Mapping[str, float]]) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        with written(out):
            (out / BOARD).mkdir(parents=True, exist_ok=True)
            write_atomically(out / LINES, "".join(line(row) for row in history))
            self._lines = (out / LINES).open("a")
            self._board = EventsWriter(str(out / BOARD / "events"), f".{os.getpid()}.{len(history)}")
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)  # hides what came after it, before
            self._put(len(history) + 1, session_log=start)
        self._out = out

    def step(self, row: Mapping[str, float]) -> None:
        """One step's losses; `row["step"]` says which."""
        values = [self._summary.Value(tag=key, simple_value=value) for key, value in row.items() if key != "step"]
        with written(self._out):
            self._lines.write(line(row))
            self._lines.flush()
            self._put(int(row["step"]), summary=self._summary(value=values))

    def picture(self, step: int, image: Image.Image) -> None:
        """The samples of a step."""
        from tensorboardX import summary

        with written(self._out):
            self._put(step, summary=summary.image("samples", np.asarray(image), dataformats="HWC"))

    def close(self) -> None:
        with written(self._out):
            try:
                self._lines.close()
            finally:
                self._board.close()

    def _put(self, step: int, **what: Any) -> None:
        self._board.write_event(self._event(wall_time=time.time(), step=step, **what))
        self._board.flush()


def line(row: Mapping[str, float]) -> str:
    """A step's line in losses.jsonl."""
    return json.dumps(row) + "\n"


@contextmanager
def written(out: Path) -> Iterator[None]:
    """Says what to do when `out` cannot be written."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # its writer reports a full disk so
        raise PalateError(
            f"{str(out)!r} cannot be written ({getattr(error, 'strerror', None) or error}): make room and run it again; it goes on from the last "
            "checkpoint, which is whole"
        ) from error


@contextmanager
def journal(out: Path, history: Sequence[Mapping[str, float]], wanted: bool) -> Iterator[Journal | None]:
    """A Journal for a while; none for a process that writes nothing."""
    if not wanted:
        yield None
        return
    made = Journal(out, history)
    try:
        yield made
    finally:
        made.close()
