"""benchmarks/language.py: what counts as right, and the wishes written by hand."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from agent.loop.listening import Wish, look_up
from benchmarks.language import WRITTEN, executable, read_wish, says_outside, through_the_agent, understood, words_right
from trainers.embedded.lessons.sessions import VOCABULARY, plan_lesson
from trainers.embedded.lessons.wishes import reply

LINES: list[dict[str, Any]] = [json.loads(line) for line in WRITTEN.read_text().splitlines()]
KNOWN = {f"{sign}{word}" for word in VOCABULARY.words for sign in "+-"}
LINE = {"wish": "warmer, no pink", "need": [["+red", "+orange"], "-pink"], "may": ["-blue"], "outside": False}


def wish(like: list[str], avoid: list[str], said: str = "Yes.") -> Wish:
    return Wish(like=like, avoid=avoid, reply=said)


def test_the_written_wishes_ask_for_words_of_the_vocabulary() -> None:
    assert len(LINES) >= 60 and len({line["wish"] for line in LINES}) == len(LINES)
    for line in LINES:
        assert set(line) == {"wish", "need", "may", "outside"} and line["outside"] in (True, False, None)
        groups = [[group] if isinstance(group, str) else group for group in line["need"]]
        assert all(group and set(group) <= KNOWN for group in [*groups, ["+red", *line["may"]]]), line
        assert 0 < len(line["wish"]) < 200


@pytest.mark.parametrize(
    ("like", "avoid", "right"),
    [
        (["red"], ["pink"], True), (["red", "orange"], ["pink", "blue"], True), (["red"], [], False), ([], ["pink"], False),
        (["red", "teal"], ["pink"], False), (["pink"], ["pink"], False), (["red", "mauve"], ["pink"], False),
    ],
)  # fmt: skip
def test_one_of_each_group_is_needed_and_nothing_else_is_allowed(
    like: list[str], avoid: list[str], right: bool
) -> None:
    assert words_right(wish(like, avoid), LINE) is right


def test_a_teachers_plan_is_executable_and_anything_around_or_in_place_of_it_is_not() -> None:
    for number in range(50):
        answer = plan_lesson(random.Random(number)).answer
        assert executable(answer) is not None
        for spoilt in (f"Well. {answer}", f"{answer}\n{answer}", answer[:-1], answer.replace('"name"', '"tool"'), ""):
            assert executable(spoilt) is None
    steps = '<tool_call>\n{"name": "finetune", "arguments": {"method": "dpo", "steps": %s, "rank": 8}}\n</tool_call>'
    assert executable(steps % "60") is not None
    assert (
        executable(steps % '"60"') is None and executable(steps % "1e9") is None and executable(steps % "NaN") is None
    )


def test_a_reply_says_outside_as_the_teacher_and_the_look_up_do() -> None:
    assert says_outside(reply(["red"], [], "a cat")) and says_outside(look_up("paint a cat", VOCABULARY).reply)
    assert not says_outside(reply(["red"], ["blue"], "")) and not says_outside(reply([], [], ""))
    assert not says_outside(look_up("more teal", VOCABULARY).reply)


def test_an_unreadable_answer_is_empty_alone_and_looked_up_by_the_agent() -> None:
    assert read_wish('{"like": ["red"]') is None
    assert through_the_agent("more red", '{"like": ["red"]').like == ["red"]
    answer = wish(["red", "orange"], []).model_dump_json()
    assert through_the_agent("warmer", answer) == read_wish(answer)


def test_an_invented_wish_is_understood_if_both_sides_have_its_words_in_any_order() -> None:
    answer = {"like": ["red", "ring"], "avoid": ["blue"]}
    assert understood(wish(["ring", "red"], ["blue"]), answer)
    assert not understood(wish(["ring"], ["blue"]), answer) and not understood(
        wish(["ring", "red", "bar"], ["blue"]), answer
    )
    assert not understood(wish(["ring", "red", "blue"], []), answer)
