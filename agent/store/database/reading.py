"""A database opened to be read, also where nothing can be written: a read-only home, a medium, another person's folder.

There SQLite cannot make the files that a database in WAL needs beside it. One that was closed in order is opened as immutable; what waits
in a log beside it, or is of an older version, is read from a copy in the temporary folder, which goes when the database is closed. Knows
files and SQLite; does not know what is stored.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agent.store.database.engine import Database
from agent.store.database.migrations import MIGRATIONS, check_ours, explained, open_database, result_code
from prompts.errors import StoreError

UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR)


@dataclass
class Opened:
    """A database, the address at which a connection of its own may read it, and the copy that it is, if it is one."""

    database: Database
    uri: str
    copy: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Let the file go; a copy goes with it."""
        self.database.close()
        if self.copy is not None:
            self.copy.cleanup()


def opened(path: Path, busy_seconds: float, *, reading: bool = False) -> Opened:
    """The database at `path` as `open_database` has it; when only `reading`, also one that cannot be written. Raises StoreError."""
    try:
        return Opened(open_database(path, busy_seconds), _address(path, "mode=ro"))
    except StoreError as error:
        if not (reading and path.is_file() and _unwritable(error.__cause__)):
            raise
    with explained(path, busy_seconds):
        return _as_it_is(path, busy_seconds)


def connect_to_read(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """A connection that reads what is there, whatever its version, and never makes a file. Raises sqlite3.Error."""
    for how in ("mode=ro", *([] if _log(path) else ["mode=ro&immutable=1"])):
        connection = sqlite3.connect(
            _address(path, how), busy_seconds, uri=True, check_same_thread=False, isolation_level=None
        )
        try:
            connection.execute("select count(*) from sqlite_master").fetchone()
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            if not _unwritable(error) or "immutable" in how or _log(path):
                raise
    raise AssertionError("the last way returns or raises")


def _as_it_is(path: Path, busy_seconds: float) -> Opened:
    """Raises StoreError and sqlite3.Error."""
    if not _log(path):
        connection = connect_to_read(path, busy_seconds)
        try:
            if check_ours(connection, path) == len(MIGRATIONS):
                return Opened(Database(connection), _address(path, "mode=ro&immutable=1"))
        except BaseException:
            connection.close()
            raise
        connection.close()
    return _copied(path, busy_seconds)


def _copied(path: Path, busy_seconds: float) -> Opened:
    folder = tempfile.TemporaryDirectory(prefix="palate-read-")
    try:
        copy = Path(folder.name) / path.name
        for file in (path, *([_wal(path)] if _log(path) else [])):
            shutil.copyfile(file, copy.with_name(file.name))
        return Opened(open_database(copy, busy_seconds), _address(copy, "mode=ro"), folder)
    except BaseException:
        folder.cleanup()
        raise


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _log(path: Path) -> bool:
    """Whether something waits beside the database to be written into it."""
    return _wal(path).is_file() and _wal(path).stat().st_size > 0


def _address(path: Path, how: str) -> str:
    return f"{path.absolute().as_uri()}?{how}"


def _unwritable(error: BaseException | None) -> bool:
    code = result_code(error)
    return code in UNWRITABLE or isinstance(error, PermissionError)
