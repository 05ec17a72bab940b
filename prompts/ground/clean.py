"""Text from outside made harmless before it is shown: a server's error, a file's metadata, a person's words.

Control characters (C0, C1, line and paragraph separators) steer terminals, and marks of direction (Unicode's bidi controls) make a line
read otherwise than it is. It stands in the lowest house because whoever shows something needs it.
"""

from __future__ import annotations

import unicodedata

DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def harmless(value: object) -> str:
    """`value` on one line, a blank for each character that steers and nothing for a mark of direction; the rest, a path say, as it is."""
    return "".join(" " if _steers(mark) else mark for mark in str(value) if mark not in DIRECTIONS)


def legible(text: object) -> str:
    """A text of several lines, each of them harmless: what is printed or written for people as a whole goes through here."""
    return "\n".join(map(harmless, str(text).split("\n")))


def escaped(document: str) -> str:
    """A JSON document that says the same, with what steers and what turns a line round written as escapes."""
    return "".join(f"\\u{ord(mark):04x}" if mark in DIRECTIONS or _steers(mark) else mark for mark in document)


def clean(value: object, longest: int | None = None) -> str:
    """`value` on one line, harmless, its words one blank apart, at most `longest` characters."""
    text = " ".join(harmless(value).split())
    return text if longest is None or len(text) <= longest else text[: max(0, longest - 1)].rstrip() + "…"


def _steers(mark: str) -> bool:
    return unicodedata.category(mark) in ("Cc", "Zl", "Zp", "Cs")
