"""What every test stands on: the bundled models, one real vLLM server, a home of its own, and no way out of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT, SHARED_DATA

# Read when the libraries are imported, and passed on to the processes that tests start.
os.environ |= {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MPLBACKEND": "Agg",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
# Another bundle can be tested in place of ours, say one that a GPU made.
MODELS = Path(os.environ.get("PALATE_TEST_MODELS", ROOT / "models"))
# For the processes that tests start from another folder.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
# Of whoever runs the tests: nothing here may depend on it.
for name in ("PALATE_HOME", "PALATE_LLM_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
    os.environ.pop(name, None)
# `make test` has two workers, one for each core that we count on.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


# Files that use what is started once a session, a server or a run with every tool, have one worker for all of them.
TOGETHER = {
    "test_llm_run.py": "server", "test_vllm_server.py": "server", "test_graph.py": "finished", "test_verify.py": "finished",
}  # fmt: skip


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests, which share its fixtures, share a worker. (The plugin's own groups do nothing under pytest 9.2.)"""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return TOGETHER.get(Path(file).name, file)

    return ByFile(config, log)


def stays_here(address: Any) -> bool:
    """Whether a socket address (a path, or host and port) is this machine's own."""
    host = address[0] if isinstance(address, tuple) else address
    if not isinstance(address, tuple) or host in ("", "localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def address_of(method: str, given: Sequence[Any]) -> Any:
    """The address among the arguments of a socket's method; None where there is none: then the socket is connected."""
    if method == "sendmsg":  # buffers, ancillary data, flags, address
        return given[3] if len(given) > 3 else None
    return given[-1]


def guarded(method: str) -> Callable[..., Any]:
    """A method of a socket, for addresses of this machine only."""
    call = getattr(socket.socket, method)

    def checked(self: socket.socket, *given: Any) -> Any:
        address = address_of(method, given)
        if address is not None and not stays_here(address):
            # Not an Exception: code under test may catch those, and the test would go on.
            pytest.fail(f"a test may not speak to anyone beyond loopback, but this one asked for {address!r}")
        return call(self, *given)

    return checked


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Fails whatever connects or sends to another machine, session fixtures included. Child processes are told to stay offline."""
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex", "sendto", "sendmsg"):
            patch.setattr(socket.socket, method, guarded(method))
        yield


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PALATE_HOME that does not exist yet, in an empty current folder: no test may depend on where pytest was started."""
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PALATE_HOME", str(here / "home"))
    return here / "home"


def bundled(name: str, file: str) -> Path:
    """A folder of the bundle. A clone without it is broken, so its absence fails rather than skips."""
    if not (MODELS / name / file).is_file():
        pytest.fail(f"{MODELS / name} has no {file}: the bundled models belong to the clone; `make models` trains them")
    return MODELS / name


@pytest.fixture(scope="session")
def studio() -> Path:
    """The bundled diffusion pipeline's folder."""
    return bundled("bauhaus", "model_index.json")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The tiny model of a name (see tests.tiny_models.PIPELINES), loaded as any checkpoint is."""

    from tests.tiny_models import build
    from trainers.model.load import load

    @cache
    def loaded(name: str) -> Any:
        return load(str(build(name, tmp_path_factory.mktemp("tiny") / name)), device="cpu")

    return loaded


@pytest.fixture(scope="session")
def studio_clip() -> Path:
    """The bundled open_clip model's folder."""
    return bundled("bauhaus-clip", "open_clip_config.json")


@pytest.fixture(scope="module")
def clip(studio_clip: Path) -> Any:
    """The bundled open_clip model, loaded."""
    from evaluators.scorers.clip import Clip

    return Clip(studio_clip)


@pytest.fixture(scope="session")
def studio_pickscore() -> Path:
    """The bundled PickScore's folder."""
    return bundled("bauhaus-pickscore", "config.json")


@pytest.fixture(scope="session")
def studio_lm() -> Path:
    """The bundled language model's folder."""
    return bundled("bauhaus-lm", "config.json")


@pytest.fixture(scope="session")
def llm_server(studio_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real VllmServer for the bundled language model: `.base_url` and `.model`. Takes a minute, once a session."""
    import torch

    from agent.llm.vllm_server import VllmServer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with VllmServer(studio_lm, folder=tmp_path_factory.mktemp("vllm"), device=device) as server:
        yield server


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The project's data folder, which is not part of the clone: PALATE_SHARED_DATA, or ../shared/data."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no shared data at {SHARED_DATA}: set PALATE_SHARED_DATA")
    return SHARED_DATA
