"""`palate profile export|import|show|diff|blend`: a taste as a file of one's own.

Knows what a person types and reads. Does not know what stands in a file; heavy imports wait until a command runs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.telling import clean, short
from prompts.errors import InputError

if TYPE_CHECKING:
    from tools.profiles.mix import Difference, Word
    from tools.profiles.profile import Profile

STRONGEST = 12  # words that `show --json` names


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
    from agent.cli import named
    from agent.profile_export import export as exported
    from agent.session import open_store

    with open_store(chosen.home) as store:
        runs = [named(store, run) for run in chosen.runs]
        profile = exported(store, chosen.home, runs, chosen.name or chosen.out.stem, chosen.rater)
    return _written(profile, chosen)


def take_in(chosen: argparse.Namespace) -> int:
    """palate profile import."""
    from agent.profiles import take_in as kept

    profile, path = kept(chosen.home, chosen.file, chosen.name, replace=chosen.replace)
    if chosen.json:
        print(json.dumps(about(profile) | {"kept": str(path), "kept_as": path.stem}))
        return 0
    print(f"{clean(path.stem)}: {profile.manifest.ratings} ratings, sha256 {profile.sha256[:12]}, kept at {path}")
    print(f"A run starts from it with `profile: {{name: {clean(path.stem)}, strength: 0.5}}` in its config.")
    return 0


def show(chosen: argparse.Namespace) -> int:
    """palate profile show."""
    from agent.profiles import find

    profile = find(chosen.home, chosen.file)
    if chosen.json:
        print(json.dumps(about(profile)))
        return 0
    seen = profile.manifest.features
    print("\n".join(clean(line) for line in profile.summary.splitlines()))
    print(f"\nsha256 {profile.sha256}; pictures seen by {clean(seen.model)} ({seen.dimension} numbers each)")
    return 0


def about(profile: Profile) -> dict[str, Any]:
    """A profile as JSON: its manifest, its strongest words, its summary."""
    from tools.profiles.summary import words

    ordered = sorted(words(profile), key=lambda one: -abs(one[2].worth))[:STRONGEST]
    strongest = [{"gene": gene, "word": word, **worth.model_dump()} for gene, word, worth in ordered]
    told = profile.manifest.model_dump(mode="json") | {"sha256": profile.sha256, "words": strongest}
    return told | {"adapters": [one.model_dump(mode="json") for one in profile.adapters], "summary": profile.summary}


def diff(chosen: argparse.Namespace) -> int:
    """palate profile diff."""
    from agent.profiles import find
    from tools.profiles.mix import diff as compared

    a, b = find(chosen.home, chosen.a), find(chosen.home, chosen.b)
    found = compared(a, b)
    if chosen.plot is not None:
        from agent.profile_plot import worth_plot

        worth_plot(found, (a.name, b.name), chosen.plot)
    if chosen.json:
        print(json.dumps(as_json(found) | {"plot": None if chosen.plot is None else str(chosen.plot)}))
        return 0
    print("\n".join(told(found, clean(a.name), clean(b.name))))
    if chosen.plot is not None:
        print(f"plot: {chosen.plot}")
    return 0


def as_json(found: Difference) -> dict[str, Any]:
    """A difference as plain JSON."""
    liking = None if found.liking is None else {"correlation": found.liking.srocc, "low": found.liking.low, "high": found.liking.high}  # fmt: skip
    words = {"apart": found.apart(), "together": found.together()}
    return {"pictures": found.pictures, "liking": liking, "why": found.why, "worths": found.correlation} | {
        name: [vars(word) | {"difference": word.difference, "sure": word.sure} for word in some] for name, some in words.items()
    }  # fmt: skip


def told(found: Difference, a: str, b: str) -> list[str]:
    """What `diff` says."""
    if found.liking is None:
        lines = [f"Their liking of pictures cannot be compared: {found.why}."]
    else:
        one = found.liking
        lines = [
            f"On {found.pictures} pictures of both, {a} and {b} like alike at a rank correlation of {one.srocc:.2f} ({one.low:.2f} to "
            f"{one.high:.2f}): 1 is the same order, 0 has nothing in common, -1 is the opposite."
        ]
    lines += [] if found.correlation is None else [f"Their {len(found.words)} words' worths correlate at {short(found.correlation)}."]  # fmt: skip
    lines += ["", f"{'they differ most in':32}{a[:12]:>12}{b[:12]:>12}{'apart':>8}"]
    lines += [f"{_line(word)}{word.difference:+8.2f}{' *' if word.sure else ''}" for word in found.apart()]
    lines += ["", f"{'they agree most in':32}{a[:12]:>12}{b[:12]:>12}", *map(_line, found.together())]
    return [*lines, "", "Worths are in SDs of each one's ratings; * where 95 % sure that they differ."]


def _line(word: Word) -> str:
    name = clean(f"{word.gene.replace('_', ' ')} {word.value}", 31)
    return f"{name:32}{word.a:+12.2f}{word.b:+12.2f}"


def blend(chosen: argparse.Namespace) -> int:
    """palate profile blend."""
    from agent.profile_export import blended
    from agent.profiles import find

    profiles = [find(chosen.home, one) for one in chosen.profiles]
    return _written(blended(profiles, chosen.weights, chosen.name or chosen.out.stem), chosen)


def _written(profile: Profile, chosen: argparse.Namespace) -> int:
    from agent.profiles import SUFFIX
    from tools.profiles.reading import write

    if chosen.out.suffix != SUFFIX:
        raise InputError(f"--out {str(chosen.out)!r} is no profile's name: end it in {SUFFIX}.")
    found = write(chosen.out, profile)
    if chosen.json:
        print(json.dumps(about(found) | {"path": str(chosen.out)}))
    else:
        print(f"profile: {chosen.out} ({found.manifest.ratings} ratings, sha256 {found.sha256[:12]})")
    return 0
