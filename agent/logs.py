"""What `palate logs` and `palate replay --mode view` show: runs, steps, rows of SQL. For people, or as one JSON document.

Reads the store and prints; starts fast, because it needs no model. Text of a model or a person is shown as it is, never
read as markup or as terminal codes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.store import Store
from agent.summary import adapter_facts, ratings_by_image, round_facts, round_images, summarise
from agent.telling import clean, decision, outcome, planner, reason, share
from prompts.errors import InputError
from tools.records import RunRow, StepRow

Facts = dict[str, Any]


def logs_list(store: Store, *, as_json: bool = False, console: Console | None = None) -> None:
    """Every run, newest first."""
    found = [run_line(store, run) for run in store.runs()]
    if as_json:
        return print_json(found, console)
    rows = [
        [
            one["run"],
            one["when"],
            one["brief"],
            one["state"],
            one["rounds"],
            one["images"],
            _from_to(one),
            _adapter(one["adapter"]),
        ]
        for one in found
    ]
    _show(
        console,
        _table(["run", "when (UTC)", "brief", "state", "rounds", "images", "mean rating", "adapter"], rows, keep=(0,)),
    )


def run_line(store: Store, run: RunRow) -> Facts:
    """One run in a few numbers."""
    rounds = round_facts(store, run.id)
    rated = [one["rating"] for one in rounds if one["rating"] is not None]
    return {
        "run": run.id, "when": run.created[:16].replace("T", " "), "brief": run.brief, "state": run.state,
        "rounds": len(rounds), "images": sum(one["images"] for one in rounds),
        "score_first": rated[0] if rated else None, "score_last": rated[-1] if rated else None,
        "adapter": adapter_facts(store, run.id),
    }  # fmt: skip


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
    run = find_run(store, run_id)
    if as_json:
        found = one_step(store, run.id, step) if step is not None else whole_run(store, run.id)
        return print_json(found, console)
    if step is not None:
        record = store.step(run.id, step)
        calls = [_call(call.model_dump(mode="json")) for call in record.llm_calls]
        return _show(console, _panel(store, run.id, record, full=True), *calls)
    panels = [_panel(store, run.id, one) for one in store.steps(run.id)]
    _show(console, Text(_head(run)), *panels, _ratings(store, run.id))


def logs_query(store: Store, sql: str, *, as_json: bool = False, console: Console | None = None) -> None:
    """The rows of one SELECT. Raises: InputError for SQL that is wrong or would write."""
    rows = store.query(sql)
    if as_json:
        return print_json(rows, console)
    if not rows:
        return _show(console, Text("no rows"))
    _show(console, _table(list(rows[0]), [list(row.values()) for row in rows]))


def logs_path(store: Store, *, as_json: bool = False, console: Console | None = None) -> None:
    """Where the database is."""
    path = str(store.path.absolute())
    print_json({"path": path}, console) if as_json else _print(path, console)


def replay_view(
    store: Store, run_id: str | None = None, *, as_json: bool = False, console: Console | None = None
) -> None:
    """A run to read: one panel a step with what was decided, why, and what came of it; then the numbers."""
    run = find_run(store, run_id)
    steps, ratings = store.steps(run.id), ratings_by_image(store, run.id)
    told = [reading(step, steps[:number], ratings) for number, step in enumerate(steps)]
    if as_json:
        return print_json({"run": run.id, "brief": run.brief, "state": run.state, "steps": told}, console)
    panels = [_reading_panel(one) for one in told]
    _show(console, Text(_head(run)), *panels, Text(_ending(summarise(store, run.id))))


def reading(step: StepRow, earlier: Sequence[StepRow], ratings: Mapping[str, float]) -> Facts:
    """A step in words."""
    return {
        "step": step.step, "round": step.round, "planner": planner(step), "decision": decision(step),
        "reason": reason(step, earlier), "outcome": outcome(step, ratings), "error": step.error, "seconds": step.seconds,
    }  # fmt: skip


def find_run(store: Store, run_id: str | None) -> RunRow:
    """The run of that id; the newest for None or "last". Raises: InputError when there is none."""
    if run_id not in (None, "last"):
        return store.run(str(run_id))
    runs = store.runs()
    if not runs:
        raise InputError(f"{str(store.path)!r} holds no runs yet: `palate run CONFIG` or `palate demo` starts one.")
    return runs[0]


def whole_run(store: Store, run_id: str) -> Facts:
    """A run as JSON: its row, its numbers, its steps and its ratings, superseded ones too."""
    return {
        "run": store.run(run_id).model_dump(mode="json"), "summary": summarise(store, run_id),
        "steps": [step.model_dump(mode="json") for step in store.steps(run_id)],
        "ratings": [row.model_dump(mode="json") for row in store.ratings(run_id, superseded=True)],
    }  # fmt: skip


def one_step(store: Store, run_id: str, step: int) -> Facts:
    """A step as JSON with everything that came with it, and the ratings it asked for."""
    ratings = [row.model_dump(mode="json") for row in store.ratings(run_id) if row.step == step]
    return store.step(run_id, step).model_dump(mode="json") | {"ratings": ratings}


def print_json(value: object, console: Console | None = None) -> None:
    """One JSON document on one line, not wrapped."""
    _print(json.dumps(value, ensure_ascii=False, allow_nan=False), console)


def _print(text: str, console: Console | None) -> None:
    print(text, file=console.file if console else None, flush=True)


def _show(console: Console | None, *parts: Any) -> None:
    (console or Console()).print(Group(*parts))


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], keep: Sequence[int] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(head):
        table.add_column(Text(clean(name)), overflow="fold", no_wrap=number in keep)
    for row in rows:
        table.add_row(*(Text("" if cell is None else clean(cell, 400)) for cell in row))
    return table


def _from_to(one: Facts) -> str:
    if one["score_first"] is None:
        return "-"
    return f"{one['score_first']:.1f} -> {one['score_last']:.1f}"


def _adapter(adapter: Facts | None) -> str:
    if not adapter:
        return "-"
    verdict = {True: "promoted", False: "rejected", None: "not evaluated"}[adapter["promoted"]]
    return f"{verdict}, wins {share(adapter['win_rate']['rate'])}" if adapter["win_rate"] else verdict


def _head(run: RunRow) -> str:
    parent = f", forked from {run.parent} after step {run.parent_step}" if run.parent else ""
    about = ", ".join(
        f"{name}: {clean(run.config[name], 80)}" for name in ("model", "planner", "rater") if name in run.config
    )
    return f"run {run.id} ({run.state}{parent})\n{clean(run.brief, 400) or '(no brief)'}\n{about}"


def _panel(store: Store, run_id: str, step: StepRow, *, full: bool = False) -> Panel:
    """A step with what it was given and what it gave, as they are stored."""
    longest = None if full else 600
    lines = [
        ("why", step.planner or ""),
        ("arguments", _json(step.args, longest)),
        ("result", _json(step.result, longest)),
    ]
    lines[0] = ("planned by", planner(step))
    if step.error is not None:
        lines.append(("error", clean(step.error, longest)))
    rated = [row for row in store.ratings(run_id) if row.step == step.step]
    if rated:
        lines.append(
            (
                "ratings",
                ", ".join(f"{row.image[:8]}:{row.value:g}" for row in rated) + f" by {clean(rated[0].rater, 60)}",
            )
        )
    lines.append(
        ("seconds", f"{step.seconds:.2f} " + _json({k: round(v, 2) for k, v in step.seconds_by_part.items()}, None))
    )
    return _framed(
        f"step {step.step}, round {step.round}: {step.tool or step.node}", lines, failed=step.error is not None
    )


def _reading_panel(one: Facts) -> Panel:
    lines = [(one["planner"], one["decision"]), ("why", one["reason"]), ("what came of it", one["outcome"])]
    title = f"step {one['step']}, round {one['round']}, {one['seconds']:.1f} s"
    return _framed(title, [line for line in lines if line[1]], failed=one["error"] is not None)


def _framed(title: str, lines: Sequence[tuple[str, str]], *, failed: bool) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in lines:
        grid.add_row(Text(name), Text(text))
    return Panel(grid, title=Text(clean(title, 120)), title_align="left", border_style="red" if failed else "dim")


def _call(call: Facts) -> Panel:
    """An LLM call whole: its messages as they were sent, its raw answer."""
    sent = [
        (str(message.get("role")), _json(message.get("content"), None))
        for message in call["request"].get("messages", [])
    ]
    lines = [
        *sent,
        ("answer", _json(call["response"], None)),
        ("tokens", f"{call['prompt_tokens']} in, {call['completion_tokens']} out"),
    ]
    if call["problem"]:
        lines.append(("problem", clean(call["problem"])))
    return _framed(
        f"LLM call {call['attempt']}: {call['purpose']}, {call['model']}, {call['seconds']:.2f} s",
        lines,
        failed=bool(call["problem"]),
    )


def _ratings(store: Store, run_id: str) -> Table:
    """The pictures with their numbers in the round, ratings and files."""
    ratings = ratings_by_image(store, run_id)
    rows: list[list[object]] = []
    for one in round_facts(store, run_id):
        for number, row in enumerate(round_images(store, run_id, one["round"]), 1):
            rating = f"{ratings[row.id]:g}" if row.id in ratings else "-"
            rows.append([one["round"], number, rating, row.prompt, Path(row.path).as_posix()])
    return _table(["round", "image", "rating", "prompt", "file"], rows)


def _ending(numbers: Facts) -> str:
    plans = numbers["plans"]
    lines = [
        f"{len(numbers['rounds'])} rounds, {numbers['images']} images, mean rating {_from_to(numbers)}, adapter: {_adapter(numbers['adapter'])}"
    ]
    if plans["total"]:
        lines.append(f"{plans['total']} plans of the language model, {share(plans['share'])} run as given")
    return "\n".join(lines)


def _json(value: object, longest: int | None) -> str:
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), longest)
