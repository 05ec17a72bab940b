"""ICC profiles as files carry them, made by hand: a matrix and a curve (ICC.1:2001), since nobody's own may be copied."""

from __future__ import annotations

import struct

# Columns of the matrix from linear light to XYZ, adapted to D50.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
WHITE = (0.9642, 1.0, 0.8249)


def adobe_rgb() -> bytes:
    """Adobe RGB (1998): gamma 563/256."""
    return matrix_profile("like Adobe RGB", ADOBE, 563 / 256)


def display_p3() -> bytes:
    """Display P3, its curve taken for gamma 2.2, which it nearly is."""
    return matrix_profile("like Display P3", P3, 2.2)


def grey(gamma: float) -> bytes:
    """Greys of a gamma."""
    return profile(b"GRAY", {b"desc": _named(f"grey {gamma}"), b"wtpt": _xyz(WHITE), b"kTRC": _curve(gamma)})


def matrix_profile(name: str, columns: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """A display's profile."""
    tags = {b"desc": _named(name), b"wtpt": _xyz(WHITE)}
    for letter, column in zip(b"rgb", columns, strict=True):
        tags |= {bytes([letter]) + b"XYZ": _xyz(column), bytes([letter]) + b"TRC": _curve(gamma)}
    return profile(b"RGB ", tags)


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Header, table of tags, tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s", start + len(body), b"\0\0\0\0", 0x02400000, b"mntr", space, b"XYZ ", bytes(12), b"acsp"
    )
    head += bytes(28) + b"".join(struct.pack(">i", round(65536 * one)) for one in WHITE)
    return head.ljust(128, b"\0") + table + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(65536 * one)) for one in values)


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * gamma))


def _named(name: str) -> bytes:
    data = name.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(data)) + data + bytes(11 + 67)
