"""Sliders: one attribute as a LoRA whose weight, positive or negative, says how much of it.

Differential LoRA, the "DiffLoRA" of Kandinsky personalization (arXiv 2402.06389, section 3.1): LoRA A learns a picture without the
attribute, LoRA B, on top of A held still, the same picture with it; B alone is the difference. Averaged over several pairs, what
they do not share fades. Knows supervised training and merging. Does not know what the attribute is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from pydantic import Field

from prompts.errors import InputError
from trainers import sft
from trainers.engine import checkpoint
from trainers.engine.fit import finished
from trainers.engine.lora import LoraConfig
from trainers.engine.training import OnStep
from trainers.files.adapter_file import Adapter, AdapterRef
from trainers.merge import merge, parent
from trainers.model.attach import Adapters
from trainers.model.base_model import BaseModel


class SliderConfig(LoraConfig):
    """Settings of one slider. Every pair is trained twice with these, the picture without and the picture with the attribute."""

    learning_rate: float = Field(5e-4, gt=0, le=0.1, description="AdamW's step size; 1e-4 suits SD 1.5 and SDXL")
    steps: int = Field(200, ge=1, le=100_000, description="optimizer steps of each picture")
    batch_size: int = Field(4, ge=1, le=256, description="noises of the picture a step")


class Pair(NamedTuple):
    """The same picture with little and with much of the attribute, and a prompt that does not mention it."""

    prompt: str
    low: Image.Image
    high: Image.Image


def train(
    config: SliderConfig,
    dataset: Sequence[Pair],
    *,
    base_model: BaseModel,
    out: Path,
    adapters: Adapters = (),
    on_step: OnStep | None = None,
    should_stop: Callable[[], bool] = bool,
    name: str = "slider",
) -> Adapter:
    """Train a slider on (prompt, low, high), on top of `adapters`: at weight w it acts with w times the mean difference.

    Pair i works in out/pair-i; run again, it goes on where it stopped. `metrics["lost_share"]`: what the mean lost in becoming one
    adapter of `config.rank`. Raises InputError and PalateError as sft.train does."""
    if not dataset:
        raise InputError("dataset holds no pairs: give at least one picture without and one with the attribute")
    _check_pairs(dataset)
    refs = [AdapterRef(p, w) for p, w in adapters.items()] if isinstance(adapters, Mapping) else list(adapters)
    about = _about(config, dataset, base_model, refs)
    if (Path(out) / "adapter.json").is_file():
        return finished(Path(out), about)

    def fitted(image: Image.Image, prompt: str, below: Sequence[AdapterRef], place: str, before: int) -> Adapter:
        def count(step: int, _total: int, losses: dict[str, float]) -> None:
            if on_step is not None:
                on_step(before * config.steps + step, 2 * len(dataset) * config.steps, losses)

        return sft.train(
            sft.SftConfig.model_validate(config.model_dump()), [(image, prompt)] * config.batch_size, base_model=base_model,
            out=Path(out) / place, adapters=below, on_step=count, should_stop=should_stop, name=Path(place).name,
        )  # fmt: skip

    found = []
    for number, pair in enumerate(dataset):
        low = fitted(pair.low, pair.prompt, refs, f"pair-{number}/low", 2 * number)
        below = [*refs, AdapterRef(low.path)]
        high = fitted(pair.high, pair.prompt, below, f"pair-{number}/high", 2 * number + 1)
        found.append(AdapterRef(high.path, 1 / len(dataset)))
    return merge(found, model=base_model, out=Path(out), rank=config.rank, name=name, about=about)


def _check_pairs(pairs: Sequence[Pair]) -> None:
    """Raises InputError for a pair of one picture, and for one that comes twice."""
    seen: dict[tuple[str, bytes, bytes], int] = {}
    for number, pair in enumerate(pairs):
        low, high = (image.convert("RGB").tobytes() for image in (pair.low, pair.high))
        if low == high:
            raise InputError(
                f"pair {number} ({pair.prompt!r:.80}) has one picture as low and high: drop it, nothing differs"
            )
        first = seen.setdefault((pair.prompt, low, high), number)
        if first != number:
            raise InputError(f"pairs {first} and {number} ({pair.prompt!r:.80}) are the same: drop one")


def _about(
    config: SliderConfig, dataset: Sequence[Pair], model: BaseModel, refs: Sequence[AdapterRef]
) -> dict[str, Any]:
    """What the job is: enough to know it again."""
    examples = [(image, pair.prompt) for pair in dataset for image in (pair.low, pair.high)]
    return {
        "kind": "slider", "base_model": model.name, "config": json.loads(config.model_dump_json()),
        "adapters": {one["sha256"]: one["weight"] for one in map(parent, refs)}, "data": checkpoint.fingerprint(examples, None),
    }  # fmt: skip
