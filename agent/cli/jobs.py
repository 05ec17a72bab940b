"""`palate train | gate`: one training from a YAML file, and the verdict on an adapter.

Knows what a person types and reads. training.py and gating.py carry it out; they are imported when a command runs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from prompts.ground.console import say


def add_train(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate train`."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help="dpo, gal, ...: the config's own kind, if it names one")
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a YAML file, for example configs/training/dpo.yaml"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last, and nothing else on stdout")
    parser.add_argument("--check", action="store_true", help="only tell whether it will fit into memory")
    parser.set_defaults(command=train)


def add_gate(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate gate`."""
    parser.add_argument(
        "adapter",
        type=Path,
        metavar="ADAPTER",
        help="an adapter's folder or file, or the YAML that it was trained from",
    )
    parser.add_argument("--prompts", help="a .txt or .jsonl file, or a vocabulary's name: bauhaus, painting")
    parser.add_argument("--base-model", help="what it was trained on; an adapter that has its card knows")
    for name, what in (
        ("clip", "an open_clip folder"),
        ("pickscore", "a folder or hub id"),
        ("preference", "a learned taste, npz"),
        ("aesthetic", "a head of LAION's or SAC's, on --clip,"),
        ("hpsv2", "HPSv2's file, or its folder,"),
        ("image-reward", "ImageReward's folder"),
    ):
        parser.add_argument(f"--{name}", help=f"{what} that judges")
    parser.add_argument("--guides", nargs="+", metavar="SCORER", help="which scorers (clip_t is one) must prefer it")
    parser.add_argument("--json", action="store_true", help="print one JSON object last, and nothing else on stdout")
    parser.set_defaults(command=gate)


def train(chosen: argparse.Namespace) -> int:
    """palate train."""
    from agent.cli.training import check
    from agent.cli.training import train as carry_out

    if chosen.check:
        found = check(chosen.config, chosen.home, kind=chosen.kind, quiet=chosen.json)
        if chosen.json:
            say(json.dumps(found))
        return 1 if found["fits"] is False else 0
    state = carry_out(chosen.config, chosen.home, kind=chosen.kind)
    if chosen.json:
        say(json.dumps(state))
    else:
        say(f"adapter: {state['adapter']['path']}")
        if state["gate"] is not None:
            _verdict(state["gate"], chosen.home)
    return 0


def gate(chosen: argparse.Namespace) -> int:
    """palate gate."""
    from agent.cli.gating import GIVEN
    from agent.cli.gating import gate as carry_out
    from tools.jobs.cores import sharing

    with sharing():
        found = carry_out(chosen.adapter, chosen.home, {key: getattr(chosen, key) for key in GIVEN})
    if chosen.json:
        say(json.dumps(found))
    else:
        _verdict(found, chosen.home)
    return 0


def _verdict(found: dict[str, Any], home: Path) -> None:
    from agent.cli.gating import told

    say("\n".join(told(found, home)))
