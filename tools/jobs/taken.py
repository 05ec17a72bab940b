"""What a person wrote, and what a record took it for: true for 1, "3" for 3 and .nan for a number are mistakes, not values.

Pydantic converts on the way in, which is right for what we wrote ourselves, earlier versions included, and wrong for what a person wrote.
Knows plain values and records. Does not know files, nor what the keys mean.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, get_args

from pydantic import BaseModel

from prompts.ground.clean import clean

Path = tuple[Any, ...]  # keys and places in lists, from the outside in


def mistaken(given: Any, read: Any, at: Path = ()) -> Iterator[tuple[Path, Any, str]]:
    """(path, value, what it should be) wherever `read`, a record that was made of `given`, took a value for one of another kind (true
    for 1, "3" for 3), and for numbers that are none (.nan, .inf)."""
    if isinstance(given, dict) and isinstance(read, BaseModel):
        fields = type(read).model_fields
        names = {fields[name].alias or name: name for name in fields} | {name: name for name in fields}
        for key in given.keys() & names.keys():
            yield from mistaken(given[key], getattr(read, names[key]), (*at, key))
    elif isinstance(given, dict) and isinstance(read, dict):
        for key in given.keys() & read.keys():
            yield from mistaken(given[key], read[key], (*at, key))
    elif isinstance(given, list | tuple) and isinstance(read, list | tuple):
        for number, (one, other) in enumerate(zip(given, read, strict=False)):
            yield from mistaken(one, other, (*at, number))
    elif isinstance(given, float) and not math.isfinite(given):
        yield at, given, "write a finite number"
    elif (
        _kind(given) and _kind(read) and _kind(given) != _kind(read) and (_kind(given), _kind(read)) != ("int", "float")
    ):
        yield at, given, SHOULD[_kind(read)]


SHOULD = {
    "bool": "write true or false",
    "int": "write a whole number, without quotation marks",
    "float": "write a number, without quotation marks",
    "str": "write text, in quotation marks",
}


def _kind(value: Any) -> str:
    """Of a plain value; "" for what is none."""
    kinds = {bool: "bool", int: "int", float: "float", str: "str"}
    return "str" if isinstance(value, PurePath) else kinds.get(type(value), "")


def named(parts: Path) -> str:
    """A path as a person reads it, what is strange or long in it harmless and short."""
    return ".".join(clean(part, 80) for part in parts)


def said(error: Any, record: type[BaseModel], at: Callable[[Path], str]) -> str:
    """One of pydantic's errors about a `record`: the value, and for a key that nobody knows the nearest that is known."""
    where, line = named(error["loc"]), at(error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where} = {error['input']!r:.200}{line}: {error['msg']}"
    known = _keys(record, error["loc"][:-1])
    near = difflib.get_close_matches(str(error["loc"][-1])[:80], known, 1, 0.3)
    return f"unknown key {where!r}{line}" + (f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")


def _keys(record: type[BaseModel], path: Path) -> list[str]:
    found: Any = record
    for part in path:
        if isinstance(part, int):  # the place in a list: its kind was found with the list
            continue
        kind = found.model_fields[part].annotation
        # a section that may be none, or of which there are several
        found = next((one for one in get_args(kind) if hasattr(one, "model_fields")), kind)
    return list(found.model_fields)
