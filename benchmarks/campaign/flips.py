"""Bits flipped in the database of a small real run, and in LangGraph's checkpoints: does reading go on, and does nothing else?

After a flip in a text column every command that reads must end in order and lose that row at most. A flip in a checkpoint must be read as
plain values, or refused with what helps.
"""

# ruff: noqa: S608  (statements are made from the schema's own names, and from nothing else)

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

from agent.cli.main import main
from agent.loop.checkpoints import checkpoints
from benchmarks.campaign.alterations import TABLES, Made, columns_of, copied, flipped, make_run, read_rows
from benchmarks.campaign.part import Part
from prompts.errors import StoreError

LAST = "checkpoint_id = (select max(checkpoint_id) from checkpoints)"
COUNTS = {"flips": 600, "checkpoints": 1000}  # attempts in full


def run(seed: int, quick: bool) -> Part:
    """Every attempt, drawn with `seed`."""
    part, rng = (
        Part("flips", notes="bits of a real run's rows and checkpoints flipped: one row lost, nothing run"),
        random.Random(seed),
    )
    counts = {name: count // 10 if quick else count for name, count in COUNTS.items()}
    with tempfile.TemporaryDirectory(prefix="palate-flips-") as folder:
        made = make_run(Path(folder))
        for _ in range(counts["flips"]):
            table, column, rowid, place, bit = a_flip(made, rng)
            part.attempt(
                f"bit {bit} of byte {place} of {table}.{column}, row {rowid}",
                lambda: still_read(made, table, column, rowid, place, bit),  # noqa: B023  (called at once)
            )
        with contextlib.closing(sqlite3.connect(made.checkpoints)) as connection:
            (size,) = connection.execute(f"select length(checkpoint) from checkpoints where {LAST}").fetchone()
        for _ in range(counts["checkpoints"]):
            place, bit = rng.randrange(size), rng.randrange(8)
            part.attempt(f"bit {bit} of byte {place} of a checkpoint", lambda: plain_or_refused(made, place, bit))  # noqa: B023
    return part


def a_flip(made: Made, rng: random.Random) -> tuple[str, str, int, int, int]:
    """A bit of a text column: table, column, rowid, byte and bit."""
    while True:
        table = rng.choice([name for name in TABLES if name != "chain"])
        column = rng.choice([name for name, kind in columns_of(made, table) if kind == "TEXT"])
        found = read_rows(made, f"select rowid, length(cast({column} as blob)) from {table} where length({column}) > 0")
        if found:
            rowid, length = rng.choice(found)
            return table, column, rowid, rng.randrange(length), rng.randrange(8)


def still_read(made: Made, table: str, column: str, rowid: int, place: int, bit: int) -> str:
    """Nothing where every command that reads ends in order and loses one row at most."""
    with copied(made) as home:
        with contextlib.closing(sqlite3.connect(home / "palate.sqlite", isolation_level=None)) as connection:
            connection.execute("pragma ignore_check_constraints = on")
            (data,) = connection.execute(
                f"select cast({column} as blob) from {table} where rowid = ?", [rowid]
            ).fetchone()
            sql = f"update {table} set {column} = cast(? as text) where rowid = ?"
            with contextlib.suppress(sqlite3.IntegrityError):
                connection.execute(sql, [flipped(data, place, bit), rowid])
        commands = [
            ["logs", "list"], ["logs", "list", "--json"], ["logs", "show", "last"], ["logs", "show", "last", "--json"],
            ["logs", "show", "last", "--step", "2"], ["logs", "query", f"select * from {table}", "--json"],
            ["logs", "query", "select * from run_summary"], ["replay", "last"], ["replay", "last", "--json"],
        ]  # fmt: skip
        return "; ".join(wrong for command in commands if (wrong := ended_in_order(made, home, table, command)))


def ended_in_order(made: Made, home: Path, table: str, command: list[str]) -> str:
    """Nothing where a command said what it had to say; an exception goes to whoever counts."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["--home", str(home), *command])
    said = err.getvalue()
    told = any(
        words in said for words in ("cannot be read", "has no step", "there is no")
    )  # what has another name is another's
    if code and not (told and table in ("runs", "steps")):
        return f"{' '.join(command)} ended with {code}: {said[:200]}"
    if not code and table != "runs" and command == ["logs", "show", "last", "--json"]:
        steps = len(json.loads(out.getvalue())["steps"])
        wanted = len(read_rows(made, "select 1 from steps"))
        return "" if steps >= wanted - 1 else f"{wanted - steps} steps were lost"
    return ""


def plain_or_refused(made: Made, place: int, bit: int) -> str:
    """Nothing where a damaged checkpoint is read as plain values, or refused with what helps."""
    with tempfile.TemporaryDirectory(dir=made.home.parent) as folder:
        file = Path(folder) / "checkpoints.sqlite"
        shutil.copy(made.checkpoints, file)
        with contextlib.suppress(StoreError), checkpoints(file) as saver:
            (data,) = saver.conn.execute(f"select checkpoint from checkpoints where {LAST}").fetchone()
            saver.conn.execute(f"update checkpoints set checkpoint = ? where {LAST}", [flipped(data, place, bit)])
            saver.get_tuple({"configurable": {"thread_id": made.run_id}})
    return ""
