"""Several processes that train one model together: each takes its rows, and the result is that of one process alone."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from prompts.errors import InputError
from trainers import dpo, kto
from trainers.engine.draws import fresh
from trainers.engine.share import Share
from trainers.model.base_model import BaseModel
from trainers.model.process import Process

RED, BLUE = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
SHORT: dict[str, Any] = {"steps": 3, "batch_size": 4, "size": 32, "rank": 2, "checkpoint_every": 2}
PAIRS = [dpo.Pair(f"a {one}", *sides) for one in ("red dog", "field", "photo") for sides in ((RED, BLUE), (BLUE, RED))]
JUDGED = [kto.Judged(pair.prompt, pair.win, number % 3 > 0) for number, pair in enumerate(PAIRS)]
WORKS: dict[str, tuple[Any, Any, list[Any]]] = {
    "dpo": (dpo.train, dpo.DpoConfig(**SHORT, beta=500, statistic_weight=100), PAIRS),
    "kto": (kto.train, kto.KtoConfig(**SHORT, beta=500), JUDGED),
}
Tiny = Callable[[str], BaseModel]


def one_of_two(rank: int, kind: str, model: BaseModel, meeting: Path, out: Path) -> None:
    """A process of its own. One thread: a forked child has no others."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    train, config, data = WORKS[kind]
    adapter = train(config, data, base_model=model, out=out)
    (out.parent / f"told-{rank}").write_text(adapter.sha256)
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", WORKS)
def test_two_processes_train_what_one_does(kind: str, tiny: Tiny, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train, config, data = WORKS[kind]
    alone = train(config, data, base_model=tiny("sd15"), out=tmp_path / "alone")
    fork = multiprocessing.get_context("fork")
    both = [
        fork.Process(target=one_of_two, args=(rank, kind, tiny("sd15"), tmp_path / "meeting", tmp_path / "both"))
        for rank in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join(300)
    assert [one.exitcode for one in both] == [0, 0]
    first, second = (load_file(folder / alone.file.name) for folder in (alone.path, tmp_path / "both"))
    assert first.keys() == second.keys() and any(value.abs().max() > 1e-6 for value in first.values())
    assert max((first[key] - second[key]).abs().max().item() for key in first) < 1e-6
    assert (tmp_path / "told-0").read_text() == (tmp_path / "told-1").read_text()
    assert len((tmp_path / "both" / "losses.jsonl").read_text().splitlines()) == 3


def test_noise_does_not_depend_on_how_many_draw_it() -> None:
    process = Process("epsilon", torch.linspace(1, 0, 100))
    whole = process.draw((4, 2, 3, 3), torch.Generator().manual_seed(0))
    for rank in range(2):
        training: Any = SimpleNamespace(share=Share(rank, 2), generator=torch.Generator().manual_seed(0))
        drawn = fresh(process, torch.zeros(2, 2, 3, 3), training)
        for one, all_of_it in zip(drawn, whole, strict=True):
            assert torch.equal(one, all_of_it[2 * rank : 2 * rank + 2])


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    assert Share(1, 2).mine(range(6)) == range(3, 6)
    with pytest.raises(InputError, match=r"a batch of 3 examples cannot be shared by 2 processes.*multiple of 2"):
        Share(0, 2).mine(range(3))
