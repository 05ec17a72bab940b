"""What holds for the whole house: who looks, lists or asks for help waits for no torch, and tests stay on this machine."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys

import pytest

from tests.places import ROOT

HEAVY = ("torch", "diffusers", "open_clip", "transformers", "peft", "vllm", "matplotlib")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], text=True, capture_output=True, timeout=120, check=False)


def seconds_of(*words: str) -> float:
    """CPU seconds, which other work on the machine hardly changes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*words).check_returncode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def modules() -> list[str]:
    files = [path.relative_to(ROOT) for path in (ROOT / "agent").rglob("*.py") if path.stem != "__init__"]
    return sorted(".".join(file.with_suffix("").parts) for file in files)


def test_no_module_of_the_agent_imports_a_heavy_library() -> None:
    code = f"""
import importlib, sys
for module in {modules()}:
    importlib.import_module(module)
    found = [name for name in {HEAVY} if name in sys.modules]
    assert not found, (module, found)
"""
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


def test_help_comes_at_once() -> None:
    assert min(seconds_of("-m", "agent.cli.main", "--help") for _ in range(2)) < 1.5


@pytest.mark.parametrize("connect", ["connect", "connect_ex"])
def test_a_socket_beyond_loopback_fails_the_test(connect: str) -> None:
    with socket.socket() as out, pytest.raises(pytest.fail.Exception, match=r"beyond loopback.*192\.0\.2\.1"):
        getattr(out, connect)(("192.0.2.1", 80))


def test_a_socket_on_loopback_is_free_to_use() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()
