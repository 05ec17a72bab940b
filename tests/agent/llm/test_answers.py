"""agent/llm/answers.py, completion.py and failing.py: whatever a server says is a call, a shape, a text, or an InvalidPlan."""

from __future__ import annotations

import json
import math
from typing import Any

import ormsgpack
import pytest
from hypothesis import HealthCheck, given, settings

from agent.llm.answers import InvalidPlan, ToolCall, read_call, read_object, read_text
from agent.llm.completion import MOST_TOKENS, kept, read_completion
from agent.llm.failing import failure_of
from agent.llm.wire import Reply
from prompts.errors import LlmError
from prompts.ground.clean import harmless
from tests.agent.llm.sayings import CALL, DRAFT, GOOD, TOOLS, Paint, called, read, said
from tests.agent.llm.shapes import ARGUMENTS, responses
from tools.records import LlmCall, StepRecord

OFTEN = settings(
    deadline=None, derandomize=True, database=None, max_examples=1200, suppress_health_check=list(HealthCheck)
)
ALL = settings(OFTEN, max_examples=5000)


@pytest.mark.parametrize("arguments", [GOOD, ARGUMENTS])
def test_arguments_may_be_a_text_or_an_object(arguments: Any) -> None:
    assert read_call(called(arguments), TOOLS).args == ARGUMENTS


def test_a_content_in_parts_is_read_without_its_thinking() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": DRAFT}]}, {"type": "text", "text": CALL[:30]}, {"type": "text", "text": CALL[30:]}]  # fmt: skip
    assert read(parts).name == "paint"
    assert read_text(said(["one ", {"text": "two"}, {"type": "reasoning", "text": "no"}])) == "one two"


def test_a_function_call_as_it_was_before_tools_is_read() -> None:
    response = {"choices": [{"message": {"content": None, "function_call": {"name": "paint", "arguments": GOOD}}}]}
    assert read_call(response, TOOLS).args == ARGUMENTS


def test_calls_that_nobody_can_read_are_refused_and_not_passed_over() -> None:
    for junk in (None, 42, "paint", [], {}, {"function": None}, {"function": {"name": 3, "arguments": {}}}):
        with pytest.raises(InvalidPlan, match="unknown_tool"):
            read(CALL, junk)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"prompt": None, "count": 1}, "wrong_types"),
        (None, "broken_json"),
        ([1], "wrong_types"),
        (GOOD.replace("4", "9" * 5000), "broken_json"),
        ("[" * 100_000, "broken_json"),
        (json.dumps(GOOD), "wrong_types"),
        ('{"prompt": "half \\ud83d", "count": 1}', "broken_json"),
    ],
)
def test_useless_arguments_are_named(arguments: Any, problem: str) -> None:
    with pytest.raises(InvalidPlan) as caught:
        read_call(called(arguments), TOOLS)
    assert caught.value.problem == problem


@pytest.mark.parametrize(
    "arguments", ['{"much": 1e999}', '{"much": "Infinity"}', '{"much": "nan"}', f'{{"much": 1, "many": {2**70}}}']
)
def test_numbers_that_cannot_be_kept_are_refused(arguments: str) -> None:
    with pytest.raises(InvalidPlan):
        read_call(called(arguments, "loose"), TOOLS)


def test_marks_that_steer_a_terminal_are_taken_out_and_told() -> None:
    call = read_call(called({"prompt": "red\u202e\x9b31m\x1b[2J\tblue\u2066", "count": 1}), TOOLS)
    assert call.args["prompt"] == "red 31m [2J\tblue" and call.repaired
    with pytest.raises(InvalidPlan) as caught:
        read("prose \u202e\x9b31m\x07")
    assert harmless(str(caught.value)) == str(caught.value)
    assert read_text(said("one\u2066 two")) == "one two"


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        (12, 12), (12.0, 12), (-5, 0), ("12", 0), (None, 0), (True, 0), ([3], 0), ({}, 0), (math.nan, 0), (-math.inf, 0),
        (10**15, MOST_TOKENS), (10**30, 0), (1e300, MOST_TOKENS),
    ],
)  # fmt: skip
def test_tokens_are_counts_whatever_a_server_says(given: Any, counted: int) -> None:
    found = read_completion({"choices": [], "usage": {"prompt_tokens": given, "completion_tokens": given}})
    assert (found.prompt_tokens, found.completion_tokens) == (counted, counted)


@pytest.mark.parametrize("usage", ["many", 7, [1, 2], None, True])
def test_a_usage_that_is_none_counts_nothing(usage: Any) -> None:
    assert read_completion({"usage": usage}).prompt_tokens == 0


def test_what_is_kept_can_be_stored_and_is_not_changed_again() -> None:
    odd = {"a": [math.nan, 2**64, "\ud83d", -(2**63)], "b": {"c": None, "d": True}}
    found = kept(odd)
    assert found == {"a": ["NaN", "a number of more than 64 bits", "\\ud83d", -(2**63)], "b": {"c": None, "d": True}}
    assert kept(found) == found


@pytest.mark.parametrize(
    ("body", "told", "passing"),
    [
        ({"error": {"message": "slow down", "code": 429}}, "429 under HTTP 200: slow down", True),
        ({"error": "slow down"}, "under HTTP 200: slow down", True),
        ([{"error": {"message": "slow down", "status": "RESOURCE_EXHAUSTED"}}], "429 under HTTP 200: slow down", True),
        ({"object": "error", "message": "slow down", "code": "429"}, "429 under HTTP 200: slow down", True),
        ({"choices": [{"error": {"message": "upstream", "code": 502}}]}, "502 under HTTP 200: upstream", True),
        ({"choices": None, "error": {"message": "upstream", "type": "overloaded_error"}}, "503 under HTTP 200", True),
        ({"detail": [{"msg": "no such field"}], "status": 422}, "422 under HTTP 200", False),
        ({"error": {"message": "wrong key", "code": "invalid_auth"}}, "401 under HTTP 200: wrong key", False),
        ({"error": {"message": "bad\u202e\x9b"}}, "an error under HTTP 200: bad", True),
        ({"object": "list"}, "does the URL end in /v1", False),
        ({"choices": []}, "does the URL end in /v1", False),
    ],
)
def test_an_error_under_http_200_is_told_in_the_servers_words(body: Any, told: str, passing: bool) -> None:
    answer, failure = failure_of(Reply(200, {}, json.dumps(body).encode()))
    assert answer is None and failure is not None
    assert told in failure.text and failure.passing == passing and harmless(failure.text) == failure.text


def test_an_error_of_nothing_beside_an_answer_is_no_error() -> None:
    for nothing in (None, "", {}, {"message": None, "code": None}):
        whole = said("hello") | {"error": nothing}
        assert failure_of(Reply(200, {}, json.dumps(whole).encode())) == (whole, None)


def told(response: Any) -> list[Any]:
    """What the readers make of it; anything but an InvalidPlan escapes."""
    found: list[Any] = []
    for ask in (lambda: read_call(response, TOOLS), lambda: read_object(response, Paint), lambda: read_text(response)):
        try:
            found.append(ask())
        except InvalidPlan as error:
            found.append(error)
    return found


def is_storable(response: Any) -> None:
    """A step with this answer goes through a checkpoint and a row, and comes back as it was."""
    answer, failure = failure_of(Reply(200, {}, json.dumps(response).encode()))
    heard, errors = read_completion(answer), [one for one in told(response) if isinstance(one, InvalidPlan)]
    counts = {"prompt_tokens": heard.prompt_tokens, "completion_tokens": heard.completion_tokens}
    problem = failure.text if failure else (errors[0].text if errors else None)
    call = {
        "attempt": 0,
        "purpose": "plan",
        "model": "m",
        "request": {},
        "response": answer,
        "seconds": 0.0,
        "problem": problem,
    }
    row = LlmCall.model_validate({**call, **counts})
    args = next((one.args for one in told(response) if isinstance(one, ToolCall)), {})
    step = StepRecord(step=1, round=0, node="act", args=args, error=problem, llm_calls=(row,)).model_dump(mode="json")
    assert StepRecord.model_validate(ormsgpack.unpackb(ormsgpack.packb(step))) == StepRecord.model_validate(step)
    assert LlmCall.from_row(row.row()).response == answer


def check(response: Any) -> None:
    for one in told(response):
        words = one.text if isinstance(one, InvalidPlan) else json.dumps(getattr(one, "args", str(one)))
        assert harmless(words) == words or isinstance(one, str)
    is_storable(response)


@OFTEN
@given(responses)
def test_any_answer_is_a_call_or_an_invalid_plan_and_can_be_kept(response: Any) -> None:
    check(response)


@pytest.mark.slow
@ALL
@given(responses)
def test_any_of_5000_answers_is_a_call_or_an_invalid_plan_and_can_be_kept(response: Any) -> None:
    check(response)


def test_an_invalid_plan_is_an_error_of_the_language_model() -> None:
    assert issubclass(InvalidPlan, LlmError)
