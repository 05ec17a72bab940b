"""The command line: palate demo | chat | run | train | gate | adapter | bench | profile | resume | logs | replay | serve | doctor.

It parses, calls one function, and turns errors into one sentence and an exit code. Heavy imports wait until a command needs
them, so that `--help` and `logs` answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from agent.bench.cli import add_command as add_bench
from agent.cli import adapters, jobs, machine, profiles, records, runs
from agent.cli.private import private
from agent.stopping import Stopped, stoppable
from prompts.errors import PalateError
from prompts.ground.clean import legible
from prompts.ground.console import USUAL_HOME, at_home, say
from tools.jobs.cores import wait_asleep


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it did what was asked or its person left, 1 for an error that has been explained, 130 when stopped."""
    chosen = make_parser().parse_args(arguments)
    wait_asleep(os.environ)  # before anything imports torch
    try:
        with at_home(chosen.home), stoppable(), private(shared=_shared(chosen)):
            return int(chosen.command(chosen) or 0)
    except PalateError as error:
        say(f"palate: {error}", stderr=True)
        return 130 if isinstance(error, Stopped) else 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `palate logs | head`
        return 0
    except SystemExit as left:  # the same, said by rich
        if isinstance(left.__context__, BrokenPipeError) and getattr(chosen, "reads", False):
            return 0
        raise


def _shared(chosen: argparse.Namespace) -> bool:
    """Whether what is made is meant for others, too: then it is not in the home, and its person's umask holds."""
    return getattr(chosen, "shared", False) and chosen.out is not None


class Parser(argparse.ArgumentParser):
    """One whose complaints cannot steer the terminal: a script may hand on words that nobody typed. The home may
    be named before a command and after it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.add_argument("--home", type=Path, default=argparse.SUPPRESS, help="where runs and the database are kept")

    def error(self, message: str) -> NoReturn:
        super().error(legible(message))


def make_parser() -> argparse.ArgumentParser:
    """Every command and flag."""
    parser = Parser(prog="palate", description="Personalise a text-to-image model to one person's taste.")
    parser.set_defaults(home=Path(os.environ.get("PALATE_HOME", USUAL_HOME)))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runs.add_demo(commands.add_parser("demo", help="watch an agent learn a simulated person's taste, in minutes"))
    runs.add_chat(commands.add_parser("chat", help="let the agent learn your taste"))
    runs.add_run(commands.add_parser("run", help="run a config without a person"))
    jobs.add_train(commands.add_parser("train", help="train an adapter from a YAML file; run it again and it goes on"))
    jobs.add_gate(
        commands.add_parser("gate", help="judge an adapter: painting with it and without it, and a verdict by rule")
    )
    adapters.add_commands(commands.add_parser("adapter", help="look at LoRA files, take in other people's, merge them"))
    add_bench(commands.add_parser("bench", help="compare strategies over simulated raters or real people"))
    profiles.add_commands(commands.add_parser("profile", help="a taste as a file: export, import, show, diff, blend"))
    runs.add_resume(commands.add_parser("resume", help="go on with a run that was interrupted"))
    records.add_logs(commands.add_parser("logs", help="read what was logged"))
    records.add_replay(commands.add_parser("replay", help="read a run step by step, or make it again and compare"))
    machine.add_serve(commands.add_parser("serve", help="serve a language model with vLLM until stopped"))
    machine.add_doctor(
        commands.add_parser("doctor", help="check the installation, the models, the server and the database")
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
