"""A record as large as years of use leave it, made up in bulk: the rows that runs write, without the pictures. Knows the schema, and no run's meaning.

Runs are alike: rounds of six steps, painted, scored, asked, told, learned and evolved, four pictures a round, each rated once. One run is
long. Every tenth run, and the long one, has its language model's calls with their messages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from agent.config import make_config
from agent.store.store import Store
from agent.store.views import Views
from prompts.vocabulary import load_vocabulary

ROUND = ("generate_images", "score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts")
PICTURES = 4
LONG = "20260101-000000-100000"  # the long run's id
Rows = list[tuple[Any, ...]]
NAMES = {
    "steps": "run_id, step, round, node, tool, args, result, error, planner, started, seconds, seconds_by_part",
    "images": "run_id, id, sha256, step, round, idx, path, prompt, seed, model, adapters, sampler",
    "scores": "run_id, image, name, version, value, step",
    "ratings": "run_id, image, value, rater, created, step",
    "messages": "sha256, role, content",
    "llm_calls": "run_id, step, attempt, purpose, model, request, response, prompt_tokens, completion_tokens, seconds",
}
PROMPTS = tuple(load_vocabulary("bauhaus").phrase(load_vocabulary("bauhaus").random(Random(i))) for i in range(4000))
SAMPLER = json.dumps({"steps": 20, "guidance_scale": 3.0, "scheduler": "DDIM", "size": 64, "purpose": "paint"})


def fill(home: Path, runs: int, steps: int, long: int) -> str:
    """A record of `runs` runs with `steps` steps in all, the newest but one of them with `long`; returns that one's id."""
    config = make_config(
        {"planner": "rules", "rater": 0, "limits": {"steps": 10**5, "images": 10**5, "ratings": 10**5}}
    )
    text = json.dumps(config.model_dump(mode="json"))
    with Store(home / "palate.sqlite") as store:
        connection = store._db.conn
        connection.execute("pragma synchronous = off")
        connection.execute("pragma cache_size = -200000")
        for number, (run_id, count) in enumerate(_sizes(runs, steps, long)):
            connection.execute("begin")
            row = (run_id, f"2026-01-01T{number:012d}", f"brief {number}", text, "{}", number, "done")
            connection.execute(
                "insert into runs (id, created, brief, config, versions, seed, state) values (?,?,?,?,?,?,?)", row
            )
            for table, rows in _rows(run_id, count, talks=run_id == LONG or number % 10 == 0):
                _insert(store, table, rows)
            connection.execute("commit")
    return LONG


def _sizes(runs: int, steps: int, long: int) -> Iterator[tuple[str, int]]:
    """Each run's id and how many steps it has; the long one last but one, so that a list's first page holds it."""
    each = (steps - long) // (runs - 1)
    for number in range(runs):
        yield (LONG, long) if number == runs - 2 else (f"20260101-000000-{number:06x}", each)


def _insert(store: Views, table: str, rows: Rows) -> None:
    places = ", ".join("?" * (NAMES[table].count(",") + 1))
    store._db.conn.executemany(f"insert or ignore into {table} ({NAMES[table]}) values ({places})", rows)  # noqa: S608


def _rows(run_id: str, count: int, *, talks: bool) -> Iterator[tuple[str, Rows]]:
    """A run's rows, a thousand steps at a time, tables in the order of their references."""
    for first in range(1, count + 1, 1000):
        found: dict[str, Rows] = {name: [] for name in NAMES}
        for step in range(first, min(first + 1000, count + 1)):
            _step(found, run_id, step, talks=talks)
        yield from found.items()


def _step(found: dict[str, Rows], run_id: str, step: int, *, talks: bool) -> None:
    tool, number = ROUND[(step - 1) % len(ROUND)], (step - 1) // len(ROUND) + 1
    painted = (number - 1) * len(ROUND) + 1
    hashes = [hashlib.sha256(f"{run_id} {painted} {k}".encode()).hexdigest() for k in range(PICTURES)]
    ids, prompts = (
        [one[:16] for one in hashes],
        [PROMPTS[(number * PICTURES + k) % len(PROMPTS)] for k in range(PICTURES)],
    )
    args, result = _said(tool, ids, prompts)
    texts = json.dumps(args), json.dumps(result)
    parts = json.dumps({"paint": 0.5}) if tool == "generate_images" else "{}"
    found["steps"].append(
        (run_id, step, number, "act", tool, *texts, None, "llm" if talks else "rules", "2026", 0.6, parts)
    )
    if tool == "generate_images":
        found["images"] += [(run_id, ids[k], hashes[k], step, number, k, f"images/{ids[k]}.png", prompts[k], k, "bauhaus", "[]", SAMPLER) for k in range(PICTURES)]  # fmt: skip
    elif tool == "score_images":
        found["scores"] += [(run_id, image, "pickscore", "1", 0.1 + step % 7 + k, step) for k, image in enumerate(ids)]
    elif tool == "ask_person":
        found["ratings"] += [
            (run_id, image, (step + 3 * k) % 11, "rater-0", "2026", step) for k, image in enumerate(ids)
        ]
    if talks:
        _call(found, run_id, step, tool, texts[0])


def _said(tool: str, ids: Sequence[str], prompts: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments and result, about as long as real ones."""
    return {
        "generate_images": ({"prompts": list(prompts), "evolved": 0}, {"images": list(ids)}),
        "score_images": ({"scorers": ["pickscore"]}, {"scores": {"pickscore": 0.21}}),
        "ask_person": ({"question": "How much do you like these?", "images": PICTURES}, {"asked": list(ids)}),
        "give_feedback": ({"words": 6}, {"feedback": "You like teal.", "evidence": [["background teal", 1.2], ["count two", -0.4]]}),
        "learn_taste": ({"kind": "blend"}, {"kind": "blend", "agreement": 0.4, "interval": [0.1, 0.6], "ratings": 8}),
        "evolve_prompts": ({"children": PICTURES, "mutation": 0.2, "elites": 1}, {"prompts": list(prompts)}),
    }[tool]  # fmt: skip


def _call(found: dict[str, Rows], run_id: str, step: int, tool: str, args: str) -> None:
    contents = [
        "system: " + "what is to be done " * 60,
        f"round {step} of {run_id}: " + PROMPTS[step % len(PROMPTS)] * 4,
    ]
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in contents]
    roles = ("system", "user")
    found["messages"] += list(zip(keys, roles, contents, strict=True))
    sent = [{"role": role, "content_sha256": key} for role, key in zip(roles, keys, strict=True)]
    function = {"name": tool, "arguments": args}
    answer = {
        "choices": [
            {"message": {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}}
        ]
    }
    row = (
        run_id,
        step,
        0,
        "plan",
        "bauhaus-lm",
        json.dumps({"messages": sent, "temperature": 0.6}),
        json.dumps(answer),
        900,
        60,
        0.4,
    )
    found["llm_calls"].append(row)
