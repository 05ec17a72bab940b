"""prompts/routine.py: at any moment of a session, a call that its tool accepts, and an end in sight."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest

from prompts.facts import Facts
from prompts.routine import closing, next_call, shared_out
from tools.actions.catalogue import TOOLS

ROUND = ("score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts")


def test_every_moment_has_a_call_that_its_tool_accepts() -> None:
    seen = set()
    for number, left, trainings, adapter, done, method in product(
        range(5),
        (0, 3, 8, 100),
        (0, 1),
        ("", "trained", "promoted", "rejected", "failed"),
        range(6),
        ("dpo", "dreambooth"),
    ):
        facts = Facts(
            round=number,
            images_left=left,
            trainings_left=trainings,
            adapter=adapter,
            done=ROUND[:done],
            method=method,
            evolved=8,
        )
        tool, args = next_call(facts)
        TOOLS[tool].arguments.model_validate(args)
        seen.add(tool)
    assert seen == set(TOOLS) - {"select_anchors"}


def test_a_round_goes_in_order() -> None:
    assert [next_call(Facts(round=1, done=ROUND[:n]))[0] for n in range(6)] == [*ROUND, "generate_images"]
    assert [next_call(Facts(round=4, done=ROUND[:n]))[0] for n in range(5)] == [*ROUND[:4], "finetune"]


def test_when_no_images_are_left_the_session_ends_as_after_its_last_round() -> None:
    facts = Facts(round=2, images_left=0, done=ROUND[:4])
    assert next_call(facts)[0] == "finetune"
    assert next_call(replace(facts, trainings_left=0))[0] == "finish"


@pytest.mark.parametrize("adapter", ["promoted", "rejected", "failed"])
def test_a_settled_adapter_ends_the_session(adapter: str) -> None:
    tool, args = next_call(Facts(round=4, done=ROUND[:4], adapter=adapter, trainings_left=1))
    assert tool == "finish" and adapter.replace("failed", "the training failed") in args["summary"]


def test_own_and_evolved_prompts_make_up_a_round() -> None:
    rng = random.Random(0)
    for _ in range(200):
        facts = Facts(images_per_round=rng.randint(1, 8), images_left=rng.randint(0, 20), evolved=rng.randint(0, 8))
        own, evolved = shared_out(facts)
        assert own + evolved == min(facts.images_per_round, facts.images_left) and 0 <= evolved <= facts.evolved
        assert evolved <= own


def test_the_closing_sentence_fits_its_tool() -> None:
    for adapter in ("", "trained", "promoted", "rejected", "failed"):
        TOOLS["finish"].arguments.model_validate({"summary": closing(Facts(round=100, adapter=adapter))})
