"""kill -9 in numbers: of what writes to the database, of files, of checkpoints, and of whole runs, trainings and servers.

The small writers live in victims.py; whole runs are those of benchmarks/crash.py. What was acknowledged must be there, whole, and once.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.store.store import Store
from benchmarks.campaign.part import Part
from benchmarks.campaign.victims import IMAGES, killed, writes_checkpoints, writes_files, writes_steps
from benchmarks.crash import kill_many
from prompts.ground.atomic import abandoned

STRIKES = {"steps": 800, "files": 800, "checkpoints": 300}  # of the small writers
RUNS = {"agent": 20, "training": 3, "vllm": 2}  # of whole runs, half a minute each and more
BRIEF: dict[str, dict[str, Any]] = {
    "agent": {"rounds": 1, "limits": {"trainings": 0}}
}  # what quick changes in its runs


def run(seed: int, quick: bool) -> Part:
    """All of them."""
    part = Part("kills", notes="kill -9 of database, file and checkpoint writers, of runs, trainings and model servers")
    with tempfile.TemporaryDirectory(prefix="palate-campaign-") as place:
        small_ones(part, Path(place), seed, 10 if quick else 1)
        for victim, kills in ({"agent": 2} if quick else RUNS).items():
            whole_runs(part, Path(place), victim, kills, seed, BRIEF if quick else {})
    return part


def small_ones(part: Part, place: Path, seed: int, divided_by: int) -> None:
    """The writers, struck again and again; each goes on in the folder that the one before left behind."""
    checks = {
        "steps": (writes_steps, _steps),
        "files": (writes_files, _file),
        "checkpoints": (writes_checkpoints, _checkpoints),
    }
    for name, (work, check) in checks.items():
        rng = random.Random(f"{seed}/{name}")
        for number in range(max(1, STRIKES[name] // divided_by)):
            folder = place / f"{name}-{number // 20}"  # a few share a folder, so that leftovers are met
            folder.mkdir(exist_ok=True)
            part.attempt(
                f"{name}, strike {number}, seed {seed}",
                lambda work=work, folder=folder, rng=rng, check=check: check(folder, killed(work, folder, rng, 0.04)),
            )


def whole_runs(part: Part, place: Path, victim: str, kills: int, seed: int, changes: dict[str, Any]) -> None:
    """As benchmarks.crash does it."""
    folder = place / victim
    folder.mkdir()
    said: list[str] = []
    found = kill_many(victim, kills, seed, changes, tell=said.append, folder=folder)
    part.tried += sum(one["kills"] for one in found)
    again = f"python -m benchmarks.crash --victim {victim} --kills {kills} --seed {seed}"
    part.failures += [f"{again}: at {' '.join(one['at'])}: {problem}" for one in found for problem in one["problems"]]


def _steps(folder: Path, said: list[str]) -> str:
    if not said:
        return "it never began"
    with closing(sqlite3.connect(folder / "palate.sqlite")) as raw:
        for name in ("integrity_check", "foreign_key_check"):
            told = [row for row in raw.execute(f"pragma {name}") if row != ("ok",)]
            if told:
                return f"{name}: {told[:3]}"
    with Store(folder / "palate.sqlite") as store:
        steps = [step.step for step in store.steps(said[0])]
        images, scores = len(store.images(said[0])), len(store.scores(said[0]))
        ratings = len(store.ratings(said[0]))
    if steps != list(range(len(steps))) or len(steps) < len(said) - 1:
        return f"acknowledged {len(said) - 1} steps, stored {steps[-5:]}"
    whole = images == scores == IMAGES * len(steps) and ratings % IMAGES == 0 and ratings >= IMAGES * (len(said) - 1)
    return "" if whole else f"{len(steps)} steps with {images} images, {scores} scores, {ratings} ratings"


def _file(folder: Path, said: list[str]) -> str:
    if not said:
        return "it never began"
    size, _, rest = (folder / "file").read_text().partition("\n")
    if int(size) != len(rest):
        return f"a part of a file: {len(rest)} of {size} characters"
    left, ours = set(folder.glob(".*")), set(abandoned(folder))
    for one in ours:
        one.unlink()
    return f"left behind, and not known as abandoned: {left - ours}" if left - ours else ""


def _checkpoints(folder: Path, said: list[str]) -> str:
    from trainers.engine.checkpoint import latest

    found = latest(folder / "out")
    if found is None:
        return "it never began" if not said else "no checkpoint is left"
    whole = set(found.tensors["weight.a"].tolist()) == {float(found.step)} and len(found.history) == found.step
    late = "" if found.step >= int(said[-1] if said else 0) else f"acknowledged {said[-1]}, kept {found.step}"
    return late if whole else f"checkpoint {found.step} is not whole"
