"""A server that is started as vLLM is, in a tenth of a second: small programs run in its place."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from agent.llm.vllm_server import VllmServer
from tests.agent.fast import completion
from tests.processes import gone

# It answers as vLLM does, has a child as vLLM has, and says "hello" to every question.
ANSWERS = f"""
import subprocess, sys, http.server
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.say(b"{{}}")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say({json.dumps(completion("hello")).encode()!r})
    def say(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DIES_WHEN_ASKED = ANSWERS.replace(
    "def do_POST(self):", "def do_POST(self):\n        import os; child.kill(); os._exit(9)"
)
ENDS = "print('(EngineCore pid=7) ERROR 11-21 02:26:37 [core.py:9] ValueError: no such layer'); raise SystemExit(3)"
HANGS = "import time; print('INFO 11-21 02:26:37 [a.py:1] loading', flush=True); time.sleep(600)"
TELLS_AND_HANGS = "import os, time; print('INFO loading in', os.getpid(), flush=True); time.sleep(600)"


class StandIn(VllmServer):
    """Runs a small program where vLLM would run."""

    def __init__(self, program: str, model: str | Path, *, folder: Path | None = None, **options: Any) -> None:
        super().__init__(model, folder=folder or Path(model) / "log", **{"device": "cpu", **options})
        self.program = program

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.program, str(self.port)]

    def kill(self) -> None:
        """As the kernel does where memory runs out: at once, and without a word."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        assert gone(self._process.pid)


def told_pid(log: Path) -> int:
    """The last word of a log: our programs end with the process to look for."""
    return int(log.read_text().split()[-1])
