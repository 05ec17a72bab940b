"""Members in one file and back: a zip that is stored, not compressed, with fixed times, so that equal content is equal bytes.

It reads files of strangers, and therefore reads no more than the file itself holds: nothing in it may be compressed (no bomb), be
a link, name a path, come twice, or be there unasked. What is left is packed again and must be the very same bytes: whatever else
somebody put into the file is found by that. Knows bytes, names and arrays; does not know what a taste is.
"""

from __future__ import annotations

import io
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from prompts.errors import InputError

LARGEST = 64 * 2**20  # bytes of a whole file
MOST, MOST_ARRAYS = 64, 1024  # members of a profile, and of an npz in it
KINDS = "fiubU"  # of arrays: numbers, truth values, fixed text; no objects, which only pickle could hold
# What reading a damaged zip may raise: a wrong sum, a lying length, a name that is no text, a wish for a password.
DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, ValueError, RuntimeError, zlib.error)
# What numpy may raise over a header that somebody made up.
NO_ARRAY = (ValueError, TypeError, SyntaxError, ArithmeticError, LookupError, AttributeError, MemoryError, RuntimeError, tokenize.TokenError)  # fmt: skip
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of the zip format


class Refused(InputError):
    """A file that is not taken. The message says why, and what to do instead."""


def pack(members: Mapping[str, bytes]) -> bytes:
    """The file's bytes, members in the order given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            about = zipfile.ZipInfo(name, FIRST_DAY)
            about.create_system, about.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(about, data)
    return buffer.getvalue()


def unpack(data: bytes, where: str) -> dict[str, bytes]:
    """Members by name, as they stand in `where`. Raises Refused for anything that `pack` would not have written."""
    if len(data) > LARGEST:
        raise Refused(
            f"{where} holds {len(data)} bytes, more than the {LARGEST} of the largest profile: it was not opened."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check(infos, len(data), where)
            return {one.filename: archive.read(one) for one in infos}
    except DAMAGED as error:
        raise Refused(
            f"{where} is cut short or damaged ({error}): copy it again, or have it exported again."
        ) from error


def _check(infos: Iterable[zipfile.ZipInfo], size: int, where: str) -> None:
    found = list(infos)
    if len(found) > MOST or sum(one.file_size for one in found) > size:
        raise Refused(f"{where} would unpack to more than it holds ({len(found)} members): it was not opened.")
    names: set[str] = set()
    for one in found:
        why = _fault(one, names)
        if why:
            raise Refused(f"{where}: the member {one.filename!r} {why}, which no profile has: have it exported again.")
        names.add(one.filename)


def _fault(one: zipfile.ZipInfo, names: set[str]) -> str:
    """What is wrong with a member, or ""."""
    kind = stat.S_IFMT(one.external_attr >> 16)
    if "/" in one.filename or "\\" in one.filename or one.filename.startswith("."):
        return "names a path outside"
    if kind not in (0, stat.S_IFREG):
        return "is a link or a device" if not stat.S_ISDIR(kind) else "is a folder"
    return _not_stored(one) or ("comes twice" if one.filename in names else "")


def _not_stored(one: zipfile.ZipInfo) -> str:
    """Why a member's bytes are not simply there, or ""."""
    if one.flag_bits & 1:
        return "is encrypted"
    return "is compressed" if one.compress_type != zipfile.ZIP_STORED or one.compress_size != one.file_size else ""


def same_again(members: Mapping[str, bytes], data: bytes, where: str) -> None:
    """Raises Refused when `data` holds anything beside its members: comments, attributes, bytes before or between."""
    if pack(members) != data:
        raise Refused(f"{where} holds more than its members: it was changed after its export. Have it exported again.")


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An npz as `numpy.load(allow_pickle=False)` reads it, not compressed, with fixed times."""
    members = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asarray(array), (1, 0), allow_pickle=False)  # type: ignore[no-untyped-call]
        members[f"{name}.npy"] = buffer.getvalue()
    return pack(members)


def unpack_arrays(data: bytes, where: str) -> dict[str, np.ndarray]:
    """Arrays by name. Raises Refused for an npz that is damaged, compressed, holds objects, or a number that is not finite.

    Not numpy.load: that makes room for whatever size a header claims before it reads a byte."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_ARRAYS or sum(one.file_size for one in infos) > len(data):
                raise Refused(f"{where} would unpack to more than it holds: have the profile exported again.")
            for one in infos:
                if why := _not_stored(one):
                    raise Refused(f"{where}: the member {one.filename!r} {why}: have the profile exported again.")
            return {one.filename.removesuffix(".npy"): _array(archive.read(one), f"{where}, {one.filename}") for one in infos}  # fmt: skip
    except DAMAGED as error:
        raise Refused(f"{where} is cut short or damaged ({error}): have the profile exported again.") from error


def _array(data: bytes, where: str) -> np.ndarray:
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):  # type: ignore[no-untyped-call]
            raise ValueError("a header of another version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)  # type: ignore[no-untyped-call]
        if dtype.kind not in KINDS:
            raise ValueError(f"values of type {dtype}, which are not plain numbers or text")
        rest = data[stream.tell() :]
        if len(rest) != dtype.itemsize * int(np.prod(shape, dtype=object)):
            raise ValueError(f"{len(rest)} bytes for an array of shape {shape} and type {dtype}")
        array = np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")
    except NO_ARRAY as error:
        raise Refused(f"{where}: {error}: have the profile exported again.") from error
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise Refused(f"{where} holds NaN or infinity: have the profile exported again from whole pictures.")
    return array
