"""tools/jobs/cores.py with real processes that keep cores busy, and quotas and counters written by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools.jobs import cores
from tools.jobs.cores import ASLEEP, free_cores, free_threads, sharing, wait_asleep

LOAD = "import torch, os; print(torch.get_num_threads(), *(os.environ[name] for name in {names!r}))"


def busy(monkeypatch: pytest.MonkeyPatch, *idle: float) -> None:
    """Cores that are idle for these shares of the time."""
    monkeypatch.setattr(cores, "_allowed", lambda: range(len(idle)))
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(cores.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(cores.time, "sleep", lambda seconds: setattr(clock, "now", clock.now + seconds))
    monkeypatch.setattr(cores, "_idle", lambda: [100.0 + share * clock.now for share in idle])
    monkeypatch.setattr(cores, "QUOTA", Path("/nowhere"))


@pytest.mark.parametrize(
    ("idle", "free"),
    [
        ((1, 1), 2),
        ((1, 0), 1),
        ((0, 0), 1),
        ((0.9, 0.8), 2),
        ((0.7, 0.6), 1),
        ((1, 1, 0, 0.1), 2),
        ((1,) * 16, 16),
        ((0.4,), 1),
    ],
)
def test_as_many_cores_are_free_as_have_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, idle: tuple[float, ...], free: int
) -> None:
    busy(monkeypatch, *idle)
    assert free_cores() == free


def test_work_beside_us_takes_cores_away() -> None:
    """Real work on every core that we may use."""
    count = "import time; began = time.monotonic()\nwhile time.monotonic() - began < 20: pass"
    children = [subprocess.Popen([sys.executable, "-c", count]) for _ in range(2 * cores.cores())]
    try:
        assert free_cores(1.0) == 1
    finally:
        for child in children:
            child.kill()
            child.wait()


@pytest.mark.parametrize(
    ("quota", "here"),
    [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8), ("nonsense", 8), ("1 0", 8)],
)
def test_a_containers_share_of_the_cores_is_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, here: int
) -> None:
    monkeypatch.setattr(cores, "_allowed", lambda: range(8))
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert cores.cores(tmp_path / "cpu.max") == here
    assert cores.cores(tmp_path / "none") == 8


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("4,2", 4), ("", 1), ("many", 1), ("0", 1), ("-1", 1)])
def test_who_sets_the_number_of_threads_has_decided(monkeypatch: pytest.MonkeyPatch, asked: str, threads: int) -> None:
    busy(monkeypatch, 0, 0)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert free_threads() == threads


def test_torch_gets_the_free_threads_and_then_its_own_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for idle, expected in (((0, 0, 0), 1), ((1, 1, 1), 2)):  # never more than by itself
            busy(monkeypatch, *idle)
            with sharing() as threads:
                assert threads == torch.get_num_threads() == expected
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("recorded", "threads"), [("2", 2), (1, 1), ("3", 3), ("64", 1), (None, 1), ("unknown", 1), ("0", 1)]
)
def test_a_run_goes_on_with_the_threads_that_it_began_with(
    monkeypatch: pytest.MonkeyPatch, recorded: Any, threads: int
) -> None:
    """Where there are cores for them: a sum over other threads may differ in its last bit, and the record says how many there were."""
    import torch

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    busy(monkeypatch, 0, 0, 0)
    before = torch.get_num_threads()
    with sharing(recorded) as given:
        assert given == torch.get_num_threads() == threads
    assert torch.get_num_threads() == before


def test_threads_wait_asleep_unless_somebody_said_otherwise() -> None:
    environment = {"OMP_WAIT_POLICY": "ACTIVE"}
    wait_asleep(environment)
    assert environment == ASLEEP | {"OMP_WAIT_POLICY": "ACTIVE"}


def test_a_command_has_said_so_before_torch_is_there() -> None:
    """In a process of its own: OpenMP reads its environment once, when torch loads it."""
    code = f"""import sys
from agent.cli import main
real = main.make_parser
def parser():
    found = real()
    def command(chosen):
        assert "torch" not in sys.modules and "numpy" not in sys.modules
        {LOAD.format(names=list(ASLEEP))}
    found.parse_args = lambda arguments: __import__("types").SimpleNamespace(command=command, home=__import__("pathlib").Path("nowhere"))
    return found
main.make_parser = parser
sys.exit(main.main([]))"""
    env = {name: value for name, value in os.environ.items() if name not in ASLEEP} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", *ASLEEP.values()]
