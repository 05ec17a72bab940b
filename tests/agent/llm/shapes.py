"""Answers of language model servers in every shape that hypothesis can think of: sound ones, and ones with something else in any place."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

MARKS = ("<think>", "</think>", "<thinking>", "</thinking>", "[THINK]", "[/THINK]", "<tool_call>", "</tool_call>", "```json\n", "```", "\u202e", "\x9b", "\ud83d", "\x00")  # fmt: skip
ARGUMENTS: dict[str, Any] = {"prompt": "three red circles", "count": 4, "kind": "b"}
CALL = json.dumps({"name": "paint", "arguments": ARGUMENTS})

numbers = (
    st.integers() | st.integers(min_value=2**63, max_value=2**80) | st.just(-1) | st.floats() | st.just(float("nan"))
)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=20) | st.sampled_from(MARKS)
junk = st.recursive(
    scalars,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=8,
)
deep = st.integers(min_value=50, max_value=400).map(lambda levels: _nested(levels))
anything = junk | junk | junk | deep
arguments = st.sampled_from([json.dumps(ARGUMENTS), json.dumps(ARGUMENTS)[:-3], "", "{}", "[]", "[" * 3000, '{"count": 1e999}', json.dumps(json.dumps(ARGUMENTS))]) | st.just(ARGUMENTS) | anything  # fmt: skip
written = st.lists(st.sampled_from([*MARKS, CALL, CALL[:-4], "hm, ", json.dumps(ARGUMENTS)]) | st.text(max_size=5), max_size=7).map("".join)  # fmt: skip
contents = written | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "thinking", "image_url"]) | junk, "text": written | junk}) | junk, max_size=3) | anything  # fmt: skip


def _nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def either(sound: st.SearchStrategy[Any], other: st.SearchStrategy[Any] = anything) -> st.SearchStrategy[Any]:
    """Mostly as it should be, sometimes anything."""
    return st.one_of(sound, sound, sound, other)


functions = st.fixed_dictionaries({}, optional={"name": either(st.sampled_from(["paint", "stop", "fly"])), "arguments": arguments})  # fmt: skip
calls = st.fixed_dictionaries({}, optional={"id": anything, "type": st.just("function"), "function": either(functions)})
messages = st.fixed_dictionaries(
    {}, optional={"role": st.just("assistant"), "content": contents, "tool_calls": either(st.lists(either(calls), max_size=3)),
                  "function_call": either(functions), "refusal": anything, "reasoning_content": anything},
)  # fmt: skip
choices = st.fixed_dictionaries({}, optional={"index": anything, "message": either(messages), "finish_reason": either(st.sampled_from(["stop", "length", None])), "error": anything})  # fmt: skip
usages = st.fixed_dictionaries(
    {}, optional={"prompt_tokens": anything, "completion_tokens": anything, "total_tokens": anything}
)
errors = st.fixed_dictionaries({}, optional={"message": anything, "code": either(st.sampled_from([429, "429", 500, 401, "rate_limit_exceeded"])), "type": anything})  # fmt: skip
answers = st.fixed_dictionaries(
    {}, optional={"id": anything, "choices": either(st.lists(either(choices), min_size=1, max_size=2)), "usage": either(usages), "error": errors | anything},
)  # fmt: skip
responses = either(st.fixed_dictionaries({"choices": st.lists(either(choices), min_size=1, max_size=2)}, optional={"usage": either(usages)}), answers | anything)  # fmt: skip
