"""agent/loop/session.py under real signals: the run stops, says so in one line, and can be resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config import Config
from agent.stopping import Stopped
from agent.store.home import open_store
from agent.store.store import Store
from tests.agent.fast import SHORT, Begin, Struck, crew_of, once, resumed, stopped_when, told
from tools.context import Studio


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_stops_a_run_that_can_be_resumed(
    begin: Begin, uninterrupted: list[Any], number: signal.Signals
) -> None:
    run, before = begin(), signal.getsignal(signal.SIGTERM)
    run.crew.on_progress = lambda *_: os.kill(os.getpid(), number)
    with pytest.raises(Stopped, match=number.name):
        run.drive()
    assert run.store.run(run.run_id).state == "stopped" and signal.getsignal(signal.SIGTERM) == before
    assert told(resumed(run)) == uninterrupted


def test_a_signal_is_not_taken_for_a_language_model_that_does_not_answer(begin: Begin) -> None:
    class Waiting:
        def choose_tool(self, *_: Any, **__: Any) -> Any:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            except Exception as error:  # as the openai package does: everything becomes a lost connection
                raise Struck("swallowed") from error

    run = begin([])
    run.crew.llm = Waiting()
    with pytest.raises(Stopped):
        run.drive()


def test_a_signal_that_python_drops_still_stops_the_run(begin: Begin, uninterrupted: list[Any]) -> None:
    class Struck:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)  # what its handler raises is lost here

    run, struck = begin(), [Struck()]
    run.crew.on_progress = lambda *_: struck.clear()
    with pytest.raises(Stopped, match="SIGINT"):
        run.drive()
    assert told(resumed(run)) == uninterrupted


# Both signals also stop a run in this process, above, and a command that waits for its server, in test_stopping.py.
@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGINT], ids=lambda number: number.name
)
def test_a_signal_to_the_command_leaves_one_line_and_a_run_that_can_be_resumed(
    tmp_path: Path, bundle: dict[str, str], number: signal.Signals, configured: Callable[..., Config], models: Studio
) -> None:
    home, file = tmp_path / "home", tmp_path / "run.yaml"
    config = configured(**{**SHORT, "rounds": 40})
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = [sys.executable, "-m", "agent.cli.main", "--home", str(home), "run", str(file), "--json"]
    _, err = stopped_when(
        lambda process: wait_for_steps(home / "palate.sqlite", 2, process), command, number, seconds=120
    )
    assert err.splitlines()[-1].startswith("palate: ") and number.name in err.splitlines()[-1]
    with open_store(home) as store:
        (row,) = store.runs()
        assert row.state == "stopped"
        steps = len(store.steps(row.id))
        run = crew_of(config, home, store, row.id, models)
        run.crew.on_step = once(run.crew.on_step, Stopped("far enough"), after=False)
        with pytest.raises(Stopped, match="far enough"):
            run.drive()
        assert [step.step for step in run.steps] == list(range(1, steps + 2))


def wait_for_steps(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        if path.exists():
            with Store(path) as store:
                if any(len(store.steps(run.id)) >= count for run in store.runs()):
                    return
        time.sleep(0.2)
    pytest.fail("waited in vain")
