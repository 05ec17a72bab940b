"""tools/jobs/faults.py: what the disk, memory or a signal did may pass; what was asked for wrongly does not."""

from __future__ import annotations

import errno
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompts.errors import InputError, PalateError, ToolError
from tools.jobs import faults

PASSING = (
    OSError(errno.ENOSPC, "full"),
    OSError(errno.EDQUOT, "quota"),
    OSError(errno.EIO, "a bad cable"),
    MemoryError(),
    type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"),
    type("AcceleratorError", (RuntimeError,), {})("CUDA error: unspecified launch failure"),
    RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
)
LASTING = (
    ValueError("rank"),
    TypeError("mat1"),
    OSError(errno.EACCES, "not yours"),
    FileNotFoundError(errno.ENOENT, "nowhere"),
    OSError(errno.EROFS, "read-only"),
    RuntimeError("Error while serializing: I/O error: Permission denied (os error 13)"),
    OSError("no number"),
)


def wrapped(error: BaseException, deep: int) -> BaseException:
    """As it arrives: explained, and explained again."""
    for _ in range(deep):
        try:
            raise PalateError("it could not be written") from error
        except PalateError as explained:
            error = explained
    return error


@settings(deadline=None, derandomize=True, database=None)
@given(st.sampled_from([(one, True) for one in PASSING] + [(one, False) for one in LASTING]), st.integers(0, 4))
def test_the_cause_decides_however_often_it_was_explained(fault: tuple[BaseException, bool], deep: int) -> None:
    assert faults.passes(wrapped(fault[0], deep)) is fault[1]


@pytest.mark.parametrize("cause", PASSING)
def test_a_wrong_config_never_passes_whatever_it_was_found_by(cause: BaseException) -> None:
    error = InputError("learning_rate = 'fast'")
    error.__cause__ = cause
    assert not faults.passes(error) and not faults.passes(ToolError("call learn_taste first"))


@settings(deadline=None, derandomize=True, database=None)
@given(st.sampled_from(list(signal.Signals)))
def test_a_signal_is_read_from_either_way_of_telling_it(number: signal.Signals) -> None:
    assert faults.signal_of(-number) is number and faults.signal_of(128 + number) is number
    assert faults.ended_passing(-number) and faults.ended_passing(faults.PASSING)


def test_who_left_by_themselves_was_not_taken_away() -> None:
    assert [faults.signal_of(status) for status in (0, 1, 2, 75, 120, 255)] == [None] * 6
    assert not any(faults.ended_passing(status) for status in (0, 1, 2, 120))


def test_a_disk_that_is_full_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the folder's place stands for the full disk."""
    folder = tmp_path / "out"
    folder.write_text("")
    assert not faults.wait_for_room(folder, patience=0.05)
    threading.Timer(0.3, folder.unlink).start()
    assert faults.wait_for_room(folder, patience=20.0)
    assert list(folder.iterdir()) == []
