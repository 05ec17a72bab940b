"""Measure the bundled models against what was asked of them: the one door to all measurements.

    python -m trainers.embedded.evaluate --recipe cpu           (about an hour on 2 cores; goes on where it stopped)
    python -m trainers.embedded.evaluate --only studio,language --json

Each part is a benchmark in a process of its own: its memory is freed when it ends, and what befalls it befalls no other part. Scenes,
wordings and raters are held out; pictures are judged by their pixels or by a judge trained apart, never by the renderer's own data.
A part's numbers are kept in WORK/evaluation.json with the versions of the weights they belong to, and are not measured again for the
same weights. To fall short is a result and ends with 0; a part that fails ends with 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

from rich.text import Text

from prompts.errors import InputError, PalateError
from prompts.ground.atomic import write_atomically
from prompts.ground.console import bars, make_console
from trainers.embedded.asked import table, verdicts
from trainers.embedded.recipe import MODELS, RECIPES

ROOT = Path(__file__).parents[2]
SEED = 0
Values = dict[str, Any]


class Part(NamedTuple):
    """One benchmark: `words` start it (MODELS and WORK stand for the folders), `models` are the folders it depends on."""

    words: tuple[str, ...]
    models: tuple[str, ...]


PICTURES = ("bauhaus", "bauhaus-clip", "bauhaus-judge", "bauhaus-pickscore")
LOOP = ("bauhaus", "bauhaus-clip", "bauhaus-pickscore", "bauhaus-lm")
_RATERS = ("benchmarks.raters", *f"--models MODELS --home WORK/raters --seed {SEED} --planner rules llm".split())
PARTS: dict[str, Part] = {
    "studio": Part(("benchmarks.studio", "--models", "MODELS"), PICTURES),
    "language": Part(("benchmarks.language", "--model", "MODELS/bauhaus-lm"), ("bauhaus-lm",)),
    "subject": Part(("benchmarks.subject", "--models", "MODELS"), ("bauhaus", "bauhaus-judge")),
    "raters": Part((*_RATERS, "random", "--raters", "100-129"), LOOP),
    "unusual": Part((*_RATERS, "--unusual", "10"), LOOP),
}


def version(models: Path, part: Part) -> str:
    """A digest of the weights and settings that a part depends on. Raises InputError if a model is not there."""
    digest = hashlib.sha256()
    for name in part.models:
        if not (models / name).is_dir():
            raise InputError(f"there is no model {str(models / name)!r}: train it first, or give another --models")
        for file in sorted((models / name).rglob("*")):
            if file.suffix in (".safetensors", ".json", ".npz", ".jinja"):
                digest.update(str(file.relative_to(models)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def command(part: Part, models: Path, work: Path) -> list[str]:
    """The words that start a part."""
    folders = [("MODELS", str(models)), ("WORK", str(work))]
    words = list(part.words)
    for place, folder in folders:
        words = [word.replace(place, folder, 1) if word.startswith(place) else word for word in words]
    return [sys.executable, "-m", *words]


def run(words: Sequence[str], log: Path, on_line: Callable[[], None]) -> Values:
    """Run a part and return the JSON of its last line; `on_line` is called with every line that it prints.

    Raises PalateError with the end of its log if it fails, or if its last line is no JSON object.
    """
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    last = ""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            words, stdout=PIPE, stderr=errors, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}
        ) as child,
        ended_with_us(child),
    ):
        assert child.stdout is not None
        for line in child.stdout:
            last = line.strip() or last
            on_line()
    return _told(last, child.returncode, log)


@contextmanager
def ended_with_us(child: subprocess.Popen[str]) -> Iterator[None]:
    """A part does not outlive whoever asked for it."""
    try:
        yield
    except BaseException:
        child.terminate()
        raise


def _told(line: str, code: int, log: Path) -> Values:
    try:
        told = json.loads(line) if code == 0 else None
    except ValueError:
        told = None
    if isinstance(told, dict):
        return told
    end = " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
    raise PalateError(f"ended with exit code {code} and no JSON object: {end or line!r} (all of it: {str(log)!r})")


def evaluate(names: Sequence[str], models: Path, work: Path, *, again: bool) -> dict[str, Values]:
    """Measure the named parts that were not measured yet with these weights; the rest are read back. Each end is told on standard error.

    A part that fails has "error" in place of "measured", and is tried again the next time.
    """
    file = work / "evaluation.json"
    known: dict[str, Values] = json.loads(file.read_text()) if file.is_file() else {}
    with bars() as shown:
        for name in names:
            bar, kept = shown.add_task(f"{name}: lines", total=None), None if again else known.get(name)
            known[name] = measure(name, models, work, kept, partial(shown.advance, bar))
            shown.remove_task(bar)
            shown.console.print(_ending(name, known[name], kept))
            _write(file, known)
    return {name: known[name] for name in names}


def measure(name: str, models: Path, work: Path, kept: Values | None, on_line: Callable[[], None]) -> Values:
    """One part's numbers: `kept`, if they belong to the same weights, or fresh ones; or its error."""
    began, told = time.monotonic(), {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        told["weights"] = version(models, PARTS[name])
        if kept and "measured" in kept and kept["weights"] == told["weights"]:
            return kept
        found = run(command(PARTS[name], models, work), work / f"evaluation-{name}.log", on_line)
    except PalateError as error:
        return told | {"error": str(error)}
    return told | {"seconds": round(time.monotonic() - began, 1), "measured": found}


def _ending(name: str, part: Values, kept: Values | None) -> Text:
    if "error" in part:
        return Text(f"{name}: failed", "red")
    return Text(f"{name}: " + ("measured before" if part is kept else f"done in {part['seconds']:.0f} s"))


def _write(file: Path, values: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(values, indent=1) + "\n")


def report(recipe: str, names: Sequence[str], parts: dict[str, Values]) -> Values:
    """All that was found, as one JSON object."""
    failed = {name: part["error"] for name, part in parts.items() if "error" in part}
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    return {
        "recipe": recipe, "date": datetime.now(UTC).date().isoformat(), "machine": machine, "seed": SEED,
        "numbers": verdicts(recipe, parts, names), "failed": failed, "parts": parts,
    }  # fmt: skip


def part_names(text: str) -> list[str]:
    """`studio,language` as a list of parts."""
    names = text.split(",")
    if strange := sorted(set(names) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"{strange[0]!r} is none of {', '.join(PARTS)}")
    return names


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="cpu", help="whose numbers are asked for")
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder of model folders")
    parser.add_argument("--work", type=Path, help="where results and logs go (default: .studio/RECIPE)")
    parser.add_argument("--only", type=part_names, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--again", action="store_true", help="measure also what was measured with these weights")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also store what was measured here")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of a table")
    chosen = parser.parse_args(words)
    chosen.work = (chosen.work or Path(".studio") / chosen.recipe).resolve()
    chosen.models = chosen.models.resolve()
    return chosen


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and say what came of it: 0, or 1 if a part failed."""
    chosen = arguments(words)
    chosen.work.mkdir(parents=True, exist_ok=True)
    parts = evaluate(chosen.only, chosen.models, chosen.work, again=chosen.again)
    found = report(chosen.recipe, chosen.only, parts)
    if chosen.write:
        _write(chosen.write, found)
    if chosen.json:
        print(json.dumps(found))
    else:
        make_console().print(table(found["numbers"], f"The bundled models, {found['machine']}"))
    for name, why in found["failed"].items():
        make_console(stderr=True).print(f"{name}: {why}", style="red")
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
