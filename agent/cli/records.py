"""`palate logs | replay`: what was recorded, read, or made again and compared.

Knows what a person types and reads. Heavy imports wait until a command runs, so that `logs` answers at once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.store.store import Store

from prompts.ground.console import say


def add_logs(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate logs`."""
    kinds = parser.add_subparsers(required=True, metavar="list|show|query|path")
    listing = kinds.add_parser("list", help="the newest runs")
    how_many = listing.add_mutually_exclusive_group()
    how_many.add_argument("--limit", type=_count, default=20, metavar="N", help="the N newest runs (20)")
    how_many.add_argument("--all", action="store_const", dest="limit", const=None, help="every run")
    showing = kinds.add_parser("show", help="one run, step by step")
    showing.add_argument("run", metavar="RUN")
    showing.add_argument("--step", type=int, help="everything of one step")
    asking = kinds.add_parser("query", help="read-only SQL")
    asking.add_argument("sql", metavar="SQL")
    where = kinds.add_parser("path", help="where the database is")
    for kind, command in ((listing, logs_list), (showing, logs_show), (asking, logs_query), (where, logs_path)):
        kind.add_argument("--json", action="store_true")
        kind.set_defaults(command=command, reads=True)


def add_replay(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate replay`."""
    parser.add_argument("run", metavar="RUN", help="its id, or `last`")
    parser.add_argument("--mode", choices=["view", "verify"], default="view")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=replay, reads=True)


def _count(text: str) -> int:
    """A number of runs, 1 or more. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs: give 1 or more, or --all.")
    return int(text)


def logs_list(chosen: argparse.Namespace) -> int:
    """palate logs list."""
    from agent.report import logs

    with _reading(chosen.home) as store:
        logs.logs_list(store, chosen.limit, as_json=chosen.json)
    return 0


def logs_show(chosen: argparse.Namespace) -> int:
    """palate logs show."""
    from agent.report import logs

    with _reading(chosen.home) as store:
        logs.logs_show(store, store.find(chosen.run).id, step=chosen.step, as_json=chosen.json)
    return 0


def logs_query(chosen: argparse.Namespace) -> int:
    """palate logs query."""
    from agent.report import logs

    with _reading(chosen.home) as store:
        logs.logs_query(store, chosen.sql, as_json=chosen.json)
    return 0


@contextmanager
def _reading(home: Path) -> Iterator[Store]:
    """The store; what in it could not be read is told last, apart from what was asked for."""
    from agent.store.home import open_store

    with open_store(home, reading=True) as store:
        yield store
        for name, why in store.unreadable.items():
            say(f"palate: left out: {name} cannot be read ({why})", stderr=True)


def logs_path(chosen: argparse.Namespace) -> int:
    """palate logs path."""
    path = str((chosen.home / "palate.sqlite").resolve())
    say(json.dumps({"path": path}) if chosen.json else path)
    return 0


def replay(chosen: argparse.Namespace) -> int:
    """palate replay."""
    with _reading(chosen.home) as store:
        run_id = store.find(chosen.run).id
        if chosen.mode == "view":
            from agent.report.logs import replay_view

            replay_view(store, run_id, as_json=chosen.json)
            return 0
        return _verify(store, run_id, chosen)


def _verify(store: Any, run_id: str, chosen: argparse.Namespace) -> int:
    from agent.cli.runs import narrator
    from agent.replay.verify import verify
    from tools.jobs.cores import sharing

    made_with = store.run(run_id).versions.get("threads")  # as many give the same bits, however busy the machine is now
    with narrator(store, run_id, quiet=chosen.json) as teller, sharing(made_with):
        verdict = verify(store, chosen.home, run_id, on_step=teller.on_step)
    if chosen.json:
        say(json.dumps({"same": verdict.same, **verdict.__dict__}))
    else:
        say("\n".join([verdict.told(), *verdict.differences]))
    return 0 if verdict.same else 1
