"""The record's questions cost the same however large the record is: asked of SQLite itself, and of a record with other runs in it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import make_config
from agent.loop.recall import Recall
from agent.report.logs import logs_list, logs_show, replay_view
from agent.store.ledger import ledger_facts
from agent.store.store import Store
from agent.store.summary import RatingsOf, adapter_facts, ratings_by_image, round_facts, run_lines, summarise
from agent.store.trail import StoreTrail
from prompts.errors import InputError
from prompts.ground.console import make_console
from tests.agent.invented_run import invent
from tests.agent.store.written import full_step, image, start
from tools.records import JobRow, StepRecord

GROWS = (
    "ratings",
    "answers",
    "steps",
    "images",
    "scores",
    "llm_calls",
    "messages",
    "jobs",
    "comparisons",
    "pairs",
    "preferences",
    "adapters",
)
# What is asked for whole: every job of every run, and `logs query`, where a person writes the SQL.
WHOLE = {"jobs": {"run_id": None}}
GIVEN: dict[str, Any] = {
    "step": 3, "after": 1, "limit": 5, "tool": "ask_person", "planner": "rules", "round": 1, "superseded": True, "rater": "rater-3",
}  # fmt: skip


def scanned(store: Store, asked: list[str]) -> list[tuple[str, str]]:
    """(table, SQL) wherever a table that grows is read whole."""
    found = []
    for sql in dict.fromkeys(asked):
        if sql.lstrip().lower().startswith(("select", "with", "insert", "update", "delete")):
            for *_, how in store._db.conn.execute(f"explain query plan {sql}").fetchall():
                table = re.match(r"SCAN (\w+)(?! CONSTANT)(?!.*VIRTUAL TABLE)", how)
                if table and _real(store, sql, table[1]) in GROWS:
                    found.append((how, sql))
    return found


def _real(store: Store, sql: str, name: str) -> str:
    """The table behind an alias: as short as queries write them."""
    views = [row[0] for row in store._db.conn.execute("select sql from sqlite_master where type = 'view'").fetchall()]
    aliases = set(re.findall(r"(?:from|join) (\w+) (?:as )?(\w+)\b", "\n".join([sql, *views])))
    return next((table for table, alias in aliases if alias == name and table in GROWS), name)


@pytest.fixture
def asked(store: Store) -> Iterator[list[str]]:
    """Every statement from here on, with its values."""
    found: list[str] = []
    store._db.conn.set_trace_callback(found.append)
    yield found
    store._db.conn.set_trace_callback(None)


def methods() -> list[str]:
    """Everything that can be asked of a store."""
    writes = {
        "close",
        "new_run",
        "finish_run",
        "copy_to",
        "add_step",
        "add_ratings",
        "add_comparisons",
        "add_answers",
        "undo_answer",
        "save_job",
    }
    return [
        name
        for name, one in inspect.getmembers(Store, inspect.isfunction)
        if name[0] != "_" and name not in {*writes, "query"}
    ]


@pytest.mark.parametrize("name", methods())
def test_no_question_reads_a_table_whole(store: Store, tmp_path: Path, asked: list[str], name: str) -> None:
    run = invent(store, tmp_path)
    ids = [row.id for row in store.images(run)]
    known = GIVEN | {
        "run_id": run,
        "runs": [run],
        "images": ids[:3],
        "ids": ids[:3],
        "image": ids[0],
        "rounds": [(run, 1)],
        "run": run,
        "sha256": "0" * 64,
    }
    method = getattr(store, name)
    names = [one for one in inspect.signature(method).parameters if one in known]
    assert names == list(inspect.signature(method).parameters) or name == "scores", "a value for each"
    asked.clear()
    for left_out in (set(), {"step", "after", "limit", "round", "image", "images"} & _optional(method)):
        found = method(
            **{one: known[one] for one in names if one not in left_out} | WHOLE.get("" if name != "jobs" else "-", {})
        )
        list(found) if isinstance(found, Iterator) else found
    assert asked and not scanned(store, asked)


def _optional(method: Any) -> set[str]:
    return {name for name, one in inspect.signature(method).parameters.items() if one.default is not one.empty}


def test_a_scan_would_be_seen(store: Store) -> None:
    start(store)
    assert scanned(store, ["select * from ratings where rater = 'a'", "select 1 from scores s where s.value = 1"])
    assert scanned(store, ["select * from (select * from answers where superseded is null) where answer = 'tie'"])
    assert not scanned(
        store, ["select * from ratings where run_id = 'a'", "select * from runs", "select value from json_each('[]')"]
    )


def test_no_writing_no_telling_and_no_view_reads_a_table_whole(store: Store, tmp_path: Path, asked: list[str]) -> None:
    run = invent(store, tmp_path)
    other = start(store)
    store.add_step(other, full_step())
    store.add_ratings(other, 0, [(image(1).id, 7)], "a")
    store.add_ratings(other, 0, [(image(1).id, 8)], "a")
    store.add_comparisons(other, 0, [(image(1).id, image(2).id)], "a")
    store.add_answers(other, 0, [{"kind": "ab", "images": [image(1).id, image(2).id]}], [(0, "tie")], "a")
    store.undo_answer(other, 0, "a")
    store.save_job(JobRow(id="j", run_id=other, kind="dpo", state="done"))
    store.finish_run(other, "done")
    with open(tmp_path / "out", "w") as out:
        console = make_console(file=out)
        for show in (logs_list, logs_show, replay_view):
            show(store, console=console)
            show(store, as_json=True, console=console)
        logs_show(store, run, step=3, console=console)
    trail = StoreTrail(store, run)
    Recall(trail).facts(make_config({}))
    read = [
        trail.images,
        trail.round_images,
        trail.ratings,
        trail.answers,
        trail.comparisons,
        trail.wanted_more,
        trail.clicks,
        trail.preference,
        trail.adapters,
    ]
    assert [one() is not None for one in read].count(True) >= len(read) - 1
    summarise(store, run), ledger_facts(store, run)
    views = ("current_ratings", "current_comparisons", "ledger", "lineage", "run_summary", "best_images")
    asked += [f"select * from {view} where run_id = '{run}'" for view in views]
    assert len(asked) > 60 and not scanned(store, asked)


def numbers(store: Store, run: str) -> Any:
    """What is told of a run, all of it."""
    trail = StoreTrail(store, run)
    facts = Recall(trail).facts(make_config({}))
    return (
        facts,
        summarise(store, run),
        round_facts(store, run),
        ratings_by_image(store, run),
        trail.round_images(),
        trail.clicks(),
    )


def test_what_is_told_of_a_run_does_not_change_beside_others(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    before = numbers(store, run)
    for _ in range(3):
        invent(store, tmp_path)
    assert numbers(store, run) == before


def test_a_page_says_of_its_runs_what_each_says_of_itself(store: Store, tmp_path: Path) -> None:
    runs = [
        invent(store, tmp_path, rounds=rounds, rated=rated)
        for rounds, rated in ((2, True), (1, True), (2, False), (0, False))
    ]
    store.add_ratings(runs[0], 3, [(ratings, 9.5) for ratings in list(ratings_by_image(store, runs[0]))[:3]], "another")
    lines = run_lines(store)
    assert [line["run"] for line in lines] == runs[::-1]
    for line in lines:
        told = summarise(store, line["run"])
        same = {"images", "score_first", "score_last", "adapter", "brief", "state"}
        assert {name: line[name] for name in same} == {name: told[name] for name in same}
        assert line["rounds"] == len(told["rounds"]) and line["when"] == told["created"]
        assert line["adapter"] == adapter_facts(store, line["run"])
    assert run_lines(store, 2) == lines[:2]


def test_a_page_is_asked_for_with_as_many_queries_however_many_runs_there_are(
    store: Store, tmp_path: Path, asked: list[str]
) -> None:
    invent(store, tmp_path)
    counts = []
    for _ in range(2):
        asked.clear()
        run_lines(store, 20)
        counts.append(sum(sql.lower().startswith("select") for sql in asked))
        for _ in range(4):
            invent(store, tmp_path, rounds=1)
    assert counts[0] == counts[1] <= 5


def test_ratings_that_are_asked_for_one_by_one_are_those_of_all(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    known, lazy = ratings_by_image(store, run), RatingsOf(store, run)
    assert dict(lazy) == known and lazy and len(lazy) == len(known) and "nothing" not in lazy


def test_a_view_reads_a_step_after_the_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(store)
    for number in range(1, 8):
        store.add_step(run, StepRecord(step=number, round=0, node="act"))
    monkeypatch.setattr("agent.store.counts.BATCH", 2)
    steps = store.each_step(run)
    assert next(steps).step == 1
    store.add_step(run, StepRecord(step=8, round=0, node="act"))  # while somebody reads
    assert [one.step for one in steps] == [2, 3, 4, 5, 6, 7, 8]
    with pytest.raises(InputError, match="no run"):
        next(store.each_step("nobody"))


def test_what_is_known_is_read_again_only_when_something_was_said(
    store: Store, tmp_path: Path, asked: list[str]
) -> None:
    run = invent(store, tmp_path)
    recall, config = Recall(StoreTrail(store, run)), make_config({})
    first = recall.facts(config)
    asked.clear()
    assert recall.facts(config) == first and recall.facts(config).rated is first.rated
    assert not any("prompt from images" in sql for sql in asked)
    rated = next(iter(ratings_by_image(store, run)))
    store.add_ratings(run, 3, [(rated, 9.75)], "rater-3")  # in place of the first
    assert any(value == 9.75 for value, _ in recall.facts(config).rated)
    assert recall.facts(config) == Recall(StoreTrail(store, run)).facts(config)
    step = StepRecord(
        step=store.last_step(run) + 1,
        round=2,
        node="listen",
        args={"more_like": rated},
        result={"like": [], "avoid": []},
    )
    store.add_step(run, step)
    assert recall.facts(config) == Recall(StoreTrail(store, run)).facts(config)


def test_a_damaged_sampler_does_not_keep_a_record_from_being_opened_or_counted(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    count = store.shown_count(run)
    store._db.execute("update images set sampler = '{' where rowid = (select min(rowid) from images)")
    assert store.shown_count(run) == count - 1 and len(run_lines(store)) == 1
