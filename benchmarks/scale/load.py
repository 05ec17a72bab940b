"""How much longer a run takes beside other work on the cores, with the threads that are free and asleep while they wait, and without.

    python -m benchmarks.scale.load --busy 4

A short run by the rules (8 pictures, no training) as a process of its own, alone and beside `--busy` processes that do nothing but count; then
the same with as many threads as there are cores, which spin as GNU's OpenMP does by itself. Of two tries the better. The machine should be
idle otherwise; its load before is told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.jobs.cores import ASLEEP, cores

CONFIG = {"planner": "rules", "rater": 0, "rounds": 2, "images_per_round": 4, "limits": {"trainings": 0}}
SPINNING = {"GOMP_SPINCOUNT": "300000"}  # GNU's own, where there are no more threads than cores
LONGEST = 300.0  # seconds that a busy process lives, whatever becomes of us
COUNT = f"import time\nbegan = time.monotonic()\nwhile time.monotonic() - began < {LONGEST}: sum(range(10**5))"


@contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` processes that keep a core each busy."""
    children = [subprocess.Popen([sys.executable, "-c", COUNT]) for _ in range(count)]
    try:
        time.sleep(1.0 if children else 0.0)
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def seconds(environment: dict[str, str]) -> tuple[float, str]:
    """Of one run, and the threads that it took."""
    env = {name: value for name, value in os.environ.items() if name not in (*ASLEEP, "OMP_NUM_THREADS")} | environment
    with tempfile.TemporaryDirectory(prefix="palate-load-") as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps(CONFIG))
        palate = [sys.executable, "-m", "agent.cli.main", "--home", folder]
        began = time.perf_counter()
        subprocess.run([*palate, "run", str(config), "--json"], env=env, check=True, capture_output=True)
        took = time.perf_counter() - began
        shown = subprocess.run([*palate, "logs", "show", "last", "--json"], env=env, check=True, capture_output=True)
        return took, str(json.loads(shown.stdout)["run"]["versions"]["threads"])


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=4)
    parser.add_argument("--tries", type=int, default=2)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    ways = {"free threads, asleep": {}, "every core, spinning": {"OMP_NUM_THREADS": str(cores())} | SPINNING}
    for name, environment in ways.items():
        found = {}
        for count in (0, chosen.busy):
            with busy(count):
                found[count] = min(seconds(environment) for _ in range(chosen.tries))
        told = {
            f"beside {count}": {"seconds": round(took, 1), "threads": threads}
            for count, (took, threads) in found.items()
        }
        times = round(found[chosen.busy][0] / found[0][0], 2)
        print(
            json.dumps({"way": name, "times": times, "load_before": round(load, 1), "cores": cores()} | told),
            flush=True,
        )


if __name__ == "__main__":
    main()
