"""The plain numbers of a run, read from its store: what the report tells and `palate run --json` prints.

Works at any moment of a run, rated or not. Knows no hidden utility (the store must not hold it) and draws nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from statistics import fmean
from typing import Any, Literal

from agent.store.ledger import ledger_facts
from agent.store.store import Store
from prompts.ground.console import typed
from tools.records import AdapterRow, ImageRow, LlmCall, StepRow

Facts = dict[str, Any]
MENDED = "repaired"  # the problem of a call that was usable after mending
Fate = Literal["as_given", "repaired", "invalid", "failed", "unanswered"]


def round_images(store: Store, run_id: str, number: int) -> list[ImageRow]:
    """The images a person is shown in round `number`: image k of the chat is entry k - 1. No pools, no evaluations."""
    return [row for row in store.images(run_id, number) if row.shown]


def summarise(store: Store, run_id: str, *, judges: bool = True) -> Facts:
    """A run in numbers, ready for JSON; None where there is nothing to say.

    `score_first` and `score_last` are the mean ratings (0..10) of the first and the last rated round; `rounds` holds
    one dict a round; `seconds` are by part, `total` the steps' own; `plans` counts the LLM's answers to "what next?"; `ledger`, which takes longest, is left out without `judges`.
    Raises: InputError for an unknown run.
    """
    run, counts = store.run(run_id), store.counted(run_id)
    rounds = round_facts(store, run_id)
    rated = [one["rating"] for one in rounds if one["rating"] is not None]
    return {
        "run": run.id, "created": run.created, "state": run.state, "brief": run.brief, "parent": run.parent,
        "model": run.config.get("model"), "planner": run.config.get("planner"), "rater": run.config.get("rater"),
        "steps": counts["steps"], "errors": counts["errors"],
        "images": sum(one["images"] for one in rounds), "images_in_all": counts["images"],
        "ratings": counts["ratings"], "answers": counts["answers"], "rounds": rounds,
        "score_first": rated[0] if rated else None, "score_last": rated[-1] if rated else None,
        "taste": taste_facts(store, run_id), "adapter": adapter_facts(store, run_id), "plans": plan_facts(store, run_id),
        "rounds_by_rules": store.rounds_by(run_id, "rules") if run.config.get("planner") != "rules" else [],
        "llm": llm_facts(store, run_id), "seconds": seconds_by_part(store, run_id),
    } | ({"ledger": ledger_facts(store, run_id)} if judges else {})  # fmt: skip


def round_facts(store: Store, run_id: str) -> list[Facts]:
    """One dict a painted round: round, images, ratings, rating (mean, 0..10) and the newest scores' means by name."""
    ratings = ratings_by_image(store, run_id)
    scores = groupby(store.newest_scores(run_id), key=itemgetter(0))
    waiting = next(scores, None)
    found = []
    for number, ids in groupby(store.shown_by_round(run_id), key=itemgetter(0)):
        images = [image for _, image in ids]
        values = [ratings[image] for image in images if image in ratings]
        given: dict[str, list[float]] = {}
        if waiting is not None and waiting[0] == number:
            for _, name, value in waiting[1]:
                given.setdefault(name, []).append(value)
            waiting = next(scores, None)
        found.append(
            {"round": number, "images": len(images), "ratings": len(values), "rating": _mean(values)}
            | {"scores": {name: _mean(given[name]) for name in ordered(given)}}
        )
    return found


def ordered(names: Iterable[str]) -> list[str]:
    """Score names as people expect them: the person's own taste first, then the known ones, then the rest."""
    known = ["preference", "pickscore", "clip_t", "clip_i"]
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def ratings_by_image(store: Store, run_id: str, images: Iterable[str] | None = None) -> dict[str, float]:
    """Image id to its current rating, 0..10: the mean where several people rated it. Of all that were rated, or of `images`."""
    found: dict[str, list[float]] = {}
    for image, value, _ in store.ratings_of(run_id, images):
        found.setdefault(image, []).append(value)
    return {image: fmean(values) for image, values in found.items()}


class RatingsOf(Mapping[str, float]):
    """As `ratings_by_image`, each read when it is asked for: where steps are told one by one, each needs its own few."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id

    def __getitem__(self, image: str) -> float:
        return ratings_by_image(self._store, self._run_id, [image])[image]

    def __bool__(self) -> bool:  # asked wherever there may be none: not by counting them
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(ratings_by_image(self._store, self._run_id))

    def __len__(self) -> int:
        return len(ratings_by_image(self._store, self._run_id))


def taste_facts(store: Store, run_id: str) -> Facts | None:
    """What was last learned of the taste, and last said of it."""
    learned, told = (store.newest_done(run_id, tool) for tool in ("learn_taste", "give_feedback"))
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
    return kept_adapter(store.adapters(run_id), store.done(run_id, "evaluate_adapter"))


def kept_adapter(rows: Sequence[AdapterRow], judged: Sequence[StepRow]) -> Facts | None:
    """As `adapter_facts`, of a run's adapters and evaluations."""
    if not rows:
        return None
    row = next((row for row in reversed(rows) if row.promoted), rows[-1])
    about = latest(judged, "evaluate_adapter", row.sha256)
    told = about.facts if about else {}
    win_rate = {name: told.get(name) for name in ("rate", "low", "high", "n")} if "rate" in told else None
    return {
        "sha256": row.sha256, "path": row.path, "kind": row.kind, "promoted": row.promoted,
        "steps": row.config.get("steps"), "rank": row.config.get("rank"), "win_rate": win_rate,
        "reasons": row.metrics.get("reasons") or [],
    }  # fmt: skip


def run_lines(store: Store, limit: int | None = None) -> list[Facts]:
    """The newest runs, each in a few numbers; all of them with the same five queries."""
    readable = {run.id for run in store.runs(limit)}  # one that is damaged is named, and left out
    runs = [run for run in store.page(limit) if run["id"] in readable]
    ids = [run["id"] for run in runs]
    ends = {(run["id"], run[end]) for run in runs for end in ("first", "last") if run[end] is not None}
    means = _means_of_rounds(store, ends)
    adapters, judged = store.adapters_of(ids), store.evaluations_of(ids)
    return [
        {
            "run": run["id"], "when": run["created"], "brief": run["brief"], "state": run["state"],
            "rounds": run["rounds"], "images": run["images"],
            "score_first": means.get((run["id"], run["first"])), "score_last": means.get((run["id"], run["last"])),
            "adapter": kept_adapter(adapters.get(run["id"], []), judged.get(run["id"], [])),
        }
        for run in runs
    ]  # fmt: skip


def _means_of_rounds(store: Store, rounds: Iterable[tuple[str, int]]) -> dict[tuple[str, int], float]:
    """(run, round) to its mean rating: of the means of its images, as `round_facts` has it."""
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    for run, number, image, value in store.ratings_of_rounds(rounds):
        found.setdefault((run, number), {}).setdefault(image, []).append(value)
    return {key: fmean(fmean(values) for values in images.values()) for key, images in found.items()}


def without_adapter(store: Store, run_id: str) -> str | None:
    """Why a run that wanted an adapter ended without one; None where it has one, or wanted none."""
    limits, last = store.run(run_id).config.get("limits"), store.newest_step(run_id)
    if (isinstance(limits, dict) and limits.get("trainings") == 0) or store.adapters(run_id):
        return None
    failed = [*store.failed(run_id, "learn_taste"), *store.failed(run_id, "finetune")]
    if failed:
        why = str(max(failed, key=lambda step: step.step).error)
    elif last is not None and last.tool != "finish":
        why = f"a budget ended the run after step {last.step}, before its training: raise `limits` in a new run."
    else:
        why = "nobody planned a training: set `limits.trainings` to 0 where none is wanted."
    return f"this run wanted an adapter and has none: {why}"


def wanting(store: Store, run_id: str) -> str | None:
    """What a run has not got that it was for, in words; None where there is nothing to say."""
    planner = store.run(run_id).config.get("planner")
    said = (useless(plan_facts(store, run_id), planner), without_adapter(store, run_id))
    return " And ".join(one for one in said if one) or None


def useless(plans: Mapping[str, Any], planner: object) -> str:
    """A sentence where a language model was to plan and none of its answers could be carried out; "" otherwise."""
    asked = plans["total"] + plans["unanswered"]
    if planner != "llm" or not asked or plans["as_given"] or plans["repaired"]:
        return ""
    return (
        f"the language model never answered usefully: of {asked} answers none could be carried out, and the rules decided instead. "
        f"See the answers with `{typed('logs', 'show', 'last')}`, ask the server with `{typed('doctor')}`, or give another with --llm-url."
    )


def plan_facts(store: Store, run_id: str) -> Facts:
    """How the LLM's plans fared. `share` is as_given / total, None without plans; a request without any answer
    (`unanswered`) is the server's fault and is not in `total`."""
    fates: Counter[Fate] = Counter(fate(call, step) for call, step in store.plans(run_id))
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


def llm_facts(store: Store, run_id: str) -> Facts:
    """Calls, tokens and seconds of the LLM, whatever it was asked."""
    found = store.calls_counted(run_id)
    return {
        "calls": found["calls"], "models": store.models_called(run_id), "prompt_tokens": found["prompt_tokens"],
        "completion_tokens": found["completion_tokens"], "seconds": round(found["seconds"], 3),
    }  # fmt: skip


def seconds_by_part(store: Store, run_id: str) -> dict[str, float]:
    """Seconds by part as the steps recorded them, and their `total`; `llm` is what its calls took, all purposes."""
    parts, called = store.seconds_by_part(run_id), store.calls_counted(run_id)
    if called["calls"]:
        parts["llm"] = called["seconds"]
    found = {name: round(value, 3) for name, value in sorted(parts.items())}
    return found | {"total": round(store.counted(run_id)["seconds"], 3)}


def _mean(values: Iterable[float]) -> float | None:
    kept = list(values)
    return fmean(kept) if kept else None
