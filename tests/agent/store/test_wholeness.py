"""agent/store/wholeness.py: files are held against the hashes in the rows, and a run that was altered does not go on."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agent.store.store import Store
from agent.store.wholeness import check_whole, damage
from prompts.errors import StoreError
from tests.agent.fast import Started, resumed, told
from tests.agent.store.written import simple_step, start
from tools.records import AdapterRow, ImageRow, PreferenceRow


@pytest.fixture
def run(store: Store, tmp_path: Path) -> str:
    """A run with one file of every kind in `tmp_path`."""
    hashes = {}
    for name in (
        "images/a.png",
        "taste.npz",
        "adapters/dpo/pytorch_lora_weights.safetensors",
        "adapters/whole/model/unet/model.safetensors",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
        hashes[name] = hashlib.sha256(name.encode()).hexdigest()
    image, taste, *adapters = hashes.items()
    run_id = start(store)
    row = ImageRow(sha256=image[1], idx=0, path=image[0], prompt="p", seed=1, model="m")
    made = [
        AdapterRow(sha256=sha256, kind="dpo", base="b", path="/".join(name.split("/")[:2]), config={})
        for name, sha256 in adapters
    ]
    learned = PreferenceRow(kind="ridge", metrics={}, path=taste[0], sha256=taste[1])
    store.add_step(run_id, simple_step(1, row, preferences=[learned], adapters=made))
    return run_id


def test_a_run_as_it_was_written_is_whole(store: Store, run: str, tmp_path: Path) -> None:
    assert damage(store, run, tmp_path) == []
    check_whole(store, run, tmp_path)


FILES = {
    "images/a.png": "the file of image", "taste.npz": "the file of the taste learned in step 1",
    "adapters/dpo/pytorch_lora_weights.safetensors": "the file of adapter", "adapters/whole/model/unet/model.safetensors": "the file of adapter",
}  # fmt: skip
CHANGES: dict[str, Callable[[Path], Any]] = {
    "was changed": lambda file: file.write_bytes(file.read_bytes() + b" "),
    "is missing": lambda file: file.unlink(),
    "cannot be read": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_not_what_was_recorded_is_named(
    store: Store, run: str, tmp_path: Path, file: str, how: str
) -> None:
    CHANGES[how](tmp_path / file)
    (told,) = damage(store, run, tmp_path)
    assert told.startswith(FILES[file]) and (how in told or "adapters" in file)
    with pytest.raises(StoreError, match=f"is not as it was written: {FILES[file]}.* Nothing was continued: put back"):
        check_whole(store, run, tmp_path)


def test_an_old_runs_rows_that_cannot_be_read_are_damage_too(store: Store, run: str, tmp_path: Path) -> None:
    for sql in (
        "delete from chain",
        "insert into chain select id, 0, null, null, '{}', '' from runs",
        "update preferences set metrics = '{'",
    ):
        store._db.execute(sql)
    (told,) = damage(store, run, tmp_path)
    assert told.startswith(f"preference 1 at step 1 of run {run} cannot be read")


def grey(run: Started) -> None:
    for file in (run.folder / "images").glob("*.png"):
        Image.new("RGB", (64, 64), "grey").save(file)


def by_sql(*statements: str) -> Callable[[Started], None]:
    def change(run: Started) -> None:
        connection = sqlite3.connect(run.home / "palate.sqlite")
        counts = [connection.execute(sql).rowcount for sql in statements]
        assert max(counts) > 0
        connection.commit()
        connection.close()

    return change


ALTERED: dict[str, tuple[Callable[[Started], None], str]] = {
    "grey pictures": (grey, "the file of image .* was changed"),
    "a step missing in the middle": (by_sql("delete from scores where step = 2", "delete from steps where step = 2"), "step 2 is missing"),
    "a config with another gate": (by_sql("update runs set config = json_set(config, '$.gate.unseen_may_lose', json('true'))"), "the run's own row"),
    "a rating nobody gave": (
        by_sql("insert into ratings select null, run_id, id, 10, 'eve', '2026', 3, null from images limit 1"), "rating 1 was added"),
    "a picture nobody painted": (
        by_sql("insert into images select run_id, 'x', sha256, step, round, 9, path, prompt, seed, model, adapters, sampler from images limit 1"),
        "step 1, or what came with it"),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERED)
def test_a_run_that_was_altered_does_not_go_on_and_says_why(waiting: Started, what: str) -> None:
    change, why = ALTERED[what]
    change(waiting)
    before = told(waiting)
    for _ in range(2):  # the refusal covers nothing up
        with pytest.raises(StoreError, match=why):
            resumed(waiting)
    assert told(waiting) == before and waiting.store.run(waiting.run_id).state == "failed"
