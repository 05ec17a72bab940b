"""Where rows become records, the one place: a damaged row costs one row, which is named, and no other.

Reading goes on because what is whole is worth telling; whatever acts on a run asks agent/store/wholeness.py first.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from agent.store.database.engine import Database
from prompts.errors import StoreError
from prompts.ground.clean import clean
from tools.records import Record, RunRow, StepRow

R = TypeVar("R", bound=Record)
DAMAGE = (ValueError, TypeError, RecursionError, StoreError)  # what a row may raise that is not as it was written


def fetched(database: Database, sql: str, values: Any) -> list[dict[str, Any]]:
    """The rows of a query; where text is no UTF-8, its bytes are shown."""
    try:
        return list(database.query(sql, values))
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    database.conn.text_factory = legible  # slower: only where it must
    try:
        return list(database.query(sql, values))
    finally:
        database.conn.text_factory = str


def legible(data: bytes) -> str:
    """Text of the database, and where it is damaged the bytes that it has."""
    return data.decode("utf-8", "backslashreplace")


def records(record: type[R], rows: Sequence[Mapping[str, Any]], unreadable: dict[str, str]) -> list[R]:
    """The rows as records; those that are none are left out, and named in `unreadable` with what is wrong."""
    found = []
    for row in rows:
        try:
            found.append(record.from_row(row))
        except DAMAGE as error:
            note(unreadable, record, row, error)
    return found


def note(unreadable: dict[str, str], record: type[Record], row: Mapping[str, Any], error: Exception) -> None:
    """Name a row that is left out, and why."""
    lines = [line.strip() for line in str(error).splitlines()]
    why = " ".join(lines[1:3]) if isinstance(error, ValidationError) else next(iter(lines), "")
    unreadable[clean(_named(record, row), 160)] = clean(why, 160)


def _named(record: type[Record], row: Mapping[str, Any]) -> str:
    """What a person would call a row."""
    if record is RunRow:
        return f"the row of run {row.get('id')}"
    if record is StepRow:
        return f"step {row.get('step')} of run {row.get('run_id')}"
    what = re.sub(r"(?<!^)([A-Z])", r" \1", record.__name__.removesuffix("Row")).lower()
    key = next((f" {row[name]}" for name in ("id", "sha256", "image") if row.get(name) is not None), "")
    return f"{what}{key} at step {row.get('step')} of run {row.get('run_id')}"
