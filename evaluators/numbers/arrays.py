"""Arrays that we saved ourselves, read back from an npz: no pickles, and one sentence for whatever is wrong with the file.

What a file claims is held against what it holds before room is made for it: a header of a few bytes can ask for a terabyte.
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from prompts.errors import InputError
from prompts.ground.clean import clean
from prompts.ground.reading import limit

MOST_ARRAYS = ("PALATE_MOST_ARRAYS", 2**30)  # bytes of a file's arrays, unpacked
# What reading one may raise: cut short, changed, no zip at all, a made-up header, an array missing or of another kind.
DAMAGED = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RuntimeError, SyntaxError, OSError, EOFError,
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, tokenize.TokenError,
)  # fmt: skip


@contextmanager
def stored_arrays(path: Path, wrong: str, then: str) -> Iterator[Any]:
    """The arrays at `path`, by name, for the length of a with block.

    Raises: InputError that says `wrong` of the path, and what to do `then`, for whatever goes wrong in the block."""
    try:
        _check(path)
        with np.load(path, allow_pickle=False) as stored:
            yield stored
    except DAMAGED as error:
        told = clean(error, 300) or type(error).__name__
        raise InputError(f"{str(path)!r} {wrong} ({told}): {then}") from error


def _check(path: Path) -> None:
    """Raises ValueError for members that unpack to more than the limit, or to another size than their headers say."""
    if not path.is_file():
        raise ValueError("there is no such file")
    with zipfile.ZipFile(path) as archive:
        infos, most = archive.infolist(), limit(MOST_ARRAYS)
        if (size := sum(one.file_size for one in infos)) > most:
            raise ValueError(f"its arrays take {size} bytes, more than {most}; {MOST_ARRAYS[0]} raises the limit")
        for one in infos:
            with archive.open(one) as stream:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
                if dtype.hasobject or stream.tell() + dtype.itemsize * math.prod(shape) != one.file_size:
                    raise ValueError(f"{one.filename!r} of {one.file_size} bytes claims shape {shape} of {dtype}")
