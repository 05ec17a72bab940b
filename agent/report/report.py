"""report.md: one run told in Markdown, with its pictures, numbers and adapter beside it.

Every link is relative to the run's folder, so that the folder can be moved or sent. Works at any moment of a run: what
has not happened yet is said to be missing. All numbers come from agent/store/summary.py, all sentences from agent/report/telling.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from agent.config import bundled
from agent.report.plots import score_plot
from agent.report.sheets import draw_before_after, draw_cover, draw_round
from agent.report.telling import (
    decision,
    interval,
    outcome,
    planner,
    reason,
    resume_command,
    share,
    short,
    with_earlier,
    won,
)
from agent.store.store import Store
from agent.store.summary import ratings_by_image, summarise
from prompts.ground.atomic import write_atomically
from prompts.ground.clean import clean, legible
from tools.records import RunRow, StepRow
from trainers.files.stock import card_of, loading, pasted

__all__ = ["summarise", "write_report"]
SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")
Facts = Mapping[str, Any]


def write_report(store: Store, run_id: str, folder: Path, *, hidden: Mapping[int, float] | None = None) -> Path:
    """Write `folder`/report.md and the sheets and plot it shows; returns its path. `folder` is the run's own.

    `hidden` is the simulated rater's noise-free utility by round, in SDs over random prompts. Written again, it is
    brought up to date. Raises: InputError for an unknown run; PalateError when a file cannot be written.
    """
    run, numbers = store.run(run_id), summarise(store, run_id)
    parts = [
        _title(run, numbers),
        _cover(store, run_id, folder),
        _rounds(numbers, hidden or {}),
        _pictures(store, run_id, folder, numbers, hidden),
        _learned(numbers),
        _judges(numbers),
        _adapter(store, run, folder, numbers),
        _steps(store, run_id),
        _planning(numbers),
        _seconds(numbers),
        _versions(run, numbers),
    ]
    write_atomically(folder / "report.md", legible("\n\n".join(part for part in parts if part) + "\n"))
    return folder / "report.md"


def _title(run: RunRow, numbers: Facts) -> str:
    name = clean(run.config.get("name") or "run", 80)
    lines = [
        f"# {marked(name)}: {run.id}",
        f"**Brief:** {marked(run.brief) if run.brief.strip() else '(none given)'}",
        f"- state: {run.state}"
        + (
            ""
            if run.state == "done"
            else f" (`{resume_command(run.id, run.config.get('rater'), lasting=True)}` goes on)"
        ),
        f"- model: {code(numbers['model'])}, planner: {code(numbers['planner'])}, rater: {code(numbers['rater'])}, "
        f"seed: {run.seed}",
        f"- {len(numbers['rounds'])} rounds, {numbers['images']} images, {numbers['ratings']} ratings, "
        + (f"{numbers['answers']} answers to questions, " if numbers["answers"] else "")
        + f"{numbers['steps']} steps ({numbers['errors']} with an error), {numbers['seconds']['total']:.0f} s",
    ]
    profile = run.config.get("profile")
    if isinstance(profile, dict):
        lines.append(f"- started from the taste profile {code(profile.get('name'))} at strength {_number(profile.get('strength'))}")  # fmt: skip
    if run.parent:
        lines.append(f"- forked from run {code(run.parent)} after step {run.parent_step}")
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:])


def _cover(store: Store, run_id: str, folder: Path) -> str:
    cover = draw_cover(store, run_id, folder)
    return image("first pictures and best ones", cover, folder) if cover else ""


def _rounds(numbers: Facts, hidden: Mapping[int, float]) -> str:
    rounds = numbers["rounds"]
    if not rounds:
        return "## Rounds\n\nNo round is painted yet."
    extra = [name for name in rounds[-1]["scores"] if name not in ("preference", "pickscore", "clip_t")]
    names = ["preference", "pickscore", "clip_t", *extra]
    head = ["round", "images", "mean rating", *names, *(["hidden utility"] if hidden else [])]
    rows = [
        [one["round"], one["images"], _rating(one), *(_number(one["scores"].get(name)) for name in names)]
        + ([_number(hidden.get(one["round"]))] if hidden else [])
        for one in rounds
    ]
    note = (
        "\n\nHidden utility: the simulated rater's liking without noise, in SDs over random prompts. No tool sees it."
    )
    return "## Rounds\n\n" + table(head, rows) + (note if hidden else "")


def _rating(one: Facts) -> str:
    if one["rating"] is None:
        return "not rated"
    return f"{one['rating']:.2f}" + (f" ({one['ratings']} rated)" if one["ratings"] < one["images"] else "")


def _pictures(store: Store, run_id: str, folder: Path, numbers: Facts, hidden: Mapping[int, float] | None) -> str:
    parts = []
    plot = score_plot(store, run_id, folder / "sheets" / "scores.png", hidden)
    if plot:
        parts.append(image("scores by round", plot, folder))
    for one in numbers["rounds"]:
        sheet = draw_round(store, run_id, one["round"], folder)
        parts.append(f"### Round {one['round']}\n\n{image('contact sheet', sheet, folder)}")
    return "\n\n".join(parts)


def _learned(numbers: Facts) -> str:
    taste = numbers["taste"]
    if not taste:
        return "## What was learned\n\nNothing yet: no ratings were learned from."
    lines = [f"> {marked(taste['feedback'])}"] if taste["feedback"] else []
    if taste["agreement"] is not None:
        ends = interval(*(taste["interval"] or [])[:2])
        lines.append(
            f"The preference model ({marked(taste['kind'])}, {taste['ratings']} ratings) agrees with ratings it was "
            f"not shown at a rank correlation of {short(taste['agreement'])}{ends}: 1 is the same order, 0 is chance."
        )
    elif taste["kind"]:
        lines.append(
            f"A preference model ({marked(taste['kind'])}) was fitted; too few ratings to say how far to trust it."
        )
    return "## What was learned\n\n" + "\n\n".join(lines)


def _judges(numbers: Facts) -> str:
    ledger = numbers["ledger"]
    if not ledger["pairs"]:
        return ""
    said = [f"**{marked(ledger['said'])}**" if ledger["alarm"] else marked(ledger["said"])] if ledger["said"] else []
    rows = [
        [marked(" and ".join(pair["judges"])), f"{short(pair['correlation'])}{interval(*pair['interval'])}", pair["n"], _apart(pair)]
        for pair in ledger["pairs"]
    ]  # fmt: skip
    note = "Rank correlation over the pictures of all rounds, least agreement first; the judge named first likes a picture more at +. The preference model and the feedback judged each picture before it was rated."
    head = ["judges", "agreement", "pictures", "most apart on"]
    return "## Where the judges differ\n\n" + "\n\n".join([*said, table(head, rows), note])


def _apart(pair: Facts) -> str:
    return ", ".join(f"{code(one['image'][:8])} ({one['gap']:+.1f} SD)" for one in pair["biggest"])


def _adapter(store: Store, run: RunRow, folder: Path, numbers: Facts) -> str:
    adapter = numbers["adapter"]
    if not adapter:
        return "## The adapter\n\nNone was trained."
    verdict = {True: "promoted", False: "rejected", None: "not evaluated yet"}[adapter["promoted"]]
    rate = f", wins {won(adapter['win_rate'])} of held-out pairs (95 % interval)" if adapter["win_rate"] else ""
    file = adapter_file(adapter["path"], folder)
    parts = [
        f"## The adapter\n\n**{verdict}**{rate}",
        "\n".join(f"- {marked(clean(said))}" for said in adapter["reasons"]),
        f"- file: [{marked(file)}](<{file}>)\n- method: {adapter['kind']}, {_number(adapter['steps'])} steps, "
        f"rank {_number(adapter['rank'])}\n- sha256: `{adapter['sha256']}`",
        _loading(store, run, file, folder),
    ]
    if store.newest_done(run.id, "evaluate_adapter"):
        parts.append(image("without and with the adapter", draw_before_after(store, run.id, folder), folder))
    return "\n\n".join(part for part in parts if part)


def adapter_file(path: str, folder: Path) -> str:
    """The adapter's diffusers file with forward slashes: relative to `folder`, or as recorded if it is elsewhere."""
    file = PurePath(path) if path.endswith(".safetensors") else PurePath(path) / "pytorch_lora_weights.safetensors"
    return (file.relative_to(folder) if file.is_absolute() and file.is_relative_to(folder) else file).as_posix()


def _loading(store: Store, run: RunRow, file: str, folder: Path) -> str:
    """Python that paints the best rated prompt with the adapter; what lies in its folder is read from its card."""
    ratings, rows = ratings_by_image(store, run.id), store.images(run.id)
    best = max((row for row in rows if row.id in ratings), key=lambda row: ratings[row.id], default=None)
    (place, _, name), card = file.rpartition("/"), card_of((folder / file).parent)
    words = {"word": str(card.get("word", "")), "readers": card.get("readers", ())}
    files = [*card.get("files", ()), name]
    return pasted(
        loading(bundled(str(run.config.get("model"))), files, place or ".", prompt=best.prompt if best else "", **words)
    )


def _steps(store: Store, run_id: str) -> str:
    ratings = ratings_by_image(store, run_id)
    rows = [_step_row(step, earlier, ratings) for step, earlier in with_earlier(store.each_step(run_id))]
    if not rows:
        return "## What the agent decided\n\nNothing yet."
    return "## What the agent decided\n\n" + table(
        ["step", "round", "planned by", "what and why", "what came of it"], rows
    )


def _step_row(step: StepRow, earlier: Sequence[StepRow], ratings: Mapping[str, float]) -> list[object]:
    why = reason(step, earlier)
    told = marked(decision(step)) + (f" ({marked(why)})" if why else "")
    return [step.step, step.round, planner(step), told, marked(clean(outcome(step, ratings), 240))]


def _planning(numbers: Facts) -> str:
    plans, llm = numbers["plans"], numbers["llm"]
    if not llm["calls"]:
        return "## Planning\n\nNo language model was asked."
    rules = ", ".join(map(str, numbers["rounds_by_rules"])) or "none"
    tokens = f"{llm['prompt_tokens']} tokens read and {llm['completion_tokens']} written"
    asked = f"{llm['calls']} calls, {tokens}, {llm['seconds']:.1f} s"
    fates = ", ".join(
        f"{plans[kind]} {kind.replace('_', ' ')}" for kind in ("as_given", "repaired", "invalid", "failed")
    )
    lines = [
        f"- language model: {', '.join(code(name) for name in llm['models'])}: {asked}",
        f"- plans: {plans['total']}, of which {fates}"
        + (f" ({share(plans['share'])} run as given)" if plans["total"] else ""),
        f"- rounds in which the rule planner took over: {rules}",
    ]
    if plans["unanswered"]:
        lines.append(f"- requests without an answer: {plans['unanswered']}")
    return "## Planning\n\n" + "\n".join(lines)


def _seconds(numbers: Facts) -> str:
    return "## Seconds by part\n\n" + table(
        ["part", "seconds"], [[name, f"{value:.1f}"] for name, value in numbers["seconds"].items()]
    )


def _versions(run: RunRow, numbers: Facts) -> str:
    models = [["model", numbers["model"]]] + [
        [name, run.config.get(name)] for name in ("clip", "pickscore") if run.config.get(name)
    ]
    models += [["language model", ", ".join(numbers["llm"]["models"])]] if numbers["llm"]["models"] else []
    rows = models + [[name, version] for name, version in sorted(run.versions.items())]
    return "## Versions\n\n" + table(["what", "which"], [[marked(name), marked(value)] for name, value in rows])


def marked(text: object) -> str:
    """Text on one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\1", clean(text))


def code(text: object) -> str:
    """Text as code; backticks cannot be escaped there."""
    return f"`{clean(text).replace('`', chr(39)) or '?'}`"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; cells are Markdown already."""
    lines = [list(head), ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def image(name: str, file: Path, folder: Path) -> str:
    """A picture by its place in `folder`."""
    return f"![{name}]({file.relative_to(folder).as_posix()})"


def _number(value: object) -> str:
    return "-" if value is None else short(value)
