"""A campaign against Palate: whatever may come from outside, in numbers, and what did not hold.

    python -m benchmarks.campaign                    (about half an hour on two cores; the answer goes to benchmarks/campaign.md)
    python -m benchmarks.campaign --only answers,files --quick

Each part is a file beside this one with `run(seed, quick)`, which gives a Part: attempts counted, failures told one by one. A failure says
what is needed to see it again.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.campaign.part import Part
from benchmarks.studio import machine

HERE = Path(__file__).parent
NO_PARTS = ("__init__", "__main__", "part", "victims")
PARTS = tuple(sorted(file.stem for file in HERE.glob("*.py") if file.stem not in NO_PARTS))
ANSWER = HERE.parent / "campaign.md"


def carried_out(name: str, seed: int, quick: bool) -> Part:
    """One part, timed."""
    began = time.monotonic()
    found: Part = importlib.import_module(f"benchmarks.campaign.{name}").run(seed=seed, quick=quick)
    found.seconds = time.monotonic() - began
    return found


def told(parts: Sequence[Part], seed: int, quick: bool) -> str:
    """The answer as a page."""
    rows = [f"| {one.name} | {one.tried} | {len(one.failures)} | {one.seconds:.0f} s | {one.notes} |" for one in parts]
    failures = [f"- {one.name}: {line}" for one in parts for line in one.failures]
    return "\n".join([
        "# The campaign's last answer", "",
        f"{datetime.date.today()}, {machine()}, seed {seed}{', quick' if quick else ''}. Made by `python -m benchmarks.campaign`.", "",
        "| part | tried | failed | took | what is tried |", "|---|---|---|---|---|", *rows, "",
        "## What failed", "", *(failures or ["Nothing."]), "",
    ])  # fmt: skip


def main() -> int:
    """Carry out the parts; 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a tenth of the attempts")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.only if name not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}: use {', '.join(PARTS)}")
    found = []
    for name in chosen.only:
        found.append(carried_out(name, chosen.seed, chosen.quick))
        print(f"{name}: {found[-1].tried} tried, {len(found[-1].failures)} failed", file=sys.stderr)
    page = told(found, chosen.seed, chosen.quick)
    print(page)
    if list(chosen.only) == list(PARTS) and not chosen.quick:
        ANSWER.write_text(page)
    return 1 if any(one.failures for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
