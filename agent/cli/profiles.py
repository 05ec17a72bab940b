"""`palate profile export|import|show|diff|blend`: a taste as a file of one's own.

Knows what a person types and reads. Does not know what stands in a file; heavy imports wait until a command runs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from prompts.errors import InputError
from prompts.ground.console import say

if TYPE_CHECKING:
    from tools.profiles.profile import Profile


def add_commands(parser: argparse.ArgumentParser) -> None:
    """The five commands and their flags."""
    kinds = parser.add_subparsers(required=True, metavar="export|import|show|diff|blend")
    out = kinds.add_parser("export", help="make a profile of one person's runs")
    out.add_argument("runs", nargs="+", metavar="RUN", help="ids, or `last`")
    out.add_argument("--rater", help="whose ratings, where several people gave some")
    taking = kinds.add_parser("import", help="check a profile and keep it here, for runs to start from")
    taking.add_argument("file", type=Path, metavar="FILE")
    taking.add_argument("--replace", action="store_true", help="in place of another one of that name")
    showing = kinds.add_parser("show", help="a profile in plain words")
    showing.add_argument("file", metavar="FILE", help="a .palate file, or the name of one that was imported")
    comparing = kinds.add_parser("diff", help="where two tastes agree and differ")
    comparing.add_argument("a", metavar="A")
    comparing.add_argument("b", metavar="B")
    comparing.add_argument("--plot", type=Path, metavar="PNG", help="also draw each word's worth to A against B")
    mixing = kinds.add_parser("blend", help="a profile that is something of each")
    mixing.add_argument("profiles", nargs="+", metavar="PROFILE")
    mixing.add_argument("--weights", nargs="+", type=float, required=True, metavar="WEIGHT", help="a share for each")
    for kind in (out, mixing):
        kind.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .palate file that receives it")
    for kind in (out, taking, mixing):
        kind.add_argument("--name", help="what it is called; without it, the file's name")
    for kind, command in ((out, export), (taking, take_in), (showing, show), (comparing, diff), (mixing, blend)):
        kind.add_argument("--json", action="store_true", help="print one JSON object, and nothing else on stdout")
        kind.set_defaults(command=command)


def export(chosen: argparse.Namespace) -> int:
    """palate profile export."""
    from agent.profile.export import export as exported
    from agent.store.home import open_store

    _check_ending(chosen.out)
    with open_store(chosen.home, reading=True) as store:
        runs = [store.find(run).id for run in chosen.runs]
        profile = exported(store, chosen.home, runs, chosen.name or chosen.out.stem, chosen.rater)
    return _written(profile, chosen)


def take_in(chosen: argparse.Namespace) -> int:
    """palate profile import."""
    from agent.loop.profiles import take_in as kept
    from agent.profile import telling

    profile, path = kept(chosen.home, chosen.file, chosen.name, replace=chosen.replace)
    if chosen.json:
        say(json.dumps(telling.about(profile) | {"kept": str(path), "kept_as": path.stem}))
        return 0
    say("\n".join(telling.kept(profile, path)))
    return 0


def show(chosen: argparse.Namespace) -> int:
    """palate profile show."""
    from agent.loop.profiles import find
    from agent.profile import telling

    profile = find(chosen.home, chosen.file)
    say(json.dumps(telling.about(profile)) if chosen.json else "\n".join(telling.shown(profile)))
    return 0


def diff(chosen: argparse.Namespace) -> int:
    """palate profile diff."""
    from agent.loop.profiles import find
    from agent.profile import telling
    from tools.profiles.mix import diff as compared

    a, b = find(chosen.home, chosen.a), find(chosen.home, chosen.b)
    found = compared(a, b)
    if chosen.plot is not None:
        from agent.profile.plot import worth_plot

        worth_plot(found, (a.name, b.name), chosen.plot)
    if chosen.json:
        say(json.dumps(telling.as_json(found) | {"plot": None if chosen.plot is None else str(chosen.plot)}))
        return 0
    say("\n".join(telling.told(found, a.name, b.name)))
    if chosen.plot is not None:
        say(f"plot: {chosen.plot}")
    return 0


def blend(chosen: argparse.Namespace) -> int:
    """palate profile blend."""
    from agent.loop.profiles import find
    from agent.profile.export import blended

    _check_ending(chosen.out)
    profiles = [find(chosen.home, one) for one in chosen.profiles]
    return _written(blended(profiles, chosen.weights, chosen.name or chosen.out.stem), chosen)


def _check_ending(out: Path) -> None:
    from agent.loop.profiles import SUFFIX

    if out.suffix != SUFFIX:
        raise InputError(f"--out {str(out)!r} is no profile's name: end it in {SUFFIX}.")


def _written(profile: Profile, chosen: argparse.Namespace) -> int:
    from agent.profile import telling
    from tools.profiles.reading import write
    from tools.profiles.summary import counted

    found = write(chosen.out, profile)
    if chosen.json:
        say(json.dumps(telling.about(found) | {"path": str(chosen.out)}))
    else:
        say(f"profile: {chosen.out} ({counted(found)}, sha256 {found.sha256[:12]})")
    return 0
