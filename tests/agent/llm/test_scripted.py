from __future__ import annotations

import pytest
from pydantic import BaseModel

from agent.llm.client import InvalidPlan, LlmCallRecord, ToolCall
from agent.llm.schema import Tool
from agent.llm.scripted import ScriptedLlm
from prompts.errors import ReplayError
from tools.records import LlmCall


class Note(BaseModel):
    text: str


TOOLS = [Tool("note", "notes", Note)]
ASKED = [{"role": "user", "content": "hello"}]
CALL = ToolCall("note", {"text": "warm"})


def test_replies_come_in_order_each_for_its_question() -> None:
    llm = ScriptedLlm([CALL, Note(text="b"), '{"text": "c"}', "plain"])
    assert llm.choose_tool(ASKED, TOOLS) == CALL
    assert [llm.write(ASKED, Note).text, llm.write(ASKED, Note).text] == ["b", "c"]
    assert llm.chat(ASKED) == "plain" and llm.left == 0 and llm.asked == [ASKED] * 4


def test_a_missing_reply_ends_the_replay() -> None:
    llm = ScriptedLlm([CALL])
    llm.choose_tool(ASKED, TOOLS)
    with pytest.raises(ReplayError, match=r"missing record: .* answer 2 \(plan\)"):
        llm.choose_tool(ASKED, TOOLS)


def test_an_exception_in_the_record_is_raised_again() -> None:
    with pytest.raises(InvalidPlan, match="prose"):
        ScriptedLlm([InvalidPlan("prose", "well")]).choose_tool(ASKED, TOOLS)


def test_a_reply_of_another_kind_ends_the_replay() -> None:
    with pytest.raises(ReplayError, match="a tool call was asked for"):
        ScriptedLlm(["text"]).choose_tool(ASKED, TOOLS)
    with pytest.raises(ReplayError, match="one of \\['note'\\]"):
        ScriptedLlm([ToolCall("fly", {})]).choose_tool(ASKED, TOOLS)
    with pytest.raises(ReplayError, match="a Note was asked for"):
        ScriptedLlm(["{}"]).write(ASKED, Note)
    with pytest.raises(ReplayError, match="text was asked for"):
        ScriptedLlm([CALL]).chat(ASKED)


def test_each_answer_is_told_in_the_stores_words() -> None:
    records: list[LlmCallRecord] = []
    ScriptedLlm([CALL], on_call=records.append).choose_tool(ASKED, TOOLS)
    assert LlmCall(**records[0]).response == {"name": "note", "arguments": {"text": "warm"}}
