"""agent/store/store.py with real files and real processes: killed, locked, damaged, full and newer."""

from __future__ import annotations

import math
import signal
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.store.migrations import MIGRATIONS
from agent.store.store import Store
from prompts.errors import InputError, StoreError
from tests import processes
from tools.records import (
    AdapterRow,
    ImageRow,
    JobRow,
    LlmCall,
    PairRow,
    PreferenceRow,
    ScoreRow,
    StepRecord,
)

HASH = "0123456789abcdef" * 4

# Each process below starts with this: a run, and steps of eight images with four scores each.
PREAMBLE = """
import resource, sqlite3, sys
from tools.records import ImageRow, ScoreRow, StepRecord
from agent.store.store import Store
from prompts.errors import StoreError

def step(n, run):
    images = [ImageRow(sha256=f"{n * 8 + k:016x}" + "0" * 48, idx=k, path=f"images/{k}.png", prompt="a ring", seed=k,
                       model="bauhaus") for k in range(8)]
    scores = [ScoreRow(image=i.id, name=s, version="1", value=0.5) for i in images for s in "abcd"]
    return StepRecord(step=n, round=n, node="record", images=images, scores=scores)
"""


def start(store: Store, brief: str = "a calm blue poster", **more: object) -> str:
    return store.new_run(brief, {"model": "bauhaus"}, {"torch": "2.13.0"}, 7, **more)  # type: ignore[arg-type]


def image(number: int, **more: object) -> ImageRow:
    sha256 = f"{number:016x}" + "f" * 48
    values = {"idx": 0, "path": f"images/{sha256[:16]}.png", "prompt": "three rings", "seed": 1, "model": "bauhaus"}
    return ImageRow.model_validate(values | {"sha256": sha256} | more)


def simple_step(number: int, *images: ImageRow, **more: object) -> StepRecord:
    return StepRecord.model_validate({"step": number, "round": number, "node": "act", "images": images} | more)


def full_step() -> StepRecord:
    first, second = image(1, adapters=[{"sha256": HASH, "weight": 0.8}], sampler={"steps": 20}), image(2, idx=1)
    messages = [
        {"role": "system", "content": "You paint. Größe: 64 px"},
        {"role": "user", "content": [{"type": "text", "text": "like this"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "", "tool_call_id": "1"},
    ]
    call = LlmCall(
        attempt=1,
        purpose="plan",
        model="bauhaus-lm",
        request={"messages": messages, "temperature": 0.7},
        response={"choices": []},
        prompt_tokens=10,
        completion_tokens=3,
        seconds=0.5,
        problem="no tool call",
    )
    return StepRecord(
        step=0,
        round=0,
        node="act",
        tool="generate_images",
        args={"prompts": ["three rings"]},
        result=["a", 1, None],
        error="late",
        planner="llm",
        seconds=1.5,
        seconds_by_part={"paint": 1.25},
        images=(first, second),
        scores=(ScoreRow(image=first.id, name="pickscore", version="1", value=21.5),),
        pairs=(PairRow(prompt="three rings", win=first.id, lose=second.id, margin=0.3),),
        preferences=(PreferenceRow(kind="ridge", metrics={"srcc": 0.6}, path="preference.npz", sha256=HASH),),
        adapters=(AdapterRow(sha256=HASH, kind="dpo", base="bauhaus", path="adapters/a", config={"rank": 4}),),
        llm_calls=(call,),
    )


def run_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return processes.run_python(PREAMBLE + code, *arguments)


# Runs


def test_a_new_run_is_read_back_as_given(store: Store) -> None:
    run = store.run(start(store))
    assert (run.brief, run.config, run.versions) == ("a calm blue poster", {"model": "bauhaus"}, {"torch": "2.13.0"})
    assert (run.seed, run.state, run.parent) == (7, "running", None)


def test_runs_come_newest_first_and_their_ids_sort_by_time(store: Store) -> None:
    ids = [start(store) for _ in range(3)]
    assert [run.id for run in store.runs()] == ids[::-1]
    assert len(set(ids)) == 3 and all(id[:8].isdigit() and len(id) == 22 for id in ids)


def test_a_finished_run_can_be_taken_up_again(store: Store) -> None:
    run_id = start(store)
    store.finish_run(run_id, "stopped")
    assert store.run(run_id).state == "stopped"
    store.finish_run(run_id, "running")
    assert store.run(run_id).state == "running"


def test_an_unknown_run_is_refused_with_the_nearest_ids(store: Store) -> None:
    with pytest.raises(InputError, match="holds no runs yet"):
        store.run("x")
    run_id = start(store)
    for ask in (store.run, store.steps, store.finish_run, lambda wrong: store.add_step(wrong, simple_step(0))):
        with pytest.raises(InputError, match=f"there is no run .*did you mean {run_id}"):
            ask(run_id[:-1] + "z")
    with pytest.raises(InputError, match="there is no run"):
        store.run("\udcff")


def test_a_seed_that_does_not_fit_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="9223372036854775808"):
        store.new_run("b", {}, {}, 2**63)
    assert store.run(store.new_run("b", {}, {}, 2**63 - 1)).seed == 2**63 - 1


# Steps


def test_a_step_is_read_back_with_everything_that_came_with_it(store: Store) -> None:
    run_id, step = start(store), full_step()
    assert store.add_step(run_id, step) is True
    found = store.step(run_id, 0)
    unkept = {"run_id": "", "step": 0, "round": 0}
    for name in StepRecord.apart:
        rows = [row.model_copy(update={k: v for k, v in unkept.items() if k in row.__class__.model_fields})
                for row in getattr(found, name)]  # fmt: skip
        assert rows == list(getattr(step, name)), name
        assert all(row.run_id == run_id and row.step == 0 for row in getattr(found, name))
    assert store.steps(run_id)[0].row() == step.row() | {"run_id": run_id}


def test_each_kind_of_row_has_its_own_list(store: Store) -> None:
    run_id = start(store)
    store.add_step(run_id, full_step())
    lists = (store.images, store.scores, store.pairs, store.preferences, store.adapters, store.llm_calls)
    assert [len(rows(run_id)) for rows in lists] == [2, 1, 1, 1, 1, 1]
    assert len(store.scores(run_id, image(1).id, "pickscore")) == 1
    assert store.scores(run_id, image(2).id) == store.scores(run_id, name="clip_t") == []


def test_the_same_step_a_second_time_changes_nothing(store: Store) -> None:
    run_id = start(store)
    store.add_step(run_id, full_step())
    before = list(store._db.iterdump())
    assert store.add_step(run_id, full_step()) is False
    assert store.add_step(run_id, simple_step(0, image(9))) is False
    assert list(store._db.iterdump()) == before


def test_a_step_with_one_bad_row_is_not_kept_at_all(store: Store) -> None:
    run_id = start(store)
    bad = simple_step(0, image(1), scores=[ScoreRow(image="f" * 16, name="a", version="1", value=1)])
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        store.add_step(run_id, bad)
    assert store.steps(run_id) == [] and store.images(run_id) == []
    assert store.add_step(run_id, simple_step(0, image(1)))


def test_images_belong_to_their_step_and_round(store: Store) -> None:
    run_id = start(store)
    store.add_step(run_id, simple_step(0, image(1), image(2, idx=1)))
    store.add_step(run_id, simple_step(1, image(3), image(1, idx=1)))  # painted again: stays where it first appeared
    assert [row.id for row in store.images(run_id)] == [image(1).id, image(2).id, image(3).id]
    assert [(row.id, row.step, row.round) for row in store.images(run_id, 1)] == [(image(3).id, 1, 1)]


def test_the_same_image_may_be_in_two_runs(store: Store) -> None:
    for run_id in (start(store), start(store)):
        assert store.add_step(run_id, simple_step(0, image(1)))
        assert len(store.images(run_id)) == 1


def test_a_later_step_can_promote_an_adapter(store: Store) -> None:
    run_id, adapter = start(store), full_step().adapters[0]
    store.add_step(run_id, full_step())
    assert store.adapters(run_id)[0].promoted is None
    better = adapter.model_copy(update={"promoted": True, "metrics": {"win_rate": 0.7}})
    store.add_step(run_id, simple_step(1, adapters=[better]))
    (found,) = store.adapters(run_id)
    assert (found.promoted, found.metrics, found.step) == (True, {"win_rate": 0.7}, 0)


def test_a_long_chat_is_stored_once(store: Store) -> None:
    run_id, turns = start(store), [{"role": "user", "content": f"turn {n} " + "x" * 1000} for n in range(20)]
    for n in range(20):
        request = {"messages": turns[: n + 1]}
        call = LlmCall(attempt=1, purpose="plan", model="m", request=request, seconds=0)
        store.add_step(run_id, simple_step(n, llm_calls=[call]))
    assert [call.request["messages"] for call in store.llm_calls(run_id)] == [turns[: n + 1] for n in range(20)]
    assert store.query("select count(*) as n from messages") == [{"n": 20}]
    assert store.query("select max(length(request)) as n from llm_calls")[0]["n"] < 3000


def test_a_missing_message_is_reported(store: Store) -> None:
    run_id = start(store)
    store.add_step(run_id, full_step())
    store._db.execute("delete from messages")
    with pytest.raises(StoreError, match="is missing"):
        store.llm_calls(run_id)


def test_what_a_broken_model_said_is_kept_readable(store: Store) -> None:
    run_id = start(store)
    said = {"a": math.inf, "b": [math.nan, "half \ud83d"], "\udc00": (1,)}
    call = LlmCall(attempt=1, purpose="plan", model="m", request=said, response=said, seconds=0)
    store.add_step(run_id, simple_step(0, args=said, error="\ud800", llm_calls=[call]))
    plain = {"a": "Infinity", "b": ["NaN", "half \\ud83d"], "\\udc00": [1]}
    assert store.step(run_id, 0).args == store.llm_calls(run_id)[0].response == plain
    assert store.query("select json_valid(args) as ok, error from steps") == [{"ok": 1, "error": "\\ud800"}]


@pytest.mark.parametrize("path", ["/tmp/a.png", "../a.png"])
def test_an_image_path_outside_the_run_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="relative"):
        image(1, path=path)


def test_a_score_must_be_finite() -> None:
    with pytest.raises(ValidationError, match="finite"):
        ScoreRow(image="a", name="a", version="1", value=math.nan)


# Ratings and comparisons


@pytest.fixture
def rated(store: Store) -> tuple[Store, str, str, str]:
    run_id = start(store)
    store.add_step(run_id, simple_step(0, image(1), image(2, idx=1)))
    return store, run_id, image(1).id, image(2).id


def test_a_second_rating_replaces_the_first_and_keeps_it(rated: tuple[Store, str, str, str]) -> None:
    store, run_id, one, two = rated
    assert store.add_ratings(run_id, 0, [(one, 3), (two, 10.0)], "ann") == 2
    assert store.add_ratings(run_id, 1, [(one, 8.5), (two, 10)], "ann") == 1
    assert store.add_ratings(run_id, 1, [(one, 1)], "bob") == 1
    assert [(row.image, row.value, row.rater, row.step) for row in store.ratings(run_id)] == [
        (two, 10, "ann", 0),
        (one, 8.5, "ann", 1),
        (one, 1, "bob", 1),
    ]
    history = store.ratings(run_id, superseded=True)
    assert [(row.value, row.superseded is None) for row in history] == [(3, 0), (10, 1), (8.5, 1), (1, 1)]
    assert len(store.query("select * from current_ratings")) == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 10.01, True, "7", None, 10**400])
def test_a_rating_that_is_no_number_from_0_to_10_is_named(rated: tuple[Store, str, str, str], value: float) -> None:
    store, run_id, one, two = rated
    with pytest.raises(InputError) as caught:
        store.add_ratings(run_id, 0, [(one, 5), (two, value)], "ann")
    assert repr(value) in str(caught.value) and two in str(caught.value)
    assert store.ratings(run_id) == []


def test_a_rating_of_another_runs_image_is_refused_with_all_that_came_with_it(
    rated: tuple[Store, str, str, str],
) -> None:
    store, run_id, one, _ = rated
    other = start(store)
    store.add_step(other, simple_step(0, image(5)))
    with pytest.raises(InputError, match=image(5).id):
        store.add_ratings(run_id, 0, [(one, 5), (image(5).id, 5)], "ann")
    assert store.ratings(run_id) == []


def test_comparisons_are_kept_once_and_never_with_itself(rated: tuple[Store, str, str, str]) -> None:
    store, run_id, one, two = rated
    assert store.add_comparisons(run_id, 0, [(one, two)], "ann") == 1
    assert store.add_comparisons(run_id, 0, [(one, two), (two, one)], "ann") == 1
    assert [(row.win, row.lose) for row in store.comparisons(run_id)] == [(one, two), (two, one)]
    with pytest.raises(InputError, match="itself"):
        store.add_comparisons(run_id, 0, [(one, one)], "ann")
    with pytest.raises(InputError, match="not in run"):
        store.add_comparisons(run_id, 0, [(one, "nothing")], "ann")


def test_threads_may_share_a_store(rated: tuple[Store, str, str, str]) -> None:
    store, run_id, one, _ = rated

    def rate(name: str) -> None:
        for value in range(10):
            store.add_ratings(run_id, 0, [(one, value)], name)

    threads = [threading.Thread(target=rate, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.value for row in store.ratings(run_id)] == [9] * 4
    assert len(store.ratings(run_id, superseded=True)) == 40


# Jobs, lineage, queries


def test_a_job_is_brought_up_to_date(store: Store) -> None:
    job = JobRow(id="job-1", run_id=start(store), step=3, kind="dpo", state="queued", total=100)
    store.save_job(job)
    later = job.model_copy(update={"state": "running", "pid": 7, "at_step": 40, "heartbeat": "2026-11-21"})
    store.save_job(later)
    store.save_job(JobRow(id="job-2", kind="dreambooth", state="failed", error="no room"))
    assert store.jobs(job.run_id) == [later]
    assert [row.id for row in store.jobs()] == ["job-1", "job-2"]


def test_lineage_leads_back_through_adapters_and_runs(store: Store) -> None:
    first, parent, child = start(store), "a" * 64, "b" * 64
    adapter = {"kind": "dpo", "base": "bauhaus", "path": "adapters/a", "config": {}}
    store.add_step(first, simple_step(0, adapters=[adapter | {"sha256": parent}]))
    fork = start(store, parent=first, parent_step=0)
    painted = image(1, adapters=[{"sha256": child, "weight": 0.5}])
    store.add_step(fork, simple_step(0, painted, adapters=[adapter | {"sha256": child, "parent": parent}]))
    store.add_ratings(fork, 0, [(painted.id, 9)], "ann")
    found = store.lineage(painted.id)
    assert (found.run.id, found.step.step, found.image.id) == (fork, 0, painted.id)
    assert [row.sha256 for row in found.adapters] == [child, parent]
    assert [run.id for run in found.ancestors] == [first]
    assert [row.value for row in found.ratings] == [9]
    (row,) = store.query("select * from lineage")
    assert (row["adapter"], row["weight"], row["adapter_parent"], row["parent_run"]) == (child, 0.5, parent, first)


def test_lineage_of_an_image_in_two_runs_is_the_first_unless_asked(store: Store) -> None:
    first, second = start(store), start(store)
    for run_id in (second, first):
        store.add_step(run_id, simple_step(0, image(1)))
    assert store.lineage(image(1).id).run.id == first
    assert store.lineage(image(1).id, second).run.id == second
    with pytest.raises(InputError, match="any run"):
        store.lineage("nothing")


def test_a_copy_holds_what_was_written_a_moment_ago(store: Store, tmp_path: Path) -> None:
    run_id = start(store)
    store.add_step(run_id, full_step())
    store.copy_to(tmp_path / "copy.sqlite")
    with Store(tmp_path / "copy.sqlite") as copy:
        assert copy.steps(run_id) == store.steps(run_id) and copy.images(run_id)
    with pytest.raises(StoreError):
        store.copy_to(tmp_path / "copy.sqlite")  # never over something


def test_pools_and_useless_plans_are_no_rounds_and_no_images_that_a_person_saw(store: Store) -> None:
    run_id = start(store)
    store.add_step(run_id, StepRecord(run_id=run_id, step=1, round=0, node="act", error="no such tool"))
    pool = image(7).model_copy(update={"sampler": {"purpose": "pool"}})
    store.add_step(run_id, StepRecord(run_id=run_id, step=2, round=1, node="act", images=(image(1), pool)))
    (summary,) = store.query("select rounds, images from run_summary")
    assert (summary["rounds"], summary["images"]) == (1, 1)


def test_the_views_for_people_answer(store: Store) -> None:
    run_id = start(store)
    store.add_step(run_id, full_step())
    store.add_ratings(run_id, 0, [(image(2).id, 9), (image(1).id, 2)], "ann")
    best = store.query("select image, rating, pickscore, scores from best_images")
    assert [(row["image"], row["rating"]) for row in best] == [(image(2).id, 9), (image(1).id, 2)]
    assert (best[1]["pickscore"], best[1]["scores"]) == (21.5, '{"pickscore":21.5}')
    (summary,) = store.query("select * from run_summary")
    assert (summary["run_id"], summary["images"], summary["errors"], summary["llm_tokens"]) == (run_id, 2, 1, 13)
    assert (summary["mean_rating"], summary["rounds"], summary["adapters"]) == (5.5, 0, 1)


@pytest.mark.parametrize(
    "sql",
    [
        "delete from runs",
        "insert into messages values ('a', 'b', 'c')",
        "create table mine (a)",
        "create temp table mine (a)",
        "update sqlite_master set sql = ''",
        "drop view lineage",
        "pragma user_version = 9",
        "attach 'other.db' as other",
        "vacuum into 'copy.db'",
        "select 1; delete from runs",
        "select nonsense",
        "selec",
        "select '\ud800'",
    ],
)
def test_a_query_may_only_read(store: Store, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_id = start(store)
    with pytest.raises(InputError, match="queries may only read"):
        store.query(sql)
    assert store.run(run_id) and not (tmp_path / "copy.db").exists() and not (tmp_path / "other.db").exists()


def test_a_query_may_use_what_sqlite_has_for_reading(tmp_path: Path) -> None:
    with Store(tmp_path / "odd name #1?%20.db") as store:
        start(store)
        sql = "with recursive c(n) as (select 1 union all select n + 1 from c where n < 3) select sum(n) as s from c"
        assert store.query(sql) == [{"s": 6}]
        assert store.query("select value from runs, json_each(config)") == [{"value": "bauhaus"}]
        assert store.query("select name from pragma_table_info('runs') limit 1") == [{"name": "id"}]
        assert store.query("pragma table_info(runs)")[0]["name"] == "id"


# Opening


def test_every_commit_is_synced(store: Store) -> None:
    pragmas = {name: store._db.execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert store._db.execute("pragma foreign_keys").fetchone()[0] == 1


def test_a_version_1_database_is_migrated_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    for statement in (*MIGRATIONS[0], "pragma user_version = 1"):
        old.execute(statement)
    old.execute("insert into runs values ('old', '2026', 'b', '{}', '{}', 1, 'done', null, null)")
    old.commit()
    old.close()
    with Store(path) as store:
        assert [run.id for run in store.runs()] == ["old"]
        assert store.query("select run_id, images from run_summary") == [{"run_id": "old", "images": 0}]
        assert store._db.execute("pragma user_version").fetchone()[0] == len(MIGRATIONS)


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    for statement in (*MIGRATIONS[0], "pragma user_version = 1", "create table lineage (a)"):
        old.execute(statement)
    old.close()
    with pytest.raises(StoreError, match="lineage already exists"):
        Store(path)
    again = sqlite3.connect(path)
    assert again.execute("pragma user_version").fetchone()[0] == 1
    assert again.execute("select count(*) from sqlite_master where type = 'view'").fetchone()[0] == 0
    again.close()


def test_a_newer_database_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "palate.db"
    with Store(path) as store:
        store._db.execute("pragma user_version = 99")
    with pytest.raises(StoreError, match=f"version 99 .* up to {len(MIGRATIONS)}: upgrade Palate"):
        Store(path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("create table runs (id)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "palate.db"
    path.write_bytes(b"not a database at all " * 500)
    with pytest.raises(StoreError, match="damaged or not a database"):
        Store(path)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(path / "below" / "a.db")


def test_damage_found_while_reading_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "palate.db"
    with Store(path) as store:
        run_id = start(store)
        for number in range(40):
            store.add_step(run_id, simple_step(number, image(number)))
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xa5" * (len(data) - 4096 * 3)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"), Store(path) as store:
        _ = store.steps(run_id), store.images(run_id)


@pytest.mark.parametrize("new", [True, False])
def test_a_locked_database_is_reported(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "palate.db"
    if not new:
        Store(path).close()
    holder = run_python(
        "c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin exclusive')\n"
        "print('held', flush=True); sys.stdin.readline()",
        str(path),
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    try:
        with (
            pytest.raises(StoreError, match=r"locked by another process for 0\.1 s"),
            Store(path, busy_seconds=0.1) as s,
        ):
            start(s)
    finally:
        holder.kill()
        holder.communicate()
    with Store(path, busy_seconds=0.1) as store:
        assert start(store)


def test_many_processes_may_make_one_database_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "palate.db")
    code = "s = Store(sys.argv[1])\nfor n in range(5): s.new_run('b', {}, {}, n)"
    processes = [run_python(code, path) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [""] * 4
    with Store(path) as store:
        assert len(store.runs()) == 20


# Crashes


@pytest.mark.parametrize("left", ["begin immediate", 'savepoint "sqlite_utils_query"'])
def test_what_a_signal_left_open_is_undone_before_the_next_write(store: Store, left: str) -> None:
    run = start(store)
    store._db.conn.execute(left)  # and then it struck, before the `try` that would have ended it
    store._db.conn.execute("update runs set brief = 'half'")
    store.finish_run(run, "stopped")
    with Store(store.path) as other:
        assert (other.run(run).state, other.run(run).brief) == ("stopped", "a calm blue poster")


def test_a_kill_loses_no_step_that_was_acknowledged_and_leaves_none_half_written(tmp_path: Path) -> None:
    path = tmp_path / "palate.db"
    code = """
store = Store(sys.argv[1])
run = store.new_run("b", {}, {}, 1)
print(run, flush=True)
for n in range(10**6):
    s = step(n, run)
    store.add_step(run, s)
    store.add_ratings(run, n, [(image.id, 5) for image in s.images], "ann")
    print(n, flush=True)
"""
    for lines in (1, 4, 11):
        process = run_python(code, str(path))
        assert process.stdout
        run_id = process.stdout.readline().strip()
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0].split()
        acknowledged = lines + len(said) - (1 if said and len(said[-1]) < len(said[0]) else 0)
        with Store(path) as store:
            assert store._db.execute("pragma integrity_check").fetchall() == [("ok",)]
            assert store._db.execute("pragma foreign_key_check").fetchall() == []
            steps = store.steps(run_id)
            assert [row.step for row in steps] == list(range(len(steps))) and len(steps) >= acknowledged
            assert len(store.images(run_id)) == 8 * len(steps) and len(store.scores(run_id)) == 32 * len(steps)
            ratings = len(store.ratings(run_id))
            assert ratings % 8 == 0 and ratings >= 8 * acknowledged


def test_a_full_disk_keeps_what_was_written_and_says_so(tmp_path: Path) -> None:
    code = """
store = Store(sys.argv[1])
run = store.new_run("b", {}, {}, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
n = 0
try:
    while n < 1000:
        store.add_step(run, step(n, run))
        n += 1
except StoreError as error:
    print(run, n, str(error))
"""
    out, problems = run_python(code, str(tmp_path / "palate.db")).communicate()
    assert problems == "" and "could not be written" in out and "MiB free" in out and "make room" in out
    run_id, written = out.split()[:2]
    with Store(tmp_path / "palate.db") as store:
        assert len(store.steps(run_id)) == int(written) > 0
        assert len(store.images(run_id)) == 8 * int(written)
        assert store.add_step(run_id, simple_step(10_000, image(10**9)))
