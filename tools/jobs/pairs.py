"""Build pairs for preference training: paint a pool for each prompt, score it, keep the best and the worst, encode them once.

Streams: a shard of pools is painted, scored and written before the next is begun, so 100,000 prompts need the memory of one shard,
and a build that was stopped goes on with the first shard that is not there. What a person compared comes first.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prompts.errors import InputError, PalateError
from prompts.lists import prompts_in
from tools.files import save_json
from tools.jobs.pools import Chosen, check_scores, choose, mixed
from tools.scorers import ImageScorer

if TYPE_CHECKING:
    from PIL import Image

    from trainers.dpo import Pair
    from trainers.engine.pair_store import PairStore
    from trainers.files.adapter_file import AdapterRef
    from trainers.model.base_model import BaseModel as Painter


class PoolSpec(BaseModel):
    """How pools are made. HG-DPO has 20 images a pool and the last as the loser."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: Path = Field(description="a .txt file of one prompt a line, or a .jsonl file of {'prompt': ...}")
    images: int = Field(20, ge=2, le=64, description="images a pool (N)")
    seeds: int = Field(1, ge=1, le=1000, description="pools a prompt, each from seeds of its own")
    pairs: int = Field(
        1,
        ge=1,
        le=32,
        description="pairs a pool: best and worst, second best and second worst, ..; more where prompts are few",
    )
    loser_rank: int | None = Field(None, ge=2, le=64, description="rank of the loser in its pool; none: the last")
    minimum_margin: float = Field(
        0.0,
        ge=0,
        description="pairs whose scores differ by no more are left out; of several scorers, in spreads of a pool",
    )
    scorers: dict[str, float] = Field({"pickscore": 1.0}, min_length=1, description="weight of each scorer")
    steps: int = Field(20, ge=1, le=1000, description="sampling steps")
    guidance_scale: float = Field(3.0, ge=0, le=50)
    size: int | None = Field(None, ge=8, le=2048, multiple_of=8, description="pixels a side; none: the model's own")
    seed: int = Field(0, ge=0, lt=2**31)
    shard: int = Field(16, ge=1, le=4096, description="pools a file: what an interruption costs at most")

    @model_validator(mode="after")
    def _rank_in_pool(self) -> PoolSpec:
        if self.loser_rank is not None and self.loser_rank > self.images:
            raise ValueError(f"loser_rank {self.loser_rank} is not in a pool of {self.images} images")
        if self.pairs > self.images // 2 or (self.pairs > 1 and self.loser_rank is not None):
            raise ValueError(f"{self.pairs} pairs want twice as many images, not {self.images}, and no loser_rank")
        return self


@dataclass(frozen=True)
class Pool:
    """One prompt, and the seed of its first image."""

    prompt: str
    seed: int


@dataclass(frozen=True)
class Builder:
    """What every shard is made with. `scored_by`: the version of each scorer; `on_image()`: called while images are painted."""

    spec: PoolSpec
    folder: Path
    model: Painter
    scorers: Mapping[str, ImageScorer]
    scored_by: Mapping[str, str]
    adapters: Sequence[AdapterRef] = ()
    on_image: Callable[[], object] = lambda: None
    on_pools: Callable[[int], object] = lambda done: None

    def pool_shard(self, number: int, pools: Sequence[Pool], before: int) -> None:
        """Paint, choose and write one shard of pools, `before` of which came earlier."""
        win, lose, lines = [], [], []
        for done, pool in enumerate(pools, start=1):
            images = self._paint(pool)
            chosen, scores = self._choose(images, pool.prompt)
            for one in chosen:
                win.append(images[one.win])
                lose.append(images[one.lose])
                told = {"prompt": pool.prompt, "by": "scorers", "seed": pool.seed}
                lines.append({**told, **one._asdict(), "scores": scores})
            self.on_pools(before + done)
        self.write(number, win, lose, lines)

    def write(
        self, number: int, win: Sequence[Image.Image], lose: Sequence[Image.Image], lines: Sequence[dict[str, Any]]
    ) -> None:
        """Encode pairs and write them as one shard; a shard without any is written, too: it is done."""
        import torch

        from trainers.engine.pair_store import write_shard
        from trainers.model.denoiser import encode_images, encode_prompts, latent_shape

        size = self.spec.size or self.model.size
        none = torch.zeros(latent_shape(self.model, 0, size))
        first, second = (encode_images(side, self.model, size) if side else none for side in (win, lose))
        told = encode_prompts([line["prompt"] for line in lines] or [""], self.model, size, self.adapters)
        write_shard(self.folder, number, first, second, told[list(range(len(lines)))], lines)

    def _paint(self, pool: Pool) -> list[Image.Image]:
        from trainers.model.paint import paint

        spec = self.spec
        painted = paint(
            [pool.prompt] * spec.images, model=self.model, adapters=self.adapters, seed=pool.seed, steps=spec.steps,
            guidance_scale=spec.guidance_scale, size=spec.size, on_step=self._on_step,
        )  # fmt: skip
        return [one.image for one in painted]

    def _on_step(self, _step: int, _steps: int) -> None:
        self.on_image()

    def _choose(self, images: Sequence[Image.Image], prompt: str) -> tuple[list[Chosen], dict[str, list[float]]]:
        scores = {name: scorer(images, [prompt] * len(images)) for name, scorer in self.scorers.items()}
        for name, values in scores.items():
            check_scores(name, values)
        mix = mixed(scores, self.spec.scorers)
        spec = self.spec
        chosen = choose(mix, pairs=spec.pairs, loser_rank=spec.loser_rank, minimum_margin=spec.minimum_margin)
        return chosen, {name: [round(float(value), 5) for value in values] for name, values in scores.items()}


def build_pairs(
    builder: Builder, *, compared: Sequence[Pair] = (), should_stop: Callable[[], bool] = bool
) -> PairStore:
    """Make what is missing of the pairs in the builder's folder; `compared` are a person's, and their prompts get no pool.

    Raises InputError for prompts, pairs or scores that cannot be used and for a folder of other pairs, PalateError when it was asked
    to stop (whole shards stay)."""
    from trainers.engine.pair_store import PairStore, has_shard

    spec, folder, first = builder.spec, builder.folder, int(bool(compared))
    _same_plan(builder, compared)
    if compared and not has_shard(folder, 0):
        _write_compared(compared, builder)
    own = {pair.prompt for pair in compared}
    for number, shard in enumerate(_shards(_pools(spec, own), spec.shard), start=first):
        if has_shard(folder, number):
            continue
        if should_stop():
            raise PalateError(f"stopped before shard {number} of pairs: run it again to continue")
        builder.pool_shard(number, shard, (number - first) * spec.shard)
    return PairStore(folder)


def _pools(spec: PoolSpec, without: set[str]) -> Iterator[Pool]:
    seed = spec.seed
    for prompt in prompts_in(spec.prompts):
        for _ in range(spec.seeds if prompt not in without else 0):
            yield Pool(prompt, seed)
            seed += spec.images


def _shards(pools: Iterator[Pool], size: int) -> Iterator[list[Pool]]:
    while shard := list(itertools.islice(pools, size)):
        yield shard


def _same_plan(builder: Builder, compared: Sequence[Pair]) -> None:
    """Keep what the pairs are made of beside them. Raises InputError when the folder holds pairs made otherwise."""
    plan, file = _plan(builder, compared), builder.folder / "plan.json"
    builder.folder.mkdir(parents=True, exist_ok=True)
    try:
        before = json.loads(file.read_text()) if file.is_file() else plan
    except ValueError:
        before = {}
    for key, value in plan.items():
        if before.get(key) != value:
            raise InputError(
                f"{str(builder.folder)!r} holds other pairs: their {key} was {before.get(key)!r}, now {value!r}: delete it or give "
                "another folder"
            )
    save_json(file, plan)


def _plan(builder: Builder, compared: Sequence[Pair]) -> dict[str, Any]:
    """All that the pairs follow from, by content."""
    from trainers.files.adapter_file import find, sha256

    for _ in itertools.islice(prompts_in(builder.spec.prompts), 1):
        pass  # a file that cannot be read is named here
    return {
        **builder.spec.model_dump(mode="json"), "prompts": sha256(builder.spec.prompts), "model": builder.model.name,
        "adapters": [[sha256(find(ref.path)), ref.weight] for ref in builder.adapters], "scored_by": dict(builder.scored_by),
        "compared": [_told(pair) for pair in compared],
    }  # fmt: skip


def _told(pair: Pair) -> dict[str, str]:
    hashes = {side: hashlib.sha256(getattr(pair, side).tobytes()).hexdigest()[:16] for side in ("win", "lose")}
    return {"prompt": pair.prompt, "by": "person", **hashes}


def _write_compared(compared: Sequence[Pair], builder: Builder) -> None:
    from trainers.dpo import check_pairs

    check_pairs(compared)
    win, lose = [pair.win for pair in compared], [pair.lose for pair in compared]
    builder.write(0, win, lose, [_told(pair) for pair in compared])
