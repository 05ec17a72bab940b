"""What `palate logs` and `palate replay --mode view` answer: runs, steps, rows of SQL, for people or as JSON.

Reads the store, and starts fast, because it needs no model. How things look is in agent/report/panels.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from agent.report import panels
from agent.report.telling import decision, ledger_lines, outcome, planner, reason
from agent.store.ledger import ledger_facts
from agent.store.store import Store
from agent.store.summary import adapter_facts, ratings_by_image, round_facts, round_images, summarise
from prompts.clean import harmless
from prompts.console import make_console
from tools.records import RunRow, StepRow

if TYPE_CHECKING:
    from rich.console import Console

Facts = dict[str, Any]


def logs_list(store: Store, *, as_json: bool = False, console: Console | None = None) -> None:
    """Every run, newest first."""
    console = console or make_console()
    found = [run_line(store, run) for run in store.runs()]
    if as_json:
        print_json(found, console)
    elif found:
        console.print(panels.runs(found, full=not console.is_terminal))
    else:
        console.print("no runs yet: `palate demo` makes one")


def logs_show(
    store: Store,
    run_id: str | None = None,
    *,
    step: int | None = None,
    as_json: bool = False,
    console: Console | None = None,
) -> None:
    """One run step by step with arguments, results, errors and ratings; or one of its steps with its LLM calls.

    `run_id` None or "last" is the newest run. Raises: InputError for an unknown run or step.
    """
    console, run = console or make_console(), store.find(run_id)
    found = whole_run(store, run.id) if step is None else one_step(store, run.id, step)
    if as_json:
        print_json(found, console)
    elif step is None:
        _show(console, _run_parts(store, run, full=not console.is_terminal))
    else:
        record = store.step(run.id, step)
        asked = [row for row in store.ratings(run.id) if row.step == step]
        _show(console, [panels.step(record, asked, full=True), *map(panels.llm_call, record.llm_calls)])


def logs_query(store: Store, sql: str, *, as_json: bool = False, console: Console | None = None) -> None:
    """The rows of one SELECT. Raises: InputError for SQL that is wrong or would write."""
    console, rows = console or make_console(), store.query(sql)
    if as_json:
        print_json([{name: _readable(value) for name, value in row.items()} for row in rows], console)
    else:
        console.print(panels.rows(rows, full=not console.is_terminal) if rows else "no rows")


def logs_path(store: Store, *, as_json: bool = False, console: Console | None = None) -> None:
    """Where the database is."""
    path = str(store.path.absolute())
    if as_json:
        print_json({"path": path}, console)
    else:
        _write(path, console)


def replay_view(
    store: Store, run_id: str | None = None, *, as_json: bool = False, console: Console | None = None
) -> None:
    """A run to read: one panel a step with what was decided, why, and what came of it; then the numbers.

    `run_id` None or "last" is the newest run. Raises: InputError for an unknown run.
    """
    console, run = console or make_console(), store.find(run_id)
    steps, ratings, numbers = store.steps(run.id), ratings_by_image(store, run.id), summarise(store, run.id)
    told = [reading(step, steps[:number], ratings) for number, step in enumerate(steps)]
    if as_json:
        print_json({"run": run.id, "brief": run.brief, "state": run.state, "steps": told, "summary": numbers}, console)
    else:
        head = panels.head(run, full=not console.is_terminal)
        _show(console, [head, *map(panels.reading, told), panels.ending(numbers)])


def run_line(store: Store, run: RunRow) -> Facts:
    """One run in a few numbers."""
    rounds = round_facts(store, run.id)
    rated = [one["rating"] for one in rounds if one["rating"] is not None]
    return {
        "run": run.id,
        "when": run.created,
        "brief": run.brief,
        "state": run.state,
        "rounds": len(rounds),
        "images": sum(one["images"] for one in rounds),
        "score_first": rated[0] if rated else None,
        "score_last": rated[-1] if rated else None,
        "adapter": adapter_facts(store, run.id),
    }


def reading(step: StepRow, earlier: Sequence[StepRow], ratings: Mapping[str, float]) -> Facts:
    """A step in words."""
    return {
        "step": step.step,
        "round": step.round,
        "planner": planner(step),
        "decision": decision(step),
        "reason": reason(step, earlier),
        "outcome": outcome(step, ratings),
        "error": step.error,
        "seconds": step.seconds,
    }


def whole_run(store: Store, run_id: str) -> Facts:
    """A run as JSON: its row, numbers, steps, pictures, ratings and answers, superseded ones too."""
    return {
        "run": store.run(run_id).model_dump(mode="json"),
        "summary": summarise(store, run_id),
        "steps": [step.model_dump(mode="json") for step in store.steps(run_id)],
        "images": [{"id": row.id, **row.model_dump(mode="json")} for row in store.images(run_id)],
        "ratings": [row.model_dump(mode="json") for row in store.ratings(run_id, superseded=True)],
        "answers": [row.model_dump(mode="json") for row in store.answers(run_id, superseded=True)],
    }


def one_step(store: Store, run_id: str, step: int) -> Facts:
    """A step as JSON with everything that came with it, and the ratings it asked for."""
    ratings = [row.model_dump(mode="json") for row in store.ratings(run_id) if row.step == step]
    return store.step(run_id, step).model_dump(mode="json") | {"ratings": ratings}


def print_json(value: object, console: Console | None = None) -> None:
    """One JSON document on one line: not wrapped, not coloured, and what would steer a terminal as JSON escapes it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    steers = set(text) - set(harmless(text))
    _write("".join(f"\\u{ord(mark):04x}" if mark in steers else mark for mark in text), console)


def _run_parts(store: Store, run: RunRow, *, full: bool) -> list[Any]:
    ratings = store.ratings(run.id)
    told = [
        panels.step(one, [row for row in ratings if row.step == one.step], full=full) for one in store.steps(run.id)
    ]
    means, pictures = ratings_by_image(store, run.id), []
    for one in round_facts(store, run.id):
        for number, row in enumerate(round_images(store, run.id, one["round"]), 1):
            rating = means.get(row.id)
            pictures.append(
                {"round": row.round, "image": number, "rating": rating, "prompt": row.prompt, "file": row.path}
            )
    judges = [Text(line) for line in ledger_lines(ledger_facts(store, run.id))]
    shown = panels.rows(pictures, full=full) if pictures else Text("no images yet")
    return [panels.head(run, full=full), *told, shown, *judges]


def _readable(value: object) -> object:
    """What SQL may answer and JSON cannot hold: bytes, infinities."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and value - value != 0 else value


def _write(text: str, console: Console | None) -> None:
    stream = console.file if console else sys.stdout
    stream.write(text + "\n")
    stream.flush()


def _show(console: Console, parts: Sequence[Any]) -> None:
    for part in parts:
        console.print(part)
