"""Runs that are as real as any and as short as can be: few images, few sampling steps, a person who rates by rule."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest

from agent.config import Config, make_config
from agent.llm.answers import ToolCall
from agent.llm.scripted import ScriptedLlm
from agent.loop.crew import Crew
from agent.loop.people import Answer
from agent.loop.session import drive, new_run, stored_config
from agent.store.home import open_store
from agent.store.store import Store
from tests.places import ROOT
from tools.context import Studio
from tools.records import StepRow

Found = TypeVar("Found")
FAST: dict[str, Any] = {
    "brief": "find my taste", "planner": "rules", "rater": 0, "device": "cpu", "rounds": 2, "images_per_round": 4, "steps": 4,
    "finetune": {
        "steps": 2, "pool_prompts": 2, "pool_size": 2,
        "settings": {"learning_rate": 1e-3, "batch_size": 2, "beta": 500, "statistic_weight": 0},
    },
    "evaluate_prompts": 4,
}  # fmt: skip
# The smallest run that still paints, asks and ends: for tests of what happens around a run.
SHORT: dict[str, Any] = {"rounds": 1, "images_per_round": 2, "steps": 1, "limits": {"trainings": 0}}
PROMPT = "two large red squares and a teal circle on a white background, scattered, apart, no lines, flat"
OTHER = "one small blue ring and a pink cross on a yellow background, centred, overlapping, thin lines, hatched"
PAINT = ToolCall("generate_images", {"prompts": [PROMPT, OTHER], "evolved": 0})
SCORE = ToolCall("score_images", {"scorers": ["clip_t"]})
ASK = ToolCall("ask_person", {"question": "How much do you like these?", "images": 8})
FEEDBACK = ToolCall("give_feedback", {"words": 4})
LEARN = ToolCall("learn_taste", {"kind": "blend"})
EVOLVE = ToolCall("evolve_prompts", {"children": 4, "mutation": 0.2, "elites": 1})
FINISH = ToolCall("finish", {"summary": "enough"})


class Steady:
    """A person whose ratings depend on the image's name alone. `seen` keeps what was asked."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, Any]] = []

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        self.seen.append(asked)
        return {"rater": "steady", "ratings": [[image, int(image[:2], 16) % 11] for image in asked["asked"]]}


@dataclass
class Started:
    """A run that can be driven, and what became of it."""

    crew: Crew
    run_id: str
    store: Store
    home: Path
    person: Any = field(default_factory=Steady)

    def drive(self) -> Started:
        drive(self.crew, self.run_id, self.person)
        return self

    @property
    def steps(self) -> list[StepRow]:
        return list(self.store.steps(self.run_id))

    @property
    def tools(self) -> list[str | None]:
        return [step.tool for step in self.steps]

    @property
    def folder(self) -> Path:
        return self.home / "runs" / self.run_id

    def files(self) -> set[str]:
        """The image files there are, by id."""
        return {path.stem for path in (self.folder / "images").glob("*.png")}

    def rows(self) -> set[str]:
        """The image rows there are, by id."""
        return {row.id for row in self.store.images(self.run_id)}


Begin = Callable[..., Started]


class Struck(Exception):
    """What no code expects."""


def config_of(bundle: Mapping[str, str], **changes: Any) -> Config:
    """FAST with changes laid over it, section by section."""
    values = {**FAST, **bundle}
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return make_config(values)


def start(config: Config, home: Path, models: Studio, replies: Sequence[Any] | None = None) -> Started:
    """A new run; with `replies`, planned by a language model that says them in order."""
    store = open_store(home)
    return crew_of(config, home, store, new_run(config, home, store), models, replies)


def crew_of(
    config: Config, home: Path, store: Store, run_id: str, models: Studio, replies: Sequence[Any] | None = None
) -> Started:
    """A crew for a run that exists."""
    crew = Crew(config, home, store)
    crew.studio = models  # loaded once for all tests
    if replies is not None:
        crew.llm = ScriptedLlm(replies, on_call=lambda call: crew.calls.append(dict(call)))
    return Started(crew, run_id, store, home)


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


def completion(reply: ToolCall | str, tokens: int = 10) -> dict[str, Any]:
    """A reply as an OpenAI server sends it."""
    message: dict[str, Any] = {"role": "assistant", "content": reply if isinstance(reply, str) else None}
    if isinstance(reply, ToolCall):
        function = {"name": reply.name, "arguments": json.dumps(reply.args)}
        message["tool_calls"] = [{"id": "0", "type": "function", "function": function}]
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}


@contextmanager
def serving(answer: Callable[[int, dict[str, Any]], dict[str, Any]]) -> Iterator[str]:
    """An OpenAI-shaped server on loopback that answers request number n (from 0) with `answer(n, request)`; its URL."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            data = json.dumps(answer(len(asked) - 1, asked[-1])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def stopped_when(
    ready: Callable[[subprocess.Popen[str]], Found], words: Sequence[str], number: signal.Signals, seconds: float
) -> tuple[Found, str]:
    """A command that gets a signal once `ready` returns, and leaves in order: what `ready` found, and its standard error.

    One that stays fails the test with a traceback of each of its threads.
    """
    pipes, tells = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}, os.environ | {"PYTHONFAULTHANDLER": "1"}
    with subprocess.Popen(words, cwd=ROOT, text=True, env=tells, **pipes) as process:
        try:
            found = ready(process)
            process.send_signal(number)
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            pytest.fail(f"{seconds:g} s after {number.name} it was still here:\n{process.communicate()[1]}")
        finally:
            process.kill()
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    return found, err
