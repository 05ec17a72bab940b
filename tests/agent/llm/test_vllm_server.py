from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from agent.llm.answers import InvalidPlan
from agent.llm.client import Llm, LlmCallRecord
from agent.llm.schema import Tool
from agent.llm.server_log import last_line, why
from agent.llm.vllm_server import MIB, VllmServer, kv_cache_bytes
from prompts.errors import InputError, LlmError
from tests.agent.stand_in import ANSWERS, ENDS, HANGS, StandIn, told_pid
from tests.processes import gone, lives
from tools.jobs.cores import ASLEEP

# Somebody who starts a server and is then killed.
OWNER = """
import sys, time
from tests.agent.stand_in import ANSWERS, StandIn, told_pid
server = StandIn(ANSWERS, sys.argv[1])
server.start()
print(server._process.pid, told_pid(server.log), flush=True)
time.sleep(600)
"""


def test_a_busy_port_is_named_before_anything_is_started(model: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        server = StandIn(ANSWERS, model, port=port)
        with pytest.raises(InputError, match=f"port {port} .*--llm-url"):
            server.start()
    assert not server.log.exists() and not server.alive()


def test_a_model_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere' does not exist"):
        VllmServer(tmp_path / "nowhere", folder=tmp_path, device="cpu")
    with pytest.raises(InputError, match=r"has no config\.json"):
        VllmServer(tmp_path, folder=tmp_path, device="cpu")


def test_a_child_that_ends_at_once_reports_its_log(model: Path) -> None:
    server = StandIn(ENDS, model)
    with pytest.raises(
        LlmError, match=r"status 3\): ValueError: no such layer \(all of it: .*vllm\.log.*palate doctor"
    ):
        server.start()


def test_a_start_that_takes_too_long_is_given_up_and_told_meanwhile(model: Path) -> None:
    told: list[tuple[float, str]] = []
    server = StandIn(HANGS, model, timeout=1.5, on_wait=lambda seconds, line: told.append((seconds, line)))
    with pytest.raises(LlmError, match=r"did not answer within 1\.5 s: loading"):
        server.start()
    assert told and told[-1][1] == "loading"


def test_a_server_answers_restarts_and_leaves_nothing_behind(model: Path) -> None:
    with StandIn(ANSWERS, model) as server:
        first = told_pid(server.log)
        assert server.alive() and server.base_url == f"http://127.0.0.1:{server.port}/v1"
        server.restart()
        assert server.alive() and gone(first)
        second = told_pid(server.log)
    assert not server.alive() and gone(second)
    server.stop()


def test_a_server_that_died_is_not_alive(model: Path) -> None:
    with StandIn(ANSWERS, model) as server:
        server.kill()
        assert not server.alive()


def test_nothing_outlives_an_owner_that_is_killed(model: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(model)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(pids) == 2 and all(lives(pid) for pid in pids)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert all(gone(pid) for pid in pids)


def test_the_command_is_local_small_and_keeps_to_the_folder(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "40")
    server = VllmServer(model, folder=model / "log", device="cpu", threads=1)
    command, env = " ".join(server.command()), server.environment()
    for part in ("--host 127.0.0.1", "--enforce-eager", "--dtype float32", "--max-num-seqs 16", "hermes"):
        assert part in command
    assert (env["HF_HUB_OFFLINE"], env["VLLM_NO_USAGE_STATS"], env["DO_NOT_TRACK"]) == ("1", "1", "1")
    assert "VLLM_CPU_KVCACHE_SPACE" not in env and env["OMP_NUM_THREADS"] == "1"
    assert {name: env[name] for name in ASLEEP} == ASLEEP  # its threads do not spin on the cores of the painter


@pytest.mark.parametrize(
    ("device", "seen", "given"), [("cuda", "2,3", "2,3"), ("cuda:1", "2,3", "3"), ("cuda:1", "", "1")]
)
def test_a_card_that_was_named_is_the_one_that_is_seen(
    model: Path, device: str, seen: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    server = VllmServer(model, folder=model / "log", device=device)
    assert server.environment()["CUDA_VISIBLE_DEVICES"] == given
    assert "--gpu-memory-utilization" in server.command()


def test_an_installation_without_vllm_is_told_what_to_do(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LlmError, match=r"make setup.*cpu or gpu extra.*--llm-url"):
        VllmServer(model, folder=model / "log", device="cpu").command()


def test_the_cache_is_as_large_as_the_model_needs(model: Path, tmp_path: Path) -> None:
    assert kv_cache_bytes(model, 2048, 16) == 2 * 4 * 2 * 32 * 4 * 2048 * 16
    assert kv_cache_bytes(model, 128, 1) == 64 * MIB
    assert kv_cache_bytes(tmp_path / "nowhere", 2048, 16) == 1024 * MIB


def test_the_log_is_told_in_words(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(
        "old Error: of an earlier start\n"
        "(EngineCore pid=3) INFO 11-21 02:38:08 [core.py:133] Loading the model\n"
        "(EngineCore pid=3) ERROR 11-21 02:38:08 [core.py:9] Traceback (most recent call last):\n"
        '(EngineCore pid=3) ERROR 11-21 02:38:08 [core.py:9]   File "a.py", line 3, in b\n'
        "(EngineCore pid=3) ERROR 11-21 02:38:08 [core.py:9]     ^^^^\n"
        "(EngineCore pid=3) ERROR 11-21 02:38:08 [core.py:9] KeyError: 'lm_head'\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n\n"
    )
    assert why(log, start=31) == "KeyError: 'lm_head'"
    assert last_line(log) == "KeyError: 'lm_head'"
    assert why(tmp_path / "nothing.log") == "its log is empty"


def test_the_bars_in_a_log_are_not_what_it_says(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(
        "INFO 11-21 02:38:08 [core.py:133] Loading the model, 50 % of it\n"
        "\rLoading safetensors checkpoint shards:   0% Completed | 0/1 [00:00<?, ?it/s]"
        "\rLoading weights:   0%|          | 0/126 [00:00<?, ?it/s]\rLoading weights: 100%|██████████| 126/126 [00:00<00:00]\n"
    )
    assert last_line(log) == "Loading the model, 50 % of it"


class Paint(BaseModel):
    prompts: list[str] = Field(min_length=1, max_length=3)
    count: int = Field(ge=1, le=8)
    weight: float = Field(ge=0, le=1)
    note: str | None = Field(max_length=40)


class Stop(BaseModel):
    pass


@pytest.mark.vllm
@pytest.mark.parametrize("tight", [True, False])
def test_a_real_server_only_gives_calls_that_fit_their_tool(llm_server: Any, tight: bool) -> None:
    records: list[LlmCallRecord] = []
    tools = [Tool("generate_images", "paint some images", Paint), Tool("stop", "end the run", Stop)]
    address = llm_server.base_url, llm_server.model
    with Llm(*address, tight=tight, temperature=1.0, on_call=records.append) as llm:
        for seed in range(3):
            # Where white space is free, a small model at this temperature may fill its tokens with it: what `tight` is for.
            with nullcontext() if tight else suppress(InvalidPlan):
                call = llm.choose_tool([{"role": "user", "content": "paint"}], tools, seed=seed, max_tokens=1200)
                assert call.name in ("generate_images", "stop") and not call.repaired
    assert all(record["completion_tokens"] > 0 for record in records)
    problems = {(record["problem"] or "none").partition(":")[0] for record in records}
    assert problems <= ({"none"} if tight else {"none", "cut_off"})


@pytest.mark.vllm
def test_a_real_server_writes_an_answer_of_the_shape_that_was_asked_for(llm_server: Any) -> None:
    with Llm(llm_server.base_url, llm_server.model, tight=True, temperature=1.0, seed=1) as llm:
        assert 1 <= llm.write([{"role": "user", "content": "paint"}], Paint, max_tokens=1200).count <= 8


@pytest.mark.vllm
def test_a_real_server_gives_the_same_answer_for_the_same_seed(llm_server: Any) -> None:
    with Llm(llm_server.base_url, llm_server.model, temperature=1.0) as llm:
        first, second = (llm.chat([{"role": "user", "content": "paint"}], seed=5, max_tokens=16) for _ in range(2))
    assert first == second
