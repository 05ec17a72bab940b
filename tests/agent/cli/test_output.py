"""Every command's output as programs get it, in pipes, and as people do, on a terminal 60 wide, with a home whose path is long."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from subprocess import PIPE

import pytest
from rich.cells import cell_len

from agent.store.store import Store
from tests.agent.invented_run import invent
from tests.terminals import LONG, Heard, piped, screen, watched
from tools.records import StepRecord

MODEL = f"/models/{LONG}/my [bold]model[/bold]"
WISH = "as calm as a lake in the evening, " * 20 + "and :smile: no [red]circles[/red]"
READ = {
    "logs list": ["logs", "list"], "logs show": ["logs", "show", "last"], "one step": ["logs", "show", "last", "--step", "2"],
    "logs query": ["logs", "query", "select id, config, brief from runs order by rowid desc limit 1"], "logs path": ["logs", "path"],
    "replay": ["replay", "last", "--mode", "view"],
}  # fmt: skip
# `palate bench search`, small.
BENCH = """
import sys
from agent.bench.cli import BENCHES
from agent.cli.main import main
BENCHES["search"] = "tests.agent.bench.tiny_bench"
sys.exit(main([*sys.argv[1:], "bench", "search", "--processes", "0", "--quick", *WORDS]))
"""
# What a training and a gate tell while they work.
TRAINING = """
from agent.cli import gating, training
from tools.jobs.watch import new_state
with training._bar() as show:
    for step in range(3):
        show(new_state() | {"state": "running", "step": step, "total": 3, "losses": {"loss": 0.5, "only_losers_move": 1.0}})
with gating._bar() as show:
    show(2, 4)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs in a folder far away: an invented one, and a newer one with a model and a wish that are long."""
    folder = tmp_path_factory.mktemp("far") / LONG
    folder.mkdir(parents=True)
    with Store(folder / "palate.sqlite") as store:
        invent(store, folder)
        run = store.new_run(WISH, {"model": MODEL, "planner": "rules"}, {}, 0)
        store.add_step(run, StepRecord(step=1, round=1, node="listen", planner="person", args={"wish": WISH}))
        failed = StepRecord(
            step=2, round=1, node="act", tool="generate_images", planner="rules", error=f"no {MODEL!r} here"
        )
        store.add_step(run, failed)
    return folder


def palate(home: Path, *words: str) -> list[str]:
    return ["-m", "agent.cli.main", "--home", str(home), *words]


@cache
def narrow(home: Path, *words: str) -> Heard:
    return piped(*palate(home, *words), COLUMNS="40")


@pytest.mark.parametrize("words", READ.values(), ids=READ)
def test_what_is_read_in_a_pipe_does_not_know_any_width(home: Path, words: list[str]) -> None:
    heard = narrow(home, *words)
    assert heard == piped(*palate(home, *words), COLUMNS="4000") and heard.out and (heard.err, heard.status) == ("", 0)
    assert "\x1b" not in heard.out and "─" not in heard.out
    assert "…" not in heard.out or words == READ["replay"]  # a step in words is short by itself
    assert all(line == line.rstrip() for line in heard.out.splitlines())


@pytest.mark.parametrize("words", READ.values(), ids=READ)
def test_what_programs_ask_for_is_one_json_document(home: Path, words: list[str]) -> None:
    heard = piped(*palate(home, *words, "--json"), COLUMNS="40", FORCE_COLOR="1")
    assert json.loads(heard.out) and heard.out.count("\n") == 1 and heard.err == "" and heard.status == 0


def test_paths_and_sentences_are_found_whole(home: Path) -> None:
    out = {name: narrow(home, *words).out for name, words in READ.items()}
    assert out["logs path"] == f"{home / 'palate.sqlite'}\n"
    assert WISH in out["logs list"] and WISH in out["logs show"] and WISH in out["replay"] and WISH in out["logs query"]
    assert MODEL in out["logs show"] and MODEL in out["logs query"] and f"no {MODEL!r} here" in out["one step"]


def test_the_doctor_names_a_home_far_away_on_one_line(home: Path) -> None:
    heard = narrow(home, "doctor")
    assert any(line.split()[:2] == ["ok", "home"] and f" {home} " in f"{line} " for line in heard.out.splitlines())
    assert heard.err == "" and "\x1b" not in heard.out
    shown = watched(*palate(home, "doctor"))
    assert shown.err == "" and max(map(cell_len, screen(shown.out))) <= 60 and "\x1b[32m" in shown.out
    found = piped(*palate(home, "doctor", "--json"), COLUMNS="40")
    assert str(home) in {check["detail"] for check in json.loads(found.out)["checks"]}


@pytest.mark.parametrize("words", [READ["logs list"], READ["logs show"], READ["replay"]], ids=" ".join)
def test_a_terminal_is_filled_and_not_left(home: Path, words: list[str]) -> None:
    heard = watched(*palate(home, *words))
    lines = screen(heard.out)
    assert heard.status == 0 and heard.err == "" and max(map(cell_len, lines)) <= 60
    assert len(lines) > len(narrow(home, *words).out.splitlines())
    assert any("╭" in line for line in lines) or words == READ["logs list"]


@pytest.mark.parametrize("words", [READ["logs list"], READ["logs show"], READ["replay"]], ids=" ".join)
def test_a_reader_that_has_read_enough_is_no_failure(home: Path, words: list[str]) -> None:
    told = subprocess.Popen([sys.executable, *palate(home, *words)], stdout=PIPE, stderr=PIPE, text=True)
    assert told.stdout is not None and told.stderr is not None
    told.stdout.close()
    assert told.stderr.read() == "" and told.wait(60) == 0
    told.stderr.close()


def test_an_error_names_its_path_on_one_line(home: Path) -> None:
    heard = piped(*palate(home, "run", str(home / "nowhere.yaml")), COLUMNS="40")
    assert (
        heard.status == 1 and heard.out == "" and heard.err.count("\n") == 1 and str(home / "nowhere.yaml") in heard.err
    )


def test_a_bench_tells_whole_lines_and_shows_its_bar_on_terminals_alone(tmp_path: Path) -> None:
    out = tmp_path / LONG
    heard = piped("-c", BENCH.replace("WORDS", "[]"), "--home", str(out), COLUMNS="40")
    assert heard.err == "" and heard.out.splitlines() == [
        "Tiny", "Scores, tiny", "strategy                  score  n", "low       1.000 [-1.484, 3.484]  3",
        "high       11.00 [8.516, 13.48]  3", "a note", f"tables, CSV and 1 pictures: {out / 'bench' / 'search-quick'}",
    ]  # fmt: skip
    again = piped("-c", BENCH.replace("WORDS", "['--json']"), "--home", str(out), COLUMNS="40")
    assert json.loads(again.out)["cells"] == 6 and again.err == ""
    seen = watched("-c", BENCH.replace("WORDS", "[]"), "--home", str(tmp_path / "short"))
    assert "cells" in seen.err and "6/6" in seen.err and not any(screen(seen.err))
    assert "━" in seen.out and max(map(cell_len, screen(seen.out)[:-3])) <= 60


def test_a_bench_whose_processes_paint_hears_of_no_library(tmp_path: Path) -> None:
    small = ["--quick", "--raters", "0", "--seeds", "1", "--strategies", "random", "--processes", "1", "--json"]
    heard = piped(*palate(tmp_path, "bench", "search", *small))
    assert heard.err == "" and json.loads(heard.out)["cells"] == 1 and heard.status == 0


def test_a_training_warns_in_whole_lines_and_shows_its_bar_on_terminals_alone() -> None:
    heard = piped("-c", TRAINING, COLUMNS="40")
    assert heard.out == "" and heard.err.count("\n") == 1 and heard.err.endswith("keep an earlier checkpoint\n")
    seen = watched("-c", TRAINING)
    assert (
        "training" in seen.err and "judging" in seen.err and "2/3" in seen.err and "2/4" in seen.err and seen.out == ""
    )
    left = [line for line in screen(seen.err) if line]
    assert " ".join(left) == heard.err.strip() and max(map(cell_len, left)) <= 60
