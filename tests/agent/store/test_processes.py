"""agent/store with real processes: its database locked, made by many at once, killed in the middle of a step, and on a full disk."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from agent.store.store import Store
from prompts.errors import StoreError
from tests import processes
from tests.agent.store.written import image, simple_step, start

# Each process below starts with this: a run, and steps of eight images with four scores each.
PREAMBLE = """
import resource, sqlite3, sys
from tools.records import ImageRow, ScoreRow, StepRecord
from agent.store.store import Store
from prompts.errors import StoreError

def step(n, run):
    images = [ImageRow(sha256=f"{n * 8 + k:016x}" + "0" * 48, idx=k, path=f"images/{k}.png", prompt="a ring", seed=k,
                       model="bauhaus") for k in range(8)]
    scores = [ScoreRow(image=i.id, name=s, version="1", value=0.5) for i in images for s in "abcd"]
    return StepRecord(step=n, round=n, node="record", images=images, scores=scores)
"""


def run_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return processes.run_python(PREAMBLE + code, *arguments)


@pytest.mark.parametrize("new", [True, False])
def test_a_locked_database_is_reported(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "palate.db"
    if not new:
        Store(path).close()
    holder = run_python(
        "c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin exclusive')\n"
        "print('held', flush=True); sys.stdin.readline()",
        str(path),
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    try:
        with (
            pytest.raises(StoreError, match=r"locked by another process for 0\.1 s"),
            Store(path, busy_seconds=0.1) as s,
        ):
            start(s)
    finally:
        holder.kill()
        holder.communicate()
    with Store(path, busy_seconds=0.1) as store:
        assert start(store)


def test_many_processes_may_make_one_database_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "palate.db")
    code = "s = Store(sys.argv[1])\nfor n in range(5): s.new_run('b', {}, {}, n)"
    processes = [run_python(code, path) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [""] * 4
    with Store(path) as store:
        assert len(store.runs()) == 20


def test_a_kill_loses_no_step_that_was_acknowledged_and_leaves_none_half_written(tmp_path: Path) -> None:
    path = tmp_path / "palate.db"
    code = """
store = Store(sys.argv[1])
run = store.new_run("b", {}, {}, 1)
print(run, flush=True)
for n in range(10**6):
    s = step(n, run)
    store.add_step(run, s)
    store.add_ratings(run, n, [(image.id, 5) for image in s.images], "ann")
    print(n, flush=True)
"""
    for lines in (1, 4, 11):
        process = run_python(code, str(path))
        assert process.stdout
        run_id = process.stdout.readline().strip()
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0].split()
        acknowledged = lines + len(said) - (1 if said and len(said[-1]) < len(said[0]) else 0)
        with Store(path) as store:
            assert store._db.execute("pragma integrity_check").fetchall() == [("ok",)]
            assert store._db.execute("pragma foreign_key_check").fetchall() == []
            steps = store.steps(run_id)
            assert [row.step for row in steps] == list(range(len(steps))) and len(steps) >= acknowledged
            assert len(store.images(run_id)) == 8 * len(steps) and len(store.scores(run_id)) == 32 * len(steps)
            ratings = len(store.ratings(run_id))
            assert ratings % 8 == 0 and ratings >= 8 * acknowledged


def test_a_full_disk_keeps_what_was_written_and_says_so(tmp_path: Path) -> None:
    code = """
store = Store(sys.argv[1])
run = store.new_run("b", {}, {}, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
n = 0
try:
    while n < 1000:
        store.add_step(run, step(n, run))
        n += 1
except StoreError as error:
    print(run, n, str(error))
"""
    out, problems = run_python(code, str(tmp_path / "palate.db")).communicate()
    assert problems == "" and "could not be written" in out and "MiB free" in out and "make room" in out
    run_id, written = out.split()[:2]
    with Store(tmp_path / "palate.db") as store:
        assert len(store.steps(run_id)) == int(written) > 0
        assert len(store.images(run_id)) == 8 * int(written)
        assert store.add_step(run_id, simple_step(10_000, image(10**9)))
