"""agent/store/database/rows.py: a damaged row costs one row, which is named, in every command that reads."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.cli.main import main
from agent.store.store import Store
from prompts.errors import StoreError
from tests.agent.invented_run import invent

COMMANDS = [
    ["logs", "list"], ["logs", "list", "--json"], ["logs", "show", "last"], ["logs", "show", "last", "--json"],
    ["logs", "show", "last", "--step", "4"], ["replay", "last"], ["replay", "last", "--json"], ["logs", "query", "select * from run_summary"],
    ["logs", "query", "select * from ledger", "--json"], ["logs", "query", "select * from lineage"],
]  # fmt: skip
BROKEN = [
    "x'7b'",
    "x'ff'",
    "'[1'",
    "'[]'",
    "'null'",
    "'{\"a\": NaN}'",
    "'7'",
    "''",
    "'\"\\ud800\"'",
    f"'{'[' * 5000}'",
    "x'7b22ff223a317d'",
]


def broken(home: Path, table: str, column: str, value: str, row: int = 1) -> None:
    connection = sqlite3.connect(home / "palate.sqlite")
    connection.execute("pragma ignore_check_constraints = on")
    connection.execute(f"update {table} set {column} = cast({value} as text) where rowid = ?", [row])
    connection.commit()
    connection.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with Store(tmp_path / "palate.sqlite") as store:
        invent(store, tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], home: Path, *command: str) -> tuple[int, str, str]:
    code = main(["--home", str(home), *command])
    out, err = capsys.readouterr()
    return code, out, err


JSON = [
    ("steps", "args"), ("steps", "result"), ("steps", "seconds_by_part"), ("images", "adapters"), ("images", "sampler"),
    ("preferences", "metrics"), ("adapters", "config"), ("adapters", "metrics"), ("llm_calls", "request"), ("llm_calls", "response"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column"), JSON)
def test_reading_goes_on_whatever_a_json_column_holds(
    home: Path, table: str, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in BROKEN:
        broken(home, table, column, value)
        for command in (["logs", "list", "--json"], ["logs", "show", "last", "--json"], ["replay", "last", "--json"]):
            code, out, err = said(capsys, home, *command)
            assert code == 0, (value, err)
            document = json.loads(out)
            if command[1] == "show":
                assert len(document["steps"]) >= 13 and len(document["images"]) >= 23
                assert "cannot be read" in err or len(document["steps"]) == 14


def test_the_row_that_is_left_out_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken(home, "steps", "args", "'{'", row=3)
    with Store(home / "palate.sqlite") as store:
        run = store.runs()[0].id
    code, out, err = said(capsys, home, "logs", "show", "last", "--json")
    assert code == 0 and [step["step"] for step in json.loads(out)["steps"]] == [1, 2, *range(4, 15)]
    assert f"palate: left out: step 3 of run {run} cannot be read (Expecting property name" in err
    code, out, err = said(capsys, home, "logs", "show", "last", "--step", "3")
    assert code == 1 and f"step 3 of run {run}" in err and "cannot be read" in err


def test_a_run_whose_own_row_is_damaged_is_named_and_the_others_are_listed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(home / "palate.sqlite") as store:
        other = invent(store, home, rounds=1, rated=False)
        first = store.runs()[-1].id
    broken(home, "runs", "config", "x'7bff'")
    code, out, err = said(capsys, home, "logs", "list", "--json")
    assert code == 0 and [one["run"] for one in json.loads(out)] == [other]
    assert f"the row of run {first} cannot be read" in err
    code, _, err = said(capsys, home, "logs", "show", first)
    assert code == 1 and f"the row of run {first}" in err and "cannot be read" in err


def test_a_view_survives_a_damaged_row(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for table, column in (("images", "adapters"), ("images", "sampler"), ("answers", "shown")):
        broken(home, table, column, "'{'")
    for view in ("run_summary", "ledger", "lineage", "best_images", "current_comparisons"):
        code, out, err = said(capsys, home, "logs", "query", f"select * from {view}", "--json")
        assert code == 0 and (json.loads(out) or view == "current_comparisons"), err


COLUMNS = [
    (table, name)
    for table, names in {
        "steps": ["node", "tool", "args", "result", "error", "planner", "started", "seconds_by_part"],
        "images": ["sha256", "path", "prompt", "model", "adapters", "sampler"], "scores": ["name", "version", "image"],
        "ratings": ["rater", "created", "superseded", "image"], "preferences": ["kind", "metrics", "path"],
        "adapters": ["kind", "base", "path", "config", "metrics", "parent"], "llm_calls": ["purpose", "model", "request", "response", "problem"],
        "messages": ["role", "content"], "runs": ["brief", "config", "versions", "created", "state"], "pairs": ["prompt"],
    }.items()
    for name in names
]  # fmt: skip


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(where=st.sampled_from(COLUMNS), row=st.integers(1, 3), place=st.integers(0, 400), bit=st.integers(0, 7))
def test_a_bit_flipped_anywhere_ends_no_command_in_a_traceback(
    home: Path, capsys: pytest.CaptureFixture[str], where: Any, row: int, place: int, bit: int
) -> None:
    table, column = where
    connection = sqlite3.connect(home / "palate.sqlite", isolation_level=None)
    connection.execute("pragma ignore_check_constraints = on")
    found = connection.execute(f"select cast({column} as blob) from {table} where rowid = ?", [row]).fetchone()
    if found and found[0]:
        data = bytearray(found[0])
        data[place % len(data)] ^= 1 << bit
        try:
            connection.execute(f"update {table} set {column} = cast(? as text) where rowid = ?", [bytes(data), row])
            for command in COMMANDS:
                code, _, err = said(capsys, home, *command)
                assert code == 0 or (table in ("runs", "steps") and "cannot be read" in err), (command, err)
        finally:
            connection.execute(f"update {table} set {column} = cast(? as text) where rowid = ?", [found[0], row])
    connection.close()


def test_a_run_is_not_found_damaged_where_it_is_not_there(home: Path) -> None:
    broken(home, "runs", "config", "'{'")
    with Store(home / "palate.sqlite") as store, pytest.raises(StoreError, match="cannot be read"):
        store.find("last")
