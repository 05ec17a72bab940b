"""Wishes typed in a chat (agent/loop/listening.py at the terminal): kept as they were typed, read once, and counted at once."""

from __future__ import annotations

from typing import Any

import pytest

from agent.loop.listening import Wish
from agent.loop.runner import hired
from agent.report.telling import decision, outcome
from agent.store.summary import round_images
from agent.store.trail import StoreTrail
from prompts.errors import LlmError
from tests.agent.chat.desk import BLUE, Desk
from tests.agent.fast import ASK, FINISH, LEARN, PAINT, SCORE, completion, serving

LONG = f"{'please ' * 70}teal, {'please ' * 15}red"


def test_without_a_language_model_a_wish_is_looked_up(desk: Desk) -> None:
    _, told = desk.chat("more teal", "no red, more blue", "paint my cat", "1:1 2:2")
    for reply in ("I will try more teal.", "I will try more blue, less red.", "I know no word of that wish"):
        assert told.count(reply) == 1
    with desk.kept() as kept:
        assert [(step.step, step.planner, step.args["wish"]) for step in kept.heard] == [
            (1, "person", "more teal"), (5, "person", "no red, more blue"), (6, "person", "paint my cat"),
        ]  # fmt: skip
        assert set(kept.wishes) == {"+teal", "+blue", "-red"}
        kept.assert_replayed()


def test_a_wish_has_one_reading_that_counts_the_language_models(desk: Desk) -> None:
    desk.replies = [BLUE, PAINT, ASK, Wish(like=["ring"], avoid=[], reply="Rings, then."), LEARN, FINISH]
    _, told = desk.chat("anything but teal", "my ex wore a green ring", "1:1 2:2")
    assert "Blue it is." in told and "Rings, then." in told and "I will try" not in told
    with desk.kept() as kept:
        assert [(step.step, step.planner, step.args.get("instead_of")) for step in kept.heard] == [
            (1, "person", None), (2, "llm", 1), (5, "person", None), (6, "llm", 5),
        ]  # fmt: skip
        assert set(kept.wishes) == {"+blue", "-red", "+ring"}  # neither teal nor green, which were only looked up
        assert [decision(step) for step in kept.heard][:2] == [
            'wish: "anything but teal"', "read the wish of step 1 in place of the look-up",
        ]  # fmt: skip
        assert outcome(kept.heard[1]) == '+blue -red; "Blue it is."'


def test_the_words_are_stored_before_the_language_model_is_asked(desk: Desk) -> None:
    stored: list[Any] = []
    desk.on_call = lambda crew, store: stored.extend(store.steps(store.runs()[0].id)[-1:])
    desk.replies = [BLUE, FINISH]
    desk.chat("calmer")
    assert (stored[0].node, stored[0].args) == ("listen", {"wish": "calmer"})


def test_a_wish_that_a_crash_left_unread_is_read_when_the_chat_goes_on(desk: Desk) -> None:
    desk.replies = [RuntimeError("struck")]
    with pytest.raises(RuntimeError, match="struck"):
        desk.chat("more teal")
    with desk.kept() as kept:
        assert kept.wishes == ("+teal",)
    desk.replies = [BLUE, PAINT, ASK, LEARN, FINISH]
    code, told = desk.resume("1:1 2:2")
    assert code == 0 and told.count("Blue it is.") == 1
    with desk.kept() as kept:
        assert [step.step for step in kept.heard] == [1, 2] and set(kept.wishes) == {"+blue", "-red"}


def test_a_language_model_that_fails_costs_no_wish(desk: Desk) -> None:
    desk.replies = [LlmError("gone"), PAINT, ASK, LEARN, FINISH]
    _, told = desk.chat("more teal", "1:1 2:2")
    assert "did not answer" in told and "I will try more teal." in told
    with desk.kept() as kept:
        assert kept.wishes == ("+teal",)


def test_what_is_cut_of_a_long_wish_is_told_and_stored(desk: Desk) -> None:
    assert len(LONG) > 600
    _, told = desk.chat(LONG, "1:1 2:2")
    assert f'I will try more teal. (I read 500 characters of a wish and left out: "{"please " * 15}red".' in told
    with desk.kept() as kept:
        assert kept.heard[0].args == {"wish": LONG} and kept.wishes == ("+teal",)


def test_a_long_wish_is_cut_for_the_language_model_too(desk: Desk) -> None:
    desk.replies = [BLUE, PAINT, ASK, BLUE, LEARN, FINISH]
    _, told = desk.chat("x" * 600, "y" * 600, "1:1 2:2")
    assert f'Blue it is. (I read 500 characters of a wish and left out: "{"x" * 100}"' in told
    asked = [messages[-1]["content"] for messages in desk.crews[0].llm.asked]
    assert "wish: " + "x" * 500 in asked and "wish: " + "y" * 500 in asked


def test_who_leaves_before_the_first_wish_may_still_wish(desk: Desk) -> None:
    assert desk.chat("Quit")[0] == 0
    with desk.kept() as kept:
        assert kept.store.run(kept.run_id).state == "stopped" and kept.heard == []
    assert desk.resume("more teal", "1:1 2:2")[0] == 0
    with desk.kept() as kept:
        assert kept.wishes == ("+teal",)


def test_the_tokens_of_wishes_count_at_once(desk: Desk) -> None:
    desk.replies = [BLUE, PAINT, ASK, BLUE, LEARN, FINISH]
    desk.chat("calmer", "calmer still", "1:1 2:2")
    with desk.kept() as kept:
        assert len(kept.store.llm_calls(kept.run_id)) == 6 and desk.crews[0].tokens == 6 * 7


def test_a_chat_whose_tokens_a_wish_used_up_is_replayed_to_the_same_end(desk: Desk) -> None:
    desk.patch.setattr("agent.chat.terminal.hired", hired)  # a real client of a server on loopback
    said = [BLUE.model_dump_json(), PAINT, ASK, BLUE.model_dump_json(), SCORE, LEARN]
    with serving(lambda number, _: completion(said[number])) as url:
        desk.replies = []
        limits = {"trainings": 0, "llm_tokens": 90}  # 20 an answer
        code, _ = desk.chat("calmer", "bluer", "1:1 2:2", llm={"url": url, "model": "scripted"}, limits=limits)
    assert code == 0
    with desk.kept() as kept:
        tools = [step.tool for step in kept.store.steps(kept.run_id)]
        assert tools == [None, None, "generate_images", "ask_person", None, None, "score_images"]
        kept.assert_replayed()


def test_a_chat_whose_language_model_was_of_no_use_says_so_last_and_ends_with_1(desk: Desk) -> None:
    desk.patch.setattr("agent.chat.terminal.hired", hired)
    with serving(lambda *_: completion("Let us talk.")) as url:
        desk.replies = []
        code, told = desk.chat("", "1:1 2:2", llm={"url": url, "model": "talker"})
    assert code == 1 and told.index("Done. The report is") < told.index("never answered usefully")


def test_more_like_a_picture_is_kept_and_a_picture_that_is_not_there_told(desk: Desk) -> None:
    code, told = desk.chat("", "more like 9", "More like 2.", "1:1 2:2")
    assert code == 0 and "There is no such picture on the sheet" in told and "More like that one" in told
    with desk.kept() as kept:
        second = round_images(kept.store, kept.run_id, 1)[1].id
        assert StoreTrail(kept.store, kept.run_id).wanted_more() == [second]
        assert kept.wishes == () and kept.heard[-1].args == {"wish": "More like 2.", "more_like": second}
        kept.assert_replayed()
