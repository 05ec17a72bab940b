"""The plain numbers of a run, read from its store: what the report tells and `palate run --json` prints.

Works at any moment of a run, rated or not. Knows no hidden utility (the store must not hold it) and draws nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any, Literal

from agent.store.ledger import ledger_facts
from agent.store.store import Store
from tools.records import ImageRow, LlmCall, StepRow

Facts = dict[str, Any]
MENDED = "repaired"  # the problem of a call that was usable after mending
Fate = Literal["as_given", "repaired", "invalid", "failed", "unanswered"]


def round_images(store: Store, run_id: str, number: int) -> list[ImageRow]:
    """The images a person is shown in round `number`: image k of the chat is entry k - 1. No pools, no evaluations."""
    return [row for row in store.images(run_id, number) if row.shown]


def summarise(store: Store, run_id: str) -> Facts:
    """A run in numbers, ready for JSON; None where there is nothing to say.

    `score_first` and `score_last` are the mean ratings (0..10) of the first and the last rated round; `rounds` holds
    one dict a round; `seconds` are by part, `total` the steps' own; `plans` counts the LLM's answers to "what next?".
    Raises: InputError for an unknown run.
    """
    run, steps, calls = store.run(run_id), store.steps(run_id), store.llm_calls(run_id)
    rounds = round_facts(store, run_id)
    rated = [one["rating"] for one in rounds if one["rating"] is not None]
    return {
        "run": run.id, "created": run.created, "state": run.state, "brief": run.brief, "parent": run.parent,
        "model": run.config.get("model"), "planner": run.config.get("planner"), "rater": run.config.get("rater"),
        "steps": len(steps), "errors": sum(step.error is not None for step in steps),
        "images": sum(one["images"] for one in rounds), "images_in_all": len(store.images(run_id)),
        "ratings": len(store.ratings(run_id)), "answers": len(store.answers(run_id)), "rounds": rounds,
        "score_first": rated[0] if rated else None, "score_last": rated[-1] if rated else None,
        "taste": taste_facts(steps), "adapter": adapter_facts(store, run_id), "plans": plan_facts(steps, calls),
        "rounds_by_rules": rounds_by_rules(run.config.get("planner"), steps), "llm": llm_facts(calls),
        "seconds": seconds_by_part(steps, calls), "ledger": ledger_facts(store, run_id),
    }  # fmt: skip


def round_facts(store: Store, run_id: str) -> list[Facts]:
    """One dict a painted round: round, images, ratings, rating (mean, 0..10) and the newest scores' means by name."""
    rounds = sorted({row.round for row in store.images(run_id) if row.shown})
    ratings = ratings_by_image(store, run_id)
    newest = {(row.image, row.name): row.value for row in store.scores(run_id)}  # in the order given: the last stays
    names = ordered({name for _, name in newest})
    found = []
    for number in rounds:
        ids = [row.id for row in round_images(store, run_id, number)]
        values = [ratings[image] for image in ids if image in ratings]
        scores = {name: _mean(newest[image, name] for image in ids if (image, name) in newest) for name in names}
        found.append(
            {"round": number, "images": len(ids), "ratings": len(values), "rating": _mean(values)}
            | {"scores": {name: value for name, value in scores.items() if value is not None}}
        )
    return found


def ordered(names: Iterable[str]) -> list[str]:
    """Score names as people expect them: the person's own taste first, then the known ones, then the rest."""
    known = ["preference", "pickscore", "clip_t", "clip_i"]
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def ratings_by_image(store: Store, run_id: str) -> dict[str, float]:
    """Image id to its current rating, 0..10: the mean where several people rated it."""
    found: dict[str, list[float]] = {}
    for row in store.ratings(run_id):
        found.setdefault(row.image, []).append(row.value)
    return {image: fmean(values) for image, values in found.items()}


def taste_facts(steps: Sequence[StepRow]) -> Facts | None:
    """What was last learned of the taste, and last said of it."""
    learned, told = latest(steps, "learn_taste"), latest(steps, "give_feedback")
    if learned is None and told is None:
        return None
    about = learned.facts if learned else {}
    kept = {name: about.get(name) for name in ("kind", "agreement", "interval", "ratings")}
    return kept | {"feedback": told.facts.get("feedback") if told else None}


def latest(steps: Sequence[StepRow], tool: str, adapter: str | None = None) -> StepRow | None:
    """The newest step of `tool` that worked (and was about `adapter`)."""
    fitting = [step for step in steps if step.tool == tool and step.error is None]
    return next((step for step in reversed(fitting) if adapter in (None, step.facts.get("adapter"))), None)


def adapter_facts(store: Store, run_id: str) -> Facts | None:
    """The adapter to keep: the last promoted one, else the last trained; with its win rate and each rule's answer once it is
    evaluated."""
    rows = store.adapters(run_id)
    if not rows:
        return None
    row = next((row for row in reversed(rows) if row.promoted), rows[-1])
    judged = latest(store.steps(run_id), "evaluate_adapter", row.sha256)
    told = judged.facts if judged else {}
    win_rate = {name: told.get(name) for name in ("rate", "low", "high", "n")} if "rate" in told else None
    return {
        "sha256": row.sha256, "path": row.path, "kind": row.kind, "promoted": row.promoted,
        "steps": row.config.get("steps"), "rank": row.config.get("rank"), "win_rate": win_rate,
        "reasons": row.metrics.get("reasons") or [],
    }  # fmt: skip


def without_adapter(store: Store, run_id: str) -> str | None:
    """Why a run that wanted an adapter ended without one; None where it has one, or wanted none."""
    limits, steps = store.run(run_id).config.get("limits"), store.steps(run_id)
    if (isinstance(limits, dict) and limits.get("trainings") == 0) or store.adapters(run_id):
        return None
    failed = [step for step in steps if step.tool in ("finetune", "learn_taste") and step.error is not None]
    if failed:
        why = str(failed[-1].error)
    elif steps and steps[-1].tool != "finish":
        why = f"a budget ended the run after step {steps[-1].step}, before its training: raise `limits` in a new run."
    else:
        why = "nobody planned a training: set `limits.trainings` to 0 where none is wanted."
    return f"this run wanted an adapter and has none: {why}"


def plan_facts(steps: Sequence[StepRow], calls: Sequence[LlmCall]) -> Facts:
    """How the LLM's plans fared. `share` is as_given / total, None without plans; a request without any answer
    (`unanswered`) is the server's fault and is not in `total`."""
    by_number = {step.step: step for step in steps}
    fates: Counter[Fate] = Counter(fate(call, by_number.get(call.step)) for call in calls if call.purpose == "plan")
    total = sum(fates.values()) - fates["unanswered"]
    kinds: tuple[Fate, ...] = ("as_given", "repaired", "invalid", "failed", "unanswered")
    counts: Facts = {kind: fates[kind] for kind in kinds}
    return {"total": total, "share": counts["as_given"] / total if total else None} | counts


def fate(call: LlmCall, step: StepRow | None) -> Fate:
    """What became of one answer: run exactly as written, mended first, no valid call at all, or refused when run."""
    if call.problem not in (None, MENDED):
        return "unanswered" if call.response is None else "invalid"
    if step is None or step.tool is None or step.planner != "llm":
        return "invalid"  # a valid call that the agent would not run
    if step.error is not None:
        return "failed"
    given = call.problem is None and _written(call.response) == (step.tool, step.args)
    return "as_given" if given else "repaired"


def _written(response: Any) -> tuple[str, Any] | None:
    """The tool and the arguments, letter by letter as the model wrote them; None where strict JSON cannot read them."""
    try:
        (call,) = response["choices"][0]["message"]["tool_calls"]
        return call["function"]["name"], json.loads(call["function"]["arguments"])
    except (LookupError, TypeError, ValueError):
        return None


def rounds_by_rules(planner: Any, steps: Sequence[StepRow]) -> list[int]:
    """The rounds that were handed to the rule planner; none in a run that it plans anyway."""
    return sorted({step.round for step in steps if step.planner == "rules"}) if planner != "rules" else []


def llm_facts(calls: Sequence[LlmCall]) -> Facts:
    """Calls, tokens and seconds of the LLM, whatever it was asked."""
    return {
        "calls": len(calls), "models": sorted({call.model for call in calls}),
        "prompt_tokens": sum(call.prompt_tokens for call in calls),
        "completion_tokens": sum(call.completion_tokens for call in calls),
        "seconds": round(sum(call.seconds for call in calls), 3),
    }  # fmt: skip


def seconds_by_part(steps: Sequence[StepRow], calls: Sequence[LlmCall]) -> dict[str, float]:
    """Seconds by part as the steps recorded them, and their `total`; `llm` is what its calls took, all purposes."""
    parts: dict[str, float] = {}
    for name, value in (item for step in steps for item in step.seconds_by_part.items()):
        parts[name] = parts.get(name, 0.0) + value
    if calls:
        parts["llm"] = sum(call.seconds for call in calls)
    found = {name: round(value, 3) for name, value in sorted(parts.items())}
    return found | {"total": round(sum(step.seconds for step in steps), 3)}


def _mean(values: Iterable[float]) -> float | None:
    kept = list(values)
    return fmean(kept) if kept else None
