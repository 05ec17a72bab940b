"""Tools, and answers about them, as tests of the readers say them."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from agent.llm.answers import ToolCall, read_call
from agent.llm.schema import Tool
from tests.agent.llm.shapes import ARGUMENTS


class Paint(BaseModel):
    prompt: str = Field(max_length=80)
    count: int = Field(ge=1, le=8)
    kind: Literal["a", "b"] = "a"


class Loose(BaseModel):
    much: float
    many: int = 0


class Stop(BaseModel):
    pass


TOOLS = [Tool("paint", "paints", Paint), Tool("loose", "is loose", Loose), Tool("stop", "ends", Stop)]
GOOD = json.dumps(ARGUMENTS)
CALL = f'<tool_call>\n{{"name": "paint", "arguments": {GOOD}}}\n</tool_call>'
BARE = f'{{"name": "paint", "arguments": {GOOD}}}'
DRAFT = '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>'


def said(content: Any, *calls: Any, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {})}
    return {"choices": [{"message": message, "finish_reason": "stop", **more}]}


def called(arguments: Any, name: Any = "paint") -> dict[str, Any]:
    return said(None, {"id": "0", "type": "function", "function": {"name": name, "arguments": arguments}})


def read(content: Any, *calls: Any) -> ToolCall:
    return read_call(said(content, *calls), TOOLS)
