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


def killed(sign: signal.Signals, after: int) -> Any:
    """A watcher that sends `sign` to the job once `after` steps are done."""

    def on_state(state: State) -> None:
        if state["state"] == "running" and state["step"] >= after:
            os.kill(state["pid"], sign)

    return on_state


def wait_for(what: Any, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def test_a_killed_job_is_reported_and_continues_when_run_again(dpo: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "job"
    state = run_job(dpo, folder, on_state=killed(signal.SIGKILL, 3), threads=1, poll=0.02)
    assert state["state"] == "failed" and "SIGKILL" in state["error"] and "of 20" in state["error"]
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
    assert state["state"] == "failed" and "no sign of life" in state["error"]


def test_two_jobs_never_share_a_folder(dpo: dict[str, Any], tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(InputError, match="another process"):
        run_job(dpo, tmp_path)
