"""What a language model answered, read strictly: a call of a known tool, an object of a known shape, or plain text.

One small mending is allowed (junk after the JSON, a number written as text, a call written out in the text) and told;
everything else is an `InvalidPlan` with its kind. Knows nothing of servers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from agent.llm.schema import ToolSpec
from prompts.errors import LlmError

Problem = Literal["prose", "broken_json", "wrong_types", "unknown_tool", "cut_off", "empty"]
Shape = TypeVar("Shape", bound=BaseModel)
OPENING = "<tool_call>"
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


def read_call(response: Any, tools: Sequence[ToolSpec]) -> ToolCall:
    """The call in an OpenAI chat completion; of several, the first, which counts as mended.

    Raises:
        InvalidPlan: see the class.
    """
    calls = _message(response).get("tool_calls") or []
    if not calls:
        return _written_out(response, tools)
    called = calls[0].get("function") or {}
    return _call(called.get("name"), called.get("arguments") or "", tools, response, mended=len(calls) > 1)


def read_object(response: Any, schema: type[Shape]) -> Shape:
    """The object of the shape `schema` in a completion's text. Raises as `read_call`."""
    text = _content(response)
    if not text.strip():
        _refuse(response, "empty", text)
    return _validated(text, schema, response)[0]


def read_text(response: Any) -> str:
    """A completion's text. Raises InvalidPlan where there is none."""
    text = _content(response).strip()
    if not text:
        _refuse(response, "empty", text)
    return text


def _call(name: Any, raw: str, tools: Sequence[ToolSpec], response: Any, *, mended: bool) -> ToolCall:
    spec = next((tool for tool in tools if tool.name == name), None)
    if spec is None:
        known = ", ".join(tool.name for tool in tools)
        _refuse(response, "unknown_tool", f"{name!r} is not one of {known}; arguments {raw}")
    args, repaired = _validated(raw, spec.arguments, response)
    return ToolCall(spec.name, args.model_dump(mode="json"), raw, mended or repaired)


def _written_out(response: Any, tools: Sequence[ToolSpec]) -> ToolCall:
    """A call that the server left in the text: its parser wants perfect JSON, or it has none."""
    text = _content(response)
    inside = text.partition(OPENING)[2] if OPENING in text else text
    if not inside.lstrip().startswith("{"):
        _refuse(response, "prose" if text.strip() else "empty", text)
    value, _ = _json(inside, response)
    if not isinstance(value, dict) or not {"name", "arguments"} <= value.keys():
        _refuse(response, "broken_json", f"neither a name nor arguments in {text}")
    return _call(value["name"], json.dumps(value["arguments"], ensure_ascii=False), tools, response, mended=True)


def _validated(text: str, schema: type[Shape], response: Any) -> tuple[Shape, bool]:
    """The object, and whether it had to be mended."""
    value, mended = _json(text, response)
    whole = json.dumps(value)
    if isinstance(value, dict) and (strange := value.keys() - _keys(schema)):
        _refuse(response, "wrong_types", f"{sorted(strange)} are no arguments; in {text}")
    try:
        return schema.model_validate_json(whole, strict=True), mended
    except ValidationError:
        pass  # "4" for 4 is forgiven next; anything worse is told
    try:
        return schema.model_validate_json(whole), True
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        _refuse(response, "wrong_types", f"{where}: {first['msg']}; in {text}")


def _keys(schema: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in schema.model_fields.items()}


def _json(text: str, response: Any) -> tuple[Any, bool]:
    """The JSON value that `text` starts with, and whether anything but white space had to be forgiven."""
    try:
        return json.loads(text, parse_constant=_not_a_number), False
    except ValueError:
        pass  # trailing junk and raw control characters are forgiven next
    forgiving = json.JSONDecoder(strict=False, parse_constant=_not_a_number)
    try:
        return forgiving.raw_decode(text.lstrip())[0], True
    except ValueError as error:
        _refuse(response, "broken_json", f"{error}; in {text}")


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _refuse(response: Any, problem: Problem, text: str) -> NoReturn:
    """An answer that ran into the token limit is told as that, whatever else is wrong with it."""
    cut = _choice(response).get("finish_reason") == "length"
    raise InvalidPlan("cut_off" if cut else problem, text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _choice(response: Any) -> dict[str, Any]:
    choices = response.get("choices") if isinstance(response, dict) else None
    return choices[0] if choices and isinstance(choices[0], dict) else {}


def _message(response: Any) -> dict[str, Any]:
    return _choice(response).get("message") or {}


def _content(response: Any) -> str:
    return _message(response).get("content") or ""
