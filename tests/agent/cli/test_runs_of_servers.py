"""agent/cli/runs.py: what a language model server says steers no terminal, ruins no run, and is told where it was of no use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import agent.llm.keys
from agent.cli.main import main
from agent.config import Config
from agent.llm.answers import ToolCall
from agent.store.store import Store
from prompts.ground.clean import harmless
from tests.agent.fast import ASK, FINISH, LEARN, OTHER, PAINT, PROMPT, SHORT, completion, serving

NASTY = "\x1b[2J\x9b31m\u202e\u2066\x07"
ROUND = [PAINT, ASK, LEARN, FINISH]


@pytest.fixture
def palate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        return main(["--home", str(tmp_path / "home"), *map(str, words)]), *capfd.readouterr()

    return run


@pytest.fixture
def file(configured: Callable[..., Config], tmp_path: Path) -> Callable[[str], Path]:
    """The config of a short run that a server plans."""

    def write(url: str) -> Path:
        config = configured(**{**SHORT, "planner": "llm", "llm": {"url": url, "model": "m", "attempts": 1}})
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
        return tmp_path / "run.yaml"

    return write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The record of the runs of a test."""
    with Store(tmp_path / "home" / "palate.sqlite") as store:
        yield store


def test_a_run_whose_server_was_of_no_use_ends_with_1_and_says_so_last(palate: Any, file: Any) -> None:
    with serving(lambda *_: completion("I would rather talk.")) as url:
        code, out, _ = palate("run", file(url))
        assert code == 1 and "never answered usefully" in out.splitlines()[-1]
        code, out, err = palate("run", file(url), "--json")
    assert code == 1 and json.loads(out)["plans"]["invalid"] > 0
    assert "never answered usefully" in err.splitlines()[-1]


def test_a_run_whose_server_was_of_use_once_ends_with_0(palate: Any, file: Any) -> None:
    with serving(lambda number, _: completion([*ROUND, "prose"][min(number, len(ROUND))])) as url:
        code, out, _ = palate("run", file(url))
    assert code == 0 and "never" not in out


def counted(usage: Any) -> Callable[[int, dict[str, Any]], dict[str, Any]]:
    """A good plan with this usage, then a refusal, then the rest of the run."""
    plans = [PAINT, None, ASK, LEARN, FINISH]

    def answer(number: int, _: dict[str, Any]) -> dict[str, Any]:
        plan = plans[min(number, len(plans) - 1)]
        return {"error": {"code": 401, "message": "no"}} if plan is None else completion(plan) | {"usage": usage}

    return answer


@pytest.mark.parametrize("usage", [{"prompt_tokens": -5, "completion_tokens": -(10**30)}, "many", [1], {"prompt_tokens": {}}])  # fmt: skip
def test_whatever_a_server_counts_a_run_can_be_resumed(palate: Any, file: Any, store: Store, usage: Any) -> None:
    with serving(counted(usage)) as url:
        code, _, err = palate("run", file(url), "--json")
        assert code == 1 and "401 under HTTP 200: no" in err and "Traceback" not in err
        code, out, err = palate("resume", "last", "--json")
    assert code == 0, err
    assert all(call.prompt_tokens >= 0 and call.completion_tokens >= 0 for call in store.llm_calls(json.loads(out)["run"]))  # fmt: skip


def test_marks_that_steer_reach_neither_the_terminal_nor_the_report(palate: Any, file: Any, tmp_path: Path) -> None:
    plans = [
        f"prose {NASTY}",
        ToolCall("generate_images", {"prompts": [f"{PROMPT}{NASTY}", OTHER], "evolved": 0}),
        ToolCall("fly" + NASTY, {}),
        ToolCall("ask_person", {"question": f"like{NASTY}?", "images": 8}),
        LEARN,
        ToolCall("finish", {"summary": f"so{NASTY}"}),
    ]
    with serving(lambda number, _: completion(plans[min(number, 5)]) | {"model": NASTY}) as url:
        said = [palate("run", file(url))]
    said += [palate("logs", "show", "last"), palate("replay", "last")]
    said += [palate("logs", "show", "last", "--step", str(step), *more) for step in (1, 2, 3) for more in ((), ("--json",))]  # fmt: skip
    said += [palate("logs", "query", "select response, problem from llm_calls", *more) for more in ((), ("--json",))]
    (report,) = (tmp_path / "home" / "runs").glob("*/report.md")
    lines = [line for code, out, err in said for text in (out, err) for line in text.split("\n")]
    assert [code for code, _, _ in said] == [0] * len(said)
    for line in [*lines, *report.read_text().split("\n")]:
        assert harmless(line) == line, line


def test_a_config_that_names_a_foreign_host_begins_no_run_while_there_is_a_key(
    palate: Any, file: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setattr(agent.llm.keys, "_HERE", set())
    code, out, err = palate("run", file("http://models.invalid/v1"))
    assert code == 1 and out == "" and "OPENAI_API_KEY" in err and "doctor --llm-url http://models.invalid/v1" in err
    assert not (tmp_path / "home" / "palate.sqlite").exists()
    code, _, err = palate("run", file("http://models.invalid/v1"), "--llm-url", "http://models.invalid/v1", "--json")
    assert code == 1 and "nothing answers there" in err
    code, _, err = palate("resume", "last")
    assert code == 1 and "nothing answers there" in err
