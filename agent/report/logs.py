"""What `palate logs` and `palate replay --mode view` answer: runs, steps, rows of SQL, for people or as JSON.

Reads the store, and starts fast, because it needs no model. How things look is in agent/report/panels.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.text import Text

from agent.report import panels
from agent.report.telling import decision, ledger_lines, outcome, planner, reason, with_earlier
from agent.store.ledger import ledger_facts
from agent.store.store import Store
from agent.store.summary import RatingsOf, ratings_by_image, run_lines, summarise
from prompts.ground.clean import escaped, legible
from prompts.ground.console import make_console, typed
from tools.records import RatingRow, RunRow, StepRow

if TYPE_CHECKING:
    from rich.console import Console

Facts = dict[str, Any]
Document = Sequence[
    tuple[str, Any]
]  # a name and a value of JSON, or what gives one when it is its turn: a function, or an iterator of items
PAGE = 20  # runs of a list, unless asked


def logs_list(store: Store, limit: int | None = PAGE, *, as_json: bool = False, console: Console | None = None) -> None:
    """The `limit` newest runs, newest first; every run for None."""
    console = console or make_console()
    found = run_lines(store, limit)
    if as_json:
        print_json(found, console)
    elif found:
        console.print(panels.runs(found, full=not console.is_terminal))
        left = store.count_runs() - len(found)
        if left:
            console.print(Text(f"{left} older runs are not shown: --all shows every run, --limit N the N newest."))
    else:
        console.print(f"no runs yet: `{typed('demo')}` makes one")


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
    if step is None and as_json:
        write_object(whole_run(store, run.id), console)
    elif step is None:
        _show(console, _run_parts(store, run, full=not console.is_terminal))
    elif as_json:
        print_json(one_step(store, run.id, step), console)
    else:
        record, asked = store.step(run.id, step), store.ratings(run.id, step=step)
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
        _write(legible(path), console)


def replay_view(
    store: Store, run_id: str | None = None, *, as_json: bool = False, console: Console | None = None
) -> None:
    """A run to read: one panel a step with what was decided, why, and what came of it; then the numbers.

    `run_id` None or "last" is the newest run. Raises: InputError for an unknown run.
    """
    console, run = console or make_console(), store.find(run_id)
    told = (reading(*one, RatingsOf(store, run.id)) for one in with_earlier(store.each_step(run.id)))
    if as_json:
        first = {"run": run.id, "brief": run.brief, "state": run.state, "steps": told}
        write_object([*first.items(), ("summary", lambda: summarise(store, run.id))], console)
    else:
        _show(console, [panels.head(run, full=not console.is_terminal)])
        _show(console, map(panels.reading, told))
        _show(console, [panels.ending(summarise(store, run.id, judges=False))])


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


def whole_run(store: Store, run_id: str) -> Document:
    """A run as JSON: its row, numbers, steps, pictures, ratings and answers, superseded ones too."""
    return [
        ("run", store.run(run_id).model_dump(mode="json")),
        ("summary", lambda: summarise(store, run_id)),
        ("steps", (step.model_dump(mode="json") for step in store.each_step(run_id))),
        ("images", ({"id": row.id, **row.model_dump(mode="json")} for row in store.images(run_id))),
        ("ratings", (row.model_dump(mode="json") for row in store.ratings(run_id, superseded=True))),
        ("answers", (row.model_dump(mode="json") for row in store.answers(run_id, superseded=True))),
    ]


def one_step(store: Store, run_id: str, step: int) -> Facts:
    """A step as JSON with everything that came with it, and the ratings it asked for."""
    ratings = [row.model_dump(mode="json") for row in store.ratings(run_id, step=step)]
    return store.step(run_id, step).model_dump(mode="json") | {"ratings": ratings}


def print_json(value: object, console: Console | None = None) -> None:
    """One JSON document on one line: not wrapped, not coloured."""
    _write(_json(value), console)


def write_object(parts: Document, console: Console | None = None) -> None:
    """One JSON object on one line, as `print_json` writes it; a part that is an iterator, as a list of which one item at a time is in memory."""
    stream = console.file if console else sys.stdout
    for place, (name, value) in enumerate(parts):
        stream.write(("{" if place == 0 else ", ") + _json(name) + ": ")
        if isinstance(value, Iterator):
            stream.write("[")
            for number, item in enumerate(value):
                stream.write((", " if number else "") + _json(item))
            stream.write("]")
        else:
            stream.write(_json(value() if callable(value) else value))
    _write("}", console)


def _run_parts(store: Store, run: RunRow, *, full: bool) -> Iterator[Any]:
    """What `logs show` prints, a panel at a time: one query a table, the ratings read along with the steps that asked for them."""
    yield panels.head(run, full=full)
    ratings: dict[int, list[RatingRow]] = {}
    for row in store.ratings(run.id):
        ratings.setdefault(row.step, []).append(row)
    for one in store.each_step(run.id):
        yield panels.step(one, ratings.get(one.step, ()), full=full)
    means = ratings_by_image(store, run.id)
    pictures = [
        {"round": row.round, "image": number, "rating": means.get(row.id), "prompt": row.prompt, "file": row.path}
        for _, rows in groupby(store.shown_images(run.id), key=lambda row: row.round)
        for number, row in enumerate(rows, 1)
    ]
    yield panels.rows(pictures, full=full) if pictures else Text("no images yet")
    yield from (Text(line) for line in ledger_lines(ledger_facts(store, run.id)))


def _readable(value: object) -> object:
    """What SQL may answer and JSON cannot hold: bytes, infinities."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and value - value != 0 else value


def _write(text: str, console: Console | None) -> None:
    stream = console.file if console else sys.stdout
    stream.write(text + "\n")
    stream.flush()


def _json(value: object) -> str:
    return escaped(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _show(console: Console, parts: Iterable[Any]) -> None:
    for part in parts:
        console.print(part)
