"""agent/bench/grid.py with real processes: nothing is lost, nothing is done twice, and who did it does not matter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.bench.grid import CellsFailed, named, run_grid
from agent.bench.kept import CELLS, SETTINGS, Row, read_rows
from agent.stopping import Stopped
from prompts.errors import InputError, PalateError

SQUARE, SLOW, AT_ODDS = (f"tests.agent.bench.work:{name}" for name in ("square", "slow", "at_odds"))
GRID = [{"rater": rater, "seed": seed} for rater in range(3) for seed in range(2)]
# A command as anybody's: raters, folder.
COMMAND = """
import sys
from pathlib import Path
from agent.bench.grid import run_grid
from agent.stopping import Stopped
cells = [{"rater": rater, "seed": 0} for rater in range(int(sys.argv[1]))]
try:
    run_grid(cells, "tests.agent.bench.work:slow", Path(sys.argv[2]), processes=2, settings={"steps": 3})
except Stopped as stopped:
    sys.exit(str(stopped))
"""


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / CELLS).read_text().splitlines()]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `slow` tells each call: a file a rater, a letter a call."""
    folder = tmp_path / "told"
    folder.mkdir()
    monkeypatch.setenv("TOLD", str(folder))
    monkeypatch.setenv("PAUSE", "0")
    return folder


def start(raters: int, pause: float, out: Path) -> subprocess.Popen[str]:
    words, environment = [sys.executable, "-c", COMMAND, str(raters), str(out)], {**os.environ, "PAUSE": str(pause)}
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def group_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_one_process_equals_two_and_none(tmp_path: Path) -> None:
    found = [run_grid(GRID, SQUARE, tmp_path / str(n), processes=n, settings={}) for n in (0, 1, 2)]
    assert found[0] == found[1] == found[2] and [row["square"] for row in found[0]] == [0, 0, 1, 1, 4, 4]
    assert isinstance(found[0][0]["curve"], list) and found[0][0]["sum"] != found[0][1]["sum"]


def test_a_rerun_does_only_what_is_missing_and_a_bigger_grid_goes_on(tmp_path: Path, told: Path) -> None:
    cells = [{"rater": rater, "seed": 0} for rater in range(4)]
    heard: list[Row] = []
    run_grid(cells[:2], SLOW, tmp_path, processes=0, settings={"steps": 3})
    rows = run_grid(cells, SLOW, tmp_path, processes=0, settings={"steps": 3}, on_cell=heard.append)
    assert [row["rater"] for row in rows] == [0, 1, 2, 3] and rows[2:] == heard and read_rows(tmp_path) == rows
    assert [(told / str(rater)).read_text() for rater in range(4)] == ["x"] * 4


def test_kill_9_loses_only_what_was_under_way(tmp_path: Path, told: Path) -> None:
    out = tmp_path / "out"
    killed = start(6, 0.4, out)
    until(lambda: (out / CELLS).exists() and len(lines(out)) >= 2)
    killed.kill()
    killed.communicate()
    until(lambda: group_gone(killed.pid), 20.0)  # its processes went with it
    kept = lines(out)
    assert 2 <= len(kept) < 6
    again = start(6, 0.0, out)
    assert again.communicate(timeout=60)[1] == "" and again.returncode == 0
    assert lines(out)[: len(kept)] == kept and sorted(row["rater"] for row in read_rows(out)) == list(range(6))
    assert all((told / str(row["cell"]["rater"])).read_text() == "x" for row in kept)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path, told: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    stopped = start(6, 0.4, out)
    until(lambda: (out / CELLS).exists() and len(lines(out)) >= 1)
    os.killpg(stopped.pid, number) if number is signal.SIGINT else stopped.send_signal(number)  # Ctrl-C reaches all
    said = stopped.communicate(timeout=30)[1]
    assert (
        stopped.returncode == 1 and number.name in said and "of 6 cells are done, and the same command goes on" in said
    )
    assert "Traceback" not in said
    until(lambda: group_gone(stopped.pid), 20.0)
    assert 1 <= len(lines(out)) < 6


def test_a_truncated_last_line_is_done_again(tmp_path: Path) -> None:
    rows = run_grid(GRID, SQUARE, tmp_path, processes=0, settings={})
    whole = (tmp_path / CELLS).read_bytes()
    (tmp_path / CELLS).write_bytes(whole[:-25])
    assert len(read_rows(tmp_path)) == 5
    assert run_grid(GRID, SQUARE, tmp_path, processes=0, settings={}) == rows
    assert [line["cell"] for line in lines(tmp_path)] == GRID


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    run_grid(GRID, SQUARE, tmp_path, processes=0, settings={})
    text = (tmp_path / CELLS).read_text().splitlines()
    text[2] = text[2][:10]
    (tmp_path / CELLS).write_text("\n".join(text) + "\n")
    with pytest.raises(InputError, match=r"line 3 is damaged .* remove that line"):
        run_grid(GRID, SQUARE, tmp_path, processes=0, settings={})


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    run_grid(GRID[:1], SQUARE, tmp_path, processes=0, settings={"steps": 3, "size": None})
    with pytest.raises(InputError, match=r"its steps was 3, now 4: give another --out, or the same settings"):
        run_grid(GRID, SQUARE, tmp_path, processes=0, settings={"steps": 4, "size": None})
    (tmp_path / SETTINGS).unlink()
    with pytest.raises(InputError, match=r"no readable settings\.json"):
        run_grid(GRID, SQUARE, tmp_path, processes=0, settings={"steps": 3, "size": None})


def test_failing_cells_are_told_at_the_end_and_the_others_go_on(tmp_path: Path) -> None:
    cells = [{"rater": rater, "seed": 0} for rater in range(6)]
    with pytest.raises(CellsFailed) as failed:
        run_grid(cells, AT_ODDS, tmp_path, processes=2, settings={})
    message = str(failed.value)
    assert "4 of 6 cells failed" in message and "ValueError: this rater is odd" in message and "exit code -9" in message
    assert '{"rater": 1, "seed": 0}' in message and " and 1 more" in message
    assert message.count("Traceback") == 1
    assert [row["rater"] for row in failed.value.rows] == [0, 2] == [line["cell"]["rater"] for line in lines(tmp_path)]
    rows = run_grid(cells, SQUARE, tmp_path, processes=0, settings={})  # mended: only those four are done
    assert len(rows) == 6 and len(lines(tmp_path)) == 6


@pytest.mark.parametrize(
    ("found", "why"),
    [({"rater": 3}, "keys of its cell"), ({"x": float("nan")}, "JSON compliant"), ({"x": object()}, "no JSON value")],
)
def test_a_result_that_cannot_be_kept_fails_its_cell(tmp_path: Path, found: Row, why: str) -> None:
    with pytest.raises(CellsFailed, match=why):
        run_grid([{"rater": 0}], lambda cell: found, tmp_path, processes=0, settings={})


def test_a_process_that_cannot_start_ends_the_grid(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Gone:
        """What a new process cannot find by name when it reads its work."""

        def __reduce__(self) -> Any:
            return named, ("tests.agent.bench.work:nobody",)

        def __call__(self, cell: Row) -> Row:
            return cell

    with pytest.raises(PalateError, match="could not start"):
        run_grid(GRID, Gone(), tmp_path, processes=2, settings={})
    assert "no work" in capfd.readouterr().err


@pytest.mark.parametrize("work", ["nowhere:work", "tests.agent.bench.work:nobody", "tests.agent.bench.work"])
def test_work_that_is_not_there_is_named(work: str) -> None:
    with pytest.raises(InputError, match="name it as module:function"):
        named(work)


def test_a_cell_holds_scalars_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its rater is no string, number"):
        run_grid([{"rater": [1]}], SQUARE, tmp_path, processes=0, settings={})


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    def work(cell: Row) -> Row:
        with pytest.raises(InputError, match="another process is at work"):
            run_grid(GRID, SQUARE, tmp_path, processes=0, settings={})
        return {}

    run_grid([{"rater": 0}], work, tmp_path, processes=0, settings={})


def test_a_signal_in_this_process_is_heard_too(tmp_path: Path) -> None:
    def work(cell: Row) -> Row:
        if cell["rater"] == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return {}

    with pytest.raises(Stopped, match="2 of 6 cells are done"):
        run_grid(GRID, work, tmp_path, processes=0, settings={})
