"""benchmarks/campaign: every part can be carried out, counts what it tried, and would notice what it looks for."""

from __future__ import annotations

import importlib
import inspect
import random
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.store import Store
from benchmarks.campaign import __main__ as campaign
from benchmarks.campaign import kills, locks
from benchmarks.campaign.part import Part
from benchmarks.campaign.victims import a_step
from tests.agent.store.written import start

FEW = {"sql": len(locks.WRITES) + 40, "turns": 2, "shared": 2, "locked": 4, "full": 9}


def test_every_part_is_carried_out_alike() -> None:
    assert {"kills", "locks"} <= set(campaign.PARTS)
    for name in campaign.PARTS:
        module = importlib.import_module(f"benchmarks.campaign.{name}")
        assert list(inspect.signature(module.run).parameters) == ["seed", "quick"] and module.__doc__, name


def test_an_attempt_fails_by_its_answer_or_by_an_exception() -> None:
    part = Part("mine")
    part.attempt("well", lambda: "")
    part.attempt("badly", lambda: "it was lost")
    part.attempt("worse", lambda: str(1 // 0))
    assert (part.tried, len(part.failures)) == (3, 2)
    assert part.failures[0] == "badly: it was lost" and "worse: ZeroDivisionError" in part.failures[1]


@pytest.mark.parametrize(("words", "wrong", "kept"), [([], [], True), ([], ["a: b"], True), (["--quick"], [], False), (["--only", "kills"], [], False)])  # fmt: skip
def test_the_page_tells_what_was_tried_and_what_failed(
    words: list[str], wrong: list[str], kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """It is kept only where all was carried out in full."""
    monkeypatch.setattr(campaign, "ANSWER", tmp_path / "campaign.md")
    monkeypatch.setattr(
        campaign, "carried_out", lambda name, seed, quick: Part(name, 7, list(wrong), 1.0, f"of {name}")
    )
    monkeypatch.setattr(sys, "argv", ["campaign", *words])
    assert campaign.main() == (1 if wrong else 0)
    page = capsys.readouterr().out
    assert "| kills | 7 | " in page and ("- kills: a: b" in page if wrong else "Nothing." in page)
    assert (tmp_path / "campaign.md").is_file() is kept
    if kept:
        assert (tmp_path / "campaign.md").read_text().strip() == page.strip()


def test_an_unknown_part_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["campaign", "--only", "nonsense"])
    with pytest.raises(SystemExit):
        campaign.main()
    assert "unknown part 'nonsense'" in capsys.readouterr().err


def test_the_locks_hold_in_small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "ATTEMPTS", FEW)
    part = locks.run(seed=1, quick=False)
    assert part.failures == [] and part.tried > sum(FEW.values())


def test_the_small_writers_survive_a_few_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole runs are killed in tests/agent/loop/test_crash.py."""
    monkeypatch.setattr(kills, "STRIKES", {"steps": 6, "files": 6, "checkpoints": 3})
    part = Part("kills")
    kills.small_ones(part, tmp_path, seed=1, divided_by=1)
    assert part.failures == [] and part.tried == 15


def test_a_query_that_writes_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def writes(store: Store, sql: str) -> None:
        with closing(sqlite3.connect(store.path)) as raw:
            raw.executescript(sql)

    monkeypatch.setattr(Store, "query", writes)
    part = Part("locks")
    locks._sql(part, "first", tmp_path, random.Random(0))
    assert part.tried == 1 and part.failures == ["first: 'delete from runs': it changed the database"]


def test_a_step_that_is_lost_or_halved_would_be_noticed(tmp_path: Path) -> None:
    with Store(tmp_path / "palate.sqlite") as store:
        run = start(store)
        store.add_step(run, a_step(0))
        store.add_ratings(run, 0, [(image.id, 5) for image in store.images(run)], "ann")
    assert kills._steps(tmp_path, [run, "0"]) == ""
    assert "acknowledged 2 steps" in kills._steps(tmp_path, [run, "0", "1"])
    with closing(sqlite3.connect(tmp_path / "palate.sqlite")) as raw, raw:
        raw.execute("delete from scores where rowid = 1")
    assert "7 scores" in kills._steps(tmp_path, [run, "0"])
