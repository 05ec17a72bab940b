"""tools/jobs/together.py: several processes are one to whoever waits, and nobody else hears them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import gone
from tools.jobs import together
from tools.jobs.watch import State, run_job

LEAVES, STAYS, WELL = "raise SystemExit(1)", "import time; time.sleep(60)", ""
DIES = "import os; os.kill(os.getpid(), 9)"


def started(*codes: str) -> list[subprocess.Popen[bytes]]:
    return [subprocess.Popen([sys.executable, "-c", code]) for code in codes]


@pytest.mark.parametrize(
    ("codes", "status"),
    [((WELL, WELL), 0), ((LEAVES, STAYS), 1), ((STAYS, LEAVES), 1), ((STAYS, DIES), 137), ((LEAVES, DIES), 137)],
)
def test_when_one_ends_wrongly_so_do_all_and_the_worst_is_told(
    codes: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "_ALONE_S", 1.0)
    ours = started(*codes)
    assert together._waited(ours) == status
    together._ended(ours)
    assert all(gone(one.pid, 0.0) for one in ours)


def test_who_does_not_leave_when_asked_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_GRACE_S", 0.5)
    deaf = started("import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)")
    time.sleep(0.5)
    together._ended(deaf)
    assert deaf[0].returncode is not None and deaf[0].returncode < 0


def test_one_whose_parent_is_gone_already_does_not_begin() -> None:
    assert together.leaves_with(None) and together.leaves_with("")
    code = "import sys; from tools.jobs.together import leaves_with; sys.exit(leaves_with(sys.argv[1]))"
    assert subprocess.run([sys.executable, "-c", code, str(os.getpid() + 10**6)], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_one_of_two_that_is_killed_costs_no_adapter(rank: int, dpo: dict[str, Any], tmp_path: Path) -> None:
    """Rank 0 is the one that tells of itself."""
    import psutil

    struck: list[int] = []

    def strike(state: State) -> None:
        if state["step"] >= 3 and not struck:
            launcher = psutil.Process(state["pid"]).parent()
            assert launcher is not None
            struck.append([one.pid for one in launcher.children()][rank])
            os.kill(struck[0], signal.SIGKILL)

    values = {**dpo, "dataset": dpo["dataset"] * 2, "config": {**dpo["config"], "batch_size": 2}, "processes": 2}
    state = run_job(values, tmp_path / "job", on_state=strike, threads=1, poll=0.02)
    assert struck and state["state"] == "done" and "SIGKILL" in state["retried"], state["error"]
    assert gone(struck[0], 0.0) and not (tmp_path / "job" / ".meeting").exists()
