"""A person's own SQL, answered and nothing more: what would write, attach or change settings is refused, and a signal ends it.

Knows SQLite. Does not know what is stored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from agent.stopping import came
from agent.store.database.rows import legible
from prompts.errors import InputError

# What a person's query may do; a read-only file alone would still let ATTACH and VACUUM INTO make new ones.
READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
LOOK_EVERY = 100_000  # steps of SQLite's machine, a few milliseconds
READING_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "foreign_key_list"})


def answered(connection: sqlite3.Connection, sql: str) -> list[dict[str, Any]]:
    """The rows of one SELECT; the connection is closed after it. Raises InputError for SQL that is wrong or would do more than read."""
    try:
        connection.text_factory = legible
        connection.set_authorizer(_only_reading)
        connection.set_progress_handler(_look, LOOK_EVERY)
        asked = connection.execute(sql)
        names = _distinct([column[0] for column in asked.description or ()])
        return [dict(zip(names, row, strict=True)) for row in asked]
    except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError) as error:
        interrupted = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
        if interrupted:  # by the signal that `_look` let in
            raise KeyboardInterrupt(*came()[-1:]) from error
        raise InputError(f"cannot answer {sql!r} ({error}): give one SELECT; queries may only read.") from error
    finally:
        connection.close()


def _look() -> int:
    """Asked now and then while SQLite works: here Python gets round to a signal, and an error ends the query."""
    return 0


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of columns, of which a second one of a name is told apart: a dict would keep one of them."""
    found: list[str] = []
    for name in names:
        again = (f"{name} ({number})" for number in range(2, len(names) + 2))
        found.append(name if name not in found else next(one for one in again if one not in found and one not in names))
    return found


def _only_reading(action: int, name: str | None, *_: str | None) -> int:
    reads = action in READING or (action == sqlite3.SQLITE_PRAGMA and name in READING_PRAGMAS)
    # SQLite asks this before it uses json_each; a real change of the schema would also ask to insert.
    reads = reads or (action == sqlite3.SQLITE_UPDATE and name == "sqlite_master")
    return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY
