"""A small run that never happened, in a real store with real PNGs: what the tests of sheets, report and logs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from agent.store.store import Store
from tools.files import save_image
from tools.records import AdapterRow, ImageRow, LlmCall, PairRow, PreferenceRow, ScoreRow, StepRecord

ADAPTER = "a1" * 32
FEEDBACK = "You like large blue rings and a black background. You do not care for <pink> | *plain* [squares]."
HIDDEN = {1: -0.21, 2: 0.84}
COLOURS = ("#d33", "#2a5", "#26c", "#e80", "#808", "#0aa", "#c4a", "#333")


def picture(number: int, size: int = 64) -> Image.Image:
    """A picture that differs with its number."""
    image = Image.new("RGB", (size, size), COLOURS[number % 8])
    draw = ImageDraw.Draw(image)
    low, high = size * (8 + number % 5) // 64, size * (30 + 3 * (number % 9)) // 64
    draw.ellipse((low, low, high, high), fill=COLOURS[(number + 3 + number // 8) % 8], outline="white")
    draw.line((0, number % size, size, size - number % size), fill="black", width=2)
    return image


def paint(
    folder: Path, numbers: range, purpose: str, adapters: list[dict[str, Any]] | None = None
) -> tuple[ImageRow, ...]:
    """Saved pictures and their rows."""
    rows = []
    for idx, number in enumerate(numbers):
        prompt = (
            f"two large {COLOURS[number % 8]} rings and a small orange cross on a black background, scattered, no {idx}"
        )
        sampler = {"steps": 20, "guidance_scale": 3.0}
        saved = save_image(
            picture(number), folder, prompt=prompt, seed=number, model="bauhaus", size=(64, 64), adapters=adapters or [], **sampler
        )  # fmt: skip
        rows.append(
            ImageRow(
                sha256=saved.sha256,
                idx=idx,
                path=f"images/{saved.id}.png",
                prompt=prompt,
                seed=number,
                model="bauhaus",
                adapters=adapters or [],
                sampler={**sampler, "purpose": purpose},
            )
        )
    return tuple(rows)


def call(tool: str, args: str, problem: str | None = None, *, answered: bool = True) -> LlmCall:
    """An LLM's answer to "what next?", its arguments as the text it wrote."""
    function = {"name": tool, "arguments": args}
    response = {"choices": [{"message": {"tool_calls": [{"function": function}]}}]} if answered else None
    return LlmCall(
        attempt=0, purpose="plan", model="bauhaus-lm", request={"messages": [{"role": "user", "content": "rated: [9] rings"}]},
        response=response, prompt_tokens=100, completion_tokens=20, seconds=0.25, problem=problem,
    )  # fmt: skip


def invent(
    store: Store, home: Path, *, rounds: int = 2, rated: bool = True, trained: bool = True, name: str = "test"
) -> str:
    """A run of `rounds` rounds of eight images; returns its id. Unrated, it stops after the painting."""
    config = {
        "name": name,
        "model": "bauhaus",
        "clip": "bauhaus-clip",
        "planner": "llm",
        "rater": 3,
        "llm": {"url": None},
    }
    run = store.new_run("something calm for my wall", config, {"torch": "2.13.0", "python": "3.11.9"}, 7)
    folder, number = home / "runs" / run, 0

    def add(tool: str | None, round_: int, args: dict[str, Any], result: Any, **more: Any) -> int:
        nonlocal number
        number += 1
        values = {"planner": "llm", "seconds": 1.5, "seconds_by_part": {"paint": 1.0}} | more
        store.add_step(
            run, StepRecord.model_validate({"step": number, "round": round_, "node": "act", "tool": tool, "args": args, "result": result} | values)
        )  # fmt: skip
        return number

    for round_ in range(1, rounds + 1):
        rows = paint(folder, range(8 * round_, 8 * round_ + 8), "paint")
        ids = [row.id for row in rows]
        add(
            "generate_images",
            round_,
            {"prompts": [r.prompt for r in rows[:5]], "evolved": 3},
            {"images": ids},
            images=rows,
        )
        if not rated:
            continue
        scores = [
            ScoreRow(image=i, name=n, version="1", value=v + k / 8)
            for k, i in enumerate(ids)
            for n, v in (("pickscore", 20.0), ("clip_t", 0.3))
        ]
        good = call("score_images", '{"scorers": ["pickscore", "clip_t"]}')
        add(
            "score_images",
            round_,
            {"scorers": ["pickscore", "clip_t"]},
            {"scores": {"pickscore": 20.4}, "skipped": ["preference"]},
            scores=scores,
            llm_calls=(good,),
        )
        asked = add("ask_person", round_, {"question": "?", "images": 8}, {"asked": ids})
        store.add_ratings(
            run, asked, [(image, min(10, k + round_ + 0.5 * (k == 2))) for k, image in enumerate(ids)], "rater-3"
        )
        add("give_feedback", round_, {"words": 6}, {"feedback": FEEDBACK, "evidence": [["blue", 1.2]]})
        preference = PreferenceRow(kind="blend", metrics={}, path=f"preferences/{round_}.npz", sha256="b" * 64)
        add(
            "learn_taste",
            round_,
            {"kind": "blend"},
            {"kind": "blend", "ratings": 8 * round_, "agreement": 0.62, "interval": [0.3, 0.81]},
            preferences=(preference,),
        )
    if rated and trained:
        train(store, run, folder, add, rounds)
        store.finish_run(run, "done")
    return run


def train(store: Store, run: str, folder: Path, add: Any, round_: int) -> None:
    """The end of a run: an invalid plan, a round of rules, an adapter, its evaluation."""
    add(
        None,
        round_,
        {},
        {},
        error="the answer cannot be used (prose): [bold]hm[/bold]",
        llm_calls=(call("", "", "prose: hm"), call("", "", "HTTP 500", answered=False)),
    )
    pool = paint(folder, range(60, 64), "pool")
    pairs = (PairRow(prompt="rings", win=pool[0].id, lose=pool[1].id, margin=1.0),)
    adapter = AdapterRow(
        sha256=ADAPTER, kind="dpo", base="bauhaus", path="adapters/step-9", config={"steps": 60, "rank": 8}
    )
    mended = call("finetune", '{"method": "dpo", "steps": "60", "rank": 8}', "repaired")
    args = {"method": "dpo", "steps": 60, "rank": 8}
    result = {"adapter": ADAPTER, "method": "dpo", "pairs": 1, "loss": 0.68}
    add(
        "finetune",
        round_,
        args,
        result,
        images=pool,
        pairs=pairs,
        adapters=(adapter,),
        llm_calls=(mended,),
        seconds_by_part={"train": 9.5},
    )
    without, with_ = (
        paint(folder, range(20, 32), "without"),
        paint(folder, range(40, 52), "with", [{"sha256": ADAPTER, "weight": 1.0}]),
    )
    scores = [
        ScoreRow(image=row.id, name="preference", version="evaluation", value=5 + (k % 4 > 0) * side)
        for side, rows in enumerate((without, with_))
        for k, row in enumerate(rows)
    ]
    result = {
        "adapter": ADAPTER,
        "rate": 0.75,
        "low": 0.47,
        "high": 0.91,
        "n": 12,
        "promoted": True,
        "prompts": [row.prompt for row in without],
    }
    result |= {"without": [row.id for row in without], "with": [row.id for row in with_]}
    judged = adapter.model_copy(update={"promoted": True, "metrics": {"rate": 0.75}})
    add(
        "evaluate_adapter",
        round_,
        {"prompts": 12},
        result,
        images=(*without, *with_),
        scores=scores,
        adapters=(judged,),
        planner="rules",
    )
    add(
        "finish",
        round_,
        {"summary": "done"},
        {"summary": "2 rounds are done and the adapter was promoted."},
        planner="rules",
    )
