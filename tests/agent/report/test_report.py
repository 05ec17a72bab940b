"""agent/report/report.py, agent/store/summary.py and agent/report/telling.py: whole, unfinished, unrated and hostile runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from agent.report.plots import score_plot
from agent.report.report import adapter_file, marked, summarise, write_report
from agent.report.telling import decision, outcome, reason
from agent.store.store import Store
from agent.store.summary import fate
from prompts.errors import InputError
from prompts.ground.clean import clean
from tests.agent.fast import Started
from tests.agent.invented_run import ADAPTER, HIDDEN, call, invent
from tools.actions.catalogue import TOOLS
from tools.records import StepRecord, StepRow


def test_the_summary_holds_the_numbers_and_is_json(store: Store, tmp_path: Path) -> None:
    found = summarise(store, invent(store, tmp_path))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [one["rating"] for one in found["rounds"]] == [pytest.approx(4.5625), pytest.approx(5.5625)]
    assert (found["score_first"], found["score_last"]) == (pytest.approx(4.5625), pytest.approx(5.5625))
    assert found["rounds"][0]["scores"] == {"pickscore": pytest.approx(20.4375), "clip_t": pytest.approx(0.7375)}
    assert (found["images"], found["images_in_all"], found["ratings"]) == (16, 44, 16)
    assert found["taste"]["agreement"] == 0.62 and found["taste"]["interval"] == [0.3, 0.81]
    assert found["adapter"]["win_rate"] == {"rate": 0.75, "low": 0.47, "high": 0.91, "n": 12}
    assert found["adapter"]["promoted"] is True and found["adapter"]["sha256"] == ADAPTER


def test_plans_are_counted_by_what_became_of_them(store: Store, tmp_path: Path) -> None:
    found = summarise(store, invent(store, tmp_path))
    wanted = {"total": 4, "as_given": 2, "repaired": 1, "invalid": 1, "failed": 0, "unanswered": 1, "share": 0.5}
    assert found["plans"] == wanted
    assert found["rounds_by_rules"] == [2]
    assert found["llm"]["calls"] == 5 and found["llm"]["models"] == ["bauhaus-lm"]


def test_seconds_are_summed_by_part(store: Store, tmp_path: Path) -> None:
    found = summarise(store, invent(store, tmp_path))["seconds"]
    assert found == {"llm": 1.25, "paint": 13.0, "train": 9.5, "total": 21.0}


@pytest.mark.parametrize(
    ("text", "fate_"),
    [
        ('{"words": 6}', "as_given"),
        ('{"words": "6"}', "repaired"),
        ('{"words": 6} and more', "repaired"),
        ('{"words": 7}', "repaired"),
    ],
)
def test_a_plan_is_as_given_only_when_its_very_arguments_ran(text: str, fate_: str) -> None:
    step = StepRow(step=1, round=1, node="act", tool="give_feedback", args={"words": 6}, planner="llm")
    assert fate(call("give_feedback", text), step) == fate_


def test_a_plan_whose_tool_failed_or_that_was_replaced_is_not_as_given() -> None:
    step = StepRow(
        step=1, round=1, node="act", tool="give_feedback", args={"words": 6}, planner="llm", error="nothing rated"
    )
    good = call("give_feedback", '{"words": 6}')
    assert fate(good, step) == "failed"
    assert fate(good, step.model_copy(update={"planner": "rules", "error": None})) == "invalid"
    assert fate(good, None) == "invalid"


def test_the_report_tells_everything_and_links_only_to_what_is_there(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    folder = tmp_path / "runs" / run
    text = write_report(store, run, folder, hidden=HIDDEN).read_text()
    wanted = "# test; **Brief:** something calm; model: `bauhaus`; | 2 | 8 | 5.56 | - | 20.4 | 0.738 | 0.84 |; 0.62 (0.3 to 0.81)"
    wanted += "; **promoted**, wins 75 % of 12 (47 % to 91 %); pipe.load_lora_weights('adapters/step-9'; method: dpo, 60 steps"
    wanted += "; 2 as given, 1 repaired, 1 invalid, 0 failed (50 % run as given); | train | 9.5 |; | torch | 2.13.0 |; rule planner took over: 2"
    for piece in wanted.split("; "):
        assert piece in text, piece
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(pictures) == 5 and all((moved / picture).is_file() for picture in pictures)
    assert str(tmp_path) not in text


def test_text_of_models_and_people_cannot_break_the_tables(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path, name="a | b <script>\n# c")
    text = write_report(store, run, tmp_path / "runs" / run).read_text()
    assert "<script>" not in text and "\\<pink\\>" in text
    rows = [
        line for line in text.split("## What the agent decided")[1].split("##")[0].splitlines() if line.startswith("|")
    ]
    assert len(rows) == 16 and {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


@pytest.mark.parametrize(("rounds", "rated"), [(0, True), (1, False), (2, False), (1, True)])
def test_an_unfinished_run_gets_a_report_too(store: Store, tmp_path: Path, rounds: int, rated: bool) -> None:
    run = invent(store, tmp_path, rounds=rounds, rated=rated, trained=False)
    text = write_report(store, run, tmp_path / "runs" / run).read_text()
    assert f"`palate resume {run}` goes on" in text and "None was trained" in text
    assert ("No round is painted yet" in text) == (rounds == 0)
    assert ("not rated" in text) == (rounds > 0 and not rated)
    assert summarise(store, run)["score_first"] == (pytest.approx(4.5625) if rounds and rated else None)


def test_a_report_written_again_is_brought_up_to_date(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path, rounds=1, trained=False)
    path = write_report(store, run, tmp_path / "runs" / run)
    store.finish_run(run, "done")
    assert "state: done" in write_report(store, run, tmp_path / "runs" / run).read_text() and path.is_file()


def test_an_unknown_run_has_no_report(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run 'nope'"):
        write_report(store, "nope", tmp_path)


def test_there_is_no_plot_of_nothing(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path, rounds=1, rated=False)
    assert score_plot(store, run, tmp_path / "scores.png") is None
    assert score_plot(store, run, tmp_path / "scores.png", HIDDEN) == tmp_path / "scores.png"


def test_the_adapters_file_is_found_from_the_runs_folder() -> None:
    name = "pytorch_lora_weights.safetensors"
    assert adapter_file("adapters/a", Path("/r")) == f"adapters/a/{name}"
    assert adapter_file("/r/adapters/a.safetensors", Path("/r")) == "adapters/a.safetensors"
    assert adapter_file("/other/a", Path("/r")) == f"/other/a/{name}"


def test_pools_and_evaluations_are_no_rounds(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    assert {row.sampler["purpose"] for row in store.images(run) if not row.shown} == {"pool", "with", "without"}


@pytest.mark.parametrize("tool", [*TOOLS, "unknown_tool", None])
@pytest.mark.parametrize(
    "result", [None, [], "text", 3, {}, {"images": None, "scores": 1, "cut": [], "interval": "no", "anchors": [1]}]
)
def test_any_record_can_be_told(tool: str | None, result: object) -> None:
    step = StepRecord.model_validate(
        {"step": 1, "round": 1, "node": "act", "tool": tool, "args": {"prompts": 3}, "result": result}
    )
    assert decision(step) and outcome(step) and isinstance(reason(step, [step]), str)


def test_text_is_told_on_one_line_without_terminal_codes() -> None:
    assert clean("a\n\tb\x1b[31m\x9b c\u2028d") == "a b [31m c d"
    assert clean("abcdef", 4) == "abc…"
    assert marked("a_b*c") == "a\\_b\\*c"


def test_the_reports_python_paints_from_the_reports_folder_wherever_that_is(finished: Started, tmp_path: Path) -> None:
    folder = tmp_path / "somebody else's folder"
    shutil.copytree(finished.folder, folder)
    text = write_report(finished.store, finished.run_id, folder).read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "painted.png") as picture:
        assert picture.size == (64, 64)
