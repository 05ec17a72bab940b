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
        painted = [row for row in self.images() if row.shown]
        return [row for row in painted if row.step == painted[-1].step] if painted else []

    def ratings(self) -> Mapping[str, float]:
        """Image id to current rating."""
        return {row.image: row.value for row in self.store.ratings(self.run_id)}

    def answers(self) -> Sequence[AnswerRow]:
        """The current answers to questions, oldest first."""
        return self.store.answers(self.run_id)

    def comparisons(self) -> Sequence[ComparisonRow]:
        """What the answers say of two pictures at a time."""
        return self.store.comparisons(self.run_id)

    def wanted_more(self) -> Sequence[str]:
        """The pictures that more like was wished for since the last painting, by their ids, each once."""
        wished: list[str] = []
        for step in self.steps():
            if step.tool == "generate_images" and step.error is None:
                wished.clear()
            elif step.node == "listen" and "more_like" in step.args:
                wished.append(str(step.args["more_like"]))
        return list(dict.fromkeys(wished))

    def clicks(self) -> int:
        """How many answers the person gave, ratings and choices alike: what the budget of ratings counts."""
        return len(self.ratings()) + len(self.answers())

    def results(self, tool: str) -> Sequence[StepRow]:
        """The steps of a tool that worked, oldest first."""
        return [step for step in self.steps() if step.tool == tool and step.error is None]

    def preference(self) -> PreferenceRow | None:
        """The newest preference model."""
        rows = self.store.preferences(self.run_id)
        return rows[-1] if rows else None

    def adapters(self) -> Sequence[AdapterRow]:
        """The run's adapters, oldest first."""
        return self.store.adapters(self.run_id)

    def steps(self) -> Sequence[StepRow]:
        """Every step so far."""
        return self.store.steps(self.run_id)
