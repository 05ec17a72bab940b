"""From pydantic argument models to the JSON that an OpenAI-compatible server constrains an answer with.

A grammar built from these schemas lets even a weak model only write calls that parse and end: every key is required, in
the order of the fields, and every string, list and number is bounded. Knows nothing of HTTP or of any one tool.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

JsonDict = dict[str, Any]
# What a field gets when it names no bound of its own: without one, a weak model runs to the token limit.
LONGEST_STRING = 240
LONGEST_LIST = 16
LARGEST_NUMBER = 1_000_000_000
# xgrammar 0.2.8 cannot compile a regular expression that repeats a class more often than this: longer ones are chained.
LONGEST_REPEAT = 128
# A raw control character makes the JSON invalid, an escape is allowed by no bounded grammar, and "<" could spell the
# "</tool_call>" that ends a call.
CHARACTER = r'[^"\\<\u0000-\u001f]'
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


class ToolSpec(Protocol):
    """A tool as the planner sees it; any object with these three attributes will do."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def arguments(self) -> type[BaseModel]: ...


@dataclass(frozen=True)
class Tool:
    """The plainest `ToolSpec`."""

    name: str
    description: str
    arguments: type[BaseModel]


def as_tool(spec: ToolSpec, *, strict: bool = True) -> JsonDict:
    """The tool in the OpenAI shape. Without `strict` vLLM leaves the arguments free, even for a required call."""
    function: JsonDict = {
        "name": spec.name,
        "description": spec.description,
        "parameters": strict_schema(spec.arguments),
    }
    return {"type": "function", "function": function | ({"strict": True} if strict else {})}


def as_response_format(model: type[BaseModel]) -> JsonDict:
    """`response_format` for an answer that is one JSON object of `model`."""
    return {
        "type": "json_schema",
        "json_schema": {"name": model.__name__, "schema": strict_schema(model), "strict": True},
    }


def call_grammar(specs: Sequence[ToolSpec]) -> str:
    """The structural tag (xgrammar, as vLLM takes it) of exactly one Hermes call of one of `specs`, and nothing else.

    vLLM's own tag for a required call allows any amount of white space between the tokens of the arguments, where a
    weak model can stay until the token limit; this one allows a single character.
    """
    calls = [
        {
            "type": "tag",
            "begin": f'<tool_call>\n{{"name": "{spec.name}", "arguments": ',
            "content": _tight(spec.arguments),
            "end": "}\n</tool_call>",
        }
        for spec in specs
    ]
    once = {
        "type": "tags_with_separator",
        "tags": calls,
        "separator": "",
        "at_least_one": True,
        "stop_after_first": True,
    }
    return json.dumps({"type": "structural_tag", "format": once})


def answer_grammar(model: type[BaseModel]) -> str:
    """The structural tag of one JSON object of `model`, with no more white space than `call_grammar` allows."""
    return json.dumps({"type": "structural_tag", "format": _tight(model)})


def _tight(model: type[BaseModel]) -> JsonDict:
    return {"type": "json_schema", "json_schema": strict_schema(model), "max_whitespace_cnt": 1}


def strict_schema(model: type[BaseModel]) -> JsonDict:
    """The JSON schema of `model` without references, titles or defaults; all keys required, no others, all bounded.

    Raises:
        ValueError: a field that cannot be constrained (an open dict, `Any`, a model that contains itself).
    """
    whole = model.model_json_schema()
    return {key: value for key, value in _strict(whole, whole.get("$defs", {}), ()).items() if key != "description"}


def _strict(node: JsonDict, defs: JsonDict, inside: tuple[str, ...]) -> JsonDict:
    if "$ref" in node:
        return _referred(node, defs, inside)
    kept = {"description": node["description"]} if "description" in node else {}
    if choices := node.get("anyOf") or node.get("oneOf"):
        return kept | {"anyOf": [_strict(choice, defs, inside) for choice in choices]}
    if "const" in node or "enum" in node:
        return kept | _one_of(node)
    match node.get("type"):
        case "object":
            return kept | _object(node, defs, inside)
        case "array":
            return kept | _array(node, defs, inside)
        case "string":
            return kept | _string(node)
        case "integer" | "number":
            return kept | _number(node)
        case "boolean" | "null":
            return kept | {"type": node["type"]}
    raise ValueError(f"a strict schema cannot say {node!r}: give the field one concrete type")


def _referred(node: JsonDict, defs: JsonDict, inside: tuple[str, ...]) -> JsonDict:
    name = node["$ref"].rsplit("/", 1)[-1]
    if name in inside:
        raise ValueError(f"a strict schema cannot hold {name!r} inside itself")
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return _strict(defs[name] | beside, defs, (*inside, name))


def _one_of(node: JsonDict) -> JsonDict:
    values = node["enum"] if "enum" in node else [node["const"]]
    return ({"type": node["type"]} if "type" in node else {}) | {"enum": values}


def _object(node: JsonDict, defs: JsonDict, inside: tuple[str, ...]) -> JsonDict:
    fields = node.get("properties", {})
    if node.get("additionalProperties", False) is not False or ("properties" not in node and "title" not in node):
        raise ValueError(f"a strict schema cannot hold open keys: {node!r}; name every field")
    return {
        "type": "object",
        "properties": {name: _strict(field, defs, inside) for name, field in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def _array(node: JsonDict, defs: JsonDict, inside: tuple[str, ...]) -> JsonDict:
    if "prefixItems" in node:
        items: JsonDict = {"prefixItems": [_strict(item, defs, inside) for item in node["prefixItems"]], "items": False}
    else:
        items = {"items": _strict(node.get("items", {}), defs, inside)}
    fewest = node.get("minItems", 0)
    return {"type": "array"} | items | {"minItems": fewest, "maxItems": node.get("maxItems", max(LONGEST_LIST, fewest))}


def _string(node: JsonDict) -> JsonDict:
    shortest = node.get("minLength", 0)
    longest = node.get("maxLength", max(LONGEST_STRING, shortest))
    pattern = node.get("pattern") or _pattern(shortest, longest)
    return {"type": "string", "minLength": shortest, "maxLength": longest, "pattern": pattern}


def _pattern(shortest: int, longest: int) -> str:
    """`shortest` to `longest` harmless characters. The lengths are in it because xgrammar ignores them beside it."""
    parts: list[str] = []
    while longest > 0 or not parts:
        most, least = min(longest, LONGEST_REPEAT), min(shortest, LONGEST_REPEAT)
        parts.append(f"{CHARACTER}{{{least},{most}}}")
        shortest, longest = shortest - least, longest - most
    return f"^{''.join(parts)}$"


def _number(node: JsonDict) -> JsonDict:
    kept = {key: node[key] for key in BOUNDS if key in node}
    if node["type"] == "integer":
        kept = _whole(kept)
    if not {"minimum", "exclusiveMinimum"} & kept.keys():
        kept["minimum"] = -LARGEST_NUMBER
    if not {"maximum", "exclusiveMaximum"} & kept.keys():
        kept["maximum"] = LARGEST_NUMBER
    return {"type": node["type"]} | kept


def _whole(bounds: JsonDict) -> JsonDict:
    """An integer's exclusive bounds as inclusive ones, which more servers understand."""
    kept = {key: value for key, value in bounds.items() if not key.startswith("exclusive")}
    if "exclusiveMinimum" in bounds:
        kept["minimum"] = bounds["exclusiveMinimum"] + 1
    if "exclusiveMaximum" in bounds:
        kept["maximum"] = bounds["exclusiveMaximum"] - 1
    return kept
