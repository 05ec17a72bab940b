"""Build pairs for preference training: paint a pool for each prompt, score it, keep the best and the worst, encode them once.

Streams: a shard of pools is painted, scored and written before the next is begun, so 100,000 prompts need the memory of one shard,
and a build that was stopped goes on with the first shard that is not there. What a person compared comes first.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from prompts.errors import InputError, PalateError
from tools.job_watch import write_json
from tools.pools import Chosen, check_scores, choose, mixed
from tools.scorers import ImageScorer

if TYPE_CHECKING:
    from PIL import Image

    from trainers.adapter_file import AdapterRef
    from trainers.base_model import BaseModel as Painter
    from trainers.dpo import Pair
    from trainers.pair_store import PairStore


class PoolSpec(BaseModel):
    """How pools are made. HG-DPO has 20 images a pool and the last as the loser."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: Path = Field(description="a .txt file of one prompt a line, or a .jsonl file of {'prompt': ...}")
    images: int = Field(20, ge=2, le=64, description="images a pool (N)")
    seeds: int = Field(1, ge=1, le=1000, description="pools a prompt, each from seeds of its own")
    loser_rank: int | None = Field(None, ge=2, le=64, description="rank of the loser in its pool; none: the last")
    minimum_margin: float = Field(0.0, ge=0, description="pairs whose scores differ by no more teach nothing")
    scorers: dict[str, float] = Field({"pickscore": 1.0}, min_length=1, description="weight of each scorer")
    steps: int = Field(20, ge=1, le=1000, description="sampling steps")
    guidance_scale: float = Field(3.0, ge=0, le=50)
    size: int | None = Field(None, ge=8, le=2048, multiple_of=8, description="pixels a side; none: the model's own")
    seed: int = Field(0, ge=0, lt=2**31)
    shard: int = Field(64, ge=1, le=4096, description="pools a file")


@dataclass(frozen=True)
class Pool:
    """One prompt, and the seed of its first image."""

    prompt: str
    seed: int


def build_pairs(
    spec: PoolSpec,
    folder: Path,
    *,
    model: Painter,
    scorers: Mapping[str, ImageScorer],
    adapters: Sequence[AdapterRef] = (),
    compared: Sequence[Pair] = (),
    on_pools: Callable[[int], None] = lambda done: None,
    should_stop: Callable[[], bool] = bool,
) -> PairStore:
    """Make (or finish) the pairs in `folder`; `compared` are a person's, and their prompts get no pool.

    `on_pools(n)` after each pool, n of them painted. Raises InputError for prompts or scores that cannot be used and for a folder of other pairs,
    PalateError when it was asked to stop (whole shards stay)."""
    from trainers.pair_store import PairStore

    _same_plan(folder, spec, model.name, compared)
    done = PairStore(folder).shards
    own = {pair.prompt for pair in compared}
    pools = _shards(_pools(spec, own), spec.shard)
    if compared and not done:
        _write_compared(compared, folder, model, spec)
        done = 1
    for number, shard in enumerate(itertools.islice(pools, done - bool(compared), None), start=done):
        if should_stop():
            raise PalateError(f"stopped after {number} shards of pairs: run it again to continue")
        before = (number - bool(compared)) * spec.shard
        _write_pools(
            shard, number, spec, folder, model, scorers, adapters, lambda done, before=before: on_pools(before + done)
        )
    return PairStore(folder)


def prompts_in(path: Path) -> Iterator[str]:
    """The prompts of a file, one a line, read as they are needed. Raises InputError naming the line that is wrong."""
    try:
        with path.open() as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _prompt(line.strip(), path, number)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"prompts {str(path)!r} cannot be read ({error}): give a .txt or .jsonl file") from error


def _prompt(line: str, path: Path, number: int) -> str:
    if path.suffix != ".jsonl":
        return line
    try:
        return str(json.loads(line)["prompt"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"line {number} of {str(path)!r} is {line!r:.80}: it needs a JSON object with a prompt"
        ) from error


def _pools(spec: PoolSpec, without: set[str]) -> Iterator[Pool]:
    seed = spec.seed
    for prompt in prompts_in(spec.prompts):
        for _ in range(spec.seeds if prompt not in without else 0):
            yield Pool(prompt, seed)
            seed += spec.images


def _shards(pools: Iterator[Pool], size: int) -> Iterator[list[Pool]]:
    while shard := list(itertools.islice(pools, size)):
        yield shard


def _same_plan(folder: Path, spec: PoolSpec, model: str, compared: Sequence[Pair]) -> None:
    """Keep what the pairs are made of beside them. Raises InputError when the folder holds pairs made otherwise."""
    plan = {**spec.model_dump(mode="json"), "model": model, "compared": len(compared)}
    file = folder / "plan.json"
    folder.mkdir(parents=True, exist_ok=True)
    before = json.loads(file.read_text()) if file.is_file() else plan
    for key, value in plan.items():
        if before.get(key) != value:
            raise InputError(
                f"{str(folder)!r} holds other pairs: their {key} was {before.get(key)!r}, now {value!r}: delete it or give another folder"
            )
    write_json(file, plan)


def _write_compared(compared: Sequence[Pair], folder: Path, model: Painter, spec: PoolSpec) -> None:
    lines = [{"prompt": pair.prompt, "by": "person"} for pair in compared]
    _encode(0, [pair.win for pair in compared], [pair.lose for pair in compared], lines, folder, model, spec)


def _write_pools(
    shard: Sequence[Pool],
    number: int,
    spec: PoolSpec,
    folder: Path,
    model: Painter,
    scorers: Mapping[str, ImageScorer],
    adapters: Sequence[AdapterRef],
    on_pools: Callable[[int], None],
) -> None:
    win, lose, lines = [], [], []
    for done, pool in enumerate(shard, start=1):
        images = _paint(pool, spec, model, adapters)
        chosen, scores = _choose(images, pool.prompt, spec, scorers)
        if chosen is not None:
            win.append(images[chosen.win])
            lose.append(images[chosen.lose])
            lines.append(
                {"prompt": pool.prompt, "by": "scorers", "seed": pool.seed, **chosen._asdict(), "scores": scores}
            )
        on_pools(done)
    _encode(number, win, lose, lines, folder, model, spec)


def _paint(pool: Pool, spec: PoolSpec, model: Painter, adapters: Sequence[AdapterRef]) -> list[Image.Image]:
    from trainers.base_model import paint

    painted = paint(
        [pool.prompt] * spec.images, model=model, adapters=adapters, seed=pool.seed, steps=spec.steps,
        guidance_scale=spec.guidance_scale, size=spec.size,
    )  # fmt: skip
    return [one.image for one in painted]


def _choose(
    images: Sequence[Image.Image], prompt: str, spec: PoolSpec, scorers: Mapping[str, ImageScorer]
) -> tuple[Chosen | None, dict[str, list[float]]]:
    scores = {name: scorer(images, [prompt] * len(images)) for name, scorer in scorers.items()}
    for name, values in scores.items():
        check_scores(name, values)
    chosen = choose(mixed(scores, spec.scorers), loser_rank=spec.loser_rank, minimum_margin=spec.minimum_margin)
    return chosen, {name: [round(float(value), 5) for value in values] for name, values in scores.items()}


def _encode(
    number: int,
    win: Sequence[Image.Image],
    lose: Sequence[Image.Image],
    lines: Sequence[dict[str, Any]],
    folder: Path,
    model: Painter,
    spec: PoolSpec,
) -> None:
    import torch

    from trainers.denoiser import encode_images, encode_prompts, latent_shape
    from trainers.pair_store import write_shard

    size = spec.size or model.size
    nothing = torch.zeros(latent_shape(model, 0, size))
    latents = [encode_images(side, model, size) if side else nothing for side in (win, lose)]
    conditions = encode_prompts([line["prompt"] for line in lines] or [""], model, size)
    write_shard(folder, number, *latents, conditions[: len(lines)], lines)
