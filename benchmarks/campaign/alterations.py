"""The record altered: a small real run, copied and changed in one place each time. Do verify, resume and doctor notice?

A value, a row or a file is changed, deleted, doubled or swapped. Most attempts ask the checks that the three commands share; a few make
the run again. What the database itself refuses is no attempt to tell of.
"""

# ruff: noqa: S608  (statements are made from the schema's own names, and from nothing else)

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.cli.checks import examine_runs
from agent.config import make_config, run_folder
from agent.loop.crew import Crew
from agent.loop.people import Answer, Person, simulated_person
from agent.loop.session import drive, new_run
from agent.replay.verify import verify
from agent.store.database.chain import ALONE, OF_A_STEP
from agent.store.home import open_store
from agent.store.store import Store
from agent.store.wholeness import damage
from benchmarks.campaign.part import Part
from prompts.errors import PalateError, StoreError
from tools.records import LlmCall, StepRecord

CONFIG = {
    "name": "alterations", "planner": "rules", "rater": 0, "rounds": 2, "images_per_round": 2, "steps": 2, "device": "cpu",
    "finetune": {"steps": 2, "pool_prompts": 2, "pool_size": 2, "settings": {"batch_size": 2, "statistic_weight": 0}},
    "evaluate_prompts": 4,
}  # fmt: skip
TABLES = (*ALONE, *OF_A_STEP, "chain", "messages")
COUNTS = {"rows": 1500, "files": 100, "verify": 6}  # attempts in full
# What a job keeps of its process while it runs is none of the record.
TRANSIENT = {("jobs", "pid"), ("jobs", "heartbeat"), ("jobs", "at_step")}


@dataclass
class Made:
    """The run, its home, and its checkpoints as they stood while a question was open."""

    home: Path
    run_id: str
    checkpoints: Path


@dataclass
class Copying:
    """A person; while they think, the checkpoints are copied."""

    person: Person
    home: Path
    copy: Path

    def answer(self, asked: Any) -> Answer:
        """As the person."""
        if not self.copy.exists():
            source = sqlite3.connect(self.home / "checkpoints.sqlite")
            source.execute("vacuum into ?", [str(self.copy)])
            source.close()
        return self.person.answer(asked)


def run(seed: int, quick: bool) -> Part:
    """Every attempt, drawn with `seed`."""
    part, rng = (
        Part("alterations", notes="rows and files of a real run changed: noticed by verify, resume and doctor"),
        random.Random(seed),
    )
    counts = {name: max(1, count // 10) if quick else count for name, count in COUNTS.items()}
    with tempfile.TemporaryDirectory(prefix="palate-alterations-") as folder:
        made = make_run(Path(folder))
        part.attempt("nothing altered", lambda: "; ".join(damage_of(made)))
        for number in range(counts["rows"]):
            sql, values = a_change(made, rng)
            part.attempt(f"{sql} {values}", lambda: noticed(made, sql, values, deep=number < counts["verify"]))  # noqa: B023
        for _ in range(counts["files"]):
            file, how = rng.choice(files_of(made)), rng.choice([*FILES])
            part.attempt(f"{how} {file.name}", lambda: file_noticed(made, file, how, rng))  # noqa: B023
    return part


def make_run(folder: Path) -> Made:
    """A run by the rules with a training, and beside it a row of every other kind: a plan's messages, answers, a comparison."""
    home, config = folder / "home", make_config(CONFIG)
    with open_store(home) as store:
        run_id = new_run(config, home, store)
        crew, copy = Crew(config, home, store), folder / "checkpoints.sqlite"
        drive(crew, run_id, Copying(simulated_person(crew, run_id), home, copy))
        said = {
            "messages": [
                {"role": "system", "content": "You paint."},
                {"role": "user", "content": [{"type": "text", "text": "more"}]},
            ]
        }
        call = LlmCall(attempt=0, purpose="wish", model="m", request=said, response={"choices": []}, seconds=0.1)
        more = store.steps(run_id)[-1].step + 1
        store.add_step(run_id, StepRecord(step=more, round=2, node="listen", args={"like": ["red"]}, llm_calls=(call,)))
        first, second, *_ = store.images(run_id)
        store.add_answers(run_id, more, [{"kind": "ab", "images": [first.id, second.id]}], [(0, first.id)], "ann")
        store.add_comparisons(run_id, more, [(first.id, second.id), (second.id, first.id)], "ann")
        store.add_ratings(run_id, more, [(first.id, 3), (second.id, 4)], "ann")
        store.add_ratings(run_id, more, [(first.id, 9)], "ann")
    return Made(home, run_id, copy)


@contextlib.contextmanager
def copied(made: Made, sql: str = "", values: Sequence[Any] = ()) -> Iterator[Path]:
    """A copy of the home, its database changed by one statement. The pictures are the same files, by link."""
    with tempfile.TemporaryDirectory(prefix="copy-", dir=made.home.parent) as folder:
        home = Path(folder) / "home"
        shutil.copytree(
            made.home,
            home,
            copy_function=lambda a, b: Path(b).hardlink_to(a) if ".sqlite" not in a else shutil.copy(a, b),
        )
        if sql:
            with contextlib.closing(sqlite3.connect(home / "palate.sqlite", isolation_level=None)) as connection:
                connection.execute("pragma ignore_check_constraints = on")
                connection.executescript(sql) if not values else connection.execute(sql, values)
        yield home


def damage_of(made: Made) -> list[str]:
    """What is wrong with the run before anything is changed."""
    with Store(made.home / "palate.sqlite") as store:
        return damage(store, made.run_id, run_folder(made.home, made.run_id))


def read_rows(made: Made, sql: str) -> list[Any]:
    """Rows of the run as it was made."""
    with contextlib.closing(sqlite3.connect(made.home / "palate.sqlite")) as connection:
        return connection.execute(sql).fetchall()


def columns_of(made: Made, table: str) -> list[tuple[str, str]]:
    """Names and types."""
    return [(row[1], row[2]) for row in read_rows(made, f"pragma table_info({table})")]


def a_row(made: Made, rng: random.Random, table: str) -> tuple[str, list[Any]]:
    """A condition that one row of `table` meets, by the values of its key, and those values."""
    keys = [row[1] for row in read_rows(made, f"pragma table_info({table})") if row[5]]
    found = rng.choice(read_rows(made, f"select {', '.join(keys)} from {table}"))
    return " and ".join(f"{key} = ?" for key in keys), list(found)


def a_change(made: Made, rng: random.Random) -> tuple[str, list[Any]]:
    """One statement that alters the record, and its values."""
    table = rng.choice([name for name in TABLES if read_rows(made, f"select 1 from {name} limit 1")])
    which, key = a_row(made, rng, table)
    how = (
        rng.choice(["change", "change", "change", "delete", "double", "swap"])
        if table != "messages"
        else rng.choice(["change", "delete"])
    )
    columns = [one for one in columns_of(made, table) if (table, one[0]) not in TRANSIENT]
    if how == "delete":
        return f"delete from {table} where {which}", key
    if how == "double" and table not in ("runs", "chain"):
        return _doubled(made, rng, table, which, key)
    if how == "swap" and table == "pairs":
        return f"update pairs set win = lose, lose = win where {which}", key
    if table == "messages":
        columns = [("content", "TEXT")]
    name, kind = rng.choice(columns)
    kept = read_rows_of(made, table, name, which, key)
    return f"update {table} set {name} = ? where {which}", [other(kept, kind, rng), *key]


def _doubled(made: Made, rng: random.Random, table: str, which: str, key: list[Any]) -> tuple[str, list[Any]]:
    """An invented row: one that is there, under another key."""
    names = [name for name, _ in columns_of(made, table)]
    new = {
        "id": "99999",
        "step": "step + 500",
        "sha256": f"'{rng.randrange(16**12):064x}'",
        "superseded": "'2026'",
        "image": "image || 'x'",
    }
    unique = {"images": {"id", "sha256"}, "scores": {"image"}, "steps": {"step"}, "comparisons": {"id", "step"}}.get(
        table, {"id", "sha256", "superseded"}
    )
    new["id"] = "'made-up'" if table in ("images", "jobs") else new["id"]
    chosen = ", ".join(new[name] if name in unique and name in new else name for name in names)
    return f"insert into {table} ({', '.join(names)}) select {chosen} from {table} where {which}", key


def read_rows_of(made: Made, table: str, name: str, which: str, key: list[Any]) -> Any:
    """One value as it was made."""
    with contextlib.closing(sqlite3.connect(made.home / "palate.sqlite")) as connection:
        return connection.execute(f"select {name} from {table} where {which}", key).fetchone()[0]


def other(value: Any, kind: str, rng: random.Random) -> Any:
    """Another value of a column's type."""
    if kind in ("INTEGER", "REAL"):
        return (value or 0) + rng.choice([1, -1, 7])
    text = value or ""
    return rng.choice([text + " ", "x" + text, text[:-1] + "?", f'{{"gate": "{text[:5]}"}}'])


def noticed(made: Made, sql: str, values: list[Any], *, deep: bool) -> str:
    """Nothing where the checks of verify, resume and doctor notice the change."""
    with contextlib.suppress(sqlite3.IntegrityError), copied(made, sql, values) as home:
        with contextlib.suppress(StoreError):
            found = examine_runs(home / "palate.sqlite")
            if not (found.rows or loose(home)):
                return "doctor does not notice"
        with contextlib.suppress(PalateError), Store(home / "palate.sqlite") as store:
            if not (damage(store, made.run_id, run_folder(home, made.run_id)) or loose(home)):
                return "resume does not notice"
            if deep and verify(store, home, made.run_id).same:
                return "verify says the same"
    return ""


def loose(home: Path) -> bool:
    """Whether doctor's other check speaks: rows that belong to nothing."""
    with contextlib.closing(sqlite3.connect(home / "palate.sqlite")) as connection:
        return connection.execute("pragma foreign_key_check").fetchone() is not None


def files_of(made: Made) -> list[Path]:
    """The files that the record names by hash."""
    folder = run_folder(made.home, made.run_id)
    with Store(made.home / "palate.sqlite") as store:
        named = [folder / row.path for row in (*store.images(made.run_id), *store.preferences(made.run_id))]
        return [
            *named,
            *(folder / row.path / "pytorch_lora_weights.safetensors" for row in store.adapters(made.run_id)),
        ]


def _grey(file: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64), "grey").save(file, format="PNG")


FILES: dict[str, Callable[[Path, random.Random], object]] = {
    "flip a bit of": lambda file, rng: file.write_bytes(
        flipped(file.read_bytes(), rng.randrange(file.stat().st_size), rng.randrange(8))
    ),
    "cut": lambda file, rng: file.write_bytes(file.read_bytes()[: rng.randrange(file.stat().st_size)]),
    "delete": lambda file, rng: file.unlink(),
    "put a grey picture in the place of": lambda file, rng: _grey(file),
}


def flipped(data: bytes, place: int, bit: int) -> bytes:
    """`data` with one bit turned."""
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)


def file_noticed(made: Made, file: Path, how: str, rng: random.Random) -> str:
    """Nothing where a changed file is noticed."""
    with copied(made) as home:
        mine = home / file.relative_to(made.home)
        data = mine.read_bytes()
        mine.unlink()  # the original's link
        mine.write_bytes(data)
        FILES[how](mine, rng)
        with Store(home / "palate.sqlite") as store:
            if not damage(store, made.run_id, run_folder(home, made.run_id)):
                return "resume does not notice"
        return "" if examine_runs(home / "palate.sqlite").files else "doctor does not notice"
