"""tools/profiles/archive.py: a file that was cut, changed, packed otherwise or made to burst is refused before it is opened."""

from __future__ import annotations

import io
import pickle
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from tests.tools.profiles.made import with_member
from tools.profiles.archive import LARGEST, Refused, pack, unpack, unpack_arrays
from tools.profiles.reading import from_bytes


def zipped(data: bytes, change: Callable[[zipfile.ZipInfo], None], method: int = zipfile.ZIP_STORED) -> bytes:
    """The same members, each in an entry that was changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in unpack(data, "it").items():
            about = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            about.external_attr, about.compress_type = (stat.S_IFREG | 0o644) << 16, method
            change(about)
            archive.writestr(about, content)
    return buffer.getvalue()


def test_nothing_in_it_is_pickled_and_numpy_reads_it_too(data: bytes) -> None:
    with np.load(io.BytesIO(unpack(data, "it")["features.npz"]), allow_pickle=False) as stored:
        assert stored["features"].shape == (80, 24) and stored["images"].dtype == "U64"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_profile_that_was_cut_short_is_refused(data: bytes, share: float) -> None:
    with pytest.raises(Refused, match=r"cut short or damaged|was cut"):
        from_bytes(data[: int(share * len(data))], "it")


def test_no_byte_can_be_changed_unseen(data: bytes) -> None:
    for place in np.random.default_rng(0).integers(0, len(data), 120):
        changed = bytearray(data)
        changed[place] ^= 1 << int(place) % 8
        with pytest.raises(Refused):
            from_bytes(bytes(changed), "it")


def as_link(about: zipfile.ZipInfo) -> None:
    about.external_attr = (stat.S_IFLNK | 0o777) << 16


def as_path(about: zipfile.ZipInfo) -> None:
    about.filename = f"../{about.filename}"


def as_folder(about: zipfile.ZipInfo) -> None:
    about.external_attr = (stat.S_IFDIR | 0o755) << 16


@pytest.mark.parametrize(
    ("change", "told"), [(as_link, "is a link"), (as_path, "names a path outside"), (as_folder, "is a folder")]
)
def test_links_paths_and_folders_are_refused(data: bytes, change: Callable[[zipfile.ZipInfo], None], told: str) -> None:
    with pytest.raises(Refused, match=told):
        from_bytes(zipped(data, change), "it")


def test_what_unpacks_to_more_than_it_holds_is_not_opened(data: bytes) -> None:
    with pytest.raises(Refused, match=r"is compressed|unpack to more than it holds"):
        from_bytes(zipped(data, lambda about: None, zipfile.ZIP_DEFLATED), "it")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.jsonl", bytes(2**24))
    with pytest.raises(Refused, match="unpack to more than it holds"):
        from_bytes(bomb.getvalue(), "it")
    with pytest.raises(Refused, match="more than the"):
        from_bytes(bytes(LARGEST + 1), "it")


def test_a_bomb_inside_the_features_is_not_opened(data: bytes) -> None:
    inner = io.BytesIO()
    np.savez_compressed(inner, features=np.zeros((4000, 1000), np.float32), images=np.zeros(4000, "U64"))
    with pytest.raises(Refused, match=r"features.npz would unpack to more"):
        from_bytes(with_member(data, "features.npz", lambda _: inner.getvalue()), "it")


def inner(method: int, flag: int = 0) -> bytes:
    """An npz of true features, its members compressed or marked as encrypted, padded so that it holds what it unpacks to."""
    buffer = io.BytesIO()
    arrays = {"features": np.random.default_rng(0).random((80, 24), np.float32), "pad": np.zeros(999)}
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in arrays.items():
            file = io.BytesIO()
            np.lib.format.write_array(file, array, (1, 0))
            archive.writestr(f"{name}.npy", file.getvalue())
        archive.comment = bytes(9000)
    data = bytearray(buffer.getvalue())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= flag
    return bytes(data)


@pytest.mark.parametrize(
    ("packed", "told"),
    [(inner(zipfile.ZIP_DEFLATED), r"'features.npy' is compressed"), (inner(zipfile.ZIP_STORED, 1), "is encrypted")],
)
@pytest.mark.parametrize("name", ["features.npz", "preference-0.npz"])
def test_what_is_compressed_or_encrypted_inside_is_named(data: bytes, name: str, packed: bytes, told: str) -> None:
    with pytest.raises(Refused, match=rf"{name}: the member .*{told}"):
        from_bytes(with_member(data, name, lambda _: packed), "it")


@pytest.mark.parametrize("error", [RuntimeError("a password"), zlib.error("-3"), ValueError("a name"), UnicodeDecodeError("utf8", b"x", 0, 1, "no")])  # fmt: skip
def test_whatever_fails_while_unpacking_is_a_refusal(
    data: bytes, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(zipfile.ZipFile, "read", broken)
    for opened in (unpack, unpack_arrays):
        with pytest.raises(Refused, match="cut short or damaged"):
            opened(data, "it")


@pytest.mark.parametrize("text", ["{'descr': ('<f8',), 'fortran_order': False, 'shape': (1,)}", "{'descr': [()]", "(" * 5000, "{'descr': '<f8', 'shape': (-1,), 'fortran_order': 0}", '"' * 3])  # fmt: skip
def test_a_header_that_somebody_made_up_is_refused(text: str) -> None:
    made = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    with pytest.raises(Refused, match=r"features\.npy"):
        unpack_arrays(pack({"features.npy": made}), "it")


def test_twice_unknown_and_missing_members_are_named(data: bytes) -> None:
    parts = unpack(data, "it")
    with pytest.raises(Refused, match=r"unknown member 'evil.py'"):
        from_bytes(pack({**parts, "evil.py": b"import os"}), "it")
    with pytest.raises(Refused, match=r"no member 'adapters.json'"):
        from_bytes(pack({name: part for name, part in parts.items() if name != "adapters.json"}), "it")
    with pytest.raises(Refused, match=r"no manifest.json"):
        from_bytes(pack({"ratings.jsonl": b""}), "it")
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("summary.md", b"another")
    with pytest.raises(Refused, match=r"'summary.md' comes twice"):
        from_bytes(buffer.getvalue(), "it")


@pytest.mark.parametrize("where", ["before", "comment"])
def test_nothing_hides_beside_the_members(data: bytes, where: str) -> None:
    buffer = io.BytesIO(data)
    if where == "comment":
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.comment = b"hidden"
    changed = b"#!/bin/sh\n" + data if where == "before" else buffer.getvalue()
    with pytest.raises(Refused, match="changed after its export"):
        from_bytes(changed, "it")


def test_pickles_and_lying_headers_are_refused(data: bytes) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    objects = pack({"features.npy": header.getvalue() + pickle.dumps("anything")})
    with pytest.raises(Refused, match="not plain numbers or text"):
        from_bytes(with_member(data, "features.npz", lambda _: objects), "it")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with pytest.raises(Refused, match="0 bytes for an array of shape"):
        from_bytes(with_member(data, "features.npz", lambda _: pack({"features.npy": header.getvalue()})), "it")


@pytest.mark.parametrize("junk", [b"", b"hello", b"PK\x03\x04", bytes(1000)])
def test_another_file_is_no_profile(junk: bytes) -> None:
    with pytest.raises(Refused):
        from_bytes(junk, "it")
