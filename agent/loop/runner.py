"""A whole run from a config to its report and numbers: what `palate run`, `resume` and `demo` do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from agent.config import Config, run_folder
from agent.llm.brain import open_llm
from agent.loop.crew import Crew
from agent.loop.people import Person, make_rater, open_picture, simulated_person
from agent.loop.session import drive
from agent.report.report import write_report
from agent.store.store import Store
from agent.store.summary import summarise, wanting
from tools.records import StepRecord

PARTS = ("llm", "paint", "score", "train")  # of a run's seconds; a program that reads them finds each, if only as 0


class Teller(Protocol):
    """Tells a person how it goes (agent.report.progress.Narrator), or says nothing."""

    def on_step(self, record: StepRecord) -> None: ...
    def progress(self, part: str, done: int, total: int) -> None: ...
    def waiting(self, seconds: float, line: str) -> None: ...
    def waited(self) -> None: ...
    def say(self, text: str) -> None: ...


def carry_out(
    config: Config, home: Path, store: Store, run_id: str, teller: Teller, person: Person | None = None
) -> dict[str, Any]:
    """Drive the run to its end, write its report, and return its numbers (see `numbers`)."""
    crew = Crew(config, home, store, on_step=teller.on_step, on_progress=teller.progress)
    with peak_memory() as memory, hired(crew, teller):
        drive(crew, run_id, person or simulated_person(crew, run_id))
        found = numbers(crew, run_id) | {"peak_memory_mib": round(memory.mib)}
    hidden = found.pop("hidden_by_round")
    report = write_report(store, run_id, run_folder(home, run_id), hidden=hidden)
    return found | {"report": str(report), "database": str(store.path)}


@contextmanager
def hired(crew: Crew, teller: Teller) -> Iterator[None]:
    """The crew's language model, for as long as it is needed."""
    heard = lambda call: crew.calls.append(dict(call))  # noqa: E731
    with open_llm(crew.config, crew.home, on_call=heard, on_wait=teller.waiting, on_restart=teller.say) as crew.llm:
        teller.waited()
        yield


def numbers(crew: Crew, run_id: str) -> dict[str, Any]:
    """What the run came to, by name; `adapter`, `plans`, `seconds` and `hidden_by_round` hold several values, `wanting` a sentence
    where it has not got what it was for.

    `hidden_*` are the simulated rater's noise-free utility, in its SDs over random prompts.
    """
    summary, hidden = summarise(crew.store, run_id), hidden_by_round(crew, run_id)
    told = (
        "run",
        "model",
        "planner",
        "rater",
        "images",
        "score_first",
        "score_last",
        "adapter",
        "plans",
        "rounds_by_rules",
    )
    seconds = dict.fromkeys(PARTS, 0.0) | summary["seconds"] | {"store": round(crew.store_seconds, 3)}
    return {name: summary[name] for name in told} | {
        "rounds": len(summary["rounds"]), "hidden_first": _at(hidden, 0), "hidden_last": _at(hidden, -1), "seconds": seconds,
        "hidden_by_round": hidden, "wanting": wanting(crew.store, run_id),
    }  # fmt: skip


def hidden_by_round(crew: Crew, run_id: str) -> dict[int, float]:
    """Mean noise-free utility of each round's images; empty when a person rates."""
    if crew.config.rater == "person":
        return {}
    rater, folder = make_rater(crew), run_folder(crew.home, run_id)
    rounds: dict[int, list[Any]] = {}
    for row in crew.store.images(run_id):
        if row.shown:
            rounds.setdefault(row.round, []).append(open_picture(folder / row.path))
    return {number: float(rater.utility(images).mean()) for number, images in sorted(rounds.items())}


def _at(by_round: dict[int, float], place: int) -> float | None:
    values = [by_round[number] for number in sorted(by_round)]
    return round(values[place], 4) if values else None


class _Memory:
    mib = 0.0


@contextmanager
def peak_memory(every: float = 0.5) -> Iterator[_Memory]:
    """The largest sum of resident memory of this process and its children, MiB (shared pages counted for each)."""
    import psutil

    found, done, process = _Memory(), threading.Event(), psutil.Process()

    def look() -> None:
        total = 0
        for one in [process, *process.children(recursive=True)]:
            try:
                total += one.memory_info().rss
            except psutil.Error:
                continue  # it ended between the listing and the look
        found.mib = max(found.mib, total / 2**20)

    def watch() -> None:
        look()  # at once: a run may be over before the first wait is
        while not done.wait(every):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
