"""agent/store/views.py: lists of rows, lineage, the views for people, and a person's own SQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.store.store import Store
from agent.store.wholeness import unreadable
from prompts.errors import InputError
from tests.agent.store.written import full_step, image, simple_step, start
from tools.records import StepRecord


def test_an_unknown_run_is_refused_with_the_nearest_ids(store: Store) -> None:
    with pytest.raises(InputError, match="holds no runs yet"):
        store.run("x")
    run_id = start(store)
    for ask in (store.run, store.steps, store.finish_run, lambda wrong: store.add_step(wrong, simple_step(0))):
        with pytest.raises(InputError, match=f"there is no run .*did you mean {run_id}"):
            ask(run_id[:-1] + "z")
    with pytest.raises(InputError, match="there is no run"):
        store.run("\udcff")


def test_each_kind_of_row_has_its_own_list(store: Store) -> None:
    run_id = start(store)
    store.add_step(run_id, full_step())
    lists = (store.images, store.scores, store.pairs, store.preferences, store.adapters, store.llm_calls)
    assert [len(rows(run_id)) for rows in lists] == [2, 1, 1, 1, 1, 1]
    assert len(store.scores(run_id, image(1).id, "pickscore")) == 1
    assert store.scores(run_id, image(2).id) == store.scores(run_id, name="clip_t") == []


def test_a_missing_message_is_reported(store: Store) -> None:
    run_id = start(store)
    store.add_step(run_id, full_step())
    store._db.execute("delete from messages")
    assert store.llm_calls(run_id) == [] and store.images(run_id) != []
    ((name, why),) = store.unreadable.items()
    assert name == f"llm call at step 0 of run {run_id}" and "is missing" in why


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


def test_damage_in_another_run_is_not_told_of_this_one(store: Store) -> None:
    good, damaged = start(store), start(store)
    store.add_step(good, full_step())
    store.add_step(damaged, full_step())
    store._db.execute("update images set adapters = '{' where run_id = ?", [damaged])
    assert store.images(damaged) == [] and unreadable(store, good) == []
    assert len(unreadable(store, damaged)) == 2
