"""agent/report/logs.py and agent/report/panels.py: what is printed for people and for programs, from a real store."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.report.logs import logs_list, logs_path, logs_query, logs_show, replay_view, whole_run
from agent.store.store import Store
from prompts.errors import InputError
from prompts.ground.console import make_console
from tests.agent.invented_run import FEEDBACK, invent
from tests.places import ROOT


def printed(show: Callable[..., None], *args: Any, **more: Any) -> str:
    console = make_console(file=io.StringIO())
    show(*args, console=console, **more)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def document(show: Callable[..., None], *args: Any, **more: Any) -> Any:
    text = printed(show, *args, as_json=True, **more)
    assert text.count("\n") == 1
    return json.loads(text)


def test_the_list_has_a_line_for_each_run_newest_first(store: Store, tmp_path: Path) -> None:
    first, second = invent(store, tmp_path), invent(store, tmp_path, rounds=1, rated=False)
    text = printed(logs_list, store)
    assert text.index(second) < text.index(first)
    assert "4.6 -> 5.6" in text and "promoted, wins 75 %" in text and "something calm" in text
    found = document(logs_list, store)
    assert [one["run"] for one in found] == [second, first]
    assert found[0]["score_first"] is None and found[1]["adapter"]["promoted"] is True


def test_a_list_is_a_page_unless_more_is_asked_for(store: Store) -> None:
    runs = [store.new_run(f"brief {number}", {}, {}, 0) for number in range(23)][::-1]
    assert [one["run"] for one in document(logs_list, store)] == runs[:20]
    assert [one["run"] for one in document(logs_list, store, 2)] == runs[:2]
    assert [one["run"] for one in document(logs_list, store, None)] == runs
    assert "3 older runs are not shown: --all shows every run" in printed(logs_list, store)
    assert "not shown" not in printed(logs_list, store, None)


def test_what_is_written_piece_by_piece_is_what_would_be_written_at_once(store: Store, tmp_path: Path) -> None:
    for run in (invent(store, tmp_path), store.new_run("nothing yet", {}, {}, 0)):
        whole = {
            name: list(value) if isinstance(value, Iterator) else value() if callable(value) else value
            for name, value in whole_run(store, run)
        }
        assert (
            printed(logs_show, store, run, as_json=True)
            == json.dumps(whole, ensure_ascii=False, allow_nan=False) + "\n"
        )


def test_an_empty_store_says_how_to_start(store: Store) -> None:
    assert "palate demo" in printed(logs_list, store)
    assert document(logs_list, store) == []
    with pytest.raises(InputError, match="holds no runs yet"):
        logs_show(store)


def test_a_run_is_shown_step_by_step_with_arguments_results_errors_and_ratings(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    text = printed(logs_show, store, run)
    for piece in (
        "step 14, round 2: finish",
        '{"kind": "blend"}',
        "[bold]hm[/bold]",
        "by rater-3",
        FEEDBACK,
        "the rule planner",
    ):
        assert piece in text, piece
    found = document(logs_show, store, run)
    assert len(found["steps"]) == 14 and len(found["ratings"]) == 16 and found["summary"]["plans"]["total"] == 4
    assert found["run"]["id"] == run and len(found["images"]) == 44


def test_one_step_is_shown_whole_with_its_llm_calls(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    text = printed(logs_show, store, run, step=11)
    assert "rated: [9] rings" in text and "prose: hm" in text and "HTTP 500" in text
    assert document(logs_show, store, run, step=3)["ratings"][0]["value"] == 1
    with pytest.raises(InputError, match="no step 99"):
        logs_show(store, run, step=99)


def test_last_and_nothing_mean_the_newest_run(store: Store, tmp_path: Path) -> None:
    invent(store, tmp_path, rounds=0)
    newest = invent(store, tmp_path, rounds=0)
    assert store.find(None).id == store.find("last").id == newest
    with pytest.raises(InputError, match="did you mean"):
        store.find(newest[:-1])


def test_a_query_answers_rows_and_may_not_write(store: Store, tmp_path: Path) -> None:
    invent(store, tmp_path)
    sql = "select round, count(*) as images, 9e999 as much, x'ff' as raw from images where step < 7 group by round"
    assert document(logs_query, store, sql)[1] == {"round": 2, "images": 8, "much": "inf", "raw": "ff"}
    assert "images" in printed(logs_query, store, sql)
    assert printed(logs_query, store, "select 1 where 0") == "no rows\n"
    assert document(logs_query, store, "select 1 where 0") == []
    with pytest.raises(InputError, match="queries may only read"):
        logs_query(store, "delete from images")


def test_the_path_is_printed_alone(store: Store, tmp_path: Path) -> None:
    assert printed(logs_path, store) == f"{tmp_path / 'palate.sqlite'}\n"
    assert document(logs_path, store) == {"path": str(tmp_path / "palate.sqlite")}


def test_a_replay_to_read_says_what_why_and_what_came_of_it(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    text = printed(replay_view, store, run)
    for piece in (
        "nothing is known of the taste yet",
        "8 of 8 rated, 1 to 8, mean 4.6",
        "no plan that can be run",
        "75 % of 12",
    ):
        assert piece in text, piece
    found = document(replay_view, store, run)
    assert [one["step"] for one in found["steps"]] == list(range(1, 15))
    assert found["steps"][12]["planner"] == "the rule planner" and found["summary"]["score_last"] is not None


def test_terminal_codes_in_a_brief_are_not_obeyed(store: Store) -> None:
    store.new_run("red \x1b[31m [bold]brief[/bold]", {"model": "bauhaus"}, {}, 0)
    for text in (printed(logs_list, store), printed(logs_show, store), printed(replay_view, store)):
        assert "\x1b" not in text and "[bold]" in text


def test_reading_the_logs_loads_no_model() -> None:
    code = "import sys, agent.report.logs, agent.cli.doctor, agent.report.progress, agent.report.report\n"
    code += "print([name for name in ('torch', 'diffusers', 'transformers', 'langgraph', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
