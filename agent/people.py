"""Who answers `ask_person`: a person at a terminal or in a browser, a simulated rater, or a record of what was answered.

An answer is stored before anything else happens, so that no rating is lost whatever comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent.config import run_folder
from agent.crew import Crew
from agent.store import Store
from prompts.errors import InputError, ReplayError
from tools.context import nothing

Answer = dict[str, Any]  # {"rater": name, "ratings": [[image id, 0..10], ...]}


class Person(Protocol):
    """Answers an interrupt's payload: {"asked": [image ids], "question": text, "step": n, "round": n}."""

    def answer(self, asked: Mapping[str, Any]) -> Answer: ...


@dataclass
class SimulatedPerson:
    """A rater with a hidden taste (evaluators.raters). The same pictures get the same ratings, also after a crash."""

    rater: Any
    store: Store
    run_id: str
    folder: Path

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Rate every picture asked about."""
        wanted = {row.id: row for row in self.store.images(self.run_id)}
        images = [open_picture(self.folder / wanted[image].path) for image in asked["asked"]]
        ratings = self.rater.rate(images, seed=0)
        return {
            "rater": f"rater-{self.rater.seed}",
            "ratings": [list(pair) for pair in zip(asked["asked"], ratings, strict=True)],
        }


@dataclass
class RecordedPerson:
    """Gives the ratings that a recorded run received, by image and step."""

    ratings: Mapping[tuple[int, str], tuple[float, str]]  # (step, image) -> (value, rater)
    hear: Callable[[int], None] = nothing  # writes the wishes that followed a step

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Raises ReplayError for an image that was never rated."""
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


def stored_answer(store: Store, run_id: str, asked: Mapping[str, Any]) -> Answer | None:
    """The answer that a crash kept from the graph: complete in the store, but not yet handed over."""
    given = {row.image: row for row in store.ratings(run_id)}
    if not asked["asked"] or any(image not in given for image in asked["asked"]):
        return None
    rows = [given[image] for image in asked["asked"]]
    return {"rater": rows[0].rater, "ratings": [[row.image, row.value] for row in rows]}


def keep(store: Store, run_id: str, asked: Mapping[str, Any], answer: Answer) -> None:
    """Store an answer's ratings. Durable on return; raises InputError for a rating that cannot be."""
    ratings: Sequence[tuple[str, float]] = [(image, value) for image, value in answer["ratings"]]
    store.add_ratings(run_id, asked["step"], ratings, answer["rater"])


def simulated_person(crew: Crew, run_id: str) -> SimulatedPerson:
    """The simulated rater that the config names. Raises InputError when the config wants a person."""
    if crew.config.rater == "person":
        raise InputError(
            "This run wants a person's ratings: use `palate chat`, or give a simulated rater with --rater SEED."
        )
    return SimulatedPerson(make_rater(crew), crew.store, run_id, run_folder(crew.home, run_id))


def make_rater(crew: Crew) -> Any:
    """The simulated rater of a config, standardised on the model's own pictures of random prompts."""
    from evaluators.raters import Rater, load_reference

    seed = crew.config.rater
    assert isinstance(seed, int), "a person is no simulated rater"
    try:
        return Rater(seed, reference=load_reference(crew.settings.model))
    except InputError:
        return Rater(seed, reference=load_reference(_paint_reference(crew)))


def _paint_reference(crew: Crew, count: int = 64) -> Path:
    """The reference of a model that brings none: measured once, kept in the home folder."""
    from evaluators.raters import REFERENCE_FILE
    from tools.reference import make_reference

    folder = crew.home / "references" / crew.settings.model.strip("/").replace("/", "--")
    if not (folder / REFERENCE_FILE).exists():
        make_reference(crew.studio, crew.vocabulary, folder, count)
    return folder
