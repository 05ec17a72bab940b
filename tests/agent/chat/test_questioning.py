"""A run that asks otherwise than by ratings: what is kept, what is learned, undone, wished for more of, and made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agent.config import Config
from agent.loop.people import RecordedPerson, keep, simulated_person, stored_answer
from agent.replay.verify import verify
from agent.report.sheets import question_sheet
from agent.store.store import Store
from agent.store.trail import StoreTrail
from prompts.errors import InputError, ReplayError
from tests.agent.fast import ASK, FINISH, PAINT, Begin
from tests.agent.invented_run import invent
from tools.context import Studio


@pytest.fixture
def asked(store: Store, tmp_path: Path) -> Any:
    """A store with an unrated round, and three questions about its pictures: a choice, a pick of the best, a pick of the worst."""
    run = invent(store, tmp_path, rounds=1, rated=False)
    ids = [row.id for row in store.images(run)]
    questions = [
        {"kind": "ab", "images": ids[:2]}, {"kind": "best", "images": ids[2:6]}, {"kind": "worst", "images": ids[4:8]},
    ]  # fmt: skip
    return store, run, {"asked": ids, "question": "Which?", "questions": questions, "step": 2, "round": 1}


def test_a_pick_becomes_three_comparisons_and_a_tie_is_kept(asked: Any) -> None:
    store, run, payload = asked
    ids = payload["asked"]
    keep(store, run, payload, {"rater": "ann", "ratings": [], "answers": [[0, "tie"], [1, ids[3]], [2, ids[7]]]})
    found = [(row.win, row.lose, row.tie) for row in store.comparisons(run)]
    assert found == [
        (ids[0], ids[1], True), *((ids[3], ids[other], False) for other in (2, 4, 5)), *((ids[other], ids[7], False) for other in (4, 5, 6)),
    ]  # fmt: skip
    assert [row.shown for row in store.answers(run)] == [question["images"] for question in payload["questions"]]
    (summary,) = store.query("select comparisons from run_summary")
    assert summary["comparisons"] == 7


def test_both_bad_is_a_tie_and_a_skip_says_nothing(asked: Any) -> None:
    store, run, payload = asked
    keep(
        store, run, payload, {"rater": "ann", "ratings": [], "answers": [[0, "both bad"], [1, "skip"], [2, "both bad"]]}
    )
    assert [row.tie for row in store.comparisons(run)] == [True]
    assert StoreTrail(store, run).clicks() == 3


def test_an_answer_given_again_changes_nothing_and_another_supersedes_it(asked: Any) -> None:
    store, run, payload = asked
    one, two = payload["asked"][:2]
    given = (run, 2, payload["questions"])
    assert store.add_answers(*given, [(0, one)], "ann") == 1 and store.add_answers(*given, [(0, one)], "ann") == 0
    assert store.add_answers(*given, [(0, two)], "ann") == 1
    assert [row.answer for row in store.answers(run)] == [two]
    assert [row.answer for row in store.answers(run, superseded=True)] == [one, two]
    assert [(row.win, row.lose) for row in store.comparisons(run)] == [(two, one)]


def test_undo_takes_the_newest_answer_back_and_says_when_there_is_none(asked: Any) -> None:
    store, run, payload = asked
    store.add_answers(run, 2, payload["questions"], [(0, payload["asked"][0]), (1, "skip")], "ann")
    assert [store.undo_answer(run, 2, "ann") for _ in range(2)] == [1, 0]
    assert store.answers(run) == [] == store.comparisons(run) and len(store.answers(run, superseded=True)) == 2
    with pytest.raises(InputError, match="nothing to undo"):
        store.undo_answer(run, 2, "ann")


@pytest.mark.parametrize(
    ("change", "answer", "told"),
    [
        ({}, (0, "nobody"), "answer 'nobody' to question 0 was not on offer"),
        ({}, (1, "tie"), "'tie' to question 1 was not on offer"),
        ({}, (9, "skip"), "no question 9 in this step: it has 3"),
        ({"images": 2}, (0, "skip"), "compared with itself"),
        ({"images": ["f" * 16, "e" * 16]}, (0, "skip"), "is not in run"),
    ],
)
def test_an_impossible_answer_is_refused_and_nothing_of_it_kept(
    asked: Any, change: Any, answer: Any, told: str
) -> None:
    store, run, payload = asked
    images = change.get("images", payload["questions"][0]["images"])
    images = [payload["asked"][0]] * 2 if images == 2 else images
    questions = [{"kind": "ab", "images": images}, *payload["questions"][1:]]
    with pytest.raises(InputError, match=told):
        store.add_answers(run, 2, questions, [(2, payload["asked"][7]), answer], "ann")
    assert store.answers(run) == []


def test_an_answer_is_whole_when_every_question_has_one(asked: Any) -> None:
    store, run, payload = asked
    store.add_answers(run, 2, payload["questions"], [(0, payload["asked"][1]), (1, "skip")], "ann")
    assert stored_answer(store, run, payload) is None
    store.add_answers(run, 2, payload["questions"], [(2, "skip")], "ann")
    found = stored_answer(store, run, payload)
    assert found == {"rater": "ann", "ratings": [], "answers": [[0, payload["asked"][1]], [1, "skip"], [2, "skip"]]}


def test_a_recorded_person_answers_questions_as_then_and_never_without_a_record(asked: Any) -> None:
    _, _, payload = asked
    heard: list[int] = []
    person = RecordedPerson({}, heard.append, {(2, 0): ("tie", "ann"), (2, 2): ("skip", "ann")})
    assert person.answer(payload) == {"rater": "ann", "ratings": [], "answers": [[0, "tie"], [2, "skip"]]}
    with pytest.raises(ReplayError, match="step 3 asks 3 questions"):
        person.answer({**payload, "step": 3})
    assert heard == [2]
    with pytest.raises(
        ReplayError, match="question 1 of step 2 was answered with picture 'f00', and is now about others"
    ):
        RecordedPerson({}, heard.append, {(2, 1): ("f00", "ann")}).answer(payload)


def test_a_sheet_shows_every_question_and_nothing_that_speaks_for_a_picture(asked: Any, tmp_path: Path) -> None:
    store, run, payload = asked
    with Image.open(question_sheet(store, run, payload, tmp_path)) as sheet:
        assert sheet.width > 4 * 160 and sheet.height > 3 * 160


@pytest.mark.parametrize("kind", ["ab", "best", "worst"])
def test_a_simulated_person_answers_whatever_side_a_picture_stands_on(begin: Begin, kind: str) -> None:
    run = begin([PAINT, ASK, FINISH], images_per_round=4, asking={"kind": kind, "clicks": 2})
    run.person = simulated_person(run.crew, run.run_id)
    run.drive()
    rows = run.store.answers(run.run_id)
    assert len(rows) == (2 if kind == "ab" else 1) and all(row.kind == kind and row.answer in row.shown for row in rows)
    turned = {
        "questions": [{"kind": kind, "images": rows[0].shown[::-1]}],
        "asked": rows[0].shown,
        "step": 2,
        "round": 1,
    }
    assert run.person.answer(turned)["answers"] == [[0, rows[0].answer]]
    assert run.store.ratings(run.run_id) == []


def test_the_sides_are_drawn_and_a_question_is_not_asked_again(begin: Begin) -> None:
    run = begin([PAINT, ASK, ASK, ASK, FINISH], images_per_round=4, asking={"kind": "ab", "clicks": 3})
    run.person = simulated_person(run.crew, run.run_id)
    run.drive()
    shown = [tuple(row.shown) for row in run.store.answers(run.run_id)]
    assert len({frozenset(pair) for pair in shown}) == len(shown) == 6
    order = [row.id for row in run.store.images(run.run_id)]
    assert len({order.index(pair[0]) < order.index(pair[1]) for pair in shown}) == 2
    assert "was answered already" in str(run.steps[3].error)


def test_clicks_are_counted_against_the_budget_of_ratings(begin: Begin) -> None:
    run = begin([PAINT, ASK, ASK, FINISH], images_per_round=4, asking={"kind": "ab"}, limits={"ratings": 2})
    run.person = simulated_person(run.crew, run.run_id)
    run.drive()
    assert len(run.store.answers(run.run_id)) == 2 and "budget of 2 ratings" in str(run.steps[2].error)


def test_active_ratings_go_back_to_earlier_rounds(begin: Begin) -> None:
    more = PAINT.__class__("generate_images", {"prompts": PAINT.args["prompts"][:1], "evolved": 0})
    run = begin([PAINT, more, ASK, FINISH], rounds=2, asking={"choose": "active", "clicks": 4})
    run.person = simulated_person(run.crew, run.run_id)
    run.drive()
    rounds = {row.id: row.round for row in run.store.images(run.run_id)}
    assert {rounds[row.image] for row in run.store.ratings(run.run_id)} == {1, 2}


@pytest.mark.parametrize("asking", [{"kind": "ab", "choose": "active"}, {"kind": "best", "clicks": 3}], ids=str)
def test_a_run_without_any_rating_goes_all_the_way_and_is_made_again(
    configured: Callable[..., Config], models: Studio, tmp_path: Path, asking: dict[str, Any]
) -> None:
    from tests.agent import fast

    config = configured(rounds=2, images_per_round=4, steps=1, limits={"trainings": 0}, asking=asking)
    run = fast.start(config, tmp_path / "home", models)
    run.person = simulated_person(run.crew, run.run_id)
    run.drive()
    assert [step.error for step in run.steps] == [None] * len(run.steps)
    assert run.tools.count("learn_taste") == 2 and "evolve_prompts" in run.tools and "give_feedback" in run.tools
    assert run.store.ratings(run.run_id) == [] and len(run.store.comparisons(run.run_id)) >= 6
    verdict = verify(run.store, run.home, run.run_id)
    assert verdict.same, verdict.differences
    run.store.close()


def test_the_taste_says_how_sure_it_is_in_held_out_pairs(begin: Begin) -> None:
    from tests.agent.fast import LEARN

    run = begin([PAINT, ASK, LEARN, FINISH], images_per_round=6, asking={"kind": "ab", "clicks": 10})
    run.person = simulated_person(run.crew, run.run_id)
    run.drive()
    metrics = run.store.preferences(run.run_id)[0].metrics
    low, high = metrics["accuracy_interval"]  # type: ignore[misc]
    assert metrics["ratings"] == 10 and 0 <= low <= metrics["accuracy"] <= high <= 1  # type: ignore[operator]
    assert json.loads(json.dumps(run.steps[2].result))["accuracy"] == metrics["accuracy"]


def test_by_default_a_person_is_asked_as_ever(begin: Begin) -> None:
    run = begin([PAINT, ASK, FINISH]).drive()
    (asked,) = run.person.seen
    assert sorted(asked) == ["asked", "question", "round", "step"] and asked["asked"] == [
        r.id for r in run.store.images(run.run_id)
    ]
    assert run.crew.config.asking.plain
