"""The chain: each write of a run adds a link over what it wrote and over the link before, so that nothing is altered unnoticed.

A link holds a step's number and the hash of that step with all that hangs on it; the hashes of rows that live on their own or change
later (ratings, answers, comparisons, adapters, jobs, the run's own row), where the newest link that names a row has the last word; and
the hash of all this with the link before. Whatever no link names was not written by us. It is written in the transaction of the write.

It keeps out accidents and edits, not somebody who computes the whole chain anew: there is no secret. It knows SQL and hashes; files are
agent/store/wholeness.py's. A column or table that a migration adds is named here, or is not covered (a test says so).
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from prompts.ground.clean import clean

_SHA256 = re.compile("[0-9a-f]{64}")
TABLE = """create table chain (
  run_id text not null references runs(id), number integer not null, step integer, digest text, rows text not null, link text not null,
  primary key (run_id, number)) strict"""
# A run from before the chain has this one link instead: it cannot be told what was altered until then.
UNCHAINED = "insert into chain select id, 0, null, null, '{}', '' from runs"

# What hangs on a step, and never changes once it is written.
OF_A_STEP: Mapping[str, str] = {
    "steps": "run_id, step, round, node, tool, args, result, error, planner, started, seconds, seconds_by_part",
    "llm_calls": "id, run_id, step, attempt, purpose, model, request, response, prompt_tokens, completion_tokens, seconds, problem",
    "images": "run_id, id, sha256, step, round, idx, path, prompt, seed, model, adapters, sampler",
    "scores": "run_id, image, name, version, value, step",
    "pairs": "id, run_id, step, prompt, win, lose, margin",
    "preferences": "id, run_id, step, kind, metrics, path, sha256",
}
# What has links of its own: table to its key, what of a row never changes, and what later links may change. A job's signs of life are
# none of the record while it runs.
ALONE: Mapping[str, tuple[str, str, str]] = {
    "runs": ("id", "id, created, brief, config, versions, seed, parent, parent_step", "state"),
    "adapters": ("sha256", "run_id, sha256, step, kind, base, path, config, parent", "metrics, promoted"),
    "ratings": ("id", "id, run_id, image, value, rater, created, step", "superseded"),
    "answers": ("id", "id, run_id, step, question, kind, shown, answer, rater, created", "superseded"),
    "comparisons": ("id", "id, run_id, win, lose, rater, created, step", "null"),
    "jobs": (
        "id",
        "id, run_id, step, kind",
        "state, total, error, iif(state in ('done', 'failed'), json_array(pid, heartbeat, at_step), '')",
    ),
}
NAMES = {"runs": "the run's own row", "adapters": "adapter", "ratings": "rating", "answers": "answer"}
MOST = 50  # findings told of one run
HALF = 32  # hex digits of a hash


def marks(connection: sqlite3.Connection) -> dict[str, int]:
    """Where each table that hangs on a step ends before the step is written: what follows is the step's."""
    sql = " union all ".join(f"select '{table}', coalesce(max(rowid), 0) from {table}" for table in OF_A_STEP)
    return dict(connection.execute(sql).fetchall())


def extend(
    connection: sqlite3.Connection,
    run_id: str,
    *,
    step: int | None = None,
    since: Mapping[str, int] | None = None,
    rows: Iterable[tuple[str, Any]] = (),
    first: bool = False,
) -> None:
    """Add a link, within the transaction of what it covers: `step` and its rows after `since`, and `rows` (table, key) as they are now.

    A run without a chain stays without one: only its `first` link begins one."""
    before = connection.execute(
        "select number, link from chain where run_id = ? order by number desc limit 1", [run_id]
    ).fetchone()
    number, link = (0, "") if first else before or (0, "")
    if not link and not first:
        return
    digest = None if step is None else _digest_since(connection, run_id, step, since or {})
    named: dict[str, dict[str, str | None]] = {}
    for table, key in rows:
        named.setdefault(table, {})[str(key)] = _digest_alone(connection, table, run_id, key)
    about = json.dumps(named)
    values = [run_id, number + 1, step, digest, about, _link(link, run_id, number + 1, step, digest, about)]
    connection.execute("insert into chain values (?, ?, ?, ?, ?, ?)", values)


def digest_of(connection: sqlite3.Connection, table: str, run_id: str | None, key: Any) -> str | None:
    """The hash of one row that has links of its own; None where there is none."""
    return None if run_id is None else _digest_alone(connection, table, run_id, key)


def is_chained(connection: sqlite3.Connection, run_id: str) -> bool:
    """Whether anything can be said of the run: one from before the chain has none."""
    found = connection.execute(
        "select number, link from chain where run_id = ? order by number limit 2", [run_id]
    ).fetchall()
    return [tuple(row) for row in found] != [(0, "")]


def altered(connection: sqlite3.Connection, run_id: str) -> list[str]:
    """What is not as it was written, in words, at most `MOST`; empty for a run that is whole, or has no chain."""
    if not is_chained(connection, run_id):
        return []
    with _any_text(connection):
        found = [
            *_broken_links(connection, run_id),
            *_steps(connection, run_id),
            *_alone(connection, run_id),
            *_messages(connection, run_id),
        ]
    return found[:MOST]


def _broken_links(connection: sqlite3.Connection, run_id: str) -> Iterator[str]:
    """The chain by itself."""
    link, expected = "", 1
    sql = "select number, step, digest, rows, link from chain where run_id = ? order by number"
    for number, step, digest, rows, kept in connection.execute(sql, [run_id]):
        if number != expected:
            yield f"link {expected} of its chain is missing"
        elif kept != _link(link, run_id, number, step, digest, rows):
            yield f"link {number} of its chain was altered"
        link, expected = kept, number + 1
    if expected == 1:
        yield "its chain is missing"


def _steps(connection: sqlite3.Connection, run_id: str) -> Iterator[str]:
    sql = "select step, digest from chain where run_id = ? and step is not null order by number"
    was, now = dict(connection.execute(sql, [run_id]).fetchall()), _digests(connection, run_id)
    for step in sorted(was.keys() | now.keys()):
        if step not in now:
            yield f"step {step} is missing"
        elif step not in was:
            yield f"step {step}, or something that hangs on it, was added"
        elif was[step] != now[step]:
            yield f"step {step}, or what came with it ({', '.join([*OF_A_STEP][1:])}), was altered"


def _alone(connection: sqlite3.Connection, run_id: str) -> Iterator[str]:
    was: dict[str, dict[str, str]] = {table: {} for table in ALONE}
    for (rows,) in connection.execute("select rows from chain where run_id = ? order by number", [run_id]):
        for table, named in _object(rows).items():
            kept = was.setdefault(table, {})
            # a later link never covers up what should have stayed: the first word on that is the last
            kept.update(
                {
                    key: kept.get(key, now)[:HALF] + now[HALF:]
                    for key, now in _object(named).items()
                    if isinstance(now, str)
                }
            )
    for table in ALONE:
        now = {str(key): digest for key, digest in _digests_alone(connection, table, run_id)}
        yield from _differences(NAMES.get(table, table[:-1]), was[table], now)


def _differences(name: str, was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for key in sorted(was.keys() | now.keys()):
        if was.get(key) != now.get(key):
            what = "is missing" if key not in now else "was added" if key not in was else "was altered"
            yield f"{name} {key} {what}" if name != NAMES["runs"] else f"{name} {what}"


def _messages(connection: sqlite3.Connection, run_id: str) -> Iterator[str]:
    """What was said to a language model is kept once, by its hash, which the call that said it names."""
    named: dict[str, Any] = {}
    for (request,) in connection.execute("select request from llm_calls where run_id = ?", [run_id]):
        messages = _object(request).get("messages")
        for one in messages if isinstance(messages, list) else ():
            if isinstance(one, dict) and "content_sha256" in one:
                named[str(one["content_sha256"])] = one.get("role")
    for sha256, role in named.items():
        if not _SHA256.fullmatch(sha256):
            yield f"the name of a message ({clean(sha256, 40)}) was altered"
            continue
        row = connection.execute("select role, content from messages where sha256 = ?", [sha256]).fetchone()
        if row is None or row[0] != str(role) or sha256 not in _message_hashes(role, row[1]):
            yield f"message {sha256[:16]} {'is missing' if row is None else 'was altered'}"


def _message_hashes(role: Any, content: str) -> Iterator[str]:
    """Of a text, and of what it is JSON of, if it is just as we write that."""
    yield message_hash(role, content)
    try:
        if json.dumps(found := json.loads(content), ensure_ascii=False) == content:
            yield message_hash(role, found)
    except (ValueError, RecursionError):
        return


def message_hash(role: Any, content: Any) -> str:
    """The name of a message's content."""
    text = json.dumps([role, content], ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digests(connection: sqlite3.Connection, run_id: str) -> dict[int, str]:
    """Each step's hash as it is now, also of steps that are gone and left something."""
    found: dict[int, str] = {}
    for table, columns in OF_A_STEP.items():
        sql = f"select step, {columns} from {table} where run_id = ? order by step, rowid"
        for row in connection.execute(sql, [run_id]):
            found[row[0]] = _hashed(found.get(row[0], ""), table, row[1:])
    return found


def _digest_since(connection: sqlite3.Connection, run_id: str, step: int, since: Mapping[str, int]) -> str:
    digest = ""
    for table, columns in OF_A_STEP.items():
        # not by an index: the last rows are few, those of the run are many, and SQLite cannot know
        sql = f"select {columns} from {table} not indexed where rowid > ? and run_id = ? and step = ? order by rowid"
        for row in connection.execute(sql, [since.get(table, 0), run_id, step]):
            digest = _hashed(digest, table, row)
    return digest


def _digest_alone(connection: sqlite3.Connection, table: str, run_id: str, key: Any) -> str | None:
    """The hash of what stays of a row, then of what may change."""
    return next((digest for _, digest in _digests_alone(connection, table, run_id, key)), None)


def _digests_alone(
    connection: sqlite3.Connection, table: str, run_id: str, key: Any = None
) -> Iterator[tuple[Any, str]]:
    name, stays, changes = ALONE[table]
    owner, one = "id" if table == "runs" else "run_id", "" if key is None else f"and {name} = ?"
    sql, size = f"select {name}, {stays}, {changes} from {table} where {owner} = ? {one}", stays.count(",") + 2
    for row in connection.execute(sql, [run_id] if key is None else [run_id, key]):
        yield row[0], _hashed("", table, row[1:size]) + _hashed("", table, row[size:])


def _hashed(before: str, table: str, row: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps([before, table, *row], default=repr).encode()).hexdigest()[:HALF]


def _link(before: str, *values: Any) -> str:
    return hashlib.sha256(json.dumps([before, *values], default=repr).encode()).hexdigest()


def _object(text: Any) -> dict[str, Any]:
    """A JSON object, or nothing where it is damaged: the hashes tell of that."""
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Read text that is no UTF-8, too, byte for byte: damage is to be told."""
    before, connection.text_factory = connection.text_factory, lambda data: data.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = before
