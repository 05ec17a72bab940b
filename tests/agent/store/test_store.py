"""agent/store/store.py: runs, steps, ratings, comparisons and jobs are kept whole, once, and as they were given."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.store.store import Store
from prompts.errors import InputError, StoreError
from tests.agent.store.written import full_step, image, simple_step, start
from tools.records import JobRow, LlmCall, ScoreRow, StepRecord


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


def test_a_seed_that_does_not_fit_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="9223372036854775808"):
        store.new_run("b", {}, {}, 2**63)
    assert store.run(store.new_run("b", {}, {}, 2**63 - 1)).seed == 2**63 - 1


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


def test_a_job_is_brought_up_to_date(store: Store) -> None:
    job = JobRow(id="job-1", run_id=start(store), step=3, kind="dpo", state="queued", total=100)
    store.save_job(job)
    later = job.model_copy(update={"state": "running", "pid": 7, "at_step": 40, "heartbeat": "2026-11-21"})
    store.save_job(later)
    store.save_job(JobRow(id="job-2", kind="dreambooth", state="failed", error="no room"))
    assert store.jobs(job.run_id) == [later]
    assert [row.id for row in store.jobs()] == ["job-1", "job-2"]


def test_a_copy_holds_what_was_written_a_moment_ago(store: Store, tmp_path: Path) -> None:
    run_id = start(store)
    store.add_step(run_id, full_step())
    store.copy_to(tmp_path / "copy.sqlite", run_id)
    with Store(tmp_path / "copy.sqlite") as copy:
        assert copy.step(run_id, 0) == store.step(run_id, 0) and copy.images(run_id)
    with pytest.raises(StoreError):
        store.copy_to(tmp_path / "copy.sqlite", run_id)  # never over something


def test_a_copy_holds_its_run_and_nothing_of_any_other(store: Store, tmp_path: Path) -> None:
    parent, other = start(store, "the parent's brief"), start(store, "somebody else's")
    mine = store.new_run("mine", {}, {}, 1, parent=parent, parent_step=0)
    for run in (parent, other, mine):
        store.add_step(run, full_step())
        store.add_ratings(run, 0, [(image(1).id, 7)], run)
        store.add_ratings(run, 0, [(image(1).id, 8)], run)
        store.add_answers(run, 0, [{"kind": "ab", "images": [image(1).id, image(2).id]}], [(0, "tie")], run)
        store.save_job(JobRow(id=f"job of {run}", run_id=run, kind="dpo", state="done"))
    said = LlmCall(
        attempt=0, purpose="plan", model="m", request={"messages": [{"role": "user", "content": "a secret"}]}, seconds=0
    )
    store.add_step(other, StepRecord(step=1, round=0, node="act", llm_calls=(said,)))
    store.copy_to(tmp_path / "copy.sqlite", mine)
    with Store(tmp_path / "copy.sqlite") as copy:
        assert {run.id for run in copy.runs()} == {mine, parent}  # a run names its parent
        assert copy.lineage(image(1).id).ancestors == store.lineage(image(1).id, mine).ancestors
        assert copy.step(mine, 0) == store.step(mine, 0) and copy.comparisons(mine) == store.comparisons(mine)
        assert copy.ratings(mine, superseded=True) == store.ratings(mine, superseded=True)
        assert [row.id for row in copy.jobs()] == [f"job of {mine}"]
        for table in (
            "steps",
            "images",
            "scores",
            "ratings",
            "answers",
            "llm_calls",
            "preferences",
            "adapters",
            "pairs",
        ):
            assert {row["run_id"] for row in copy.query(f"select run_id from {table}")} == {mine}, table
        assert copy.query("select * from messages where content = 'a secret'") == []
        assert copy._db.execute("pragma foreign_key_check").fetchall() == []
    assert b"a secret" not in (tmp_path / "copy.sqlite").read_bytes()


@pytest.mark.parametrize("left", ["begin immediate", 'savepoint "sqlite_utils_query"'])
def test_what_a_signal_left_open_is_undone_before_the_next_write(store: Store, left: str) -> None:
    run = start(store)
    store._db.conn.execute(left)  # and then it struck, before the `try` that would have ended it
    store._db.conn.execute("update runs set brief = 'half'")
    store.finish_run(run, "stopped")
    with Store(store.path) as other:
        assert (other.run(run).state, other.run(run).brief) == ("stopped", "a calm blue poster")
