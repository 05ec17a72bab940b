"""agent/store/database/chain.py: every row of a run is covered, by every way of writing one; any other change is told."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.store.database.chain import ALONE, OF_A_STEP
from agent.store.database.migrations import MIGRATIONS
from agent.store.store import Store
from prompts.errors import StoreError
from tests.agent.store.written import HASH, full_step, image, simple_step, start
from tools.records import JobRow

QUESTION = [{"kind": "ab", "images": [image(1).id, image(2).id]}]


def written(store: Store) -> str:
    """A run with a row of every kind, some of them changed and taken back; its id."""
    run_id, first, second = start(store), image(1).id, image(2).id
    store.add_step(run_id, full_step())
    store.add_step(
        run_id, simple_step(1, image(3), adapters=[{**full_step().adapters[0].model_dump(), "promoted": True}])
    )
    store.add_ratings(run_id, 0, [(first, 3), (second, 4)], "ann")
    store.add_ratings(run_id, 1, [(first, 9), (second, 4)], "ann")
    store.add_answers(run_id, 1, QUESTION, [(0, first)], "ann")
    store.add_answers(run_id, 1, QUESTION, [(0, second)], "ann")
    store.add_answers(run_id, 1, QUESTION, [(0, first)], "bob")
    store.undo_answer(run_id, 1, "bob")
    store.add_comparisons(run_id, 1, [(first, second)], "ann")
    store.add_comparisons(run_id, 1, [(first, second), (second, first)], "ann")
    for state in ("queued", "running", "done"):
        store.save_job(JobRow(id=f"job-{run_id}", run_id=run_id, step=1, kind="dpo", state=state, pid=7, total=9))  # type: ignore[arg-type]
    store.finish_run(run_id, "stopped")
    store.finish_run(run_id, "running")
    return run_id


@pytest.fixture
def run(store: Store) -> str:
    run_id = written(store)
    store._db.conn.execute("pragma foreign_keys = off")  # who alters a file is bound by nothing
    store._db.conn.execute("pragma ignore_check_constraints = on")
    return run_id


def test_a_run_that_was_only_written_is_whole(store: Store, run: str) -> None:
    assert store.chained(run) and store.altered(run) == []
    other = written(store)
    assert store.altered(run) == store.altered(other) == []


def test_every_table_and_column_is_covered(store: Store) -> None:
    covered = dict(OF_A_STEP) | {name: f"{stays}, {moves}" for name, (_, stays, moves) in ALONE.items()}
    tables = {row["name"] for row in store.query("select name from sqlite_master where type = 'table'")}
    assert tables == covered.keys() | {"chain", "messages"}  # those are covered by links and by their own hashes
    for table, columns in covered.items():
        there = {row["name"] for row in store.query(f"pragma table_info({table})")}
        assert there == {
            name for name in there if name in columns.replace("(", " ").replace(")", " ").replace(",", " ").split()
        }


def rows_of(store: Store) -> Iterator[tuple[str, str, str, int]]:
    """Every column of every table that has rows: its table, name, type, and how many rows."""
    for table in (*OF_A_STEP, *ALONE, "chain"):
        (count,) = store.query(f"select count(*) as n from {table}")
        for column in store.query(f"pragma table_info({table})"):
            yield table, column["name"], column["type"], count["n"]


def changed(store: Store, sql: str) -> bool:
    """Whether the database takes a statement that no part of Palate would give."""
    try:
        return store._db.conn.execute(sql).rowcount > 0
    except sqlite3.IntegrityError:
        return False


def test_any_value_of_any_row_that_is_changed_is_told(store: Store, run: str) -> None:
    tried = 0
    for table, column, kind, count in list(rows_of(store)):
        new = f"coalesce({column}, 0) + 1" if kind in ("INTEGER", "REAL") else f"coalesce({column}, '') || ' '"
        for number in range(count):
            key = "(run_id, number)" if table == "chain" else "rowid"
            sql = f"update {table} set {column} = {new} where {key} = (select {key[1:-1] if key[0] == '(' else key} from {table} limit 1 offset {number})"
            store._db.conn.execute("begin")
            if changed(store, sql):
                tried += 1
                assert (table, column) == ("runs", "id") or store.altered(run) != [], (
                    f"{table}.{column} of row {number}"
                )
            store._db.conn.execute("rollback")
    assert tried > 250 and store.altered(run) == []


def test_any_row_that_is_deleted_or_doubled_is_told(store: Store, run: str) -> None:
    keys = {"images": "'x'", "jobs": "'x'", "steps": "77", "scores": "'x'", "adapters": f"'{'9' * 64}'"}
    for table in (*OF_A_STEP, *(name for name in ALONE if name != "runs")):
        columns = [row["name"] for row in store.query(f"pragma table_info({table})")]
        first = "id" if "id" in columns else {"steps": "step", "scores": "image", "adapters": "sha256"}[table]
        values = {first: keys.get(table, "999")} | ({"superseded": "'then'"} if "superseded" in columns else {})
        values |= {"step": "step + 9"} if table == "comparisons" else {}
        new = ", ".join(values.get(name, name) for name in columns)
        for sql in (
            f"delete from {table} where rowid = (select max(rowid) from {table})",
            f"insert into {table} select {new} from {table} limit 1",
        ):
            store._db.conn.execute("begin")
            assert changed(store, sql), sql
            assert store.altered(run) != [], sql
            store._db.conn.execute("rollback")


CHANGES: dict[str, tuple[str, str]] = {
    "pairs swapped": ("update pairs set win = lose, lose = win", "step 0, or what came with it"),
    "a rating invented": (
        "insert into ratings select 99, run_id, image, 10, 'eve', created, step, null from ratings limit 1", "rating 99 was added"),
    "a preference's metrics": ("update preferences set metrics = '{\"srcc\": 0.9}'", "step 0, or what came with it"),
    "a preference deleted": ("delete from preferences", "step 0, or what came with it"),
    "the gate in the stored config": ("update runs set config = json_set(config, '$.gate', 'open')", "the run's own row was altered"),
    "an answer given back": ("update answers set superseded = null where rater = 'bob'", "answer 3 was altered"),
    "a rating's time of replacement": ("update ratings set superseded = '2020' where superseded is not null", "rating 1 was altered"),
    "the state": ("update runs set state = 'done'", "the run's own row was altered"),
    "an adapter promoted": ("update adapters set promoted = 0", "adapter 0123456789abcdef"),
    "a job's end": ("update jobs set heartbeat = 'later'", "job job-.* was altered"),
    "a message": ("update messages set content = 'You sing.' where role = 'system'", "message .* was altered"),
    "a message gone": ("delete from messages where role = 'user'", "message .* is missing"),
    "the chain itself": ("delete from chain where number > 3", "rating 1 was altered|was added"),
    "the whole chain": ("delete from chain", "its chain is missing"),
    "a link in the middle": ("delete from chain where number = 3", "link 3 of its chain is missing"),
    "a mark of age": ("insert into chain select id, 0, null, null, '{}', '' from runs", "link 1 of its chain"),
    "bytes that are no text": ("update steps set node = cast(x'ff' as text)", "step 0, or what came with it"),
    "chat put in other order": ("update llm_calls set id = 50", "step 0"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_altered_is_named(store: Store, run: str, what: str) -> None:
    sql, told = CHANGES[what]
    assert changed(store, sql)
    assert re.search(told, "\n".join(store.altered(run))), store.altered(run)


OVER: dict[str, tuple[str, Callable[[Store, str], object]]] = {
    "a rating that is replaced": (
        "update ratings set value = 5 where id = 3", lambda store, run: store.add_ratings(run, 1, [(image(1).id, 1)], "ann")),
    "an answer that is taken back": (
        "update answers set answer = kind where id = 2", lambda store, run: store.undo_answer(run, 1, "ann")),
    "a config of a run that ends": (
        "update runs set config = '{}'", lambda store, run: store.finish_run(run, "done")),
    "an adapter that is judged again": (
        "update adapters set base = 'other'", lambda store, run: store.add_step(run, simple_step(2, adapters=list(full_step().adapters)))),
    "a job that goes on": (
        "update jobs set kind = 'sft'", lambda store, run: store.save_job(JobRow(id=f"job-{run}", run_id=run, step=1, kind="sft", state="failed"))),
}  # fmt: skip


@pytest.mark.parametrize("what", OVER)
def test_a_later_write_never_covers_up_what_was_altered(store: Store, run: str, what: str) -> None:
    sql, then = OVER[what]
    assert changed(store, sql)
    then(store, run)
    assert store.altered(run) != []


def test_signs_of_life_of_a_running_job_are_none_of_the_record(store: Store) -> None:
    run_id = start(store)
    job = JobRow(id="job", run_id=run_id, step=1, kind="dpo", state="running", pid=7)
    store.save_job(job)
    before = store.query("select count(*) as n from chain")
    for at in range(5):
        store.save_job(job.model_copy(update={"at_step": at, "heartbeat": str(at)}))
    assert store.query("select count(*) as n from chain") == before and store.altered(run_id) == []


def test_a_write_that_fails_leaves_no_link(store: Store, run: str) -> None:
    store._db.conn.execute("pragma foreign_keys = on")
    before = store.query("select * from chain")
    with pytest.raises(StoreError, match="nothing of it was kept"):
        store.add_step(run, simple_step(9, scores=[{"image": "nowhere", "name": "a", "version": "1", "value": 1}]))
    assert not store.add_step(run, simple_step(1))
    assert store.query("select * from chain") == before and store.altered(run) == []


def test_a_run_from_before_the_chain_is_unchained_and_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    for statement in (part for migration in MIGRATIONS[:5] for part in migration):
        old.execute(statement)
    old.execute("insert into runs values ('old', '2026', 'b', '{}', '{}', 1, 'stopped', null, null)")
    old.execute("pragma user_version = 5")
    old.commit()
    old.close()
    with Store(path) as store:
        store.add_step("old", full_step())
        store.finish_run("old", "running")
        assert not store.chained("old") and store.altered("old") == []
        assert store.chained(written(store))


def test_a_hash_in_a_name_is_the_same_wherever_it_is_made(store: Store, run: str) -> None:
    """A copy of the database is as whole as the database."""
    store.copy_to(store.path.with_name("copy.db"), run)
    with Store(store.path.with_name("copy.db")) as copy:
        assert copy.altered(run) == [] and copy.chained(run) and HASH in {row.sha256 for row in copy.adapters(run)}


def test_what_a_link_costs_does_not_grow_with_the_run(store: Store) -> None:
    """The step's rows are found where the tables end, not among all that the run wrote."""
    asked: list[str] = []
    run_id = start(store)
    store.add_step(run_id, full_step())
    store._db.conn.set_trace_callback(asked.append)
    store.add_step(run_id, simple_step(1, image(3)))
    store._db.conn.set_trace_callback(None)
    links = [sql for sql in asked if "rowid >" in sql]
    assert len(links) == len(OF_A_STEP)
    for sql in links:
        (plan,) = store._db.conn.execute(f"explain query plan {sql}").fetchall()
        assert "INTEGER PRIMARY KEY (rowid>?)" in plan[3], plan


def test_damage_to_the_chain_itself_is_told_and_breaks_nothing(store: Store, run: str) -> None:
    store._db.execute("""update chain set rows = '{"runs": {"ID": 5}}' where number = 1""")
    store._db.execute(
        """update llm_calls set request = '{"messages": [{"role": "user", "content_sha256": "\\ud800"}]}' where run_id = ?""",
        [run],
    )
    assert any("the name of a message" in told for told in store.altered(run))
