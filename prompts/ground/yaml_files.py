"""YAML as a person writes it, read without surprises, and as we write it, so that it comes back the same.

YAML 1.2's core schema: 010 is ten, 1e-4 a number, `yes`, 1:30 and 2026-01-01 are words. A key stands once and is text. What could grow
(bytes, depth, aliases, values once aliases are written out) has a limit, and whatever is refused is told with its line. Does
not know what the keys mean.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from prompts.errors import InputError
from prompts.ground.reading import read_text


class Limits(NamedTuple):
    """How much a file may hold. `values`: once aliases are written out; 32 characters of text count as one more."""

    bytes: int
    depth: int
    aliases: int
    values: int


OF_A_PERSON = Limits(4 * 2**20, 32, 1000, 200_000)
OF_OURS = Limits(
    512 * 2**20, 32, 0, 50_000_000
)  # a job's file keeps its whole dataset, which was counted when it was read
LONGEST_NUMBER = 64
PREFIX = "tag:yaml.org,2002:"
INTEGER = re.compile(r"[-+]?[0-9]+")
OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True), **dict.fromkeys(("false", "False", "FALSE"), False),
}  # fmt: skip
TAGS = {"": (), "null": (type(None),), "bool": (bool,), "int": (int,), "float": (int, float)}
STEERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # of events only: what they come to is decided here


class Wrong(Exception):
    """What is wrong with a line of YAML; `line` counts from 1."""

    def __init__(self, line: int, said: str) -> None:
        super().__init__(said)
        self.line = line


@dataclass(frozen=True)
class Read:
    """What a file holds, and where: `lines` has the line of each (container's id, key)."""

    values: Any
    lines: Mapping[tuple[int, Any], int] = field(default_factory=dict, repr=False)

    def at(self, path: Sequence[Any]) -> str:
        """As " (line 7)", of the nearest thing on the way to `path` that the file has; nothing for what it has not."""
        here, line = self.values, None
        for part in path:
            if not isinstance(here, dict | list) or (id(here), part) not in self.lines:
                break
            line, here = self.lines[id(here), part], here[part]
        return "" if line is None else f" (line {line})"


def read_yaml(path: Path, what: str, limits: Limits = OF_A_PERSON) -> Read:
    """The one document of a YAML file, `what` ("config") to the person. Raises InputError naming file, line, value and what to do."""
    try:
        return _Reader(read_text(path, what, limits.bytes), limits).read()
    except Wrong as wrong:
        raise InputError(f"{what} {str(path)!r} cannot be read, line {wrong.line}: {wrong}") from wrong


def write_yaml(values: Any) -> bytes:
    """`values` (plain ones) as YAML that `read_yaml` and readers of YAML 1.1 take for the same."""
    return str(yaml.dump(values, Dumper=_Writer, sort_keys=False, allow_unicode=True)).encode()


class _Writer(yaml.SafeDumper):
    """Quotes every text that either YAML would take for something else, and writes out what is there twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind, _pattern in (("float", NUMBER), ("int", OTHER_BASE)):
    _Writer.add_implicit_resolver(PREFIX + _kind, re.compile(f"(?:{_pattern.pattern})$"), list("-+.0123456789"))


class _Reader:
    """Values from events, one at a time, so that a file that is too much is refused before it is all there."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.events, self.limits = iter(_events(text)), limits
        self.lines: dict[tuple[int, Any], int] = {}
        self.anchors: dict[
            str, tuple[Any, int, int] | None
        ] = {}  # a value, its count and height; None while it is read
        self.values = self.aliases = self.deepest = 0
        self.gone: list[Any] = []  # kept until the end: an id must not come twice
        self.ours = limits is OF_OURS

    def read(self) -> Read:
        """The whole document; None for an empty file."""
        first = self._next()
        if isinstance(first, yaml.StreamEndEvent):
            return Read(None)
        if first.version and tuple(first.version) != (1, 2):
            version = ".".join(map(str, first.version))
            raise Wrong(_line(first), f"it says %YAML {version}, and YAML 1.2 is read: take that line out")
        values = self._value(self._next(), 0)
        more = next((event for event in self.events if isinstance(event, yaml.DocumentStartEvent)), None)
        if more is not None:
            raise Wrong(_line(more), "a second document begins ('---'): keep one in a file")
        return Read(values, self.lines)

    def _next(self) -> Any:
        return next(
            event for event in self.events if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentEndEvent)
        )

    def _value(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        before, outside, self.deepest = self.values, self.deepest, depth
        self._count(1, event)
        self._descend(depth, event)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        read = {yaml.SequenceStartEvent: self._list, yaml.MappingStartEvent: self._mapping}.get(type(event))
        found = read(event, depth) if read else self._scalar(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = found, self.values - before, self.deepest - depth
        self.deepest = max(outside, self.deepest)
        return found

    def _descend(self, depth: int, event: Any) -> None:
        self.deepest = max(self.deepest, depth)
        if depth > self.limits.depth:
            raise Wrong(_line(event), f"it is nested more than {self.limits.depth} levels deep: take levels out")

    def _alias(self, event: Any, depth: int) -> Any:
        if event.anchor not in self.anchors:
            raise Wrong(_line(event), f"*{event.anchor:.80} has no anchor before it: write &NAME where it is meant")
        known = self.anchors[event.anchor]
        if known is None:
            raise Wrong(_line(event), f"*{event.anchor:.80} stands inside of what it names: write out what is meant")
        self.aliases += 1
        if self.aliases > self.limits.aliases:
            raise Wrong(_line(event), f"there are more than {self.limits.aliases:,} aliases: write out what they name")
        found, count, height = known
        self._count(count, event)
        self._descend(depth + height, event)
        return found

    def _count(self, more: int, event: Any) -> None:
        self.values += more
        if self.values > self.limits.values:
            raise Wrong(
                _line(event),
                f"there are more than {self.limits.values:,} values, aliases written out: put data into a .jsonl file",
            )

    def _list(self, event: Any, depth: int) -> list[Any]:
        _check_tag(event, "seq")
        found: list[Any] = []
        for inner in iter(self._next, None):
            if isinstance(inner, yaml.SequenceEndEvent):
                return found
            self._place(found, len(found), inner)
            found.append(self._value(inner, depth + 1))
        raise AssertionError("the parser closes what it opens")

    def _mapping(self, event: Any, depth: int) -> dict[str, Any]:
        _check_tag(event, "map")
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for inner in iter(self._next, None):
            if isinstance(inner, yaml.MappingEndEvent):
                for name, one in merged.items():
                    found.setdefault(name, one)
                return found
            key, line = self._key(inner), _line(inner)
            if key in seen:
                raise Wrong(line, f"the key {key!r:.80} is there twice, in lines {seen[key]} and {line}: leave one out")
            seen[key] = line
            value = self._value(self._next(), depth + 1)
            if key == "<<" and inner.implicit[0]:
                merged = _merged(value, line)
                self.gone.append(value)
            else:
                found[key] = value
                self._place(found, key, inner)
        raise AssertionError("the parser closes what it opens")

    def _place(self, container: Any, key: Any, event: Any) -> None:
        if not self.ours:
            self.lines[id(container), key] = _line(event)

    def _key(self, event: Any) -> str:
        """As it is written: 010 and true are texts as keys."""
        if not isinstance(event, yaml.ScalarEvent):
            raise Wrong(_line(event), "a key is a list, a mapping or an alias: write a word")
        if event.anchor is not None:
            self.anchors[event.anchor] = event.value, 1, 0
        self._count(1 + len(event.value) // 32, event)
        _check_tag(event, "str")
        return self._harmless(event)

    def _scalar(self, event: Any) -> Any:
        self._count(len(event.value) // 32, event)
        tag = (event.tag or "").removeprefix(PREFIX)
        if tag in ("str", "!") or (not tag and not event.implicit[0]):
            return self._harmless(event)
        if tag not in TAGS:
            _check_tag(event, "str")
        found = _plain(event)
        if tag and type(found) not in TAGS[tag]:
            raise Wrong(_line(event), f"!!{tag} {event.value!r:.80} is none: leave the tag out, or write such a value")
        return float(found) if tag == "float" else self._harmless(event) if isinstance(found, str) else found

    def _harmless(self, event: Any) -> str:
        found = None if self.ours else STEERS.search(event.value)
        if found:
            raise Wrong(_line(event), f"{event.value!r:.80} has the control character {found[0]!r}: take it out")
        return str(event.value)


def _events(text: str) -> Iterator[Any]:
    """As the parser gives them. Raises Wrong for what is no YAML."""
    if found := STEERS.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise Wrong(line, f"the control character {found[0]!r} stands there: take it out")
    try:
        yield from itertools.islice(yaml.parse(text, Loader=_PARSER), 1, None)  # after the stream's start
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f" ({error.context})" if error.context else ""
        said = f"{error.problem or error.context}{context}: mend the line"
        raise Wrong(mark.line + 1 if mark else 1, said) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Wrong(1, f"{' '.join(str(error).split()):.200}: mend it") from error


def _plain(event: Any) -> Any:
    """A value that is not quoted, by YAML 1.2's core schema."""
    text = event.value
    if text in WORDS:
        return WORDS[text]
    if NO_NUMBER.fullmatch(text):
        return float(text.replace(".", "").lower())
    if not (NUMBER.fullmatch(text) or OTHER_BASE.fullmatch(text)):
        return text
    if len(text) > LONGEST_NUMBER:
        raise Wrong(
            _line(event), f"the number {text[:20]}... has {len(text):,} characters, and {LONGEST_NUMBER} are read: shorten it, or quote it if it is text"
        )  # fmt: skip
    if OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return int(text) if INTEGER.fullmatch(text) else float(text)


def _merged(value: Any, line: int) -> dict[str, Any]:
    """What `<<` brings in; of several, the first that has a key wins."""
    several = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in several):
        raise Wrong(line, f"<< merges mappings, and {value!r:.80} is none: name a mapping's alias")
    return {key: one[key] for one in reversed(several) for key in one}


def _check_tag(event: Any, kind: str) -> None:
    if event.tag not in (None, "!", PREFIX + kind):
        raise Wrong(
            _line(event),
            f"the tag {event.tag.replace(PREFIX, '!!')!r:.80} is not read: leave it out and write plain values",
        )


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
