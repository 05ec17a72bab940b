"""The language model of a run: an existing server, or a vLLM of our own that is started, watched, restarted and stopped."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config import Config, bundled
from agent.llm.answers import InvalidPlan, ToolCall
from agent.llm.client import Answer, Llm, Message, Shape
from agent.llm.schema import ToolSpec
from agent.llm.vllm_server import VllmServer
from agent.stopping import Stopped, stoppable
from prompts.errors import LlmError
from prompts.ground.console import bars, say

CARD_SECONDS = 30.0  # nvidia-smi may wake a driver first


@dataclass
class OwnLlm:
    """A client of our own server, which is started again when it died: a planner should survive its server."""

    llm: Llm
    server: VllmServer
    on_restart: Callable[[str], None]

    def choose_tool(self, messages: Sequence[Message], tools: Sequence[ToolSpec], **sampling: Any) -> ToolCall:
        """As `Llm.choose_tool`."""
        return self._alive(lambda: self.llm.choose_tool(messages, tools, **sampling))

    def write(self, messages: Sequence[Message], schema: type[Shape], **sampling: Any) -> Shape:
        """As `Llm.write`."""
        return self._alive(lambda: self.llm.write(messages, schema, **sampling))

    def chat(self, messages: Sequence[Message], **sampling: Any) -> str:
        """As `Llm.chat`."""
        return self._alive(lambda: self.llm.chat(messages, **sampling))

    def _alive(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except InvalidPlan:
            raise
        except LlmError as error:
            if self.server.alive():
                raise
            self.on_restart(f"the vLLM server is gone ({error}); starting it again")
            self.server.restart()
            self.llm.move_to(self.server.base_url)
            return ask()


@contextmanager
def open_llm(
    config: Config,
    home: Path,
    *,
    on_call: Callable[[Any], None],
    on_wait: Callable[[float, str], None] | None = None,
    on_restart: Callable[[str], None] = print,
) -> Iterator[Llm | OwnLlm | None]:
    """The client that the config asks for; None with the rule planner. `on_restart` hears of restarts and long waits.

    Raises InputError, LlmError.
    """
    if config.planner == "rules":
        yield None
    elif config.llm.url:
        with make_client(config, config.llm.url, config.llm.model, on_call, tight=False, tell=on_restart) as llm:
            yield llm
    else:
        folder, model, device = home / "vllm", bundled(config.llm.model), server_device(config.device)
        server = VllmServer(model, folder=folder, device=device, max_model_len=config.llm.context, on_wait=on_wait)
        with server, make_client(config, server.base_url, server.model, on_call, tight=True) as llm:
            yield OwnLlm(llm, server, on_restart)


def server_device(device: str) -> str:
    """Where vLLM runs when a run's `device` is this one: a card that was named, or with "auto" one that works.

    Asks as the Makefile does, so that the vLLM that was installed is the one that is started.
    """
    if device == "auto":
        return "cuda" if _card_works() else "cpu"
    return device if device.startswith("cuda") else "cpu"


def _card_works() -> bool:
    """Whether `nvidia-smi -L` ends well; the program alone may be there without a card."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        return subprocess.run([program, "-L"], capture_output=True, timeout=CARD_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def make_client(
    config: Config,
    url: str,
    model: str,
    on_call: Callable[[Any], None],
    *,
    tight: bool,
    tell: Callable[[str], None] | None = None,
) -> Llm:
    """The plain client; `tell` hears of long waits. Raises InputError where the key may not go to `url`."""
    llm = config.llm
    return Llm(
        url,
        model,
        attempts=llm.attempts,
        timeout=llm.timeout,
        temperature=llm.temperature,
        seed=config.seed,
        on_call=on_call,
        tight=tight,
        patience=llm.patience,
        answer_bytes=llm.answer_bytes,
        answer_tokens=llm.answer_tokens,
        tell=tell,
    )


def serve_until_stopped(model: str, port: int, home: Path) -> None:
    """Serve a model in the foreground until Ctrl-C or SIGTERM. Raises InputError, LlmError."""
    with stoppable(), ExitStack() as until_stopped:
        with _counted() as count:
            waited = VllmServer(
                bundled(model), folder=home / "vllm", device=server_device("auto"), port=port, on_wait=count
            )
            server = until_stopped.enter_context(waited)
        how = shlex.join(["--llm-url", server.base_url, "--llm-model", server.model])
        say(f"{server.model} is served at {server.base_url} (Ctrl-C stops it); use it with {how}")
        sys.stdout.flush()
        try:
            while server.alive():
                time.sleep(1)
        except (KeyboardInterrupt, Stopped):
            return
        raise LlmError(f"The server ended by itself: its log is {str(server.log)!r}.")


@contextmanager
def _counted() -> Iterator[Callable[[float, str], None]]:
    with bars() as shown:
        waiting = shown.add_task("waiting for vLLM: seconds", total=None)
        yield lambda seconds, _line: shown.update(waiting, completed=int(seconds))
