"""Two finished runs for the whole session: one in which every tool runs, and the shortest there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config
from agent.llm.answers import ToolCall
from agent.llm.brain import make_client
from agent.loop.crew import make_settings
from agent.loop.people import simulated_person
from agent.loop.session import new_run
from agent.store.home import open_store
from agent.store.store import Store
from tests.agent import fast
from tools.context import Studio


@pytest.fixture(scope="session")
def bundle(studio: Path, studio_clip: Path, studio_pickscore: Path) -> dict[str, str]:
    """The bundled models, as a config names them."""
    return {"model": str(studio), "clip": str(studio_clip), "pickscore": str(studio_pickscore)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of this test's own, which does not wait long for another process."""
    with Store(tmp_path / "palate.sqlite", busy_seconds=0.2) as store:
        yield store


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a language model that only a stand-in can serve."""
    (tmp_path / "config.json").write_text(
        '{"num_hidden_layers": 4, "num_key_value_heads": 2, "num_attention_heads": 4, "hidden_size": 128, "head_dim": 32}'
    )
    return tmp_path


@pytest.fixture(scope="session")
def configured(bundle: dict[str, str]) -> Callable[..., Config]:
    """A fast config with changes."""
    return lambda **changes: fast.config_of(bundle, **changes)


@pytest.fixture(scope="session")
def models(configured: Callable[..., Config]) -> Studio:
    """The models, loaded once."""
    return Studio(make_settings(configured()))


@pytest.fixture(scope="session")
def uninterrupted(
    configured: Callable[..., Config], models: Studio, tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    """What the shortest run does when nothing strikes it, without times."""
    config, home = configured(**fast.SHORT), tmp_path_factory.mktemp("home")
    with open_store(home) as store:
        run = fast.crew_of(config, home, store, new_run(config, home, store), models).drive()
        return fast.told(run)


@pytest.fixture
def begin(configured: Callable[..., Config], models: Studio, tmp_path: Path) -> Iterator[Callable[..., fast.Started]]:
    """Start short runs in this test's own home: `begin(replies, **changes to the config)`."""
    begun: list[fast.Started] = []

    def make(replies: Any = None, **changes: Any) -> fast.Started:
        planner = "rules" if replies is None else "llm"
        limits = fast.SHORT["limits"] | changes.pop("limits", {})
        config = configured(**{**fast.SHORT, "planner": planner, "limits": limits, **changes})
        begun.append(fast.start(config, tmp_path / "home", models, replies))
        return begun[-1]

    yield make
    for one in begun:
        one.store.close()


def llm_run(
    config: Config, home: Path, models: Studio, replies: list[ToolCall | str], watch: Any = None
) -> fast.Started:
    """A run whose language model is a real client of a server that says `replies`."""
    started = fast.start(config, home, models)
    crew = started.crew
    if watch is not None:
        crew.on_step = lambda step: watch(started)
    with fast.serving(lambda number, _: fast.completion(replies[number])) as url:
        crew.llm = make_client(config, url, "scripted", lambda call: crew.calls.append(dict(call)), tight=False)
        started.person = simulated_person(crew, started.run_id)
        return started.drive()


@pytest.fixture
def waiting(begin: fast.Begin) -> fast.Started:
    """A run that was struck while its question was open, before its last step: its checkpoint holds values and waiting writes."""
    run = begin()
    run.person.answer = fast.once(run.person.answer, fast.Struck("ask"), after=False)
    with pytest.raises(fast.Struck):
        run.drive()
    return run


@pytest.fixture(scope="session")
def largest() -> dict[str, int]:
    """The largest checkpoint of the finished run, in bytes."""
    return {"bytes": 0}


@pytest.fixture(scope="session")
def finished(
    configured: Callable[..., Config], models: Studio, tmp_path_factory: pytest.TempPathFactory, largest: dict[str, int]
) -> Iterator[fast.Started]:
    """A run planned by a language model in which every tool ran once or more. Not to be changed."""

    def watch(started: fast.Started) -> None:
        connection = sqlite3.connect(started.home / "checkpoints.sqlite")
        for table, column in (("checkpoints", "checkpoint"), ("writes", "value")):
            found = connection.execute(f"select coalesce(max(length({column})), 0) from {table}").fetchone()[0]
            largest["bytes"] = max(largest["bytes"], found)
        connection.close()

    words = '{"feedback": "You like red and squares."}'
    paint_more = ToolCall("generate_images", {"prompts": [fast.PROMPT], "evolved": 3})
    replies: list[ToolCall | str] = [
        replace(fast.PAINT), fast.SCORE, fast.ASK, fast.FEEDBACK, words, fast.LEARN, fast.EVOLVE, paint_more,
        ToolCall("score_images", {"scorers": ["pickscore", "clip_t", "clip_i", "preference"]}), fast.ASK, fast.LEARN,
        ToolCall("finetune", {"method": "dpo", "steps": 2, "rank": 4}), ToolCall("evaluate_adapter", {"prompts": 4}),
        ToolCall("select_anchors", {"anchors": 2, "samples": 2}), fast.FINISH,
    ]  # fmt: skip
    config = configured(planner="llm")
    started = llm_run(config, tmp_path_factory.mktemp("finished"), models, replies, watch)
    yield started
    started.store.close()


@pytest.fixture(scope="session")
def short(
    configured: Callable[..., Config], models: Studio, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[fast.Started]:
    """The shortest finished run planned by a language model. Copy its home before changing anything."""
    replies: list[ToolCall | str] = [fast.PAINT, fast.SCORE, fast.ASK, fast.LEARN, fast.FINISH]
    config = configured(**{**fast.SHORT, "planner": "llm"})
    started = llm_run(config, tmp_path_factory.mktemp("short"), models, replies)
    yield started
    started.store.close()
