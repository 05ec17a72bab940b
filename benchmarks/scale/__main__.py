"""How long it takes to list, show, read and go on with a run beside 2,000 others: a million steps, about a gigabyte, made up and removed again.

    python -m benchmarks.scale                       # a million steps; needs 3 GiB in the temporary folder and ten minutes
    python -m benchmarks.scale --runs 201 --steps 50000 --long 8000

Commands are processes of their own, as a person types them, with the start of Python in their time; of three tries the best. A step's
overhead is all that the graph's nodes do around a tool, in the long run and in a new one, without a painter: the median of 30. Prints a
line a measurement and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from agent.config import make_config
from agent.loop.crew import Crew
from agent.loop.graph import Loop
from agent.loop.session import stored_config
from agent.store.home import open_store
from agent.store.store import Store
from benchmarks.scale.records import LONG, fill
from tools.records import StepRecord

AIMS = {"list": 0.3, "show": 0.5}  # seconds
ROOM = 3 * 2**30  # bytes
TRIES, STEPS = 3, 30


def command(home: Path, *words: str, tries: int = TRIES) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, and MiB of the largest resident memory of a `palate` command, the quickest of some tries."""
    found = []
    for _ in range(tries):
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "agent.cli.main", "--home", str(home), *words], stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"palate {' '.join(words)} ended with status {child.returncode}: see above.")
        found.append((time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))
    return min(found)


def overhead(store: Store, home: Path, run_id: str) -> dict[str, float]:
    """Milliseconds of a step in a run: `quiet` where nothing was rated since the last, `rated` where something was."""
    crew = Crew(stored_config(store, run_id), home, store)
    crew.llm = object()  # so that its messages are put together; it is never asked
    loop = Loop(crew, run_id)
    images = [row.id for row in store.newest_painting(run_id)]
    return {"quiet": _median(lambda: _step(loop)), "rated": _median(lambda: _step(loop, images))}


def _median(step: Callable[[], float]) -> float:
    step()  # the first reads all that was rated
    return 1000 * median(step() for _ in range(STEPS))


def _step(loop: Loop, rated: list[str] | None = None) -> float:
    """Seconds of what surrounds one tool: recall, the rules' plan, the budgets, the record."""
    if rated:
        loop.crew.store.add_ratings(loop.run_id, 1, [(rated[0], time.time() % 10)], "rater-0")
    began = time.perf_counter()
    state = loop.recall({"run_id": loop.run_id})
    state |= {"rules_until": 10**9}
    loop.plan(state)
    loop.facts(), loop.trail.clicks()
    record = StepRecord(
        run_id=loop.run_id,
        step=state["step"],
        round=state["round"],
        node="act",
        tool="finish",
        args={"summary": str(began)},
    )
    loop.record(state | {"record": record.model_dump(mode="json")})
    return time.perf_counter() - began


def a_new_run(store: Store, home: Path) -> str:
    """A run with one round, rated."""
    config = make_config({"planner": "rules", "rater": 0, "limits": {"steps": 10**5}})
    run_id = store.new_run("", config.model_dump(mode="json"), {}, 0)
    old = store.newest_painting(store.runs()[1].id)
    painted = tuple(row.model_copy(update={"run_id": run_id}) for row in old)
    store.add_step(run_id, StepRecord(step=1, round=1, node="act", tool="generate_images", images=painted))
    return run_id


def measure(home: Path, runs: int, steps: int, long: int) -> dict[str, float]:
    """Every number, by name."""
    began = time.perf_counter()
    # in a process of its own: what a child is charged for includes the memory of the one that started it
    made = [
        sys.executable,
        "-c",
        "import sys; from pathlib import Path; from benchmarks.scale.records import fill; fill(Path(sys.argv[1]), *map(int, sys.argv[2:]))",
    ]
    subprocess.run([*made, str(home), str(runs), str(steps), str(long)], check=True)
    long_run = LONG
    found = {"fill_s": time.perf_counter() - began, "gib": (home / "palate.sqlite").stat().st_size / 2**30}
    asked = {
        "help": ("--help",), "list": ("logs", "list"), "list_all": ("logs", "list", "--all"), "show": ("logs", "show", "last"),
        "show_json": ("logs", "show", "last", "--json"), "view": ("replay", "last"), "view_long": ("replay", long_run),
    }  # fmt: skip
    for name, words in asked.items():
        tries = 1 if words[-1] == long_run else TRIES
        found[f"{name}_s"], found[f"{name}_cpu_s"], found[f"{name}_mib"] = command(home, *words, tries=tries)
    with open_store(home) as store:
        for name, run_id in (("long", long_run), ("new", a_new_run(store, home))):
            found |= {f"step_{name}_{kind}_ms": value for kind, value in overhead(store, home, run_id).items()}
    return found


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag, default in (("--runs", 2001), ("--steps", 1_000_000), ("--long", 32_000)):
        parser.add_argument(flag, type=int, default=default)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="palate-scale-") as folder:
        place = os.statvfs(folder)
        if place.f_bavail * place.f_frsize < ROOM * chosen.steps / 1e6:
            raise SystemExit(f"{folder!r} has too little room: set TMPDIR to a folder with {ROOM / 2**30:.0f} GiB.")
        found = measure(Path(folder), chosen.runs, chosen.steps, chosen.long)
        with_empty = Path(folder) / "empty"
        with open_store(with_empty) as store:
            fill(with_empty, 2, 12, 6)
            found |= {
                f"step_alone_{kind}_ms": ms
                for kind, ms in overhead(store, with_empty, a_new_run(store, with_empty)).items()
            }
    for name, value in found.items():
        print(f"{name:<22} {value:10.3f}")
    print(
        json.dumps(
            {name: round(value, 3) for name, value in found.items()} | {"aims": AIMS, "load": os.getloadavg()[0]}
        )
    )


if __name__ == "__main__":
    main()
