"""`palate serve | doctor`: the language model alone, and what is installed, running or broken on this machine.

Knows what a person types. Heavy imports wait until a command runs.
"""

from __future__ import annotations

import argparse


def add_serve(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate serve`."""
    parser.add_argument("--model", default="bauhaus-lm", help="a bundled model or a folder")
    parser.add_argument("--port", type=int, default=8000)
    parser.set_defaults(command=serve)


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate doctor`."""
    parser.add_argument("--llm-url", help="also ask this server")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=doctor, reads=True)


def serve(chosen: argparse.Namespace) -> int:
    """palate serve."""
    from agent.llm.brain import serve_until_stopped

    serve_until_stopped(chosen.model, chosen.port, chosen.home)
    return 0


def doctor(chosen: argparse.Namespace) -> int:
    """palate doctor."""
    from agent.cli.doctor import examine, show

    return show(examine(chosen.home, chosen.llm_url), as_json=chosen.json)
