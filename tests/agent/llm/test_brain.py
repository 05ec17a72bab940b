"""agent/llm/brain.py: the run's language model answers, also when its server dies; and vLLM runs where it was installed for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import agent.llm.brain
from agent.config import Config, make_config
from agent.llm.answers import InvalidPlan
from agent.llm.brain import OwnLlm, open_llm, server_device
from prompts.errors import LlmError
from tests.agent.fast import completion, serving
from tests.agent.stand_in import ANSWERS, DIES_WHEN_ASKED, ENDS, StandIn
from tests.terminals import piped, screen, watched

# `palate serve` with a small program in vLLM's place, and somebody who stops it as soon as it serves.
SERVED = """
import sys
from pathlib import Path
from types import SimpleNamespace
import agent.llm.brain as brain
from tests.agent.stand_in import ANSWERS, StandIn
def stop(_):
    raise KeyboardInterrupt
brain.VllmServer = lambda *words, **named: StandIn(ANSWERS, *words, **named)
brain.time = SimpleNamespace(sleep=stop)
brain.serve_until_stopped(sys.argv[1], None, Path(sys.argv[1]))
"""
ASKED = [{"role": "user", "content": "hello?"}]


class Note(BaseModel):
    text: str


@pytest.fixture
def told() -> list[str]:
    """What was said about restarts."""
    return []


@pytest.fixture
def calls() -> list[Any]:
    """What was recorded of the questions."""
    return []


def planned_by(**llm: Any) -> Config:
    return make_config({"planner": "llm", "llm": {"attempts": 1, **llm}})


@contextmanager
def our_own(
    program: str, model: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], calls: list[Any]
) -> Iterator[tuple[OwnLlm, StandIn]]:
    """The language model of a run, behind a server that runs `program`."""
    monkeypatch.setattr(agent.llm.brain, "VllmServer", lambda *words, **named: StandIn(program, *words, **named))
    config = planned_by(model=str(model))
    with open_llm(config, model / "home", on_call=calls.append, on_restart=told.append) as llm:
        yield llm, llm.server


def no_server(*_: Any, **__: Any) -> Any:
    pytest.fail("a server of our own was made")


def test_a_server_that_was_killed_is_started_again_and_asked_again(
    model: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], calls: list[Any]
) -> None:
    with our_own(ANSWERS, model, monkeypatch, told, calls) as (llm, server):
        assert llm.chat(ASKED) == "hello" and told == []
        server.kill()
        assert llm.chat(ASKED) == "hello" and server.alive()
        assert len(told) == 1 and "starting it again" in told[0]
        assert [call["problem"] is None for call in calls] == [True, False, True]
    assert not server.alive()


def test_a_server_that_dies_of_every_question_is_given_up_with_a_next_step(
    model: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], calls: list[Any]
) -> None:
    with our_own(DIES_WHEN_ASKED, model, monkeypatch, told, calls) as (llm, _):
        for ask in (lambda: llm.chat(ASKED), lambda: llm.write(ASKED, Note), lambda: llm.choose_tool(ASKED, [])):
            told.clear()
            with pytest.raises(LlmError, match=r"palate doctor.*--llm-url"):
                ask()
            assert len(told) == 1


def test_a_server_that_does_not_start_again_is_told_with_its_log(
    model: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], calls: list[Any]
) -> None:
    with our_own(ANSWERS, model, monkeypatch, told, calls) as (llm, server):
        server.program = ENDS
        server.kill()
        with pytest.raises(LlmError, match=r"no such layer.*vllm\.log.*palate doctor.*--llm-url"):
            llm.chat(ASKED)


def test_a_useless_answer_does_not_restart_a_server(
    model: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], calls: list[Any]
) -> None:
    with our_own(ANSWERS, model, monkeypatch, told, calls) as (llm, _), pytest.raises(InvalidPlan):
        llm.write(ASKED, Note)
    assert told == []


def test_somebody_elses_server_is_asked_and_never_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: list[str], calls: list[Any]
) -> None:
    monkeypatch.setattr(agent.llm.brain, "VllmServer", no_server)
    with serving(lambda *_: completion("hello")) as url:
        config = planned_by(url=url, model="theirs")
        with open_llm(config, tmp_path, on_call=calls.append, on_restart=told.append) as llm:
            assert llm.chat(ASKED) == "hello"
    with (
        open_llm(config, tmp_path, on_call=calls.append, on_restart=told.append) as llm,
        pytest.raises(LlmError, match="nothing answers there"),
    ):
        llm.chat(ASKED)
    assert told == []


def test_the_rules_need_no_language_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(agent.llm.brain, "VllmServer", no_server)
    with open_llm(make_config({"planner": "rules"}), tmp_path, on_call=no_server) as llm:
        assert llm is None


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only program on the path; it lists a card."""
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: a card"\n')
    program.chmod(0o755)
    return program


def test_a_card_that_works_is_used_unless_the_config_says_otherwise(nvidia_smi: Path) -> None:
    assert server_device("auto") == "cuda"
    assert (server_device("cpu"), server_device("mps")) == ("cpu", "cpu")
    assert (server_device("cuda"), server_device("cuda:1")) == ("cuda", "cuda:1")


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "not a program at all\n", "#!/nowhere\n"])
def test_the_program_without_a_card_is_no_card(nvidia_smi: Path, script: str) -> None:
    nvidia_smi.write_text(script)
    assert server_device("auto") == "cpu"


def test_a_program_that_never_answers_is_no_card(nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.llm.brain, "CARD_SECONDS", 0.2)
    nvidia_smi.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    assert server_device("auto") == "cpu"


def test_no_program_is_no_card(nvidia_smi: Path) -> None:
    nvidia_smi.unlink()
    assert server_device("auto") == "cpu"


def test_the_device_of_the_config_is_the_servers(
    model: Path, nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    given: list[str] = []
    monkeypatch.setattr(
        agent.llm.brain,
        "VllmServer",
        lambda *words, **named: given.append(named["device"]) or StandIn(ANSWERS, *words, **named),
    )
    for device in ("cpu", "auto"):
        config = make_config({"device": device, "llm": {"model": str(model)}})
        with open_llm(config, model / "home", on_call=told.append):
            pass
    assert given == ["cpu", "cuda"]


def test_waiting_for_a_server_is_counted_on_a_terminal_alone(model: Path) -> None:
    heard = piped("-c", SERVED, str(model), COLUMNS="40")
    served = " (Ctrl-C stops it); use it with --llm-url http://127.0.0.1:"
    assert served in heard.out and heard.out.count("\n") == 1 and heard.err == "" and heard.status == 0
    seen = watched("-c", SERVED, str(model))
    assert served in seen.out and "waiting for vLLM" in seen.err and not any(screen(seen.err))
