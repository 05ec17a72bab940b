"""One run's rows in a database of their own: what a folder with everything of a run brings, and nothing of anybody else's run.

Knows tables by their columns alone: whatever has a `run_id` belongs to a run, so a table of a later version is copied as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.store.database.migrations import explained, open_database, transaction
from prompts.errors import StoreError

# A run names its parent, and that one its own: they come along with their row alone.
ANCESTORS = """with recursive line (id) as (select ?1 union select parent from runs join line using (id) where parent is not null)
select id from line"""
# The contents of its messages, which runs share.
SAID = """select distinct json_extract(message.value, '$.content_sha256')
from llm_calls, json_each(iif(json_valid(request), request, '{}'), '$.messages') as message where run_id = ?1
  and message.type = 'object'"""
# An ancestor's row alone has no chain, and is not to be taken for one that lost it.
BARE = "insert into chain select id, 0, null, null, '{}', '' from runs where id <> ? and id not in (select run_id from chain)"
WHOLE = {"runs": f"id in ({ANCESTORS})", "messages": f"sha256 in ({SAID})"}  # what has no run_id


def copy_run(source: sqlite3.Connection, run_id: str, path: Path, busy_seconds: float) -> None:
    """Write a run's rows to a new database. Raises: StoreError, also where there is something already."""
    if path.exists():
        raise StoreError(f"{str(path)!r} is there already: give another path.")
    database = open_database(path, busy_seconds)
    with explained(path, busy_seconds):
        try:
            with transaction(database.conn):
                database.conn.execute("pragma defer_foreign_keys = on")  # tables come in any order
                for table, columns in _tables(source):
                    _copy(source, database.conn, run_id, table, columns)
                database.conn.execute(BARE, [run_id])
            database.conn.execute("pragma journal_mode = delete")  # one file, and readable where nobody may write
        finally:
            database.close()


def _tables(source: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    """Tables and those of their columns that are written."""
    names = source.execute(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite!_%' escape '!'"
    )
    for (table,) in names.fetchall():
        columns = source.execute("select name from pragma_table_xinfo(?) where hidden = 0", [table])
        yield table, [row[0] for row in columns.fetchall()]


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, run_id: str, table: str, columns: list[str]) -> None:
    which = "run_id = ?1" if "run_id" in columns else WHOLE.get(table)
    if which is None:
        return
    names, places = ", ".join(columns), ", ".join("?" * len(columns))
    rows: Any = source.execute(f"select {names} from {table} where {which} order by rowid", [run_id])
    target.executemany(f"insert into {table} ({names}) values ({places})", rows)
