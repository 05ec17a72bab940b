"""Shards of encoded pairs: rows come back as they were written, and a broken or half-written one is never read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prompts.errors import InputError, PalateError
from tests.trainers.shards import pairs_told
from trainers import dpo
from trainers.engine import pair_store
from trainers.engine.pair_store import PairStore, write_shard
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import Conditions

CPU = torch.device("cpu")


def written(folder: Path, number: int, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """A shard in which everything of a pair can be told from its numbers."""
    n = len(prompts)
    win = torch.arange(n * 4.0).view(n, 1, 2, 2) + 100 * number
    values = torch.tensor([float(sum(map(ord, prompt))) for prompt in prompts])
    conditions = Conditions(values.view(n, 1, 1), {"pooled": values.view(n, 1) + 1})
    write_shard(folder, number, win, -win, conditions, [{"prompt": prompt} for prompt in prompts])
    return win, values


def test_rows_are_numbered_across_shards_and_each_prompt_is_kept_once(tmp_path: Path) -> None:
    first, told = written(tmp_path, 0, ["b", "a", "b"])
    written(tmp_path, 1, [])
    second, more = written(tmp_path, 2, ["c", "a"])
    store = PairStore(tmp_path)
    assert len(store) == 5 and store.shards == 3
    win, lose, conditions = store.batch([4, 0, 2], CPU)
    assert torch.equal(win, torch.stack([second[1], first[0], first[2]])) and torch.equal(lose, -win)
    assert conditions.embeds.flatten().tolist() == [more[1], told[0], told[2]]
    assert conditions.extras["pooled"].flatten().tolist() == [more[1] + 1, told[0] + 1, told[2] + 1]
    assert [line["prompt"] for line in pairs_told(tmp_path)] == ["b", "a", "b", "c", "a"]
    assert store._open[0].get_slice("embeds").get_shape()[0] == 2


def test_other_pairs_have_another_fingerprint(tmp_path: Path) -> None:
    prints = set()
    for number, prompts in enumerate((["a"], ["b"], ["a", "b"])):
        written(tmp_path / str(number), 0, prompts)
        prints.add(PairStore(tmp_path / str(number)).fingerprint())
    assert len(prints) == 3


def test_a_full_disk_leaves_whole_shards_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, 0, ["a"])

    def full(tensors: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pair_store, "save_file", full)
    with pytest.raises(PalateError, match=r"shard-00001.*No space left.*earlier shards are whole"):
        written(tmp_path, 1, ["b"])
    assert PairStore(tmp_path).shards == 1 and not list(tmp_path.glob(".*"))


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    written(tmp_path, 0, ["a"])
    file = tmp_path / "shard-00000.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(InputError, match=r"shard-00000.*cannot be read.*delete it"):
        PairStore(tmp_path)


def test_training_on_a_store_is_training_on_its_pairs(tiny: Callable[[str], BaseModel], tmp_path: Path) -> None:
    from PIL import Image

    model = tiny("sdxl")
    pairs = [dpo.Pair("a red dog", Image.new("RGB", (32, 32), "red"), Image.new("RGB", (32, 32), "blue"))] * 3
    encoded = dpo.EncodedPairs(pairs, model, 32)
    write_shard(
        tmp_path / "pairs",
        0,
        encoded.win,
        encoded.lose,
        encoded.conditions[[0] * 3],
        [{"prompt": pair.prompt} for pair in pairs],
    )
    config, seen = dpo.DpoConfig(steps=2, batch_size=2, size=32, learning_rate=1e-2, statistic_weight=0), []
    for name, data in (("images", pairs), ("store", PairStore(tmp_path / "pairs"))):
        dpo.train(config, data, base_model=model, out=tmp_path / name, on_step=lambda i, n, row: seen.append(row))  # type: ignore[arg-type]
    for one, other in zip(seen[:2], seen[2:], strict=True):
        for key in ("loss", "dpo_loss", "win_change", "lose_change"):
            assert one[key] == pytest.approx(other[key], rel=2e-2, abs=1e-5), key  # float16 on the disk


def test_no_pairs_are_refused(tiny: Callable[[str], BaseModel], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pairs"):
        dpo.train(dpo.DpoConfig(), PairStore(tmp_path), base_model=tiny("sd15"), out=tmp_path / "out")
