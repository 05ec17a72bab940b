"""A run as its tools and planners see it: the store read through one run's id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.config import Config
from agent.store.store import Store
from prompts.facts import Facts
from tools.likings import likings
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


def read_facts(trail: StoreTrail, config: Config) -> Facts:
    """What the planner knows now, from the store alone."""
    steps = trail.steps()
    rounds = [step for step in steps if step.tool == "generate_images" and step.error is None]
    since = [step for step in steps if not rounds or step.step > rounds[-1].step]
    ratings = likings(trail)
    shown = [row for row in trail.images() if row.shown]
    trained = [step for step in steps if step.tool == "finetune" and (step.error is None or _result(step).get("final"))]
    return Facts(
        brief=config.brief, wishes=tuple(dict.fromkeys([*config.wishes, *_wishes(steps)])), round=len(rounds), rounds=config.rounds,
        images_per_round=config.images_per_round, images_left=max(0, config.limits.images - len(shown)),
        trainings_left=max(0, config.limits.trainings - len(trained)), method=config.finetune.method, train_steps=config.finetune.steps,
        rated=tuple((ratings[row.id], row.prompt) for row in shown if row.id in ratings),
        done=tuple(dict.fromkeys(step.tool for step in since if step.tool and step.error is None)) if rounds else (),
        evolved=_evolved(since), feedback=_feedback(steps), adapter=_adapter(trail, trained),
        error=_last_error(steps),
    )  # fmt: skip


def _wishes(steps: Sequence[StepRow]) -> list[str]:
    """What was wished for in words, as vocabulary; the newest word on a thing counts.

    A reading that another took the place of does not count: nobody wished for what was misread.
    """
    signs: dict[str, str] = {}
    heard = [step for step in steps if step.node == "listen"]
    replaced = {step.args.get("instead_of") for step in heard}
    for step in heard:
        if step.step not in replaced:
            signs |= dict.fromkeys(_result(step).get("like", []), "+") | dict.fromkeys(
                _result(step).get("avoid", []), "-"
            )
    return [sign + word for word, sign in signs.items()]


def _evolved(since: Sequence[StepRow]) -> int:
    found = [_result(step).get("prompts", []) for step in since if step.tool == "evolve_prompts" and step.error is None]
    return len(found[-1]) if found else 0


def _feedback(steps: Sequence[StepRow]) -> str:
    told = [step for step in steps if step.tool == "give_feedback" and step.error is None]
    return str(_result(told[-1]).get("feedback", "")) if told else ""


def _adapter(trail: StoreTrail, trained: Sequence[StepRow]) -> str:
    """Where the run's newest adapter stands, in one word."""
    adapters = trail.adapters()
    if trained and trained[-1].error is not None:
        return "failed"
    if not adapters:
        return ""
    return {None: "trained", True: "promoted", False: "rejected"}[adapters[-1].promoted]


def _last_error(steps: Sequence[StepRow]) -> str:
    return " ".join((steps[-1].error or "").split())[:200] if steps else ""


def _result(step: StepRow) -> dict[str, Any]:
    return step.result if isinstance(step.result, dict) else {}
