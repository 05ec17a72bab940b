"""Building pairs: pools of real paintings, scored, chosen, encoded, and gone on with after an interruption."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prompts.errors import InputError, PalateError
from prompts.lists import prompts_in
from tests.trainers.shards import pairs_told
from tools.jobs.pairs import Builder, PoolSpec, build_pairs
from trainers.dpo import Pair
from trainers.engine.pair_store import PairStore

Tiny = Callable[[str], Any]
PROMPTS = ["a red dog", "a blue field", "a photo of the person", "the dog"]


def redness(images: Sequence[Image.Image], prompts: Sequence[str]) -> np.ndarray:
    assert len(images) == len(prompts)
    return np.array([np.asarray(image, dtype=float)[..., 0].mean() for image in images])


@pytest.fixture
def spec(tmp_path: Path) -> PoolSpec:
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS) + "\n")
    return PoolSpec(prompts=tmp_path / "prompts.txt", images=3, steps=2, size=32, shard=2, scorers={"redness": 1.0})


def build(
    spec: PoolSpec,
    folder: Path,
    tiny: Tiny,
    compared: Sequence[Pair] = (),
    should_stop: Callable[[], bool] = bool,
    **more: Any,
) -> PairStore:
    builder = Builder(spec, folder, tiny("sd15"), {"redness": redness}, **{"scored_by": {"redness": "1"}, **more})
    return build_pairs(builder, compared=compared, should_stop=should_stop)


def test_each_prompt_gives_its_best_and_its_worst(spec: PoolSpec, tiny: Tiny, tmp_path: Path) -> None:
    done: list[int] = []
    store = build(spec, tmp_path / "pairs", tiny, on_pools=done.append)
    assert done == [1, 2, 3, 4] and store.shards == 2
    lines = pairs_told(tmp_path / "pairs")
    assert [line["prompt"] for line in lines] == PROMPTS and [line["seed"] for line in lines] == [0, 3, 6, 9]
    for line in lines:
        scores = line["scores"]["redness"]
        assert scores[line["win"]] == max(scores) and scores[line["lose"]] == min(scores)
        assert line["margin"] == pytest.approx(max(scores) - min(scores), abs=1e-4)


def test_a_stopped_build_goes_on_and_ends_as_if_it_had_not_been(spec: PoolSpec, tiny: Tiny, tmp_path: Path) -> None:
    whole, done = build(spec, tmp_path / "whole", tiny), []
    with pytest.raises(PalateError, match="stopped before shard 1"):
        build(spec, tmp_path / "parts", tiny, on_pools=done.append, should_stop=lambda: len(done) >= 2)
    again = build(spec, tmp_path / "parts", tiny, on_pools=done.append)
    assert done == [1, 2, 3, 4]
    assert again.fingerprint() == whole.fingerprint()
    for one, other in zip(
        sorted((tmp_path / "whole").glob("*.safe*")), sorted((tmp_path / "parts").glob("*.safe*")), strict=True
    ):
        assert one.read_bytes() == other.read_bytes()


def test_what_a_person_compared_comes_first_and_its_prompt_gets_no_pool(
    spec: PoolSpec, tiny: Tiny, tmp_path: Path
) -> None:
    red, blue = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    compared = [Pair(PROMPTS[1], blue, red)]
    for _ in range(2):  # the second time nothing is left to do
        build(spec, tmp_path / "pairs", tiny, compared=compared)
    assert [(line["prompt"], line["by"]) for line in pairs_told(tmp_path / "pairs")] == [
        (PROMPTS[1], "person"), (PROMPTS[0], "scorers"), (PROMPTS[2], "scorers"), (PROMPTS[3], "scorers"),
    ]  # fmt: skip


def test_pools_that_teach_nothing_are_left_out_and_their_shard_is_still_done(
    spec: PoolSpec, tiny: Tiny, tmp_path: Path
) -> None:
    strict = spec.model_copy(update={"minimum_margin": 1e6})
    store = build(strict, tmp_path / "pairs", tiny)
    assert len(store) == 0 and store.shards == 2


def test_other_settings_in_a_folder_are_refused_by_name(spec: PoolSpec, tiny: Tiny, tmp_path: Path) -> None:
    build(spec, tmp_path / "pairs", tiny)
    with pytest.raises(InputError, match="holds other pairs: their images was 3, now 4"):
        build(spec.model_copy(update={"images": 4}), tmp_path / "pairs", tiny)


def test_pairs_made_of_other_prompts_adapters_scorers_or_comparisons_are_refused(
    spec: PoolSpec, tiny: Tiny, tmp_path: Path
) -> None:
    red, blue = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    build(spec, tmp_path / "pairs", tiny, [Pair("mine", red, blue)])
    with pytest.raises(InputError, match="their compared was"):
        build(spec, tmp_path / "pairs", tiny, [Pair("mine", blue, red)])
    with pytest.raises(InputError, match="their scored_by was"):
        build(spec, tmp_path / "pairs", tiny, [Pair("mine", red, blue)], scored_by={"redness": "2"})
    spec.prompts.write_text("something else\n")
    with pytest.raises(InputError, match="their prompts was"):
        build(spec, tmp_path / "pairs", tiny, [Pair("mine", red, blue)])


def test_a_shard_that_was_deleted_is_made_again_and_no_other(spec: PoolSpec, tiny: Tiny, tmp_path: Path) -> None:
    whole = build(spec, tmp_path / "pairs", tiny).fingerprint()
    (tmp_path / "pairs" / "shard-00000.safetensors").unlink()
    done: list[int] = []
    assert build(spec, tmp_path / "pairs", tiny, on_pools=done.append).fingerprint() == whole
    assert done == [1, 2]


def test_a_compared_pair_of_one_image_is_refused(spec: PoolSpec, tiny: Tiny, tmp_path: Path) -> None:
    red = Image.new("RGB", (32, 32), "red")
    with pytest.raises(InputError, match="one image as winner and loser"):
        build(spec, tmp_path / "pairs", tiny, [Pair("mine", red, red.copy())])


def test_a_scorer_that_gives_no_numbers_stops_the_build(spec: PoolSpec, tiny: Tiny, tmp_path: Path) -> None:
    broken = Builder(
        spec, tmp_path, tiny("sd15"), {"redness": lambda images, prompts: np.full(len(images), np.nan)}, {}
    )
    with pytest.raises(InputError, match="'redness' gave"):
        build_pairs(broken)


def test_prompts_are_read_as_they_are_needed(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    for nonsense in ("nonsense", '{"prompt": null}', '["a"]', '{"prompt": " "}'):
        file.write_text(json.dumps({"prompt": "a dog"}) + "\n\n" + nonsense + "\n")
        lines = prompts_in(file)
        assert next(lines) == "a dog"
        with pytest.raises(InputError, match=r"line 3 of .*many.jsonl' is "):
            next(lines)
    with pytest.raises(InputError, match=r"nowhere.txt' cannot be read"):
        next(prompts_in(tmp_path / "nowhere.txt"))
