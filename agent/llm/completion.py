"""What a server sent, read once and strictly: after this file there are plain texts and counts, whatever came.

A server may send anything: arguments as an object, content as a list of parts, counts below zero, `null` here and there, an error under
HTTP 200. Nothing here raises for it. What is kept is such that every later reader (msgpack, SQLite, pydantic) takes it: a run must not
become unresumable by what somebody said. Knows nothing of tools, and not how the answer came.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from prompts.ground.clean import clean

DEEPEST = 40  # levels of an answer that are kept; a real one has about eight
MOST_TOKENS = 10_000_000  # that one answer may claim: more is a slip of the server's, and would use any budget up
LONGEST_TOLD = 300  # characters of a server's own message
SPOKEN_PARTS = ("text", "output_text", None)  # kinds of parts of a content; others are pictures or thinking
BUSY = frozenset(
    {408, 409, 425, 429}
)  # a busy or starting server; anything else in 4xx stays wrong however often it is asked
# How servers spell codes where they send no number.
NAMED = (("rate", 429), ("exhausted", 429), ("quota", 429), ("overload", 503), ("unavailable", 503), ("timeout", 504), ("server", 500),
         ("internal", 500), ("auth", 401), ("permission", 403), ("not_found", 404), ("invalid", 400))  # fmt: skip


@dataclass(frozen=True)
class Called:
    """A tool's name and the text of its arguments, as they came; JSON where they were no text."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Completion:
    """An answer: its text, its calls, whether it ran into the token limit, and what it cost."""

    content: str = ""
    calls: tuple[Called, ...] = ()
    cut_off: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Refusal:
    """An error that a server sent in place of an answer. `code` is HTTP's, or none where it gave none that we know."""

    said: str
    code: int | None = None

    @property
    def passing(self) -> bool:
        """Whether asking again may help; where no code is given, it may."""
        return self.code is None or self.code in BUSY or self.code >= 500


def kept(value: object, depth: int = 0) -> JsonValue:
    """`value` as JSON that can be stored and read again: finite, whole numbers of 64 bits, whole characters, not too deep."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else "a number of more than 64 bits"
    if isinstance(value, float):
        return value if math.isfinite(value) else json.dumps(value)
    if depth >= DEEPEST:
        return f"(deeper than {DEEPEST} levels)"
    if isinstance(value, Mapping):
        return {str(kept(str(key))): kept(item, depth + 1) for key, item in value.items()}
    return [kept(item, depth + 1) for item in value] if isinstance(value, list | tuple) else clean(value, LONGEST_TOLD)


def is_completion(value: object) -> bool:
    """Whether there is a choice at all, of whatever shape."""
    choices = value.get("choices") if isinstance(value, Mapping) else None
    return isinstance(choices, list) and bool(choices)


def read_completion(value: object) -> Completion:
    """The first choice and the counts. What is of another shape than it should be reads as absent, or as its own JSON."""
    whole = kept(value)
    choice = _first(_dict(whole).get("choices"))
    message, usage = _dict(choice.get("message")), _dict(_dict(whole).get("usage"))
    return Completion(
        content=_text(message.get("content")) or _text(message.get("refusal")),
        calls=_calls(message),
        cut_off=choice.get("finish_reason") == "length",
        prompt_tokens=tokens(usage.get("prompt_tokens")),
        completion_tokens=tokens(usage.get("completion_tokens")),
    )


def tokens(value: object) -> int:
    """A count as a server gave it: 0 for what is none, and no more than one answer can have."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return int(min(max(value, 0), MOST_TOKENS))


def read_refusal(value: object) -> Refusal | None:
    """The error in a body, whatever its shape; none where there is an answer, or nothing that looks like an error."""
    whole = kept(value)
    found = _first(whole) if isinstance(whole, list) else _dict(whole)  # some send one error in a list
    choice = _first(found.get("choices"))
    error = found.get("error") or (choice.get("error") if not choice.get("message") else None)
    if error and not (isinstance(error, dict) and not any(error.values())):
        return _refusal(_dict(error) or {"message": error}, found)
    plain = {"message", "detail", "msg", "errors"} & found.keys()
    return None if choice or not plain else _refusal(found, {})


def _refusal(error: Mapping[str, JsonValue], around: Mapping[str, JsonValue]) -> Refusal:
    given = (error.get("message"), error.get("detail"), error.get("msg"), error.get("errors"))
    said = next((one for one in given if one), dict(error))
    codes = [one.get(name) for one in (error, around) for name in ("code", "status", "status_code", "type")]
    numbers = [number for number in map(_code, codes) if number is not None]
    return Refusal(clean(said if isinstance(said, str) else json.dumps(said), LONGEST_TOLD), next(iter(numbers), None))


def _code(value: JsonValue) -> int | None:
    """HTTP's number for a code; none for what is no such code."""
    text = str(value).strip().lower()
    if text.isdecimal() and text.isascii() and len(text) == 3:
        return int(text) if 400 <= int(text) < 600 else None
    return next((number for word, number in NAMED if isinstance(value, str) and word in text), None)


def _calls(message: Mapping[str, JsonValue]) -> tuple[Called, ...]:
    """Every call, also one of a shape that nobody can read: it is refused by its name, and not passed over."""
    listed = message.get("tool_calls") or []
    found = [_dict(one).get("function") for one in (listed if isinstance(listed, list) else [listed])]
    if not found and message.get("function_call"):  # as it was called before tools
        found = [message["function_call"]]
    return tuple(Called(_json(_dict(one).get("name")), _json(_dict(one).get("arguments"))) for one in found)


def _text(content: JsonValue) -> str:
    """The words of a content: a text, or the parts that are text."""
    if isinstance(content, list):
        return "".join(_text(part) for part in content if isinstance(part, str) or _spoken(part))
    if isinstance(content, dict) and isinstance(content.get("text"), str):
        return str(content["text"])
    return _json(content)


def _spoken(part: JsonValue) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str) and part.get("type") in SPOKEN_PARTS


def _json(value: JsonValue) -> str:
    """A text as it is, anything else as JSON, nothing as ""."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _dict(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _first(value: JsonValue) -> Mapping[str, JsonValue]:
    return _dict(value[0]) if isinstance(value, list) and value else {}
