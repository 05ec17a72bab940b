"""agent/llm/thinking.py: what a model only thought is never carried out, however it marks its thoughts."""

from __future__ import annotations

import json
import time

import pytest

from agent.llm.answers import InvalidPlan, ToolCall, read_object, read_text
from tests.agent.llm.sayings import BARE, CALL, DRAFT, GOOD, Paint, read, said
from tests.agent.llm.shapes import ARGUMENTS


@pytest.mark.parametrize(
    "thought",
    [
        "<think>{draft} no, better not.</think>",
        "<think>I could write <tool_call> here.</think>",
        "{draft} the mark that opens was in the prompt</think>\n",
        "<think>a </think> that ends nothing: {draft}</think>",
        "<thinking>{draft}</thinking>",
        "<THINK>\n{draft}\n</THINK>\n\n",
        "[THINK]{draft}[/THINK]",
        "<antThinking>{draft}</antThinking>",
        "<Thought_process kind='x'>{draft}</Thought_process >",
        "<|thought|>{draft}<|/thought|>",
        "<|begin_of_thought|>{draft}<|end_of_thought|>",
        "<|START_THINKING|>{draft}<|END_THINKING|>",
        "◁think▷{draft}◁/think▷",
        "<|channel|>analysis<|message|>{draft}<|end|><|start|>assistant<|channel|>final<|message|>",
        "<think>one</think>{draft}<think>two</think>",
        '<think>{{"name": "stop", "arguments": {{}}}}</think>',
        "\n",
        "",
    ],
)
@pytest.mark.parametrize("rest", [CALL, BARE, f"```json\n{BARE}\n```"])
def test_what_was_only_thought_is_never_carried_out(thought: str, rest: str) -> None:
    assert read(thought.format(draft=DRAFT) + rest) == ToolCall("paint", ARGUMENTS, GOOD, repaired=True)


def test_a_mere_mention_of_the_mark_does_not_hide_the_call_behind_it() -> None:
    for mention in ("I will use <tool_call> now. ", "<tool_call> then </tool_call> ends it. "):
        assert read(mention + CALL).args == ARGUMENTS


@pytest.mark.parametrize(
    "content",
    [
        f"<think>{DRAFT}",
        f"<think>hm</think>well<think>{DRAFT}",
        f"Sure {{x}}. <think>{DRAFT}",
        f"I write <tool_call> when sure. <think>{DRAFT} or not",
        f"{DRAFT}</think>",
        f"<reasoning>{DRAFT}</reasoning>I would rather not.",
        '<think>{"prompt": "x", "count": 1}',
        "",
    ],
)
def test_a_thought_with_nothing_after_it_is_no_call(content: str) -> None:
    with pytest.raises(InvalidPlan):
        read(content)
    with pytest.raises(InvalidPlan):
        read_object(said(content), Paint)


@pytest.mark.parametrize("content", [f"**Thinking:** {DRAFT}\n**Answer:** {CALL}", f"<plan>{DRAFT}</plan>{CALL}", f"&lt;think&gt;{DRAFT}&lt;/think&gt;{CALL}", f"{DRAFT[:-12]} no, rather {CALL}"])  # fmt: skip
def test_of_two_calls_with_words_between_none_is_carried_out(content: str) -> None:
    with pytest.raises(InvalidPlan, match="not clear"):
        read(content)


def test_of_calls_side_by_side_the_first_counts() -> None:
    for between in ("", "\n", "</tool_call>\n"):
        assert read(f"{CALL}{between}{DRAFT}").args == ARGUMENTS


@pytest.mark.parametrize(
    "piece", ["<", "<think", "thinkthink", "<tool_call> ", "{", "<|channel|>final", "a", " ", "\n```", "<a:"]
)
def test_no_text_is_slow_to_read(piece: str) -> None:
    began = time.monotonic()
    for text in (piece * (500_000 // len(piece)), f"<{piece * 60_000}"):
        with pytest.raises(InvalidPlan):
            read(text)
    assert time.monotonic() - began < 5


def test_a_call_that_a_servers_parser_found_inside_a_thought_is_not_carried_out() -> None:
    call = {"function": {"name": "paint", "arguments": GOOD}}
    with pytest.raises(InvalidPlan, match="inside the model's thinking"):
        read("<think>perhaps ", call)
    assert read("<think>yes</think>", call).args == ARGUMENTS


def test_an_object_after_a_thought_is_read_and_marks_in_its_words_are_words() -> None:
    assert read_object(said(f'<think>{{"prompt": "draft", "count": 1}}</think>\n{GOOD}'), Paint).count == 4
    odd = json.dumps({"prompt": "</think> in <think> neon", "count": 2})
    assert read_object(said(odd), Paint).prompt == "</think> in <think> neon"
    assert read_text(said("<think>no</think> Yes.")) == "Yes."
