"""What the graph, the log and the checkpoints cost a step: the time of the whole loop less that inside tools and persons.

    python -m benchmarks.overhead --rounds 8

A real run by the rules, with few sampling steps (what is painted takes no part in the figure). Each tool's function and the
person's answer are timed from outside; everything else between two recorded steps is overhead. Prints milliseconds a step by
tool, and one JSON line with the median, the 90th percentile and the largest. The target is a median under 20 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from agent.config import make_config
from agent.loop.crew import Crew
from agent.loop.people import Answer, Person, simulated_person
from agent.loop.session import drive, new_run
from agent.store.home import open_store
from tools.actions.catalogue import TOOLS, Tool
from tools.records import StepRecord

TARGET = 20.0  # milliseconds
Seconds = np.ndarray  # (2,): by the clock, and of this process's CPU time (all threads)


def now() -> Seconds:
    """The time, twice: on a busy machine the clock also counts the waiting."""
    return np.array([time.perf_counter(), time.process_time()])


@dataclass
class Clock:
    """Adds up the seconds spent elsewhere, and at each recorded step splits the time since the last one."""

    last: Seconds = field(default_factory=lambda: now())
    elsewhere: Seconds = field(default_factory=lambda: np.zeros(2))
    steps: list[tuple[str, Seconds]] = field(default_factory=list)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time counted as spent elsewhere."""

        def run(*args: Any, **named: Any) -> Any:
            began = now()
            try:
                return function(*args, **named)
            finally:
                self.elsewhere += now() - began

        return run

    def on_step(self, record: StepRecord) -> None:
        """One step is on disk."""
        at = now()
        self.steps.append((str(record.tool), at - self.last - self.elsewhere))
        self.last, self.elsewhere = at, np.zeros(2)


@dataclass
class Timed:
    """A person whose thinking is not overhead."""

    person: Person
    clock: Clock

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """As the person."""
        answer: Answer = self.clock.timed(self.person.answer)(asked)
        return answer


def measure(rounds: int, images: int, home: Path) -> list[tuple[str, Seconds]]:
    """Tool and overhead of each step of one run."""
    values = {"planner": "rules", "rater": 0, "rounds": rounds, "images_per_round": images, "steps": 1}
    config = make_config(values | {"limits": {"trainings": 0, "images": 10_000, "ratings": 10_000}})
    with open_store(home) as store:
        clock, run_id = Clock(), new_run(config, home, store)
        crew = Crew(config, home, store, on_step=clock.on_step)
        person = Timed(simulated_person(crew, run_id), clock)
        timed: dict[str, Tool] = {name: replace(tool, run=clock.timed(tool.run)) for name, tool in TOOLS.items()}
        clock.last = now()
        with patch.dict(TOOLS, timed):
            drive(crew, run_id, person)
    return clock.steps[1:]  # the first step waits for imports


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--images", type=int, default=8)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="palate-overhead-") as home:
        steps = [(tool, seconds * 1000) for tool, seconds in measure(chosen.rounds, chosen.images, Path(home))]
    for tool in dict.fromkeys(tool for tool, _ in steps):
        found = np.median([value for name, value in steps if name == tool], axis=0)
        print(f"{tool:<18} {found[0]:7.1f} ms by the clock, {found[1]:6.1f} ms of CPU")
    values = np.stack([value for _, value in steps])
    told: dict[str, object] = {"steps": len(values), "target_ms": TARGET}
    for column, name in enumerate(("clock", "cpu")):
        for share, word in ((50, "median"), (90, "p90"), (100, "largest")):
            told[f"{name}_{word}_ms"] = round(float(np.percentile(values[:, column], share)), 2)
    print(json.dumps(told | {"load": os.getloadavg()[0], "python": platform.python_version()}))


if __name__ == "__main__":
    main()
