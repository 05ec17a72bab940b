"""agent/store/ledger.py: a run's judges from its store, told in the report and the log; an alarm is kept and said, and no planner sees it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.report.logs import logs_show
from agent.report.progress import Narrator
from agent.report.report import write_report
from agent.report.telling import warning
from agent.store.ledger import alarm_of, ledger_facts, read_ledger
from agent.store.store import Store
from prompts.ground.console import make_console
from prompts.messages import plan_messages
from prompts.vocabulary import load_vocabulary
from tests.agent.fast import Started
from tests.agent.invented_run import invent
from tests.tools.given import PROMPTS, image_row
from tools.records import PreferenceRow, ScoreRow, StepRecord

TEAL = PROMPTS[3]  # on a teal background


def judged(store: Store, slopes: dict[str, float], rounds: int = 6, count: int = 8) -> str:
    """A run whose judges' means go up or down by so many SDs a round; "rating" are the person's."""
    run = store.new_run("", {"vocabulary": "bauhaus", "rater": 0}, {}, 0)
    rng = np.random.default_rng(0)
    for number in range(1, rounds + 1):
        rows = [image_row(PROMPTS[i % 4], i, number) for i in range(count)]
        step = 3 * number
        store.add_step(run, StepRecord(step=step, round=number, node="act", tool="generate_images", images=tuple(rows)))
        values = {name: slope * number + rng.normal(size=count) for name, slope in slopes.items()}
        scores = tuple(
            ScoreRow(image=row.id, name=name, version="1", value=float(value))
            for name in slopes.keys() - {"rating"}
            for row, value in zip(rows, values[name], strict=True)
        )
        store.add_step(run, StepRecord(step=step + 1, round=number, node="act", tool="score_images", scores=scores))
        if "rating" in slopes:
            store.add_ratings(run, step + 2, [(row.id, float(np.clip(5 + value, 0, 10))) for row, value in zip(rows, values["rating"], strict=True)], "ann")  # fmt: skip
    return run


DECEIVED = {"preference": 0.8, "pickscore": 0.0, "rating": -0.8}
HONEST = {"preference": 0.8, "pickscore": 0.0, "rating": 0.8}


def test_a_deceived_guide_is_told_in_report_and_log(store: Store, tmp_path: Path) -> None:
    run = judged(store, DECEIVED)
    found = alarm_of(store, run)
    assert found is not None and found["guide"] == "preference" and found["falling"] == ["rating"]
    report = write_report(store, run, tmp_path / "runs" / run).read_text()
    assert "## Where the judges differ" in report and "**Alarm: preference (+" in report
    out = io.StringIO()
    logs_show(store, run, console=make_console(file=out))
    assert "Alarm: preference" in out.getvalue() and "preference and rating" in out.getvalue()


def test_an_honest_run_is_not_accused(store: Store) -> None:
    run = judged(store, HONEST)
    assert alarm_of(store, run) is None
    facts = ledger_facts(store, run)
    assert facts["alarm"] is False and len(facts["pairs"]) == 3
    assert all(set(pair) == {"judges", "correlation", "interval", "n", "biggest"} for pair in facts["pairs"])


def test_the_view_holds_each_judges_newest_word_of_each_picture_shown(store: Store) -> None:
    run = judged(store, HONEST, rounds=2, count=4)
    row = store.images(run)[0]
    store.add_step(run, StepRecord(step=90, round=2, node="act", tool="score_images", scores=(ScoreRow(image=row.id, name="pickscore", version="2", value=99.0),)))  # fmt: skip
    rows = store.query(f"select * from ledger where run_id = '{run}'")
    assert len(rows) == 3 * 8 and {one["judge"] for one in rows} == set(HONEST)
    (newest,) = [one for one in rows if one["image"] == row.id and one["judge"] == "pickscore"]
    assert (newest["value"], newest["standing"], newest["round"]) == (99.0, 1.0, 1)


def test_the_feedback_judges_only_what_came_after_it(store: Store) -> None:
    run = judged(store, HONEST, rounds=1)
    evidence = {"feedback": "You like a teal background.", "evidence": [["background teal", 1.5], ["size large", -0.5]]}
    store.add_step(run, StepRecord(step=50, round=1, node="act", tool="give_feedback", result=evidence))
    later = [image_row(TEAL, 0, 9), image_row(PROMPTS[0], 1, 9), image_row("a cat", 2, 9)]
    store.add_step(run, StepRecord(step=51, round=2, node="act", tool="generate_images", images=tuple(later)))
    ledger = read_ledger(store, run)
    said = dict(zip(ledger.images, ledger.columns["feedback"], strict=True))
    assert [said[row.id] for row in later[:2]] == [1.5, -0.5] and np.isnan(said[later[2].id])
    assert np.isnan([said[row.id] for row in store.images(run, 1)]).all()


def test_who_only_compared_is_a_judge_and_the_alarm_hears_them(store: Store) -> None:
    run = judged(store, {"preference": 0.8, "pickscore": 0.0})
    rows = [row for row in store.images(run) if row.shown]
    assert "rating" not in read_ledger(store, run).columns and not ledger_facts(store, run)["alarm"]
    worse = [(rows[i].id, rows[i + 8].id) for i in range(len(rows) - 8)]  # each picture beats the next round's
    store.add_comparisons(run, 19, worse, "ann")
    ledger = read_ledger(store, run)
    person = ledger.columns["rating"]
    assert np.isfinite(person).all() and person[:8].mean() > 5 > person[-8:].mean()
    alarm = alarm_of(store, run)
    assert alarm is not None and alarm["falling"] == ["rating"]
    wish = StepRecord(step=20, round=6, node="listen", args={"more_like": rows[-1].id})
    store.add_step(run, wish)  # is no judgement
    assert np.array_equal(read_ledger(store, run).columns["rating"], person)


def test_pools_and_evaluations_are_no_part_of_it(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    ledger = read_ledger(store, run)
    assert len(ledger.images) == 16 and set(ledger.columns) <= {
        "preference",
        "pickscore",
        "clip_t",
        "rating",
        "feedback",
    }


def test_a_run_without_any_judge_has_an_empty_ledger(store: Store, tmp_path: Path) -> None:
    run = store.new_run("", {}, {}, 0)
    assert ledger_facts(store, run) == {"pairs": [], "alarm": False, "said": ""}
    assert "Where the judges differ" not in write_report(store, run, tmp_path / "runs" / run).read_text()


def test_an_alarm_is_said_aloud_also_where_little_is_said() -> None:
    kept = PreferenceRow(
        kind="head", metrics={"alarm": {"said": "Alarm: preference climbs"}}, path="p", sha256="0" * 64
    )
    step = StepRecord(step=5, round=4, node="act", tool="learn_taste", preferences=(kept,), result={"ratings": 32})
    assert warning(step) == "Alarm: preference climbs"
    for quiet in (False, True):
        out = io.StringIO()
        Narrator(quiet=quiet, console=make_console(file=out)).on_step(step)
        assert "Alarm: preference climbs" in out.getvalue()
    calm = StepRecord(step=5, round=4, node="act", tool="learn_taste", result={"ratings": 32})
    assert warning(calm) == ""


def test_an_alarm_is_kept_with_the_taste_and_no_planner_reads_it(
    begin: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rounds are too few for an alarm, so its cause is given; all that follows is the run's own."""
    told: dict[str, Any] = {"guide": "preference", "falling": ["rating"], "slopes": {}, "said": "Alarm: DECEIVED"}
    monkeypatch.setattr("agent.loop.graph.alarm_of", lambda store, run_id: told)
    run = begin(rounds=1)
    heard: list[str] = []
    run.crew.on_step = lambda step: heard.append(warning(step))
    run.drive()
    (kept,) = run.store.preferences(run.run_id)
    assert kept.metrics["alarm"] == told and "Alarm: DECEIVED" in heard
    assert all("DECEIVED" not in str(step.result) for step in run.steps)
    from agent.loop.recall import read_facts
    from agent.store.trail import StoreTrail

    facts = read_facts(StoreTrail(run.store, run.run_id), run.crew.config)
    assert "DECEIVED" not in str(plan_messages(facts, load_vocabulary("bauhaus")))
