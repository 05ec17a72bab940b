"""agent/loop/session.py: a run that is struck anywhere, by anything, goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

import agent.loop.graph
import agent.loop.recall
import agent.loop.session
from agent.loop.people import keep
from prompts.errors import InputError
from tests.agent.fast import ASK, FINISH, PAINT, Begin, Started, Steady, Struck, crew_of, once, resumed, told


def in_recall(run: Started, patch: pytest.MonkeyPatch) -> None:
    reads = agent.loop.recall.Recall._read
    patch.setattr(agent.loop.recall.Recall, "_read", once(reads, Struck("recall"), after=False))


def in_plan(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agent.loop.graph, "plan_by_rules", once(agent.loop.graph.plan_by_rules, Struck("plan"), after=True))


def in_act(run: Started, patch: pytest.MonkeyPatch) -> None:
    run.crew.on_progress = once(run.crew.on_progress, Struck("act"), after=False)  # painted and saved, not recorded


def before_record(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(run.store, "add_step", once(run.store.add_step, Struck("record"), after=False))


def after_record(run: Started, patch: pytest.MonkeyPatch) -> None:
    run.crew.on_step = once(run.crew.on_step, Struck("record"), after=False)  # called when the step is on disk


def before_an_answer(run: Started, patch: pytest.MonkeyPatch) -> None:
    run.person.answer = once(run.person.answer, Struck("ask"), after=False)


def after_an_answer(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agent.loop.session, "keep", once(agent.loop.session.keep, Struck("ask"), after=True))


def in_ask(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agent.loop.graph, "interrupt", once(agent.loop.graph.interrupt, Struck("ask"), after=True))


def at_the_end(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agent.loop.session, "_tidy", struck_second(agent.loop.session._tidy))


def struck_second(function: Callable[..., Any]) -> Callable[..., Any]:
    calls: list[int] = []

    def struck(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise Struck("end")
        return function(*args)

    return struck


PLACES = [
    in_recall, in_plan, in_act, before_record, after_record, before_an_answer, after_an_answer, in_ask, at_the_end,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_run_struck_anywhere_is_resumed_as_if_nothing_had_happened(
    begin: Begin, uninterrupted: list[Any], place: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    with monkeypatch.context() as patch:
        place(run, patch)
        with pytest.raises(Struck):
            run.drive()
        assert run.store.run(run.run_id).state == "failed"
        again = resumed(run)
    assert told(again) == uninterrupted
    assert again.files() == again.rows() and len(again.rows()) == 2
    assert again.store.run(again.run_id).state == "done"
    assert len(again.store.ratings(again.run_id, superseded=True)) == 2


def test_an_exception_in_every_step_still_leads_to_the_end(begin: Begin, uninterrupted: list[Any]) -> None:
    run = begin()
    for _ in range(len(uninterrupted)):
        run.crew.on_step = once(run.crew.on_step, Struck("every step"), after=False)
        with pytest.raises(Struck):
            run.drive()
        run = crew_of(run.crew.config, run.home, run.store, run.run_id, run.crew.studio)
    assert told(resumed(run)) == uninterrupted


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_every_checkpoint_still_leads_to_the_end(
    begin: Begin, uninterrupted: list[Any], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Before: the node's writes are kept, and the checkpoint that follows from them is not."""
    run, original = begin(), SqliteSaver.put
    left, strikes = [0], 0

    def struck(self: Any, *args: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Struck("before")
        found = original(self, *args)
        if left[0] == 0:
            raise Struck("after")
        return found

    monkeypatch.setattr(SqliteSaver, "put", struck)
    for number in range(200):
        left[0] = 1 + number % 4  # with 1 alone there would be no progress
        try:
            run.drive()
            break
        except Struck:
            strikes += 1
            run = crew_of(run.crew.config, run.home, run.store, run.run_id, run.crew.studio)
    assert strikes > 10 and run.store.run(run.run_id).state == "done"
    assert told(run) == uninterrupted and run.files() == run.rows()
    assert len(run.store.ratings(run.run_id, superseded=True)) == 2


def test_an_answer_of_the_language_model_is_not_asked_for_again_once_it_led_to_a_step(begin: Begin) -> None:
    run = begin([PAINT, ASK, FINISH])
    run.crew.on_step = once(run.crew.on_step, Struck("record"), after=False)
    with pytest.raises(Struck):
        run.drive()
    assert resumed(run).tools == ["generate_images", "ask_person", "finish"]
    assert len(run.store.llm_calls(run.run_id)) == 3


def test_ratings_given_before_a_crash_are_used_and_not_asked_for_again(begin: Begin) -> None:
    class Storing(Steady):
        def answer(self, asked: Any) -> Any:
            keep(run.store, run.run_id, asked, super().answer(asked))
            raise Struck("after the ratings were stored")

    run = begin([PAINT, ASK, FINISH])
    run.person = Storing()
    with pytest.raises(Struck):
        run.drive()
    kept = run.store.ratings(run.run_id)
    again = crew_of(run.crew.config, run.home, run.store, run.run_id, run.crew.studio, [FINISH])
    again.drive()
    assert again.person.seen == [] and run.store.ratings(run.run_id, superseded=True) == kept != []


@pytest.mark.parametrize("value", [float("nan"), -1, 11, "nine"])
def test_a_rating_that_cannot_be_ends_nothing_that_cannot_be_resumed(begin: Begin, value: Any) -> None:
    class Silly(Steady):
        def answer(self, asked: Any) -> Any:
            return {"rater": "silly", "ratings": [[image, value] for image in asked["asked"]]}

    run = begin([PAINT, ASK, FINISH])
    run.person = Silly()
    with pytest.raises(InputError, match="give a number from 0 to 10"):
        run.drive()
    assert run.store.ratings(run.run_id) == [] and run.store.run(run.run_id).state == "failed"
    assert resumed(run).tools[-1] == "finish"


def test_a_checkpoint_that_kept_what_a_server_counted_is_taken_up(begin: Begin) -> None:
    run = begin([PAINT, ASK, FINISH])
    odd = {"prompt_tokens": -7, "completion_tokens": 1.5}
    run.crew.llm._on_call = lambda call: run.crew.calls.append({**call, **odd})  # as an older client reported it
    run.crew.on_progress = once(run.crew.on_progress, Struck("act"), after=False)
    with pytest.raises(Struck):
        run.drive()
    again = resumed(run)
    assert again.store.run(run.run_id).state == "done"
    assert {call.prompt_tokens for call in again.store.llm_calls(run.run_id)} == {0}
