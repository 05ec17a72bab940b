"""`palate bench` with a tiny bench in place of a real one: what it leaves behind, how it goes on, how it fails."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from agent.bench.cli import BENCHES, given, numbers_in
from agent.cli.main import main
from prompts.errors import InputError


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHES, "search", "tests.agent.bench.tiny_bench")


def bench(home: Path, *words: str, processes: int = 0) -> int:
    return main(["--home", str(home), "bench", "search", "--processes", str(processes), *words])


def test_a_bench_leaves_tables_csv_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(tmp_path, "--raters", "0-2", "--seeds", "2", "--json", processes=2) == 0
    found, out = json.loads(capsys.readouterr().out), tmp_path / "bench" / "search"
    assert found["cells"] == 12 and found["out"] == str(out) and found == json.loads((out / "report.json").read_text())
    assert sorted(found["files"]) == ["cells.csv", "report.md", "table-1-scores-tiny.csv", "tiny.png"]
    assert all((out / name).stat().st_size for name in found["files"])
    assert found["tables"][0]["rows"][1] == {
        "strategy": "high", "score": {"mean": 11.0, "low": pytest.approx(8.516, abs=1e-3), "high": pytest.approx(13.484, abs=1e-3), "n": 3}, "n": 3,
    }  # fmt: skip
    rows = list(csv.DictReader((out / "cells.csv").read_text().splitlines()))
    assert len(rows) == 12 and rows[-1] == {"strategy": "high", "rater": "2", "seed": "1", "score": "12"}
    assert "| high     | 11.00 [8.516, 13.48]" in (out / "report.md").read_text()


def test_it_goes_on_with_more_and_refuses_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(tmp_path, "--raters", "0", "--seeds", "1") == 0
    assert bench(tmp_path, "--raters", "0-1", "--seeds", "1") == 0
    assert len((tmp_path / "bench" / "search" / "cells.jsonl").read_text().splitlines()) == 4
    assert bench(tmp_path, "--raters", "0-1", "--set", "steps=4") == 1
    assert "its steps was 3, now 4: give another --out" in capsys.readouterr().err


def test_a_failing_cell_is_told_after_the_tables_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(tmp_path, "--strategies", "broken", "--raters", "0-2", "--seeds", "1") == 1
    told = capsys.readouterr()
    assert "Scores, tiny" in told.out and "1 of 3 cells failed" in told.err and "broken on purpose" in told.err


def test_a_bench_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(BENCHES, "search", "agent.bench.nowhere")
    assert main(["bench", "search"]) == 1
    assert "the bench 'search' is not part of this installation" in capsys.readouterr().err


def test_raters_are_read_and_those_that_taught_are_refused() -> None:
    assert numbers_in("0-2, 7,1") == (0, 1, 2, 7)
    for wrong in ("", "3-1", "a", "-1"):
        with pytest.raises(InputError, match="give numbers and ranges"):
            numbers_in(wrong)
    with pytest.raises(InputError, match="may have been learnt from"):
        numbers_in("0-10000")


def test_what_is_set_is_known() -> None:
    assert given(["steps=4", "odd=false"], {"steps": 3, "odd": True}) == {"steps": 4, "odd": False}
    assert given(["name=plain text"], {"name": ""}) == {"name": "plain text"}
    with pytest.raises(InputError, match=r"unknown key 'step'; did you mean 'steps'\?"):
        given(["step=4"], {"steps": 3})


@pytest.mark.parametrize("value", ["many", "true", "3.5", "9" * 5000, "[" * 100_000, "NaN", "[3]", "null", ""])
def test_a_setting_of_another_kind_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="steps must be of the kind of 3"):
        given([f"steps={value}"], {"steps": 3})


def test_what_is_text_stays_text() -> None:
    assert given(["name=3", "by=null"], {"name": "", "by": None}) == {"name": "3", "by": None}
    assert given(["ratings=[5, 10]", 'name="x"'], {"ratings": [3], "name": ""}) == {"ratings": [5, 10], "name": "x"}
    with pytest.raises(InputError, match="ratings must be"):
        given(['ratings=[5, "10"]'], {"ratings": [3]})


@pytest.mark.parametrize(("words", "why"), [(["--seeds", "0"], "--seeds 0"), (["--data", "nowhere"], "is no folder")])
def test_flags_that_make_no_sense_are_refused(
    tmp_path: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(tmp_path, *words) == 1
    assert why in capsys.readouterr().err
