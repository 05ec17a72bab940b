"""agent/loop/checkpoints.py: an altered file runs nothing, says what helps, and is not needed."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent.loop.checkpoints import PlainValues, checkpoints
from prompts.errors import StoreError
from tests.agent.fast import ASK, FINISH, PAINT, Begin, Started, Struck, once, resumed, told

HELP = r"damaged or was altered .*; nothing of it was run\. Delete it \(checkpoints\.sqlite\*\), which loses nothing"


class Touching:
    """A pickle that makes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mknod, (str(self.marker),)


def extension(code: int, *parts: Any) -> ormsgpack.Ext:
    return ormsgpack.Ext(code, ormsgpack.packb(parts, None, ormsgpack.OPT_NON_STR_KEYS))


def attacks(marker: Path) -> dict[str, tuple[str, bytes]]:
    """Values that make the file `marker` where they are read without care."""
    name = str(marker)
    named = {
        "one argument": extension(0, "os", "mknod", name),
        "arguments": extension(1, "os", "mknod", [name]),
        "named arguments": extension(2, "os", "mknod", {"path": name}),
        "a method": extension(3, "pathlib", "Path", name, "touch"),
        "a model of old": extension(4, "os", "mknod", {"path": name}),
        "a model": extension(5, "os", "mknod", {"path": name}),
        "a snapshot": ormsgpack.Ext(7, ormsgpack.packb(extension(1, "os", "mknod", [name]))),
        "in a question": extension(2, "langgraph.types", "Interrupt", {"value": extension(0, "os", "mknod", name), "id": ""}),
        "an import alone": extension(0, "this", "s", ""),
        "an array of objects": extension(6, "|O", [1], "C", b"\0" * 8),
        "a harmless type that we do not write": extension(1, "re", "compile", ["(a+)+$", 0]),
    }  # fmt: skip
    found = {what: ("msgpack", ormsgpack.packb({"messages": [value]})) for what, value in named.items()}
    found["a pickle"] = ("pickle", pickle.dumps(Touching(marker)))
    for lc, kind in ((1, "constructor"), (2, "constructor"), (2, "not_implemented"), (1, "secret")):
        text = f'{{"lc": {lc}, "type": "{kind}", "id": ["os", "mknod"], "args": ["{name}"], "kwargs": {{}}}}'
        found[f"JSON, lc {lc}, {kind}"] = ("json", text.encode())
    return found


NAMES = [*attacks(Path("x"))]


@pytest.mark.parametrize("what", NAMES)
def test_nothing_that_names_code_is_read(what: str, tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    with pytest.raises((ValueError, TypeError)):
        PlainValues().loads_typed(attacks(marker)[what])
    assert not marker.exists()


@pytest.mark.parametrize("what", ["one argument", "arguments", "named arguments", "a snapshot"])
def test_the_attacks_are_real_to_the_reader_that_comes_with_langgraph(what: str, tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(attacks(marker)[what])
    assert marker.exists()


def test_what_is_no_plain_value_is_not_written() -> None:
    for value in (Path("x"), {1, 2}, object(), Touching(Path("x"))):
        with pytest.raises(TypeError):
            PlainValues().dumps_typed({"messages": value})


def alter(run: Started, sql: str, values: Any = ()) -> None:
    connection = sqlite3.connect(run.home / "checkpoints.sqlite")
    assert connection.execute(sql, values).rowcount > 0
    connection.commit()
    connection.close()


NEWEST = "checkpoint_id = (select max(checkpoint_id) from checkpoints)"


@pytest.mark.parametrize(
    "sql", [f"update checkpoints set type = ?, checkpoint = ? where {NEWEST}", "update writes set type = ?, value = ?"]
)
@pytest.mark.parametrize("what", ["arguments", "in a question", "a pickle", "JSON, lc 2, constructor"])
def test_resuming_from_an_altered_file_runs_nothing_and_says_what_helps(waiting: Started, what: str, sql: str) -> None:
    marker = waiting.home / "it ran"
    alter(waiting, sql, attacks(marker)[what])
    with pytest.raises(StoreError, match=HELP):
        resumed(waiting)
    assert not marker.exists()


def test_a_run_whose_checkpoints_were_deleted_goes_on_from_its_record(
    waiting: Started, uninterrupted: list[Any]
) -> None:
    for file in waiting.home.glob("checkpoints.sqlite*"):
        file.unlink()
    again = resumed(waiting)
    assert told(again) == uninterrupted and again.store.run(again.run_id).state == "done"


def in_a_step(run: Started, patch: pytest.MonkeyPatch) -> None:
    run.crew.on_progress = once(run.crew.on_progress, Struck("act"), after=False)


def after_a_step(run: Started, patch: pytest.MonkeyPatch) -> None:
    run.crew.on_step = once(run.crew.on_step, Struck("record"), after=False)


def after_the_answer(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agent.loop.graph.interrupt", once(lambda asked: None, Struck("ask"), after=False))


@pytest.mark.parametrize("place", [in_a_step, after_a_step, after_the_answer], ids=lambda place: place.__name__)
def test_wherever_it_stood_when_they_were_deleted(
    begin: Begin, uninterrupted: list[Any], place: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    with monkeypatch.context() as patch:
        place(run, patch)
        with pytest.raises(Struck):
            run.drive()
    shutil.move(run.home / "checkpoints.sqlite", run.home / "elsewhere")
    assert told(resumed(run)) == uninterrupted


def test_an_ended_run_whose_checkpoints_were_deleted_only_ends(begin: Begin) -> None:
    run = begin([PAINT, ASK, FINISH]).drive()
    run.store.finish_run(run.run_id, "failed")
    for file in run.home.glob("checkpoints.sqlite*"):
        file.unlink()
    assert resumed(run).tools == ["generate_images", "ask_person", "finish"]


DAMAGE: dict[str, Any] = {
    "garbage": lambda file: file.write_bytes(b"not a database at all " * 500),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:5000]),
    "overwritten": lambda file: file.write_bytes(file.read_bytes()[:4096] + b"\xa5" * (file.stat().st_size - 4096)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_told_with_what_helps_which_is_no_copy(waiting: Started, damage: str) -> None:
    DAMAGE[damage](waiting.home / "checkpoints.sqlite")
    with pytest.raises(StoreError, match=HELP) as told:
        resumed(waiting)
    assert "restore" not in str(told.value)


STATE = {"step": 2, "round": 1, "messages": [{"role": "user", "content": "x"}], "asked": {}, "misses": 0}
SHAPES: dict[str, dict[str, Any]] = {
    "a step that is a text": {"step": "two"}, "messages of numbers": {"messages": [1]}, "a plan that is a list": {"plan": [1]},
    "a plan of unknown parts": {"plan": {"planner": "llm", "run": "it"}}, "tokens below zero": {"calls": [{"prompt_tokens": -5}]},
    "a record of half a step": {"record": {"step": 1}}, "a question without pictures": {"asked": {"step": 1}},
}  # fmt: skip


COUNTED = {"recall": f"{1:032}.{0.5:016}"}


def kept(counted: Any = COUNTED, **values: Any) -> dict[str, Any]:
    return {
        "v": 4,
        "id": "1",
        "ts": "2026",
        "channel_values": STATE | values,
        "channel_versions": counted,
        "versions_seen": {},
    }


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, sqlite3.Connection]]:
    with checkpoints(tmp_path_factory.mktemp("home") / "checkpoints.sqlite") as saver:
        saver.setup()
        yield saver, saver.conn


def read(file: tuple[Any, sqlite3.Connection], data: bytes, metadata: bytes = b"{}") -> Any:
    saver, connection = file
    row = ("run", "", "1", None, "msgpack", data, metadata)
    connection.execute("insert or replace into checkpoints values (?, ?, ?, ?, ?, ?, ?)", row)
    return saver.get_tuple({"configurable": {"thread_id": "run"}})


@pytest.mark.parametrize("shape", SHAPES)
def test_values_of_another_shape_are_refused_before_anything_uses_them(file: Any, shape: str) -> None:
    assert read(file, ormsgpack.packb(kept())).checkpoint["channel_values"]["step"] == 2
    with pytest.raises(StoreError, match=HELP):
        read(file, ormsgpack.packb(kept(**SHAPES[shape])))


@pytest.mark.parametrize("versions", [{"recall": 1}, {"recall": "x.y"}, ["recall"]])
def test_counts_that_langgraph_would_stumble_over_are_refused(file: Any, versions: Any) -> None:
    with pytest.raises(StoreError, match=HELP):
        read(file, ormsgpack.packb(kept(versions)))
    with pytest.raises(StoreError, match=HELP):
        read(file, ormsgpack.packb(kept()), metadata=b"{")


@settings(max_examples=1500, deadline=None, derandomize=True, database=None)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_any_damage_is_either_read_as_plain_values_or_refused(file: Any, place: int, bit: int, cut: bool) -> None:
    data = bytearray(ormsgpack.packb(kept(asked={"asked": ["a"], "step": 1, "round": 1})))
    data[place % len(data)] ^= 1 << bit
    with suppress(StoreError):
        read(file, bytes(data[: place % len(data)] if cut else data))
