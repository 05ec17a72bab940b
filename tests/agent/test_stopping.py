"""agent/stopping.py and the whole command around it: a signal at any moment ends in one sentence, with the state true."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.cli.main import main
from agent.config import Config
from agent.loop.session import alone, answered_for
from agent.stopping import Stopped, stoppable
from agent.store.home import open_store
from agent.store.store import Store
from prompts.errors import InputError
from tests.agent.fast import Started, stopped_when
from tests.agent.stand_in import TELLS_AND_HANGS, told_pid
from tests.processes import gone, lives

BOTH = (signal.SIGTERM, signal.SIGINT)
# The command with a server that never gets ready; Ctrl-C is ignored, as in a script's background.
COMMAND = """
import signal, sys
from agent.cli.main import main
from agent.llm.vllm_server import VllmServer
signal.signal(signal.SIGINT, signal.SIG_IGN)
VllmServer.command = lambda self: [sys.executable, "-c", sys.argv[1]]
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def handlers() -> Any:
    """The handlers of both signals, which must be the same afterwards."""
    before = [signal.getsignal(number) for number in BOTH]
    yield before
    assert [signal.getsignal(number) for number in BOTH] == before


def send(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", BOTH, ids=lambda number: number.name)
def test_a_signal_becomes_one_error_that_says_how_to_go_on(handlers: Any, number: signal.Signals) -> None:
    with pytest.raises(Stopped, match=rf"{number.name}.*palate resume.*palate chat --resume"), stoppable():
        send(number)


def test_one_inside_another_leaves_the_outer_one_listening(handlers: Any) -> None:
    with stoppable() as outer:
        with stoppable() as inner:
            assert inner is outer
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            send()
        assert outer == ["SIGTERM"]
    with pytest.raises(Stopped, match="SIGINT"), stoppable(), stoppable():
        send(signal.SIGINT)


def test_a_signal_that_was_dropped_before_the_inner_one_began_is_known_there(handlers: Any) -> None:
    class Struck:
        def __del__(self) -> None:
            send()  # what its handler raises is lost here, and must not be printed either: the tests would fail

    struck = [Struck()]
    with stoppable():
        struck.clear()
        with stoppable() as came:
            assert came == ["SIGTERM"]


@contextmanager
def leaving(do: Callable[[], None]) -> Iterator[None]:
    """Does something on the way out."""
    try:
        yield
    finally:
        do()


def test_a_signal_that_comes_twice_does_not_strike_those_who_leave(handlers: Any) -> None:
    left: list[str] = []
    with pytest.raises(Stopped), stoppable(), leaving(lambda: left.append("in order")), leaving(send):
        send()
    assert left == ["in order"]


def test_somebody_who_insists_is_heard(handlers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.stopping.ECHO", 0.0)
    with pytest.raises(Stopped, match="SIGINT"), stoppable(), leaving(lambda: send(signal.SIGINT)):
        send()


@pytest.fixture
def new(tmp_path: Path) -> Any:
    """A store with a run that has begun."""
    with open_store(tmp_path) as store:
        yield store, store.new_run("", {"rater": 0}, {}, 0)


@pytest.mark.parametrize(("error", "state"), [(KeyboardInterrupt("SIGTERM"), "stopped"), (InputError("no"), "failed")])
def test_what_ends_a_command_around_a_run_is_told_in_its_state(
    new: tuple[Store, str], error: BaseException, state: str
) -> None:
    store, run_id = new
    with pytest.raises((Stopped, InputError)), answered_for(store, run_id):
        raise error
    assert store.run(run_id).state == state


def test_a_run_that_another_process_drives_keeps_its_state(new: tuple[Store, str]) -> None:
    store, run_id = new
    folder = store.path.parent / "runs" / run_id
    with alone(folder), pytest.raises(InputError, match="another process"), answered_for(store, run_id), alone(folder):
        pass
    assert store.run(run_id).state == "running"


@pytest.mark.parametrize("number", BOTH, ids=lambda number: number.name)
def test_a_signal_while_the_server_starts_leaves_one_line_a_true_state_and_no_server(
    model: Path, configured: Callable[..., Config], number: signal.Signals
) -> None:
    home, file, log = model / "home", model / "run.yaml", model / "home" / "vllm" / "vllm.log"
    config = configured(planner="llm", llm={"model": str(model)})
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    words = [sys.executable, "-c", COMMAND, TELLS_AND_HANGS, "--home", str(home), "run", str(file), "--json"]
    server, err = stopped_when(lambda process: started(log, process), words, number, seconds=60)
    with open_store(home) as store:
        (run,) = store.runs()
    assert run.state == "stopped" and gone(server)
    assert err.splitlines()[-1].startswith(f"palate: Stopped by {number.name}.")
    assert err.splitlines()[-1].endswith(f"`palate --home {home} resume {run.id}` goes on.")


def started(log: Path, process: subprocess.Popen[str]) -> int:
    """The pid of a server that is starting."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        if log.is_file() and log.read_text().endswith("\n"):
            assert lives(told_pid(log))
            return told_pid(log)
        time.sleep(0.1)
    pytest.fail("waited in vain")


@pytest.fixture
def done(begin: Callable[..., Started]) -> Started:
    """A run by the rules that is done but for its report."""
    return begin().drive()


def test_a_signal_while_the_report_is_written_leaves_a_run_that_resume_finishes(
    done: Started, handlers: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--home", str(done.home), "resume", done.run_id]
    with monkeypatch.context() as patch:
        patch.setattr("agent.loop.runner.write_report", lambda *_, **__: send())
        assert main(words) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("palate: Stopped by SIGTERM.") and f"palate --home {done.home} resume {done.run_id}" in line
    assert done.store.run(done.run_id).state == "done"
    assert main(words) == 0 and (done.folder / "report.md").is_file()


def test_a_signal_while_a_done_run_is_copied_says_where_to_look(
    done: Started, handlers: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agent.cli.runs._farewell", lambda *_: send())
    assert main(["--home", str(done.home), "resume", done.run_id]) == 130
    assert f"palate --home {done.home} logs show {done.run_id}" in capsys.readouterr().err.splitlines()[-1]
