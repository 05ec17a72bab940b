"""Runs, images and steps written by hand: what the tests of the store put into one."""

from __future__ import annotations

from agent.store.store import Store
from tools.records import AdapterRow, ImageRow, LlmCall, PairRow, PreferenceRow, ScoreRow, StepRecord

HASH = "0123456789abcdef" * 4


def start(store: Store, brief: str = "a calm blue poster", **more: object) -> str:
    """A new run's id."""
    return store.new_run(brief, {"model": "bauhaus"}, {"torch": "2.13.0"}, 7, **more)  # type: ignore[arg-type]


def image(number: int, **more: object) -> ImageRow:
    """Image `number`, of three rings; its file is not needed."""
    sha256 = f"{number:016x}" + "f" * 48
    values = {"idx": 0, "path": f"images/{sha256[:16]}.png", "prompt": "three rings", "seed": 1, "model": "bauhaus"}
    return ImageRow.model_validate(values | {"sha256": sha256} | more)


def simple_step(number: int, *images: ImageRow, **more: object) -> StepRecord:
    """A step that brings images and nothing else."""
    return StepRecord.model_validate({"step": number, "round": number, "node": "act", "images": images} | more)


def full_step() -> StepRecord:
    """A step with one row or more of every kind."""
    first, second = image(1, adapters=[{"sha256": HASH, "weight": 0.8}], sampler={"steps": 20}), image(2, idx=1)
    messages = [
        {"role": "system", "content": "You paint. Größe: 64 px"},
        {"role": "user", "content": [{"type": "text", "text": "like this"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "", "tool_call_id": "1"},
    ]
    call = LlmCall(
        attempt=1,
        purpose="plan",
        model="bauhaus-lm",
        request={"messages": messages, "temperature": 0.7},
        response={"choices": []},
        prompt_tokens=10,
        completion_tokens=3,
        seconds=0.5,
        problem="no tool call",
    )
    return StepRecord(
        step=0,
        round=0,
        node="act",
        tool="generate_images",
        args={"prompts": ["three rings"]},
        result=["a", 1, None],
        error="late",
        planner="llm",
        seconds=1.5,
        seconds_by_part={"paint": 1.25},
        images=(first, second),
        scores=(ScoreRow(image=first.id, name="pickscore", version="1", value=21.5),),
        pairs=(PairRow(prompt="three rings", win=first.id, lose=second.id, margin=0.3),),
        preferences=(PreferenceRow(kind="ridge", metrics={"srcc": 0.6}, path="preference.npz", sha256=HASH),),
        adapters=(AdapterRow(sha256=HASH, kind="dpo", base="bauhaus", path="adapters/a", config={"rank": 4}),),
        llm_calls=(call,),
    )
