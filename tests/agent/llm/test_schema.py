from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from agent.llm.schema import Tool, answer_grammar, as_response_format, as_tool, call_grammar, strict_schema


class Corner(StrEnum):
    LEFT = "left"
    RIGHT = "right"


class Place(BaseModel):
    """Where a shape goes."""

    corner: Corner
    at: tuple[int, int] = (0, 0)


class Paint(BaseModel):
    """Paints."""

    prompts: list[str] = Field(min_length=1, max_length=4, description="what to paint")
    count: int = Field(1, gt=0, lt=9)
    weight: float = Field(0.5, ge=0, le=1)
    place: Place
    note: str | None = Field(None, max_length=300)
    kind: Literal["a", "b"] = "a"
    sure: bool = True


def walk(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for item in node for found in walk(item)]
    if not isinstance(node, dict):
        return []
    return [node, *(found for value in node.values() for found in walk(value))]


def test_every_key_is_required_in_the_order_of_the_fields_and_no_other_is_allowed() -> None:
    schema = strict_schema(Paint)
    assert schema["required"] == list(Paint.model_fields) == list(schema["properties"])
    objects = [node for node in walk(schema) if node.get("type") == "object"]
    assert len(objects) == 2 and all(node["additionalProperties"] is False for node in objects)


def test_references_titles_and_defaults_are_gone() -> None:
    for node in walk(strict_schema(Paint)):
        assert not {"$ref", "$defs", "title", "default"} & node.keys()


def test_bounds_choices_and_descriptions_stay() -> None:
    fields = strict_schema(Paint)["properties"]
    assert (fields["prompts"]["minItems"], fields["prompts"]["maxItems"]) == (1, 4)
    assert fields["prompts"]["description"] == "what to paint"
    assert (fields["weight"]["minimum"], fields["weight"]["maximum"]) == (0, 1)
    assert fields["kind"]["enum"] == ["a", "b"]
    assert fields["place"]["properties"]["corner"]["enum"] == ["left", "right"]


def test_an_integers_exclusive_bounds_become_inclusive() -> None:
    assert strict_schema(Paint)["properties"]["count"] == {"type": "integer", "minimum": 1, "maximum": 8}


def test_what_has_no_bound_gets_one() -> None:
    class Free(BaseModel):
        text: str
        many: list[str]
        number: int

    fields = strict_schema(Free)["properties"]
    assert fields["text"]["maxLength"] == fields["many"]["items"]["maxLength"] == 240
    assert fields["many"]["maxItems"] == 16
    assert fields["number"]["minimum"] == -fields["number"]["maximum"]


def test_the_pattern_of_a_string_carries_its_length() -> None:
    class Long(BaseModel):
        text: str = Field(min_length=2, max_length=300)

    pattern = strict_schema(Long)["properties"]["text"]["pattern"]
    assert not re.search(pattern, "x") and re.search(pattern, "xx")
    assert re.search(pattern, "é" * 300) and not re.search(pattern, "x" * 301)
    assert max(int(most) for most in re.findall(r",(\d+)}", pattern)) <= 128


@pytest.mark.parametrize("bad", ['a"b', "a\\b", "a\nb", "a\tb", "a</tool_call>"])
def test_a_string_cannot_break_the_call_it_is_in(bad: str) -> None:
    class Text(BaseModel):
        text: str

    assert not re.search(strict_schema(Text)["properties"]["text"]["pattern"], bad)


def test_a_field_that_says_its_own_pattern_keeps_it() -> None:
    class Code(BaseModel):
        code: str = Field(pattern="^[a-z]{3}$")

    assert strict_schema(Code)["properties"]["code"]["pattern"] == "^[a-z]{3}$"


class Tree(BaseModel):
    inside: Tree | None = None


class Open(BaseModel):
    anything: dict[str, int]


class Vague(BaseModel):
    anything: Any


@pytest.mark.parametrize("model", [Tree, Open, Vague])
def test_what_cannot_be_constrained_is_refused(model: type[BaseModel]) -> None:
    with pytest.raises(ValueError, match="strict schema cannot"):
        strict_schema(model)


def test_a_tool_without_arguments_is_an_empty_object() -> None:
    class Stop(BaseModel):
        pass

    assert strict_schema(Stop) == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def test_a_tool_is_sent_strict_unless_told_otherwise() -> None:
    tool = Tool("paint", "paints", Paint)
    assert as_tool(tool)["function"]["strict"] is True
    assert "strict" not in as_tool(tool, strict=False)["function"]
    assert as_response_format(Paint)["json_schema"]["strict"] is True


def test_the_grammar_of_a_call_fixes_the_whole_text_around_the_arguments() -> None:
    form = json.loads(call_grammar([Tool("paint", "paints", Paint)]))["format"]
    (tag,) = form["tags"]
    assert (tag["begin"], tag["end"]) == ('<tool_call>\n{"name": "paint", "arguments": ', "}\n</tool_call>")
    assert form["at_least_one"] and form["stop_after_first"] and tag["content"]["max_whitespace_cnt"] == 1
    assert json.loads(answer_grammar(Paint))["format"]["json_schema"] == strict_schema(Paint)
