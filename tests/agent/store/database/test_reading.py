"""agent/store/database/reading.py: records in homes where nothing can be written, and queries that can be stopped."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.stopping import stoppable
from agent.store.database.migrations import MIGRATIONS
from agent.store.store import Store
from prompts.errors import StoreError
from tests.places import ROOT

NOBODY = 65534
ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that anyone may enter, and the current one: pytest's own are closed to all but their owner."""
    folder = Path(tempfile.mkdtemp(prefix="palate-test-"))
    monkeypatch.chdir(folder)
    yield folder
    for one in (folder, *folder.rglob("*")):
        one.chmod(0o755)
    shutil.rmtree(folder)


@contextmanager
def unwritable(home: Path) -> Iterator[None]:
    """Nothing in `home` can be written: for whoever may write everything, as somebody else."""
    for one in (*home.rglob("*"), home):
        one.chmod(0o555 if one.is_dir() else 0o444)
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(PermissionError):
            (home / "anything").touch()
        yield
    finally:
        os.seteuid(before)


def filled(home: Path) -> str:
    with Store(home / "palate.sqlite") as store:
        return store.new_run("a brief", {}, {}, 0)


def waiting(home: Path) -> str:
    """As `filled`, by a process that was killed before its log was written into the database."""
    code = "import os, sys; from agent.store.store import Store; print(Store(sys.argv[1]).new_run('a brief', {}, {}, 0), flush=True); os._exit(9)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(home / "palate.sqlite")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (home / "palate.sqlite-wal").stat().st_size > 0
    return done.stdout.strip()


def old(home: Path) -> str:
    """As `filled`, of the version before this one."""
    with sqlite3.connect(home / "palate.sqlite") as database:
        for statement in (one for migration in MIGRATIONS[:-1] for one in migration):
            database.execute(statement)
        database.execute(f"pragma user_version = {len(MIGRATIONS) - 1}")
        database.execute(
            "insert into runs values ('old', '2026-01-01T00:00:00Z', 'a brief', '{}', '{}', 0, 'done', null, null)"
        )
    database.close()
    return "old"


@pytest.mark.parametrize("made", [filled, waiting, old])
@pytest.mark.parametrize(
    "words",
    [["logs", "list"], ["logs", "show", "last"], ["replay", "last"], ["logs", "query", "select id, brief from runs"]],
)
def test_a_home_that_cannot_be_written_is_read(
    made: Callable[[Path], str], words: list[str], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(home)
    there = {path.name: path.read_bytes() for path in home.iterdir()}
    shutil.copytree(home, tmp_path / "writable")
    assert main(["--home", str(tmp_path / "writable"), *words, "--json"]) == 0  # and all that it needs is imported
    before = capsys.readouterr().out
    with unwritable(home):
        assert main(["--home", str(home), *words, "--json"]) == 0
    said = capsys.readouterr().out
    assert said == before and run in said and "a brief" in said
    assert {path.name: path.read_bytes() for path in home.iterdir()} == there


def test_what_would_write_is_refused_there(home: Path) -> None:
    run = filled(home)
    with unwritable(home):
        with pytest.raises(StoreError, match="cannot be opened for writing"):
            Store(home / "palate.sqlite")
        with Store(home / "palate.sqlite", reading=True) as store, pytest.raises(StoreError, match="writing"):
            store.finish_run(run)


@pytest.mark.parametrize("made", [filled, waiting, old])
def test_reading_leaves_nothing_in_the_temporary_folder(
    made: Callable[[Path], str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(home)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with unwritable(home), Store(home / "palate.sqlite", reading=True) as store:
            assert store.find("last").brief == "a brief"
        assert list(Path(folder).iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_endless_query_heeds_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    filled(tmp_path)
    late = threading.Timer(0.3, lambda: os.kill(os.getpid(), number))
    with Store(tmp_path / "palate.sqlite") as store, stoppable() as names:
        late.start()
        with pytest.raises(KeyboardInterrupt, match=number.name):
            store.query(ENDLESS)
    assert names == [number.name]


def test_the_command_of_an_endless_query_ends_in_order(tmp_path: Path) -> None:
    filled(tmp_path)
    command = [sys.executable, "-m", "agent.cli.main", "--home", str(tmp_path), "logs", "query", ENDLESS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(4)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "") and err.startswith("palate: Stopped by SIGTERM.")


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("select 1 as a, 2 as a", {"a": 1, "a (2)": 2}),
        ("select 1 as a, 2 as a, 3 as a", {"a": 1, "a (2)": 2, "a (3)": 3}),
        ("select 1 as a, 2 as 'a (2)', 3 as a", {"a": 1, "a (2)": 2, "a (3)": 3}),
        ("select 3 as a, 1 as a, 2 as 'a (2)'", {"a": 3, "a (3)": 1, "a (2)": 2}),
    ],
)
def test_each_column_of_a_name_is_shown(sql: str, row: dict[str, int], tmp_path: Path) -> None:
    with Store(tmp_path / "palate.sqlite") as store:
        assert store.query(sql) == [row]


def test_the_last_run_is_the_one_begun_last_whatever_the_clock_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "palate.sqlite") as store:
        first = store.new_run("", {}, {}, 0)
        monkeypatch.setattr("agent.store.store.now", lambda: "2001-01-01T00:00:00.000000Z")
        last = store.new_run("", {}, {}, 0)
        assert store.find("last").id == last and [run.id for run in store.runs()] == [last, first]
