"""evaluators/numbers/arrays.py: what an npz claims is held against what it holds, and whatever is wrong is one sentence."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evaluators.numbers.arrays import stored_arrays
from prompts.errors import InputError


def member(shape: str, data: bytes = bytes(8), kind: str = "<f8") -> bytes:
    """An array whose header claims `shape`."""
    head = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data


def packed(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", x=np.arange(3), words=np.array(["a", "bc"]), one=np.float32(2), none=np.zeros((0, 4)))
        with stored_arrays(tmp_path / "a.npz", "is wrong", "mend it") as stored:
            assert stored["x"].tolist() == [0, 1, 2] and stored["words"][1] == "bc" and stored["none"].shape == (0, 4)


@pytest.mark.parametrize(
    "shape", ["(1000000000000,)", "(99999, 99999, 99999)", "(2,)", "(-1,)", "(1e9,)", "('a',)", "[1]", "(", "1"]
)
def test_a_header_that_claims_more_than_there_is_gets_no_room(tmp_path: Path, shape: str) -> None:
    with (
        pytest.raises(InputError, match=r"a\.npz' is wrong \(.+\): mend it"),
        stored_arrays(packed(tmp_path / "a.npz", x=member(shape)), "is wrong", "mend it") as stored,
    ):
        stored["x"]


def test_a_file_that_unpacks_beyond_the_limit_is_refused_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALATE_MOST_ARRAYS", "100000")
    with (
        pytest.raises(InputError, match="more than 100000; PALATE_MOST_ARRAYS raises the limit"),
        stored_arrays(packed(tmp_path / "a.npz", x=member("(1000000,)", bytes(8_000_000))), "is wrong", "mend it"),
    ):
        raise AssertionError("it was opened")


def test_objects_a_lone_array_and_no_file_are_told(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    (tmp_path / "lone.npz").write_bytes(buffer.getvalue())
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    for name in ("lone", "objects", "gone"):
        with (
            pytest.raises(InputError, match=f"{name}.npz' is wrong"),
            stored_arrays(tmp_path / f"{name}.npz", "is wrong", "mend it"),
        ):
            raise AssertionError("it was opened")
