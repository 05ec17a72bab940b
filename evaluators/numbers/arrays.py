"""Arrays that we saved ourselves, read back from an npz: no pickles, and one sentence for whatever is wrong with the file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from prompts.errors import InputError

# What reading one may raise: cut short, changed, no zip at all, an array missing or of another kind.
DAMAGED = (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


@contextmanager
def stored_arrays(path: Path, wrong: str, then: str) -> Iterator[Any]:
    """The arrays at `path`, by name, for the length of a with block.

    Raises: InputError that says `wrong` of the path, and what to do `then`, for whatever goes wrong in the block."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            yield stored
    except DAMAGED as error:
        raise InputError(f"{str(path)!r} {wrong} ({error}): {then}") from error
