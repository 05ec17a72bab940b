"""agent/store/trail.py: what is known of a run, read from the store."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config import make_config
from agent.loop.recall import read_facts
from agent.store.store import Store
from agent.store.trail import StoreTrail
from prompts.facts import Facts
from tools.records import AdapterRow, ImageRow, StepRecord

PROMPT = "one small blue ring and a pink cross on a yellow background, centred, overlapping, thin lines, hatched"


class Book:
    """A run whose steps are written by hand."""

    def __init__(self, store: Store) -> None:
        self.store, self.run_id = store, store.new_run("", {}, {}, 0)
        self.trail = StoreTrail(store, self.run_id)

    def step(self, tool: str | None, result: Any = None, error: str | None = None, **rest: Any) -> int:
        number = len(self.trail.steps()) + 1
        rest = {"node": "act", "round": 0, "planner": "llm", **rest}
        self.store.add_step(self.run_id, StepRecord(step=number, tool=tool, result=result or {}, error=error, **rest))
        return number

    def paint(self, count: int, purpose: str = "paint") -> list[str]:
        number = len(self.trail.steps()) + 1
        rows = tuple(
            ImageRow(
                sha256=f"{number:08d}{i:08d}{'0' * 48}", idx=i, path=f"images/{number}-{i}.png", prompt=PROMPT, seed=i, model="m",
                sampler={"purpose": purpose},
            )
            for i in range(count)
        )  # fmt: skip
        self.step("generate_images" if purpose == "paint" else "finetune", round=number, images=rows)
        return [row.id for row in rows]

    def facts(self, **config: Any) -> Facts:
        return read_facts(self.trail, make_config(config))


@pytest.fixture
def book(store: Store) -> Book:
    return Book(store)


def test_a_run_without_steps(book: Book) -> None:
    facts = book.facts(brief="calm", wishes=["+teal"], limits={"images": 20, "trainings": 2})
    assert facts == Facts(brief="calm", wishes=("+teal",), images_left=20, trainings_left=2)
    assert book.trail.round_images() == [] and book.trail.preference() is None


def test_rounds_and_images_left_count_paintings_only(book: Book) -> None:
    book.paint(3)
    book.step("generate_images", error="no prompts")
    book.paint(2)
    book.paint(5, purpose="pool")
    facts = book.facts(limits={"images": 6})
    assert (facts.round, facts.images_left) == (2, 1)
    assert [row.idx for row in book.trail.round_images()] == [0, 1]


def test_what_is_done_is_what_worked_since_the_last_painting(book: Book) -> None:
    book.step("score_images", error="nothing to score yet")
    assert book.facts().done == ()
    book.paint(1)
    book.step("ask_person")
    book.paint(1)
    book.step("score_images")
    book.step("score_images")
    book.step("learn_taste", error="too few")
    assert book.facts().done == ("score_images",)


def test_ratings_come_with_their_prompts_in_the_order_painted(book: Book) -> None:
    first, second, _ = book.paint(3)
    book.store.add_ratings(book.run_id, 1, [(second, 9), (first, 2)], "me")
    book.store.add_ratings(book.run_id, 1, [(first, 3)], "me")
    assert book.facts().rated == ((3.0, PROMPT), (9.0, PROMPT))


def test_the_newest_evolution_and_feedback_count(book: Book) -> None:
    book.paint(1)
    book.step("evolve_prompts", {"prompts": ["a", "b", "c"]})
    book.step("give_feedback", {"feedback": "You like red."})
    assert (book.facts().evolved, book.facts().feedback) == (3, "You like red.")
    book.paint(1)
    assert book.facts().evolved == 0 and book.facts().feedback == "You like red."


@pytest.mark.parametrize(("promoted", "word"), [(None, "trained"), (True, "promoted"), (False, "rejected")])
def test_where_the_adapter_stands(book: Book, promoted: bool | None, word: str) -> None:
    row = AdapterRow(sha256="a" * 64, kind="dpo", base="m", path="adapters/1", config={}, promoted=promoted)
    book.step("finetune", adapters=(row,))
    assert (book.facts().adapter, book.facts().trainings_left) == (word, 0)


def test_a_training_that_failed_is_used_up_and_one_that_never_began_is_not(book: Book) -> None:
    book.step("finetune", error="There is no learned taste")
    assert (book.facts().adapter, book.facts().trainings_left) == ("", 1)
    book.step("finetune", {"final": True}, error="The training failed: out of memory")
    assert (book.facts().adapter, book.facts().trainings_left) == ("failed", 0)


def test_only_the_last_steps_error_is_told_in_one_short_line(book: Book) -> None:
    book.step("learn_taste", error="too\nfew " * 100)
    error = book.facts().error
    assert error.startswith("too few too few") and "\n" not in error and len(error) <= 200
    book.step("finish")
    assert book.facts().error == ""


def test_the_newest_wish_on_a_word_counts_beside_those_of_the_config(book: Book) -> None:
    book.step(None, {"like": ["teal", "ring"], "avoid": ["red"], "reply": "ok"}, node="listen")
    book.step(None, {"like": ["red"], "avoid": ["teal"], "reply": "ok"}, node="listen")
    assert set(book.facts(wishes=["+blue"]).wishes) == {"+blue", "-teal", "+ring", "+red"}


def test_a_reading_that_another_took_the_place_of_does_not_count(book: Book) -> None:
    for number, args, like in ((1, {"wish": "teal"}, "teal"), (2, {"wish": "teal", "instead_of": 1}, "blue")):
        result = {"like": [like], "avoid": [], "reply": "ok"}
        book.store.add_step(book.run_id, StepRecord(step=number, round=0, node="listen", args=args, result=result))
    assert book.facts().wishes == ("+blue",)


def test_two_runs_do_not_see_each_other(book: Book) -> None:
    book.paint(2)
    other = StoreTrail(book.store, book.store.new_run("", {}, {}, 0))
    assert other.images() == [] and other.steps() == [] and other.ratings() == {}
