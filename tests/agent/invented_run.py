"""A small run that never happened, in a real store with real PNGs: what the tests of sheets, report and logs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from agent.store.store import Store
from tools.files import save_image
from tools.records import AdapterRow, ImageRow, LlmCall, PairRow, PreferenceRow, ScoreRow, StepRecord

ADAPTER = "a1" * 32
FEEDBACK = "You like large blue rings and a black background. You do not care for <pink> | *plain* [squares]."
HIDDEN = {1: -0.21, 2: 0.84}
CONFIG = {"model": "bauhaus", "clip": "bauhaus-clip", "planner": "llm", "rater": 3, "llm": {"url": None}}
VERSIONS = {"torch": "2.13.0", "python": "3.11.9"}
WON = {"adapter": ADAPTER, "rate": 0.75, "low": 0.47, "high": 0.91, "n": 12, "promoted": True}
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
    folder: Path, numbers: range, purpose: str, adapters: Sequence[Mapping[str, Any]] = ()
) -> tuple[ImageRow, ...]:
    """Saved pictures and their rows."""
    return tuple(painting(folder, idx, number, purpose, list(adapters)) for idx, number in enumerate(numbers))


def painting(folder: Path, idx: int, number: int, purpose: str, adapters: list[Mapping[str, Any]]) -> ImageRow:
    """Picture `number`, saved as entry `idx` of its painting, and its row."""
    colour, sampler = COLOURS[number % 8], {"steps": 20, "guidance_scale": 3.0}
    prompt = f"two large {colour} rings and a small orange cross on a black background, scattered, no {idx}"
    about = {"prompt": prompt, "seed": number, "model": "bauhaus", "adapters": adapters}
    saved = save_image(picture(number), folder, size=(64, 64), **about, **sampler)
    rest = {"path": f"images/{saved.id}.png", "sampler": {**sampler, "purpose": purpose}}
    return ImageRow.model_validate({"sha256": saved.sha256, "idx": idx} | about | rest)


def call(tool: str, args: str, problem: str | None = None, *, answered: bool = True) -> LlmCall:
    """An LLM's answer to "what next?", its arguments as the text it wrote."""
    function = {"name": tool, "arguments": args}
    response = {"choices": [{"message": {"tool_calls": [{"function": function}]}}]} if answered else None
    return LlmCall(
        attempt=0, purpose="plan", model="bauhaus-lm", request={"messages": [{"role": "user", "content": "rated: [9] rings"}]},
        response=response, prompt_tokens=100, completion_tokens=20, seconds=0.25, problem=problem,
    )  # fmt: skip


@dataclass
class Book:
    """The run as it is being written, and the number of its last step."""

    store: Store
    run: str
    folder: Path
    number: int = 0

    def add(self, tool: str | None, round: int, args: dict[str, Any], result: Any, **more: Any) -> int:
        """One more step; its number."""
        self.number += 1
        about = {"step": self.number, "round": round, "node": "act", "tool": tool, "args": args, "result": result}
        usual = {"planner": "llm", "seconds": 1.5, "seconds_by_part": {"paint": 1.0}}
        self.store.add_step(self.run, StepRecord.model_validate(about | usual | more))
        return self.number


def invent(
    store: Store, home: Path, *, rounds: int = 2, rated: bool = True, trained: bool = True, name: str = "test"
) -> str:
    """A run of `rounds` rounds of eight images; returns its id. Unrated, it stops after the painting."""
    run = store.new_run("something calm for my wall", {"name": name} | CONFIG, VERSIONS, 7)
    book = Book(store, run, home / "runs" / run)
    for round in range(1, rounds + 1):
        ids = paint_round(book, round)
        if rated:
            judge_round(book, round, ids)
    if rated and trained:
        train(book, rounds)
        store.finish_run(run, "done")
    return run


def paint_round(book: Book, round: int) -> list[str]:
    """Eight pictures; their ids."""
    rows = paint(book.folder, range(8 * round, 8 * round + 8), "paint")
    ids = [row.id for row in rows]
    given = {"prompts": [row.prompt for row in rows[:5]], "evolved": 3}
    book.add("generate_images", round, given, {"images": ids}, images=rows)
    return ids


def judge_round(book: Book, round: int, ids: list[str]) -> None:
    """Scored, rated, told and learned."""
    score(book, round, ids)
    asked = book.add("ask_person", round, {"question": "?", "images": 8}, {"asked": ids})
    ratings = [(image, min(10, k + round + 0.5 * (k == 2))) for k, image in enumerate(ids)]
    book.store.add_ratings(book.run, asked, ratings, "rater-3")
    book.add("give_feedback", round, {"words": 6}, {"feedback": FEEDBACK, "evidence": [["blue", 1.2]]})
    learn(book, round)


def score(book: Book, round: int, ids: list[str]) -> None:
    """Each picture a little higher than the one before."""
    scores = [
        ScoreRow(image=image, name=name, version="1", value=value + k / 8)
        for k, image in enumerate(ids)
        for name, value in (("pickscore", 20.0), ("clip_t", 0.3))
    ]
    good = call("score_images", '{"scorers": ["pickscore", "clip_t"]}')
    result = {"scores": {"pickscore": 20.4}, "skipped": ["preference"]}
    book.add("score_images", round, {"scorers": ["pickscore", "clip_t"]}, result, scores=scores, llm_calls=(good,))


def learn(book: Book, round: int) -> None:
    """A taste of all ratings so far."""
    preference = PreferenceRow(kind="blend", metrics={}, path=f"preferences/{round}.npz", sha256="b" * 64)
    result = {"kind": "blend", "ratings": 8 * round, "agreement": 0.62, "interval": [0.3, 0.81]}
    book.add("learn_taste", round, {"kind": "blend"}, result, preferences=(preference,))


def train(book: Book, round: int) -> None:
    """The end of a run: an invalid plan, a round of rules, an adapter, its evaluation."""
    useless = call("", "", "prose: hm"), call("", "", "HTTP 500", answered=False)
    book.add(None, round, {}, {}, error="the answer cannot be used (prose): [bold]hm[/bold]", llm_calls=useless)
    adapter = finetune(book, round)
    evaluate(book, round, adapter)
    summary = {"summary": "2 rounds are done and the adapter was promoted."}
    book.add("finish", round, {"summary": "done"}, summary, planner="rules")


def finetune(book: Book, round: int) -> AdapterRow:
    """An adapter of one pair out of a pool of four, planned by an answer that had to be mended."""
    pool = paint(book.folder, range(60, 64), "pool")
    made = {
        "images": pool,
        "pairs": (PairRow(prompt="rings", win=pool[0].id, lose=pool[1].id, margin=1.0),),
        "llm_calls": (call("finetune", '{"method": "dpo", "steps": "60", "rank": 8}', "repaired"),),
    }
    config = {"steps": 60, "rank": 8}
    adapter = AdapterRow(sha256=ADAPTER, kind="dpo", base="bauhaus", path="adapters/step-9", config=config)
    result = {"adapter": ADAPTER, "method": "dpo", "pairs": 1, "loss": 0.68}
    args = {"method": "dpo"} | config
    book.add("finetune", round, args, result, adapters=(adapter,), seconds_by_part={"train": 9.5}, **made)
    return adapter


def evaluate(book: Book, round: int, adapter: AdapterRow) -> None:
    """Twelve pictures without the adapter and twelve with it, of which nine are better: it is promoted."""
    without = paint(book.folder, range(20, 32), "without")
    with_ = paint(book.folder, range(40, 52), "with", [{"sha256": ADAPTER, "weight": 1.0}])
    images = {"without": [row.id for row in without], "with": [row.id for row in with_]}
    result = WON | {"prompts": [row.prompt for row in without]} | images
    judged = adapter.model_copy(update={"promoted": True, "metrics": {"rate": 0.75}})
    made = {"images": (*without, *with_), "scores": likings(without, 0) + likings(with_, 1), "adapters": (judged,)}
    book.add("evaluate_adapter", round, {"prompts": 12}, result, planner="rules", **made)


def likings(rows: Sequence[ImageRow], gain: int) -> list[ScoreRow]:
    """What the taste says of them: 5, and so much more of three in four."""
    return [
        ScoreRow(image=row.id, name="preference", version="evaluation", value=5 + (k % 4 > 0) * gain)
        for k, row in enumerate(rows)
    ]
