"""What the planner knows now, read from the record alone: nothing can be stale after a crash."""

from __future__ import annotations

from collections.abc import Sequence

from agent.config import Config
from agent.store.trail import StoreTrail
from prompts.facts import Facts
from tools.likings import likings
from tools.records import StepRow


def read_facts(trail: StoreTrail, config: Config) -> Facts:
    """What the planner knows now, from the store alone."""
    steps = trail.steps()
    rounds = [step for step in steps if step.tool == "generate_images" and step.error is None]
    since = [step for step in steps if not rounds or step.step > rounds[-1].step]
    ratings = likings(trail)
    shown = [row for row in trail.images() if row.shown]
    trained = [step for step in steps if step.tool == "finetune" and (step.error is None or step.facts.get("final"))]
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
            signs |= dict.fromkeys(step.facts.get("like", []), "+") | dict.fromkeys(step.facts.get("avoid", []), "-")
    return [sign + word for word, sign in signs.items()]


def _evolved(since: Sequence[StepRow]) -> int:
    found = [step.facts.get("prompts", []) for step in since if step.tool == "evolve_prompts" and step.error is None]
    return len(found[-1]) if found else 0


def _feedback(steps: Sequence[StepRow]) -> str:
    told = [step for step in steps if step.tool == "give_feedback" and step.error is None]
    return str(told[-1].facts.get("feedback", "")) if told else ""


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
