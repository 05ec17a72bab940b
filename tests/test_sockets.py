"""docs/files.md, "Nobody is let in": every socket that a command listens at is on loopback, whoever's library opened it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from agent.llm.vllm_server import VllmServer
from tests.agent.fast import FAST
from tests.places import ROOT
from tests.processes import Ear
from tools.jobs.loopback import only_loopback


def palate(home: Path, *words: str) -> subprocess.Popen[str]:
    """A command of its own, as a person gives it, on a machine that sets the interfaces otherwise."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "eth0", "VLLM_HOST_IP": "0.0.0.0"}
    command = [sys.executable, "-m", "agent.cli.main", "--home", str(home), *words]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def heard(process: subprocess.Popen[str], seconds: float = 550.0) -> tuple[Ear, str]:
    """All sockets until the command has ended well, and what it said."""
    with process, Ear(process.pid) as ear:
        try:
            said = process.communicate(timeout=seconds)[0]
        finally:
            process.kill()
    assert process.returncode == 0, said
    return ear, said


def test_the_ear_hears_whoever_listens_to_all() -> None:
    """Otherwise the tests below could not fail."""
    with Ear(os.getpid()) as ear, socket.socket() as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        one.bind(("0.0.0.0", 0))
        one.listen()
        two.bind(("0.0.0.0", 0))
        time.sleep(0.5)
    assert {("tcp", "0.0.0.0", "LISTEN"), ("udp", "0.0.0.0", "NONE")} <= ear.open_to_others


def test_two_processes_that_train_together_are_heard_by_nobody_else(studio: Path, tmp_path: Path) -> None:
    for name, colour in (("win", "red"), ("lose", "blue")):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{name}.png")
    pair = {"prompt": "a red field", "win": "win.png", "lose": "lose.png"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n" + json.dumps(pair) + "\n")
    values = {
        "kind": "sft", "base_model": str(studio), "dataset": "pairs.jsonl", "out": "out", "device": "cpu", "processes": 2,
        "config": {"steps": 2, "batch_size": 2, "rank": 2},
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    ear, _ = heard(palate(tmp_path / "home", "train", str(tmp_path / "mine.yaml"), "--json"))
    assert ear.open_to_others == set() and ("tcp", "127.0.0.1", "LISTEN") in ear.bound
    assert (tmp_path / "out" / "adapter.json").is_file() and not list((tmp_path / "out").glob(".meeting*"))


def test_a_served_language_model_is_heard_by_nobody_else(tmp_path: Path, studio_lm: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with palate(tmp_path, "serve", "--model", str(studio_lm), "--port", str(port)) as process, Ear(process.pid) as ear:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if f":{port}" in line:
                    break
            time.sleep(0.3)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert ear.open_to_others == set() and ("tcp", "127.0.0.1", "LISTEN") in ear.bound


def test_libraries_are_told_the_interface_whatever_the_environment_says(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NCCL and vLLM's workers open theirs only where there are cards."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth0")
    env = VllmServer(model, folder=model, device="cuda").environment()
    assert env.items() >= only_loopback().items()
    assert (
        env["GLOO_SOCKET_IFNAME"] in {name for _, name in socket.if_nameindex()} and env["VLLM_HOST_IP"] == "127.0.0.1"
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a language model that is not served."""
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("planner", ["rules", "llm"])
def test_a_run_with_all_that_it_starts_is_heard_by_nobody_else(planner: str, tmp_path: Path) -> None:
    values: dict[str, Any] = FAST | {"planner": planner, "rounds": 1, "images_per_round": 2}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    ear, said = heard(palate(tmp_path / "home", "run", str(tmp_path / "run.yaml"), "--json"))
    assert ear.open_to_others == set() and (planner == "rules" or ear.bound)
    assert json.loads(said.splitlines()[-1])["adapter"]


@pytest.mark.slow
def test_a_bench_in_several_processes_is_heard_by_nobody_else(tmp_path: Path) -> None:
    words = [
        "bench",
        "search",
        "--strategies",
        "random",
        "--raters",
        "0,1",
        "--seeds",
        "1",
        "--processes",
        "2",
        "--json",
    ]
    ear, _ = heard(palate(tmp_path / "home", *words))
    assert ear.open_to_others == set()
