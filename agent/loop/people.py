"""Who answers `ask_person`: a person at a terminal or in a browser, a simulated rater, or a record of what was answered.

An answer is stored before anything else happens, so that no rating is lost whatever comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from agent.config import run_folder
from agent.loop.crew import Crew
from agent.store.store import Store
from prompts.errors import InputError, ReplayError
from prompts.ground.console import typed
from tools.context import nothing
from tools.records import NO_PICTURE

Answer = dict[
    str, Any
]  # {"rater": name, "ratings": [[image id, 0..10], ...], "answers": [[question's number, answer], ...]}


class Person(Protocol):
    """Answers an interrupt's payload: {"asked": [image ids], "question": text, "step": n, "round": n}.

    Where it has "questions" ({"kind": "rate" | "ab" | "best" | "worst", "images": [ids in the order shown]}), those are answered: what
    is to be rated by "ratings", the rest by "answers", each one of the question's images or a word of tools.records.NO_PICTURE.
    """

    def answer(self, asked: Mapping[str, Any]) -> Answer: ...


@dataclass
class SimulatedPerson:
    """A rater with a hidden taste (evaluators.looks.raters). The same pictures get the same ratings, also after a crash."""

    rater: Any
    store: Store
    run_id: str
    folder: Path

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Rate every picture asked about, or answer every question."""
        rated, choices = to_rate(asked), choices_of(asked)
        ratings = self.rater.rate(self._pictures(rated), seed=0)
        answer: Answer = {
            "rater": f"rater-{self.rater.seed}",
            "ratings": [list(pair) for pair in zip(rated, ratings, strict=True)],
        }
        return answer | ({"answers": [[n, self._choice(asked, n)] for n in choices]} if choices else {})

    def _choice(self, asked: Mapping[str, Any], number: int) -> str:
        shown = asked["questions"][number]["images"]
        images, kind = self._pictures(shown), asked["questions"][number]["kind"]
        if kind == "ab":
            said = self.rater.prefer(*images, seed=0)
            return "tie" if said == "tie" else str(shown[said == "second"])
        return str(shown[getattr(self.rater, kind)(images, seed=0)])

    def _pictures(self, ids: Sequence[str]) -> list[Any]:
        wanted = self.store.images_named(self.run_id, ids)
        return [open_picture(self.folder / wanted[image].path) for image in ids]


@dataclass
class RecordedPerson:
    """Gives the ratings and answers that a recorded run received, by image or question, and step."""

    ratings: Mapping[tuple[int, str], tuple[float, str]]  # (step, image) -> (value, rater)
    hear: Callable[[int], None] = nothing  # writes the wishes that followed a step
    answers: Mapping[tuple[int, int], tuple[str, str]] = field(
        default_factory=dict
    )  # (step, question) -> (answer, rater)

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Raises ReplayError for an image that was never rated, and for questions of which none was answered."""
        return self._answers(asked) if choices_of(asked) else self._ratings(asked)

    def _answers(self, asked: Mapping[str, Any]) -> Answer:
        found = [(number, self.answers.get((asked["step"], number))) for number in choices_of(asked)]
        given = [(number, *one) for number, one in found if one is not None]  # a person may leave some out
        if not given:
            raise ReplayError(
                f"missing record: step {asked['step']} asks {len(found)} questions, and the record has no answer."
            )
        for number, answer, _ in given:
            if answer not in (*asked["questions"][number]["images"], *NO_PICTURE):
                raise ReplayError(
                    f"missing record: question {number} of step {asked['step']} was answered with picture {answer!r}, and is now about others."
                )
        self.hear(asked["step"])
        return {"rater": given[0][2], "ratings": [], "answers": [[number, answer] for number, answer, _ in given]}

    def _ratings(self, asked: Mapping[str, Any]) -> Answer:
        found = [(image, self.ratings.get((asked["step"], image))) for image in asked["asked"]]
        missing = [image for image, rating in found if rating is None]
        if missing and len(missing) == len(found):
            raise ReplayError(
                f"missing record: step {asked['step']} asks for ratings of {missing}, and the record has none."
            )
        given = [(image, rating) for image, rating in found if rating is not None]
        self.hear(asked["step"])
        return {"rater": given[0][1][1], "ratings": [[image, rating[0]] for image, rating in given]}


def open_picture(path: Path) -> Any:
    """An RGB picture in memory, its file closed."""
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


def to_rate(asked: Mapping[str, Any]) -> list[str]:
    """The images of a payload that are to be rated."""
    questions = asked.get("questions")
    if questions is None:
        return list(asked["asked"])
    return [image for one in questions if one["kind"] == "rate" for image in one["images"]]


def choices_of(asked: Mapping[str, Any]) -> list[int]:
    """The numbers (from 0) of a payload's questions that are answered by a choice."""
    return [number for number, one in enumerate(asked.get("questions") or []) if one["kind"] != "rate"]


def stored_answer(store: Store, run_id: str, asked: Mapping[str, Any]) -> Answer | None:
    """The answer that a crash kept from the graph: complete in the store, but not yet handed over."""
    rated, choices = to_rate(asked), choices_of(asked)
    given = {row[0]: row for row in store.ratings_of(run_id, rated)}
    chosen = {row.question: row for row in store.answers(run_id, step=asked["step"])} if choices else {}
    rows = [given[image] for image in rated if image in given]
    answers = [chosen[number] for number in choices if number in chosen]
    if not (rated or choices) or len(rows) < len(rated) or len(answers) < len(choices):
        return None
    rater = rows[0][2] if rows else answers[0].rater
    answer: Answer = {"rater": rater, "ratings": [[image, value] for image, value, _ in rows]}
    return answer | ({"answers": [[row.question, row.answer] for row in answers]} if answers else {})


def keep(store: Store, run_id: str, asked: Mapping[str, Any], answer: Answer) -> None:
    """Store an answer's ratings and choices. Durable on return; raises InputError for one that cannot be."""
    ratings: Sequence[tuple[str, float]] = [(image, value) for image, value in answer["ratings"]]
    store.add_ratings(run_id, asked["step"], ratings, str(answer["rater"]))
    answers = [(int(number), str(said)) for number, said in answer.get("answers", [])]
    store.add_answers(run_id, asked["step"], asked.get("questions") or [], answers, str(answer["rater"]))


def simulated_person(crew: Crew, run_id: str) -> SimulatedPerson:
    """The simulated rater that the config names. Raises InputError when the config wants a person."""
    if crew.config.rater == "person":
        raise InputError(
            f"This run wants a person's ratings: use `{typed('chat')}`, or give a simulated rater with --rater SEED."
        )
    return SimulatedPerson(make_rater(crew), crew.store, run_id, run_folder(crew.home, run_id))


def make_rater(crew: Crew) -> Any:
    """The simulated rater of a config, standardised on the model's own pictures of random prompts."""
    from evaluators.looks.raters import Rater, load_reference

    seed = crew.config.rater
    assert isinstance(seed, int), "a person is no simulated rater"
    try:
        return Rater(seed, reference=load_reference(crew.settings.model))
    except InputError:
        return Rater(seed, reference=load_reference(_paint_reference(crew)))


def _paint_reference(crew: Crew, count: int = 64) -> Path:
    """The reference of a model that brings none: measured once, kept in the home folder."""
    from evaluators.looks.raters import REFERENCE_FILE
    from tools.measured.reference import make_reference

    folder = crew.home / "references" / crew.settings.model.strip("/").replace("/", "--")
    if not (folder / REFERENCE_FILE).exists():
        make_reference(crew.studio, crew.vocabulary, folder, count)
    return folder
