"""How runs, steps and rows look: rich tables and panels, which prompts.ground.console writes as plain lines where no terminal is.

Text of a model or a person is shown as it is, never read as markup or as terminal codes. A screen shows the beginning of what is long;
`full` is for files and programs, which get all of it. Knows records, no store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.report.telling import planner, share
from prompts.ground.clean import clean, harmless
from tools.records import LlmCall, RatingRow, RunRow, StepRow

SHOWN = 600  # characters of arguments and results on a screen
Facts = Mapping[str, Any]


def runs(found: Sequence[Facts], *, full: bool = False) -> Table:
    """One line a run."""
    lines = [
        {
            "run": one["run"],
            "when (UTC)": one["when"][5:16].replace("T", " "),
            "brief": _text(one["brief"], None if full else 60),
            "state": one["state"],
            "rounds": one["rounds"],
            "images": one["images"],
            "mean rating": _from_to(one),
            "adapter": _adapter(one["adapter"]),
        }
        for one in found
    ]
    return rows(lines, whole="run", full=full)


def rows(found: Sequence[Facts], whole: str | None = None, *, full: bool = False) -> Table:
    """A table of at least one row; the column `whole` is never wrapped."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in found[0]:
        table.add_column(Text(clean(name)), overflow="fold", no_wrap=name == whole)
    for row in found:
        table.add_row(*(Text(_cell(value, None if full else 400)) for value in row.values()))
    return table


def head(run: RunRow, *, full: bool = False) -> Text:
    """What run this is."""
    parent = f", forked from {run.parent} after step {run.parent_step}" if run.parent else ""
    names = [name for name in ("model", "planner", "rater") if name in run.config]
    about = ", ".join(f"{name}: {_text(run.config[name], None if full else 80)}" for name in names)
    brief = _text(run.brief, None if full else 400) or "(no brief)"
    return Text(f"run {run.id} ({run.state}{parent})\n{brief}\n{about}")


def step(one: StepRow, ratings: Sequence[RatingRow] = (), *, full: bool = False) -> Panel:
    """A step with what it was given and what it gave, as they are stored."""
    longest = None if full else SHOWN
    lines = [
        ("planned by", planner(one)),
        ("arguments", _json(one.args, longest)),
        ("result", _json(one.result, longest)),
    ]
    if one.error is not None:
        lines.append(("error", _text(one.error, longest)))
    if ratings:
        values = ", ".join(f"{row.image[:8]}:{row.value:g}" for row in ratings)
        lines.append(("ratings", f"{values} by {clean(ratings[0].rater, 60)}"))
    parts = ", ".join(f"{clean(name, 20)} {value:.2f}" for name, value in one.seconds_by_part.items())
    lines.append(("seconds", f"{one.seconds:.2f}" + (f" ({parts})" if parts else "")))
    return _framed(f"step {one.step}, round {one.round}: {one.tool or one.node}", lines, failed=one.error is not None)


def llm_call(call: LlmCall) -> Panel:
    """An LLM call whole: its messages as they were sent, its raw answer."""
    messages = call.request.get("messages")
    sent = [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    lines = [(clean(message.get("role")), _json(message.get("content"), None)) for message in sent]
    lines.append(("answer", _json(call.response, None)))
    lines.append(("tokens", f"{call.prompt_tokens} in, {call.completion_tokens} out"))
    if call.problem:
        lines.append(("problem", clean(call.problem)))
    title = f"LLM call {call.attempt}: {call.purpose}, {call.model}, {call.seconds:.2f} s"
    return _framed(title, lines, failed=bool(call.problem))


def reading(one: Facts) -> Panel:
    """A step in words."""
    lines = [(one["planner"], one["decision"]), ("why", one["reason"]), ("what came of it", one["outcome"])]
    title = f"step {one['step']}, round {one['round']}, {one['seconds']:.1f} s"
    return _framed(title, [line for line in lines if line[1]], failed=one["error"] is not None)


def ending(numbers: Facts) -> Text:
    """A run's numbers in a line or two."""
    counts = f"{len(numbers['rounds'])} rounds, {numbers['images']} images"
    lines = [f"{counts}, mean rating {_from_to(numbers)}, adapter: {_adapter(numbers['adapter'])}"]
    plans = numbers["plans"]
    if plans["total"]:
        lines.append(f"{plans['total']} plans of the language model, {share(plans['share'])} run as given")
    return Text("\n".join(lines))


def _framed(title: str, lines: Sequence[tuple[str, str]], *, failed: bool) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in lines:
        grid.add_row(Text(name), Text(text))
    return Panel(grid, title=Text(clean(title)), title_align="left", border_style="red" if failed else "dim")


def _from_to(one: Facts) -> str:
    return "-" if one["score_first"] is None else f"{one['score_first']:.1f} -> {one['score_last']:.1f}"


def _adapter(adapter: Facts | None) -> str:
    if not adapter:
        return "-"
    verdict = {True: "promoted", False: "rejected", None: "not evaluated"}[adapter["promoted"]]
    return f"{verdict}, wins {share(adapter['win_rate']['rate'])}" if adapter["win_rate"] else verdict


def _cell(value: object, longest: int | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else _text(value, longest)


def _json(value: object, longest: int | None) -> str:
    return _text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), longest)


def _text(value: object, longest: int | None) -> str:
    """What a screen has room for, or all of it to the letter."""
    return harmless(value).strip() if longest is None else clean(value, longest)
