"""agent/loop/people.py: who answers a question, and where the answer is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config
from agent.loop.people import RecordedPerson, SimulatedPerson, keep, make_rater, simulated_person, stored_answer
from prompts.errors import InputError, ReplayError
from tests.agent.fast import FINISH, PAINT, Begin, Started
from tools.context import Studio


@pytest.fixture
def painted(begin: Begin) -> tuple[Started, dict[str, Any]]:
    """A run with two images, and a question about them."""
    run = begin([PAINT, FINISH]).drive()
    return run, {"asked": sorted(run.rows()), "question": "How?", "step": 1, "round": 1}


def test_a_simulated_person_gives_the_same_ratings_whatever_the_order(painted: tuple[Started, dict[str, Any]]) -> None:
    run, asked = painted
    person = simulated_person(run.crew, run.run_id)
    first = dict(person.answer(asked)["ratings"])
    assert first == dict(person.answer({**asked, "asked": asked["asked"][::-1]})["ratings"])
    assert first == dict(simulated_person(run.crew, run.run_id).answer(asked)["ratings"])
    assert person.answer(asked)["rater"] == "rater-0" and all(0 <= value <= 10 for value in first.values())


def test_different_raters_disagree(painted: tuple[Started, dict[str, Any]]) -> None:
    run, asked = painted
    given = set()
    for seed in range(6):
        crew = run.crew
        crew.config = crew.config.model_copy(update={"rater": seed})
        person = SimulatedPerson(make_rater(crew), run.store, run.run_id, run.folder)
        given.add(tuple(value for _, value in person.answer(asked)["ratings"]))
    assert len(given) > 2


def test_an_answer_is_known_once_every_image_asked_about_is_rated(painted: tuple[Started, dict[str, Any]]) -> None:
    run, asked = painted
    first, second = asked["asked"]
    assert stored_answer(run.store, run.run_id, asked) is None
    keep(run.store, run.run_id, asked, {"rater": "me", "ratings": [[first, 3]]})
    assert stored_answer(run.store, run.run_id, asked) is None
    keep(run.store, run.run_id, asked, {"rater": "me", "ratings": [[second, 8]]})
    answer = {"rater": "me", "ratings": [[first, 3.0], [second, 8.0]]}
    assert stored_answer(run.store, run.run_id, asked) == answer
    assert stored_answer(run.store, run.run_id, {**asked, "asked": []}) is None


@pytest.mark.parametrize("ratings", [[["0" * 16, 5]], [["x", 5]]])
def test_a_rating_of_an_image_that_is_not_there_is_refused(
    painted: tuple[Started, dict[str, Any]], ratings: list[Any]
) -> None:
    run, asked = painted
    with pytest.raises(InputError, match="is not in run"):
        keep(run.store, run.run_id, asked, {"rater": "me", "ratings": [*[[i, 5] for i in asked["asked"]], *ratings]})
    assert run.store.ratings(run.run_id) == []


def test_a_rating_given_twice_replaces_the_first(painted: tuple[Started, dict[str, Any]]) -> None:
    run, asked = painted
    for value in (3, 8, 8):
        keep(run.store, run.run_id, asked, {"rater": "me", "ratings": [[asked["asked"][0], value]]})
    assert [row.value for row in run.store.ratings(run.run_id)] == [8]
    assert [row.value for row in run.store.ratings(run.run_id, superseded=True)] == [3, 8]


def test_a_recorded_person_answers_as_recorded_and_fails_without_a_record() -> None:
    heard: list[int] = []
    person = RecordedPerson({(3, "a"): (7.0, "me"), (3, "b"): (2.0, "me"), (5, "c"): (1.0, "me")}, heard.append)
    assert person.answer({"asked": ["a", "b"], "step": 3}) == {"rater": "me", "ratings": [["a", 7.0], ["b", 2.0]]}
    assert person.answer({"asked": ["a", "z"], "step": 3})["ratings"] == [["a", 7.0]]  # a person may leave one out
    with pytest.raises(ReplayError, match=r"step 4 asks for ratings of \['a'\]"):
        person.answer({"asked": ["a"], "step": 4})
    assert heard == [3, 3]


def test_a_run_for_a_person_has_no_simulated_one(begin: Begin) -> None:
    run = begin([FINISH], rater="person")
    with pytest.raises(InputError, match="--rater SEED"):
        simulated_person(run.crew, run.run_id)


def test_a_model_without_a_reference_is_measured_once(
    configured: Callable[..., Config], begin: Begin, models: Studio, studio: Path, tmp_path: Path
) -> None:
    for part in studio.iterdir():
        if part.name != "rater_reference.npz":
            (tmp_path / "bare").mkdir(exist_ok=True)
            (tmp_path / "bare" / part.name).symlink_to(part)
    run = begin([FINISH], model=str(tmp_path / "bare"))
    rater = make_rater(run.crew)
    (file,) = (run.home / "references").rglob("rater_reference.npz")
    made = file.stat().st_mtime_ns
    assert make_rater(run.crew).offset == rater.offset and file.stat().st_mtime_ns == made
