"""What a language model answered, read strictly: a call of a known tool, an object of a known shape, or plain text.

One small mending is allowed (junk after the JSON, a number written as text, a call written out in the text, a mark that steers a
terminal) and told; everything else is an `InvalidPlan` with its kind, and nothing else is ever raised. What a model only thought is not
read (agent/llm/thinking.py). Knows nothing of servers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from agent.llm.completion import Completion, kept, read_completion
from agent.llm.schema import ToolSpec
from agent.llm.thinking import FENCE, is_unclear, spoken, starts_call, still_thinking
from prompts.errors import LlmError
from prompts.ground.clean import harmless

Problem = Literal["prose", "broken_json", "wrong_types", "unknown_tool", "cut_off", "empty"]
Shape = TypeVar("Shape", bound=BaseModel)
SHOWN = 400  # characters of an answer that an error repeats


class InvalidPlan(LlmError):
    """The model answered, but not usefully. `problem` is the kind, `text` what it wrote and why that will not do."""

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__(f"the language model's answer cannot be used ({problem}): {text}")
        self.problem: Problem = problem
        self.text = text


@dataclass(frozen=True)
class ToolCall:
    """A tool and its arguments as plain JSON values. `raw` is the arguments' text as it came; `repaired`: it was mended."""

    name: str
    args: dict[str, Any]
    raw: str = ""
    repaired: bool = False


def read_call(response: object, tools: Sequence[ToolSpec]) -> ToolCall:
    """The call in an OpenAI chat completion; of several, the first, which counts as mended.

    Raises:
        InvalidPlan: see the class.
    """
    heard = read_completion(response)
    if not heard.calls:
        return _written_out(heard, tools)
    if still_thinking(heard.content):
        _refuse(heard, "prose", f"the call stands inside the model's thinking: {heard.content}")
    first = heard.calls[0]
    return _call(first.name, first.arguments, tools, heard, mended=len(heard.calls) > 1)


def read_object(response: object, schema: type[Shape]) -> Shape:
    """The object of the shape `schema` in a completion's text. Raises as `read_call`."""
    heard = read_completion(response)
    text = spoken(heard.content)
    if not text.strip():
        _refuse(heard, "empty", text)
    return _validated(FENCE.sub("", text), schema, heard)[0]


def read_text(response: object) -> str:
    """A completion's text. Raises InvalidPlan where there is none."""
    heard = read_completion(response)
    text = str(_steerless(spoken(heard.content))).strip()
    if not text:
        _refuse(heard, "empty", heard.content)
    return text


def _call(name: str, raw: str, tools: Sequence[ToolSpec], heard: Completion, *, mended: bool) -> ToolCall:
    spec = next((tool for tool in tools if tool.name == name), None)
    if spec is None:
        known = ", ".join(tool.name for tool in tools)
        _refuse(heard, "unknown_tool", f"{name[:SHOWN]!r} is not one of {known}; arguments {raw}")
    args, repaired = _validated(raw, spec.arguments, heard)
    return ToolCall(spec.name, args.model_dump(mode="json"), raw, mended or repaired)


def _written_out(heard: Completion, tools: Sequence[ToolSpec]) -> ToolCall:
    """A call that the server left in the text: its parser wants perfect JSON, or it has none."""
    text = spoken(heard.content)
    start = starts_call(text)
    if start is None:
        _refuse(heard, "prose" if text.strip() else "empty", text)
    if is_unclear(text, start):
        _refuse(heard, "prose", f"several calls with words between, and which one is meant is not clear: {text}")
    value, _ = _json(text[start:], heard)
    if not isinstance(value, dict) or not {"name", "arguments"} <= value.keys():
        _refuse(heard, "broken_json", f"neither a name nor arguments in {text}")
    name = value["name"] if isinstance(value["name"], str) else json.dumps(value["name"])
    return _call(name, json.dumps(value["arguments"], ensure_ascii=False), tools, heard, mended=True)


def _validated(text: str, schema: type[Shape], heard: Completion) -> tuple[Shape, bool]:
    """The object, and whether it had to be mended."""
    value, mended = _json(text, heard)
    mended = mended or _steerless(value) != value
    whole = json.dumps(_steerless(value))
    if isinstance(value, dict) and (strange := value.keys() - _keys(schema)):
        _refuse(heard, "wrong_types", f"{sorted(strange)} are no arguments; in {text}")
    try:
        return schema.model_validate_json(whole, strict=True), mended
    except ValidationError:
        pass  # "4" for 4 is forgiven next; anything worse is told
    try:
        found = schema.model_validate_json(whole)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        _refuse(heard, "wrong_types", f"{where}: {first['msg']}; in {text}")
    plain = found.model_dump(mode="json")
    if kept(plain) != plain:  # "Infinity" and "1e999", forgiven as texts
        _refuse(heard, "wrong_types", f"a number without an end; in {text}")
    return found, True


def _steerless(value: JsonValue) -> JsonValue:
    """JSON without the characters that steer a terminal or turn a line round; tabs and line ends stay."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(mark if mark in "\t\n\r" else harmless(mark) for mark in value)
    if isinstance(value, dict):
        return {str(_steerless(key)): _steerless(item) for key, item in value.items()}
    return [_steerless(item) for item in value] if isinstance(value, list) else value


def _keys(schema: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in schema.model_fields.items()}


def _json(text: str, heard: Completion) -> tuple[JsonValue, bool]:
    """The JSON value that `text` starts with, and whether anything but white space had to be forgiven."""
    try:
        return _checked(json.loads(text, parse_constant=_not_a_number, parse_float=_finite)), False
    except (ValueError, RecursionError):
        pass  # trailing junk and raw control characters are forgiven next
    forgiving = json.JSONDecoder(strict=False, parse_constant=_not_a_number, parse_float=_finite)
    try:
        return _checked(forgiving.raw_decode(text.lstrip())[0]), True
    except RecursionError:
        _refuse(heard, "broken_json", f"nested too deep; in {text}")
    except ValueError as error:
        _refuse(heard, "broken_json", f"{error}; in {text}")


def _checked(value: JsonValue) -> JsonValue:
    """As it is, where it can be stored and read again. Raises ValueError."""
    if kept(value) != value:
        raise ValueError("a number of more than 64 bits, half a letter, or nested too deep")
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else float(_not_a_number(digits))


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _refuse(heard: Completion, problem: Problem, text: str) -> NoReturn:
    """An answer that ran into the token limit is told as that, whatever else is wrong with it."""
    told = harmless(text[: SHOWN + 1])
    raise InvalidPlan("cut_off" if heard.cut_off else problem, told if len(text) <= SHOWN else f"{told[:SHOWN]}...")
