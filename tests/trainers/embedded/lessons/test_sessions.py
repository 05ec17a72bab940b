"""trainers/embedded/lessons/sessions.py: lessons that teach only what the agent's tools accept and its grammar can write."""

from __future__ import annotations

import json
import random
import re

import numpy as np
import pytest

from agent.loop.listening import Wish
from tools.actions.catalogue import TOOLS
from tools.actions.feedback import Feedback
from trainers.embedded.lessons.sessions import (
    SAID_ALOUD,
    VOCABULARY,
    Example,
    ending_lesson,
    feedback_lesson,
    invent_facts,
    invent_history,
    invent_session,
    invent_taste,
    lesson,
    liked_genome,
    plan_lesson,
    proposal_lesson,
    wish_lesson,
)

CALL = re.compile(r'<tool_call>\n\{"name": "(\w+)", "arguments": (\{.*\})\}\n</tool_call>')


def call_of(example: Example) -> tuple[str, dict[str, object]]:
    match = CALL.fullmatch(example.answer)
    assert match, example.answer
    return match[1], json.loads(match[2])


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    return (
        [text for part in value for text in strings(part)]
        if isinstance(value, list)
        else [value]
        if isinstance(value, str)
        else []
    )


def test_every_plan_is_a_call_that_its_tool_accepts() -> None:
    seen = set()
    for number in range(600):
        for make in (plan_lesson, proposal_lesson):
            tool, args = call_of(make(random.Random(number)))
            assert TOOLS[tool].arguments.model_validate(args, strict=True).model_dump(mode="json") == args
            seen.add(tool)
    assert seen == set(TOOLS) - {"select_anchors"}


def test_no_string_holds_what_the_grammar_cannot_write() -> None:
    for number in range(1500):
        example = lesson(number)
        body = CALL.fullmatch(example.answer)
        for text in strings(json.loads(body[2] if body else example.answer)):
            assert not set(text) & set('"\\<') and text.isprintable(), text


def test_feedback_and_wishes_are_answers_of_their_shapes() -> None:
    for number in range(300):
        Feedback.model_validate_json(feedback_lesson(random.Random(number)).answer)
        wish = Wish.model_validate_json(wish_lesson(random.Random(number)).answer)
        assert set(wish.like) | set(wish.avoid) <= set(VOCABULARY.words) and not set(wish.like) & set(wish.avoid)


def test_proposed_prompts_are_of_the_vocabulary() -> None:
    for number in range(200):
        _, args = call_of(proposal_lesson(random.Random(number)))
        assert all(VOCABULARY.parse(str(prompt)) for prompt in args["prompts"])  # type: ignore[attr-defined]


def test_no_prompt_is_proposed_twice_or_again() -> None:
    for number in range(100):
        example = proposal_lesson(random.Random(number))
        prompts = call_of(example)[1]["prompts"]
        assert isinstance(prompts, list) and len(set(prompts)) == len(prompts)
        _, _, rated = example.messages[1]["content"].partition("rated:")
        shown = {line.split(" ", 1)[1] for line in rated.split("guesses:")[0].splitlines() if line}
        assert not shown & set(prompts)


def test_the_end_of_a_session_has_lessons_of_its_own() -> None:
    tools = [call_of(ending_lesson(random.Random(number)))[0] for number in range(300)]
    assert all(tools.count(tool) > 30 for tool in ("finetune", "evaluate_adapter", "finish")), tools
    assert set(tools) == {"finetune", "evaluate_adapter", "finish"}


def test_what_a_person_says_aloud_moves_the_taste_that_the_teacher_knows() -> None:
    told = 0
    for number in range(60):
        before, (after, start) = invent_taste(random.Random(number)), invent_session(random.Random(number))
        moved = {wish[1:]: {"+": SAID_ALOUD, "-": -SAID_ALOUD}[wish[0]] for wish in start.wishes}
        assert set(moved) <= set(VOCABULARY.words)
        told += len(moved)
        for gene, row in after.weights.items():
            for word, weight in row.items():
                assert weight - before.weights[gene][word] == pytest.approx(moved.get(word, 0.0))
    assert told > 30


def test_a_lesson_depends_on_its_number_alone() -> None:
    assert [lesson(number) for number in range(30)] == [lesson(number) for number in range(30)]
    assert len({lesson(number).answer for number in range(300)}) > 150


def test_every_kind_of_lesson_is_taught() -> None:
    asked = [lesson(number).messages[1]["content"].split(":")[0].split(" ")[0] for number in range(300)]
    assert {"evidence", "wish", "round"} <= set(asked)


def test_invented_moments_are_moments_of_a_session() -> None:
    for number in range(500):
        rng = random.Random(number)
        facts = invent_facts(*invent_session(rng), rng, ending=number % 2 == 0)
        assert 1 <= facts.round <= facts.rounds and len(facts.rated) in (
            facts.round * facts.images_per_round, (facts.round - 1) * facts.images_per_round,
        )  # fmt: skip
        assert facts.another_round or "evolve_prompts" not in facts.done
        assert all(0 <= rating <= 10 for rating, _ in facts.rated)


def test_a_taste_has_unit_spread_and_a_cooler_draw_is_better_liked() -> None:
    rng = random.Random(0)
    spreads, gains = [], []
    for _ in range(60):
        taste = invent_taste(rng)
        chance = [taste.utility(VOCABULARY.random(rng)) for _ in range(200)]
        spreads.append(np.std(chance))
        gains.append(np.mean([taste.utility(liked_genome(taste, rng, 0.12)) for _ in range(20)]) - np.mean(chance))
    assert np.mean(spreads) == pytest.approx(1.0, abs=0.1) and np.mean(gains) > 1.5 and min(gains) > 0.5


def test_histories_get_better_and_stay_on_the_scale() -> None:
    rng, first, last = random.Random(1), [], []
    for _ in range(80):
        ratings = [rating for rating, _ in invent_history(invent_taste(rng), rng, 4, 8)]
        assert len(ratings) == 32 and all(rating * 2 == int(rating * 2) for rating in ratings)
        first.append(np.mean(ratings[:8]))
        last.append(np.mean(ratings[-8:]))
    assert np.mean(last) > np.mean(first) + 0.5
