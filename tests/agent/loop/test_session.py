"""agent/loop/session.py: a run that is interrupted anywhere, by anything, goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from langgraph.checkpoint.sqlite import SqliteSaver

import agent.loop.graph
import agent.loop.session
from agent.config import Config
from agent.loop.people import keep
from agent.loop.session import alone, checkpoints, new_run, open_store, stored_config, unfinished
from agent.stopping import Stopped
from agent.store.store import Store
from prompts.errors import InputError, PalateError, StoreError
from tests.agent.fast import ASK, FINISH, PAINT, SCORE, SHORT, Started, Steady, crew_of, stopped_when
from tools.context import Studio

Begin = Callable[..., Started]


class Struck(Exception):
    """What no code expects."""


def resumed(run: Started) -> Started:
    """The same run taken up by a new crew, as a new process would."""
    replies = None if run.crew.llm is None else run.crew.llm._replies[len(run.crew.llm.asked) :]
    return crew_of(
        stored_config(run.store, run.run_id), run.home, run.store, run.run_id, run.crew.studio, replies
    ).drive()


def told(run: Started) -> list[Any]:
    """What a run did, without times."""
    return [(step.step, step.round, step.tool, step.args, step.result, step.error) for step in run.steps]


def once(function: Callable[..., Any], error: BaseException, after: bool) -> Callable[..., Any]:
    """`function`, whose first call fails before or after its work."""
    left = [error]

    def struck(*args: Any, **named: Any) -> Any:
        if left and not after:
            raise left.pop()
        found = function(*args, **named)
        if left:
            raise left.pop()
        return found

    return struck


@pytest.fixture(scope="module")
def uninterrupted(
    configured: Callable[..., Config], models: Studio, tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    config, home = configured(**SHORT), tmp_path_factory.mktemp("home")
    with open_store(home) as store:
        run = crew_of(config, home, store, new_run(config, home, store), models).drive()
        return told(run)


def in_recall(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        agent.loop.graph, "plan_messages", once(agent.loop.graph.plan_messages, Struck("recall"), after=False)
    )


def in_plan(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agent.loop.graph, "plan_by_rules", once(agent.loop.graph.plan_by_rules, Struck("plan"), after=True))


def in_act(run: Started, patch: pytest.MonkeyPatch) -> None:
    run.crew.on_progress = once(run.crew.on_progress, Struck("act"), after=False)  # painted and saved, not recorded


def before_record(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(run.store, "add_step", once(run.store.add_step, Struck("record"), after=False))


def after_record(run: Started, patch: pytest.MonkeyPatch) -> None:
    run.crew.on_step = once(run.crew.on_step, Struck("record"), after=False)  # called when the step is on disk


def before_an_answer(run: Started, patch: pytest.MonkeyPatch) -> None:
    run.person.answer = once(run.person.answer, Struck("ask"), after=False)


def after_an_answer(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agent.loop.session, "keep", once(agent.loop.session.keep, Struck("ask"), after=True))


def in_ask(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agent.loop.graph, "interrupt", once(agent.loop.graph.interrupt, Struck("ask"), after=True))


def at_the_end(run: Started, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agent.loop.session, "_tidy", struck_second(agent.loop.session._tidy))


def struck_second(function: Callable[..., Any]) -> Callable[..., Any]:
    calls: list[int] = []

    def struck(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise Struck("end")
        return function(*args)

    return struck


PLACES = [
    in_recall, in_plan, in_act, before_record, after_record, before_an_answer, after_an_answer, in_ask, at_the_end,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_run_struck_anywhere_is_resumed_as_if_nothing_had_happened(
    begin: Begin, uninterrupted: list[Any], place: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    with monkeypatch.context() as patch:
        place(run, patch)
        with pytest.raises(Struck):
            run.drive()
        assert run.store.run(run.run_id).state == "failed"
        again = resumed(run)
    assert told(again) == uninterrupted
    assert again.files() == again.rows() and len(again.rows()) == 2
    assert again.store.run(again.run_id).state == "done"
    assert len(again.store.ratings(again.run_id, superseded=True)) == 2


def test_an_exception_in_every_step_still_leads_to_the_end(begin: Begin, uninterrupted: list[Any]) -> None:
    run = begin()
    for _ in range(len(uninterrupted)):
        run.crew.on_step = once(run.crew.on_step, Struck("every step"), after=False)
        with pytest.raises(Struck):
            run.drive()
        run = crew_of(run.crew.config, run.home, run.store, run.run_id, run.crew.studio)
    assert told(resumed(run)) == uninterrupted


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_every_checkpoint_still_leads_to_the_end(
    begin: Begin, uninterrupted: list[Any], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Before: the node's writes are kept, and the checkpoint that follows from them is not."""
    run, original = begin(), SqliteSaver.put
    left, strikes = [0], 0

    def struck(self: Any, *args: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Struck("before")
        found = original(self, *args)
        if left[0] == 0:
            raise Struck("after")
        return found

    monkeypatch.setattr(SqliteSaver, "put", struck)
    for number in range(200):
        left[0] = 1 + number % 4  # with 1 alone there would be no progress
        try:
            run.drive()
            break
        except Struck:
            strikes += 1
            run = crew_of(run.crew.config, run.home, run.store, run.run_id, run.crew.studio)
    assert strikes > 10 and run.store.run(run.run_id).state == "done"
    assert told(run) == uninterrupted and run.files() == run.rows()
    assert len(run.store.ratings(run.run_id, superseded=True)) == 2


def test_an_answer_of_the_language_model_is_not_asked_for_again_once_it_led_to_a_step(begin: Begin) -> None:
    run = begin([PAINT, ASK, FINISH])
    run.crew.on_step = once(run.crew.on_step, Struck("record"), after=False)
    with pytest.raises(Struck):
        run.drive()
    assert resumed(run).tools == ["generate_images", "ask_person", "finish"]
    assert len(run.store.llm_calls(run.run_id)) == 3


def test_ratings_given_before_a_crash_are_used_and_not_asked_for_again(begin: Begin) -> None:
    class Storing(Steady):
        def answer(self, asked: Any) -> Any:
            keep(run.store, run.run_id, asked, super().answer(asked))
            raise Struck("after the ratings were stored")

    run = begin([PAINT, ASK, FINISH])
    run.person = Storing()
    with pytest.raises(Struck):
        run.drive()
    kept = run.store.ratings(run.run_id)
    again = crew_of(run.crew.config, run.home, run.store, run.run_id, run.crew.studio, [FINISH])
    again.drive()
    assert again.person.seen == [] and run.store.ratings(run.run_id, superseded=True) == kept != []


@pytest.mark.parametrize("value", [float("nan"), -1, 11, "nine"])
def test_a_rating_that_cannot_be_ends_nothing_that_cannot_be_resumed(begin: Begin, value: Any) -> None:
    class Silly(Steady):
        def answer(self, asked: Any) -> Any:
            return {"rater": "silly", "ratings": [[image, value] for image in asked["asked"]]}

    run = begin([PAINT, ASK, FINISH])
    run.person = Silly()
    with pytest.raises(InputError, match="give a number from 0 to 10"):
        run.drive()
    assert run.store.ratings(run.run_id) == [] and run.store.run(run.run_id).state == "failed"
    assert resumed(run).tools[-1] == "finish"


def test_image_files_that_no_step_recorded_are_swept(begin: Begin) -> None:
    run = begin([PAINT, FINISH])
    (run.folder / "images").mkdir()
    orphan, other = run.folder / "images" / "0123456789abcdef.png", run.folder / "images" / "holiday.png"
    orphan.write_bytes(b"left by a crash")
    other.write_bytes(b"somebody's own")
    run.drive()
    assert not orphan.exists() and other.exists()
    assert run.rows() == run.files() - {"holiday"}


def test_a_done_run_leaves_no_checkpoints(begin: Begin) -> None:
    run = begin([FINISH]).drive()
    connection = sqlite3.connect(run.home / "checkpoints.sqlite")
    counts = [connection.execute(f"select count(*) from {table}").fetchone()[0] for table in ("checkpoints", "writes")]
    connection.close()
    assert counts == [0, 0]
    unfinished(run.store, run.run_id)  # its report is still to be written, which a crash may have prevented
    assert run.drive().tools == ["finish"]
    (run.folder / "report.md").write_text("")
    with pytest.raises(InputError, match="is done"):
        unfinished(run.store, run.run_id)


def test_a_run_is_driven_by_one_process_at_a_time(begin: Begin) -> None:
    run = begin([FINISH])
    with alone(run.folder), pytest.raises(InputError, match="going on in another process"):
        run.drive()
    assert run.drive().tools == ["finish"]


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


def test_locked_checkpoints_are_told_in_one_sentence(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.loop.session, "BUSY_SECONDS", 0.05)
    run = begin([FINISH])
    with checkpoints(run.home / "checkpoints.sqlite") as saver:
        saver.setup()
    other = sqlite3.connect(run.home / "checkpoints.sqlite")
    other.execute("begin exclusive")
    with pytest.raises(StoreError, match=r"checkpoints\.sqlite"):
        run.drive()
    other.close()
    assert run.store.run(run.run_id).state == "failed"
    assert run.drive().tools == ["finish"]


def test_a_picture_that_is_gone_is_told_in_one_sentence(begin: Begin) -> None:
    run = begin([PAINT, SCORE, FINISH])
    run.crew.on_step = lambda step: [path.unlink() for path in (run.folder / "images").glob("*.png")]
    with pytest.raises(PalateError, match="cannot be used"):
        run.drive()
    assert run.store.run(run.run_id).state == "failed"


def test_a_home_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="give another --home"):
            open_store(home)


def test_the_resolved_config_and_the_versions_are_kept_with_the_run(begin: Begin) -> None:
    run = begin([FINISH])
    assert stored_config(run.store, run.run_id) == run.crew.config
    assert yaml.safe_load((run.folder / "config.yaml").read_text()) == run.crew.config.model_dump(mode="json")
    assert {"python", "torch", "diffusers", "langgraph"} <= run.store.run(run.run_id).versions.keys()


def test_a_run_from_before_the_gate_had_rules_is_judged_as_it_was_then(tmp_path: Path) -> None:
    config = Config().model_dump(mode="json")
    with open_store(tmp_path) as store:
        now, then = (
            store.new_run("", told, {}, 0) for told in (config, {k: v for k, v in config.items() if k != "gate"})
        )
        assert not stored_config(store, now).gate.unseen_may_lose
        assert stored_config(store, then).gate.unseen_may_lose
