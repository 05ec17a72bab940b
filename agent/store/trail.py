"""A run as its tools and planners see it: the store read through one run's id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.store.store import Store
from tools.records import AdapterRow, AnswerRow, ComparisonRow, ImageRow, PreferenceRow, StepRow


@dataclass(frozen=True)
class StoreTrail:
    """What `tools.context.Trail` promises, read from the store each time: nothing can be stale after a crash."""

    store: Store
    run_id: str

    def images(self) -> Sequence[ImageRow]:
        """Every image of the run, pools and evaluations (told apart by their sampler's purpose) included."""
        return self.store.images(self.run_id)

    def round_images(self) -> Sequence[ImageRow]:
        """The images of the newest painting."""
        return self.store.newest_painting(self.run_id)

    def painted_at(self) -> int:
        """The step of the newest painting; -1 before there is one."""
        painted = self.store.newest_done(self.run_id, "generate_images")
        return -1 if painted is None else painted.step

    def ratings(self) -> Mapping[str, float]:
        """Image id to current rating."""
        return {image: value for image, value, _ in self.store.ratings_of(self.run_id)}

    def answers(self) -> Sequence[AnswerRow]:
        """The current answers to questions, oldest first."""
        return self.store.answers(self.run_id)

    def comparisons(self) -> Sequence[ComparisonRow]:
        """What the answers say of two pictures at a time."""
        return self.store.comparisons(self.run_id)

    def wanted_more(self) -> Sequence[str]:
        """The pictures that more like was wished for since the last painting, by their ids, each once."""
        since = self.store.heard(self.run_id, self.painted_at())
        return list(dict.fromkeys(str(step.args["more_like"]) for step in since if "more_like" in step.args))

    def clicks(self) -> int:
        """How many answers the person gave, ratings and choices alike: what the budget of ratings counts."""
        return self.store.clicks(self.run_id)

    def results(self, tool: str, round: int | None = None) -> Sequence[StepRow]:
        """The steps of a tool that worked, or those of one round, oldest first."""
        return self.store.done(self.run_id, tool, round)

    def preference(self) -> PreferenceRow | None:
        """The newest preference model."""
        return self.store.newest_preference(self.run_id)

    def adapters(self) -> Sequence[AdapterRow]:
        """The run's adapters, oldest first."""
        return self.store.adapters(self.run_id)

    def steps(self) -> Sequence[StepRow]:
        """Every step so far."""
        return self.store.steps(self.run_id)
