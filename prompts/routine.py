"""The routine: the tool that a careful session calls next. The rule planner follows it, and the small language model is taught it.

It reads facts only. It says which tool and with which settings; the prompts themselves are the planner's own business.
"""

from __future__ import annotations

from typing import Any

from prompts.facts import Facts

SCORERS = ["pickscore", "clip_t", "preference"]


def next_call(facts: Facts) -> tuple[str, dict[str, Any]]:
    """The tool and its arguments; `generate_images` comes with an empty `prompts`, for the planner to fill."""
    if not facts.round or (facts.another_round and "evolve_prompts" in facts.done):
        return "generate_images", {"prompts": [], "evolved": shared_out(facts)[1]}
    for tool, args in _after_painting(facts):
        if tool not in facts.done:
            return tool, args
    return _ending(facts)


def shared_out(facts: Facts) -> tuple[int, int]:
    """How many prompts the planner writes itself and how many it takes from the last evolution: half and half."""
    wanted = min(facts.images_per_round, facts.images_left)
    evolved = min(facts.evolved, wanted // 2)
    return wanted - evolved, evolved


def _after_painting(facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    steps: list[tuple[str, dict[str, Any]]] = [
        ("score_images", {"scorers": SCORERS}),
        ("ask_person", {"question": "How much do you like these?", "images": facts.images_per_round}),
        ("give_feedback", {"words": 6}),
        ("learn_taste", {"kind": "blend"}),
    ]
    if facts.another_round:
        steps.append(("evolve_prompts", {"children": facts.images_per_round, "mutation": 0.2, "elites": 1}))
    return steps


def _ending(facts: Facts) -> tuple[str, dict[str, Any]]:
    if facts.trainings_left > 0 and not facts.adapter:
        return "finetune", {"method": facts.method, "steps": facts.train_steps, "rank": 8}
    if facts.adapter == "trained":
        return "evaluate_adapter", {"prompts": 16}
    return "finish", {"summary": closing(facts)}


def closing(facts: Facts) -> str:
    """One sentence for the report."""
    outcome = {
        "promoted": "the adapter was promoted",
        "rejected": "the adapter was rejected",
        "failed": "the training failed",
    }
    return f"{facts.round} rounds are done and {outcome.get(facts.adapter, 'no adapter was trained')}."
