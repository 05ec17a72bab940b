"""A step in words for people: what was decided, why, and what came of it. One short line each.

The words come from the record alone: a planner is not asked for its motives, so `reason` says what it had to go by.
Knows the ten tools' arguments and results; puts up with any other shape: records outlive the code that wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prompts.ground.clean import clean
from prompts.ground.console import typed
from tools.records import StepRecord, StepRow

PLANNERS = {"llm": "the language model", "rules": "the rule planner", "person": "the person"}


def amount(count: object, word: str) -> str:
    """A count with its noun: "1 image", "8 images"."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def share(value: object) -> str:
    """A share of 1 in per cent: 0.72 is "72 %"."""
    return f"{100 * value:.0f} %" if _number(value) else "?"  # type: ignore[operator]


def short(value: object) -> str:
    """A number to three digits; anything else as it is."""
    return f"{value:.3g}" if _number(value) else clean(value, 60)


def resume_command(run: str, rater: object, *, lasting: bool = False) -> str:
    """The command that goes on with a run: a chat needs its person. `lasting`: for a file."""
    return typed(*(("chat", "--resume") if rater == "person" else ("resume",)), run, lasting=lasting)


def planner(step: StepRow) -> str:
    """Who planned a step, in words."""
    return PLANNERS.get(step.planner or "", clean(step.planner or "no planner"))


def decision(step: StepRow) -> str:
    """What is to be done."""
    if step.tool is None and step.error is not None:
        return "no plan that can be run"
    if step.node == "listen":
        return _wished(step.args)
    return DECISIONS[step.tool](step.args) if step.tool in DECISIONS else clean(step.tool or step.node)


def reason(step: StepRow, earlier: Sequence[StepRow]) -> str:
    """What the decision had to go by: "" for a tool that needs no more reason than its turn."""
    return REASONS[step.tool](step, earlier) if step.tool in REASONS else ""


def with_earlier(steps: Iterable[StepRow]) -> Iterator[tuple[StepRow, Sequence[StepRow]]]:
    """Each step with what a reason can go by: the newest step before it of each tool that worked. One passes at a time, however many."""
    newest: dict[str, StepRow] = {}
    for step in steps:
        yield step, list(newest.values())
        if step.tool and step.error is None:
            newest[step.tool] = step


def outcome(step: StepRow, ratings: Mapping[str, float] | None = None) -> str:
    """What came of it. `ratings` (image id to 0..10) tell what a person answered."""
    if step.error is not None:
        return f"failed: {clean(step.error, 300)}"
    result = step.facts
    if step.node == "listen":
        return _understood(result)
    if step.tool == "ask_person":
        return _asked(result, ratings or {})
    told = OUTCOMES[step.tool](result) if step.tool in OUTCOMES and result else clean(step.result or "", 160)
    return told or "no result"


def warning(step: StepRow) -> str:
    """What a person should hear at once: that the guide may be deceived (agent.store.ledger); mostly ""."""
    kept = step.preferences[-1].metrics.get("alarm") if isinstance(step, StepRecord) and step.preferences else None
    return clean(kept.get("said", ""), 600) if isinstance(kept, dict) else ""


def ledger_lines(found: Mapping[str, Any]) -> list[str]:
    """What a run's ledger found (agent.store.ledger.ledger_facts), in lines."""
    lines = [clean(found["said"])] if found["said"] else []
    for pair in found["pairs"]:
        low, high = pair["interval"]
        first, second = pair["judges"]
        most = ", ".join(f"{one['image'][:8]} ({one['gap']:+.1f} SD)" for one in pair["biggest"])
        lines.append(f"{first} and {second}: {short(pair['correlation'])} ({short(low)} to {short(high)}) on {pair['n']} pictures; most apart on {most}")  # fmt: skip
    return lines


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    found = values.get(name)
    return list(found) if isinstance(found, list | tuple) else []


def _wished(args: Mapping[str, Any]) -> str:
    if "instead_of" in args:
        return f"read the wish of step {short(args['instead_of'])} in place of the look-up"
    return f'wish: "{clean(args.get("wish", ""), 160)}"'


def _understood(result: Mapping[str, Any]) -> str:
    """The words a wish was read as, then the reply."""
    words = [f"+{word}" for word in _list(result, "like")] + [f"-{word}" for word in _list(result, "avoid")]
    return f'{clean(" ".join(words), 160) or "no words"}; "{clean(result.get("reply", ""), 240)}"'


def _paint(args: Mapping[str, Any]) -> str:
    own, evolved = len(_list(args, "prompts")), args.get("evolved") or 0
    parts = [f"{own} of its own" if own else "", f"{short(evolved)} evolved" if evolved else ""]
    return f"paint a round from {' and '.join(part for part in parts if part) or 'no'} prompts"


def _compare(args: Mapping[str, Any]) -> str:
    return f"compare with and without the adapter on {short(args.get('prompts', 'some'))} held-out prompts"


def _train(args: Mapping[str, Any]) -> str:
    method = clean(args.get("method", "an adapter"), 40)
    return f"train a LoRA ({method}, {short(args.get('steps', '?'))} steps, rank {short(args.get('rank', '?'))})"


DECISIONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "generate_images": _paint,
    "score_images": lambda args: f"score the round: {clean(', '.join(map(str, _list(args, 'scorers'))), 80)}",
    "ask_person": lambda args: f"ask for ratings of up to {amount(args.get('images', 'all'), 'image')}",
    "give_feedback": lambda args: "put the ratings into words",
    "learn_taste": lambda args: f"fit a preference model ({clean(args.get('kind', 'any'), 40)})",
    "evolve_prompts": lambda args: f"breed {amount(args.get('children', 'new'), 'prompt')} from the rated ones",
    "select_anchors": lambda args: f"find the {short(args.get('anchors', ''))} directions the adapter is least sure of",
    "finetune": _train,
    "evaluate_adapter": _compare,
    "finish": lambda args: "end the run",
}  # fmt: skip


def _last(earlier: Sequence[StepRow], tool: str) -> dict[str, Any]:
    """The newest good result of `tool`."""
    return next((step.facts for step in reversed(earlier) if step.tool == tool and step.error is None), {})


def _why_paint(step: StepRow, earlier: Sequence[StepRow]) -> str:
    told = _last(earlier, "give_feedback").get("feedback")
    return f'so far: "{clean(told, 160)}"' if told else "nothing is known of the taste yet"


def _why_train(step: StepRow, earlier: Sequence[StepRow]) -> str:
    learned = _last(earlier, "learn_taste")
    if not learned:
        return "the rounds are over"
    agreement = learned.get("agreement")
    trust = f", agreement {short(agreement)}" if agreement is not None else ""
    return f"the taste is learned from {amount(learned.get('ratings', 'its'), 'rating')}{trust}"


REASONS: dict[str, Callable[[StepRow, Sequence[StepRow]], str]] = {
    "generate_images": _why_paint,
    "score_images": lambda step, earlier: "these pictures are new",
    "ask_person": lambda step, earlier: "only ratings say what this person likes",
    "give_feedback": lambda step, earlier: "the next prompts can use it",
    "learn_taste": lambda step, earlier: "new ratings are in",
    "evolve_prompts": lambda step, earlier: "another round follows",
    "select_anchors": lambda step, earlier: "unsure directions teach the most",
    "finetune": _why_train,
    "evaluate_adapter": lambda step, earlier: "an adapter has to win before it is used",
}


def _painted(result: Mapping[str, Any]) -> str:
    cut = result.get("cut")
    told = f"; {amount(len(cut), 'prompt')} cut to what the text encoder reads" if isinstance(cut, dict) and cut else ""
    return f"{amount(len(_list(result, 'images')), 'image')} painted{told}"


def _scored(result: Mapping[str, Any]) -> str:
    means = result.get("scores")
    told = [f"{clean(name, 40)} {short(value)}" for name, value in means.items()] if isinstance(means, dict) else []
    skipped = clean(", ".join(map(str, _list(result, "skipped"))), 80)
    return ", ".join(told) + (f" (not yet: {skipped})" if skipped else "") if told else "nothing scored"


def _asked(result: Mapping[str, Any], ratings: Mapping[str, float]) -> str:
    kinds = {str(one.get("kind")) for one in _list(result, "questions") if isinstance(one, dict)}
    asked = _list(result, "asked")
    if not kinds - {"rate"}:
        return _answered(asked, ratings)
    return f"{amount(len(_list(result, 'questions')), 'question')} asked about {amount(len(asked), 'image')}"


def _answered(asked: Sequence[Any], ratings: Mapping[str, float]) -> str:
    values = [ratings[image] for image in asked if image in ratings]
    if not values:
        return f"{amount(len(asked), 'image')} asked about, none rated yet"
    return (
        f"{len(values)} of {len(asked)} rated, {min(values):g} to {max(values):g}, mean {sum(values) / len(values):.1f}"
    )


def interval(low: object = None, high: object = None) -> str:
    """A 95 % interval as text, "" when there is none."""
    return f" ({short(low)} to {short(high)})" if _number(low) and _number(high) else ""


def how_sure(metrics: Mapping[str, Any]) -> str:
    """How far a learned taste can be trusted, in a sentence for the person; "" where nothing could be held out."""
    low, high = [*_list(metrics, "accuracy_interval"), None, None][:2]
    if not _number(metrics.get("accuracy")) or not (_number(low) and _number(high)):
        return ""
    ends = f"[{100 * low:.0f}, {100 * high:.0f}]"
    answers = amount(metrics.get("ratings", "your"), "answer")
    return f"I order your pictures rightly in {share(metrics['accuracy'])} {ends} of held-out pairs, from {answers}."


def _learned(result: Mapping[str, Any]) -> str:
    source = f"learned from {amount(result.get('ratings', 'the'), 'answer' if 'accuracy' in result else 'rating')}"
    if "accuracy" in result:
        low, high = [*_list(result, "accuracy_interval"), None, None][:2]
        return f"{source}; {share(result['accuracy'])} ({share(low)} to {share(high)}) of held-out pairs in the right order"
    if result.get("agreement") is None:
        return f"{source}; too few to say how far to trust it"
    ends = interval(*_list(result, "interval")[:2])
    return f"{source}; agreement with held-out ratings {short(result['agreement'])}{ends}"


def _anchored(result: Mapping[str, Any]) -> str:
    found = _list(result, "anchors")
    names = ", ".join(str(one.get("anchor", one)) if isinstance(one, dict) else str(one) for one in found)
    return f"{clean(names, 160) or 'no anchors'}; openness {short(result.get('openness', '?'))}"


def _trained(result: Mapping[str, Any]) -> str:
    source = next((amount(result[name], name[:-1]) for name in ("pairs", "images") if name in result), "the ratings")
    loss = f", last loss {short(result['loss'])}" if result.get("loss") is not None else ""
    return f"adapter {clean(result.get('adapter', '?'))[:12]} from {source}{loss}"


def won(result: Mapping[str, Any]) -> str:
    """A win rate with its interval: "72 % of 16 (51 % to 86 %)"."""
    ends = f" ({share(result['low'])} to {share(result['high'])})" if {"low", "high"} <= result.keys() else ""
    return f"{share(result.get('rate'))} of {short(result.get('n', '?'))}{ends}"


def _judged(result: Mapping[str, Any]) -> str:
    return f"wins {won(result)}: {'promoted' if result.get('promoted') else 'rejected'}"


OUTCOMES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "generate_images": _painted,
    "score_images": _scored,
    "give_feedback": lambda result: f'"{clean(result.get("feedback", ""), 240)}"',
    "learn_taste": _learned,
    "evolve_prompts": lambda result: f"{amount(len(_list(result, 'prompts')), 'prompt')} bred",
    "select_anchors": _anchored,
    "finetune": _trained,
    "evaluate_adapter": _judged,
    "finish": lambda result: clean(result.get("outcome") or result.get("summary", ""), 240),
}
