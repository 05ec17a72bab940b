"""What the planner knows now, read from the record alone: nothing can be stale after a crash.

A step asks four times. Each question is about the newest steps or a number of rows, and costs the same in a run of ten steps and in one
of ten thousand; what the person thinks of every picture is read again only where something was said since (`Recall`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.config import Config
from agent.store.trail import StoreTrail
from prompts.facts import Facts
from prompts.messages import Message, plan_messages, rated_lines
from prompts.vocabulary import Vocabulary
from tools.likings import likings
from tools.records import StepRow

Rated = tuple[tuple[float, str], ...]  # (rating, prompt) of every rated picture, in the order painted


@dataclass
class Recall:
    """Reads a run's facts, and keeps them for as long as nothing was written, and what it read of the ratings until something is said."""

    trail: StoreTrail
    _said: tuple[object, ...] = ()
    _rated: Rated = field(default=(), repr=False)
    _facts: tuple[object, Facts] | None = field(default=None, repr=False)
    _told: tuple[Rated | None, list[str]] = (None, [])

    def facts(self, config: Config) -> Facts:
        """What the planner knows now, from the store alone."""
        version = (self.trail.store.version(), config)
        if self._facts is None or self._facts[0] != version:
            self._facts = version, self._read(config)
        return self._facts[1]

    def _read(self, config: Config) -> Facts:
        store, run = self.trail.store, self.trail.run_id
        painted, trained = self.trail.painted_at(), _trained(self.trail)
        return Facts(
            brief=config.brief, wishes=tuple(dict.fromkeys([*config.wishes, *_wishes(store.heard(run))])),
            round=store.times_done(run, "generate_images"), rounds=config.rounds,
            images_per_round=config.images_per_round, images_left=max(0, config.limits.images - store.shown_count(run)),
            trainings_left=max(0, config.limits.trainings - len(trained)), method=config.finetune.method, train_steps=config.finetune.steps,
            rated=self.rated(),
            done=tuple(store.tools_done(run, painted)) if painted >= 0 else (),
            evolved=_evolved(self.trail, painted), feedback=_feedback(self.trail), adapter=_adapter(self.trail, trained),
            error=_last_error(self.trail),
        )  # fmt: skip

    def messages(self, facts: Facts, vocabulary: Vocabulary) -> list[Message]:
        """What the planner is sent. What it is told of the ratings is put together again when there are others."""
        if self._told[0] is not facts.rated:
            self._told = facts.rated, rated_lines(facts.rated, vocabulary)
        return plan_messages(facts, vocabulary, self._told[1])

    def rated(self) -> Rated:
        """What the person thinks of every picture that they were shown."""
        said = (self.trail.store.said_so_far(self.trail.run_id), tuple(self.trail.wanted_more()))
        if said != self._said:
            ratings = likings(self.trail)
            shown = self.trail.store.shown(self.trail.run_id) if ratings else []
            self._said, self._rated = said, tuple((ratings[row.id], row.prompt) for row in shown if row.id in ratings)
        return self._rated


def read_facts(trail: StoreTrail, config: Config) -> Facts:
    """What the planner knows now, asked once."""
    return Recall(trail).facts(config)


def _trained(trail: StoreTrail) -> list[StepRow]:
    """The trainings that the budget counts: those that worked, and those that failed for good."""
    failed = [step for step in trail.store.failed(trail.run_id, "finetune") if step.facts.get("final")]
    return sorted([*trail.results("finetune"), *failed], key=lambda step: step.step)


def _wishes(heard: Sequence[StepRow]) -> list[str]:
    """What was wished for in words, as vocabulary; the newest word on a thing counts.

    A reading that another took the place of does not count: nobody wished for what was misread.
    """
    signs: dict[str, str] = {}
    replaced = {step.args.get("instead_of") for step in heard}
    for step in heard:
        if step.step not in replaced:
            signs |= dict.fromkeys(step.facts.get("like", []), "+") | dict.fromkeys(step.facts.get("avoid", []), "-")
    return [sign + word for word, sign in signs.items()]


def _evolved(trail: StoreTrail, painted: int) -> int:
    """How many prompts the newest evolution since the painting has bred."""
    bred = trail.store.newest_done(trail.run_id, "evolve_prompts")
    return len(bred.facts.get("prompts", [])) if bred is not None and bred.step > painted else 0


def _feedback(trail: StoreTrail) -> str:
    told = trail.store.newest_done(trail.run_id, "give_feedback")
    return str(told.facts.get("feedback", "")) if told else ""


def _adapter(trail: StoreTrail, trained: Sequence[StepRow]) -> str:
    """Where the run's newest adapter stands, in one word."""
    adapters = trail.adapters()
    if trained and trained[-1].error is not None:
        return "failed"
    if not adapters:
        return ""
    return {None: "trained", True: "promoted", False: "rejected"}[adapters[-1].promoted]


def _last_error(trail: StoreTrail) -> str:
    last = trail.store.newest_step(trail.run_id)
    return " ".join((last.error or "").split())[:200] if last else ""
