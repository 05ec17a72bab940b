"""tools/jobs/watch.py: a job in a process of its own reports, survives being killed, and never outlives its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from prompts.errors import InputError
from tests.places import ROOT
from tests.processes import lives
from tools.jobs.watch import State, alone, read_state, run_job


def killed(sign: signal.Signals, after: int, times: int = 1) -> Any:
    """A watcher that sends `sign` to the job once `after` steps are done, so many times, to another process each time."""
    struck: set[int] = set()

    def on_state(state: State) -> None:
        if state["state"] == "running" and state["step"] >= after and len(struck | {state["pid"]}) <= times:
            struck.add(state["pid"])
            os.kill(state["pid"], sign)

    return on_state


def wait_for(what: Any, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def test_a_job_that_is_killed_twice_is_reported_and_continues_when_run_again(
    dpo: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    state = run_job(dpo, folder, on_state=killed(signal.SIGKILL, 3, times=2), threads=1, poll=0.02)
    assert state["state"] == "failed" and "SIGKILL" in state["error"] and "of 20" in state["error"]
    assert state["passing"] and "SIGKILL" in state["retried"]
    assert read_state(folder) == state
    assert not lives(state["pid"])
    saved = max(int(path.name.split("-")[1]) for path in (tmp_path / "out").glob("checkpoint-*"))

    seen: list[State] = []
    state = run_job(dpo, folder, on_state=seen.append, threads=1, poll=0.02)
    assert state["state"] == "done" and state["error"] is None and state["step"] == state["total"] == 20
    assert min(one["step"] for one in seen if one["step"]) > saved
    assert state["adapter"]["path"] == dpo["out"] and len(state["adapter"]["sha256"]) == 64
    assert state["loss"] > 0 and state["losses"]["accuracy"] >= 0
    assert len((tmp_path / "out" / "losses.jsonl").read_text().splitlines()) == 20


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, pytest.param(signal.SIGSEGV, marks=pytest.mark.slow)])
def test_a_job_that_is_taken_away_once_goes_on_by_itself(
    sign: signal.Signals, dpo: dict[str, Any], tmp_path: Path
) -> None:
    """SIGTERM is what guards against too little memory send first; who wants it to end stops the one who waits."""
    seen: list[State] = []
    strike = killed(sign, 3)
    state = run_job(
        dpo, tmp_path / "job", on_state=lambda one: (seen.append(one), strike(one))[1], threads=1, poll=0.02
    )
    assert state["state"] == "done" and state["step"] == 20 and state["retried"], state["error"]
    first, second = dict.fromkeys(one["pid"] for one in seen if one["pid"])
    saved = max(one["step"] for one in seen if one["pid"] == first)
    assert min(one["step"] for one in seen if one["pid"] == second and one["step"]) >= saved - 1
    assert "tried once more" in (tmp_path / "job" / "job.log").read_text()
    assert len((tmp_path / "out" / "losses.jsonl").read_text().splitlines()) == 20


def test_a_job_stops_with_a_checkpoint_when_its_parent_dies(dpo: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "job"
    dpo["config"]["steps"] = 5000
    code = (
        "import json, sys; from tools.jobs.watch import run_job; run_job(json.load(sys.stdin), sys.argv[1], threads=1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    assert parent.stdin is not None
    try:
        parent.stdin.write(json.dumps(dpo))
        parent.stdin.close()
        wait_for(lambda: read_state(folder)["step"] >= 3)
        pid = read_state(folder)["pid"]
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not lives(pid))
    state = read_state(folder)
    assert state["state"] == "failed" and state["error"].startswith("stopped after step")
    assert (tmp_path / "out" / f"checkpoint-{state['step']}").is_dir()


def test_a_job_that_takes_too_long_is_ended(dpo: dict[str, Any], tmp_path: Path) -> None:
    state = run_job(dpo, tmp_path / "job", timeout=0.3)
    assert state["state"] == "failed" and "took longer than its 0.3 s" in state["error"]


def test_a_job_without_a_sign_of_life_is_ended(dpo: dict[str, Any], tmp_path: Path) -> None:
    state = run_job(dpo, tmp_path / "job", stale_after=0.0)
    assert state["state"] == "failed" and "no sign of life" in state["error"] and "no sign of life" in state["retried"]


def acting(monkeypatch: pytest.MonkeyPatch, *codes: str) -> list[str]:
    """In place of jobs, quick ones: the code of each start, in turn, with `folder` and `put` at hand. Those still to come."""
    left = list(codes)
    head = (
        "import json, os, sys, time, signal; folder = sys.argv[1]\n"
        "def put(**state):\n"
        "    open(folder + '/new', 'w').write(json.dumps({'pid': os.getpid(), **state}))\n"
        "    os.replace(folder + '/new', folder + '/state.json')\n"
    )

    def start(folder: Path, _threads: Any, log: Any, _processes: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", head + left.pop(0), str(folder)]
        return subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    monkeypatch.setattr("tools.jobs.watch._start", start)
    return left


FULL = "put(state='failed', error='no room'); sys.exit(75)"
WRONG = "put(state='failed', error='rank = -1'); sys.exit(1)"
GOOD = "put(state='done')"
MUTE_FULL = "put(state='running', step=3, total=9); sys.exit(75)"  # not even its state could be written


@pytest.mark.parametrize("first", [FULL, MUTE_FULL, "os.kill(os.getpid(), 9)", "sys.exit(137)", "os.abort()"])
def test_a_fault_that_passes_is_tried_once_more(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = acting(monkeypatch, first, GOOD)
    state = run_job({"out": str(tmp_path / "out")}, tmp_path, poll=0.02)
    assert state["state"] == "done" and not left


def test_no_fault_is_tried_a_third_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = acting(monkeypatch, FULL, FULL, GOOD)
    state = run_job({"out": str(tmp_path / "out")}, tmp_path, poll=0.02)
    assert state["state"] == "failed" and state["passing"] and left == [GOOD]


@pytest.mark.parametrize("first", [WRONG, "sys.exit(1)", "sys.exit(3)", "raise ImportError"])
def test_a_fault_that_lasts_is_not_tried_again(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = acting(monkeypatch, first, GOOD)
    state = run_job({"out": str(tmp_path / "out")}, tmp_path, poll=0.02)
    assert state["state"] == "failed" and not state["passing"] and left == [GOOD]


def test_both_tries_share_the_time_that_a_job_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = acting(monkeypatch, "time.sleep(0.6); " + FULL, "time.sleep(60)", GOOD)
    state = run_job({"out": str(tmp_path / "out")}, tmp_path, poll=0.02, timeout=2.0)
    assert "longer than its 2 s" in state["error"] and not state["passing"] and left == [GOOD]


SPEAKS = "for n in range(20): put(state='running', step=n, heartbeat=0.0); time.sleep(0.1)\n" + GOOD


@pytest.mark.parametrize("jump", [700.0, -700.0, 1e9])
def test_a_clock_that_is_set_ends_no_job(jump: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the job and of the one who waits."""
    acting(monkeypatch, SPEAKS)
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + jump)
    assert run_job({"out": str(tmp_path / "out")}, tmp_path, poll=0.02, stale_after=1.5)["state"] == "done"


def test_a_pause_of_the_one_who_waits_ends_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that was closed, a terminal's Ctrl-Z: the job slept, too."""
    acting(monkeypatch, "put(state='running', step=1); time.sleep(4.5); " + GOOD)
    slept: list[float] = []

    def sleeps(state: State) -> None:
        if state["step"] == 1 and not slept:
            slept.append(3.0)
            time.sleep(slept[0])

    state = run_job({"out": str(tmp_path / "out")}, tmp_path, on_state=sleeps, poll=0.02, stale_after=2.9)
    assert state["state"] == "done" and state["retried"] is None and slept


def test_what_outlives_the_first_of_a_group_is_ended_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children hold the folder's lock, and memory that the next try needs."""
    leaves_one = "p = os.fork()\nif p == 0: time.sleep(60)\nput(state='running', step=p); os.kill(os.getpid(), 9)"
    acting(monkeypatch, leaves_one, GOOD)
    seen: list[int] = []
    state = run_job({"out": str(tmp_path / "out")}, tmp_path, on_state=lambda one: seen.append(one["step"]), poll=0.02)
    assert state["state"] == "done" and not any(lives(pid) for pid in seen if pid)


def test_two_jobs_never_share_a_folder(dpo: dict[str, Any], tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(InputError, match="another process"):
        run_job(dpo, tmp_path)
