"""Two at once, what is taken, what is full, and whoever tries to write through a door for reading.

Processes at one folder and one database; a locked database; disks with room for a little; SQL of every kind asked of `logs query`.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from agent.store.store import Store
from benchmarks.campaign.part import Part
from benchmarks.campaign.victims import IMAGES, a_step, begun, shares_a_database, starved, takes_turns
from prompts.errors import PalateError, StoreError

PROCESSES = 3
ATTEMPTS = {"sql": 3000, "turns": 60, "shared": 40, "locked": 300, "full": 240}

WRITES = (
    "delete from runs", "update runs set state = 'done'", "insert into runs select * from runs", "replace into runs select * from runs",
    "update runs set brief = '' returning id", "delete from steps where 1 returning *", "insert into messages values ('a', 'b', 'c')",
    "insert into runs (id) values ('x') on conflict do nothing", "create table mine (a)", "create table if not exists mine (a)",
    "create temp table mine (a)", "create table mine as select * from runs", "create view mine as select 1", "create temp view mine as select 1",
    "create index mine on runs (id)", "create trigger mine after insert on runs begin select 1; end",
    "create temp trigger mine after insert on runs begin delete from runs; end", "create virtual table mine using fts5(a)",
    "create virtual table mine using rtree(a, b, c)", "drop table runs", "drop table if exists steps", "drop view lineage",
    "drop index if exists mine", "drop trigger if exists mine", "alter table runs rename to mine", "alter table runs add column mine",
    "alter table runs drop column brief", "alter table runs rename column brief to mine", "update sqlite_master set sql = ''",
    "delete from sqlite_master", "insert into sqlite_master values (1, 2, 3, 4, 5)", "reindex", "reindex runs", "analyze", "analyze runs",
    "vacuum", "vacuum into 'copy.db'", "vacuum main into 'copy.db'", "attach 'other.db' as other", "attach ':memory:' as other",
    "attach 'file:other.db?mode=rwc' as other", "detach main", "begin", "begin immediate", "begin exclusive", "commit", "rollback", "end",
    "savepoint a", "release a", "pragma user_version = 9", "pragma application_id = 9", "pragma journal_mode = delete",
    "pragma journal_mode = off", "pragma writable_schema = 1", "pragma query_only = 0", "pragma wal_checkpoint(truncate)",
    "pragma foreign_keys = off", "pragma auto_vacuum = 2", "pragma incremental_vacuum", "pragma page_size = 512", "pragma encoding = 'UTF-16'",
    "pragma locking_mode = exclusive", "pragma temp_store_directory = '.'", "pragma optimize", "pragma schema_version = 1",
    "pragma trusted_schema = 1", "pragma secure_delete = on", "pragma synchronous = off", "pragma main.user_version = 9", "pragma user_version(9)",
    "select load_extension('other')", "select writefile('copy.db', 'x')", "select edit('x', 'touch copy.db')", "select readfile('/etc/passwd')",
    "select fts3_tokenizer('simple', x'00')", "select 1; delete from runs", "select 1; drop table runs; --",
    "with a as (select 1) delete from runs", "with a as (select 1) insert into runs select * from runs", "with a as (select 1) update runs set brief = ''",
    "explain delete from runs", "explain query plan delete from runs", "select * from pragma_user_version", "select * from pragma_journal_mode",
    "select * from pragma_wal_checkpoint", "select * from pragma_optimize", "select * from pragma_foreign_keys(0)",
)  # fmt: skip
_AROUND = ("{}", "  {}  ", "\n\t{}\n", "/* a */ {}", "-- a\n{}", "{};", "{} -- a", "{} /* a", ";{}", "\ufeff{}", "{}\x00", "{};;", "select 1 union {}")  # fmt: skip


def run(seed: int, quick: bool) -> Part:
    """All of them."""
    part = Part(
        "locks", notes="two processes at one folder and one database, locked databases, full disks, read-only SQL"
    )
    trials = {"sql": _sql, "turns": _turns, "shared": _shared, "locked": _locked, "full": _full}
    with tempfile.TemporaryDirectory(prefix="palate-campaign-") as place:
        for name, trial in trials.items():
            rng = random.Random(f"{seed}/{name}")
            folder = Path(place) / name
            folder.mkdir()
            for number in range(max(1, ATTEMPTS[name] // (10 if quick else 1))):
                trial(part, f"{name} {number}, seed {seed}", folder, rng)
    return part


def _sql(part: Part, what: str, folder: Path, rng: random.Random) -> None:
    """One statement, dressed as a person or a program may; the first ones undressed, so that each is tried as it is."""
    file = folder / "palate.sqlite"
    if not file.exists():
        with Store(file) as store:
            store.add_step(store.new_run("b", {}, {}, 1), a_step(0))
    sql = WRITES[part.tried] if part.tried < len(WRITES) else _dressed(rng)
    part.attempt(f"{what}: {sql!r}", lambda: _asked(file, sql))


def _dressed(rng: random.Random) -> str:
    sql = rng.choice(WRITES)
    sql = rng.choice([sql, sql.upper(), sql.title(), sql.replace(" ", rng.choice(["\n", "\t", "/**/", "  "]))])
    return rng.choice(_AROUND).format(sql)


def _asked(file: Path, sql: str) -> str:
    before = _all_of(file)
    try:
        with Store(file, busy_seconds=0.2) as store:
            store.query(sql)
    except PalateError:
        pass
    others = {one.name for one in file.parent.iterdir()} - {file.name, f"{file.name}-wal", f"{file.name}-shm"}
    if others or Path("copy.db").exists() or Path("other.db").exists():
        return f"it made {others or 'a file here'}"
    return "" if _all_of(file) == before else "it changed the database"


def _all_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as raw:
        words = [
            *raw.iterdump(),
            str(raw.execute("pragma user_version").fetchall()),
            str(raw.execute("pragma journal_mode").fetchall()),
        ]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def _turns(part: Part, what: str, folder: Path, rng: random.Random) -> None:
    """Processes that want one folder to themselves, ten times each; every time is an attempt."""
    said = folder / "said"
    said.unlink(missing_ok=True)
    ours = [begun(takes_turns, folder, rng.randrange(2**31), 10) for _ in range(PROCESSES)]
    for one in ours:
        one.join(60)
    words = said.read_text().split("\n") if said.exists() else []
    part.tried += 10 * PROCESSES - 1
    part.attempt(
        what,
        lambda: (
            ""
            if words.count("in") and "two at once" not in words
            else f"{words.count('two at once')} times two at once"
        ),
    )


def _shared(part: Part, what: str, folder: Path, rng: random.Random) -> None:
    """One new database that several make and write to at once."""
    place = folder / str(part.tried)
    place.mkdir()
    ours = [begun(shares_a_database, place, rng.randrange(2**31), 5) for _ in range(PROCESSES)]
    for one in ours:
        one.join(120)
    part.attempt(what, lambda: _all_there(place, [one.exitcode for one in ours]))


def _all_there(place: Path, codes: list[int | None]) -> str:
    with Store(place / "palate.sqlite") as store:
        counts = [(run.state, len(store.steps(run.id)), len(store.images(run.id))) for run in store.runs()]
    good = codes == [0] * PROCESSES and counts == [("done", 5, 5 * IMAGES)] * PROCESSES
    return "" if good else f"exit codes {codes}, runs {counts}"


def _locked(part: Part, what: str, folder: Path, rng: random.Random) -> None:
    """A database that someone else holds: writing is refused and told, then it goes on; reading goes on all the while."""
    file = folder / "palate.sqlite"
    how = rng.choice(["begin immediate", "begin exclusive"])
    with Store(file, busy_seconds=0.01) as store, closing(sqlite3.connect(file, isolation_level=None)) as other:
        run_id = store.new_run("b", {}, {}, 1)
        other.execute(how)
        part.attempt(f"{what}, {how}", lambda: _refused(store, run_id))
        other.execute("rollback")
        part.attempt(
            f"{what}, after {how}", lambda: "" if store.add_step(run_id, a_step(0)) else "it was not written afterwards"
        )


def _refused(store: Store, run_id: str) -> str:
    try:
        store.add_step(run_id, a_step(0))
    except StoreError as error:
        read = store.steps(run_id)  # whoever writes does not keep others from reading
        return "" if "locked" in str(error) and not read else f"told {error}, kept {read}"
    return "it was written"


def _full(part: Part, what: str, folder: Path, rng: random.Random) -> None:
    """A disk with room for a little: what was written stays whole, the rest is told in our words, and later it goes on."""
    kind, room = rng.choice(["steps", "file", "checkpoints"]), int(10 ** rng.uniform(3.5, 5.2))
    place = folder / str(part.tried)
    place.mkdir()
    process = begun(starved, place, rng.randrange(2**31), room, kind)
    process.join(120)
    if process.is_alive():
        process.kill()  # it has found room for all
    part.attempt(f"{what}: {kind} in {room} bytes", lambda: _whole(place, kind))


def _whole(place: Path, kind: str) -> str:
    told = (place / "told").read_text() if (place / "told").exists() else "it ended without a word"
    if told.startswith(("UNEXPLAINED", "it ended")):
        return told
    if "room" not in told and "written" not in told:
        return f"told without what to do: {told}"
    said = (place / "said").read_text().split("\n")[:-1] if (place / "said").exists() else []
    left = [one.name for one in place.glob(".*")]
    if left:
        return f"left behind: {left}"
    return _kept(place, kind, said)


def _kept(place: Path, kind: str, said: list[str]) -> str:
    if kind == "steps" and said:
        with Store(place / "palate.sqlite") as store:
            steps = store.steps(said[0])
            if len(steps) < len(said) - 1 or not store.add_step(said[0], a_step(len(steps))):
                return f"{len(said) - 1} steps were acknowledged, {len(steps)} are kept"
    if kind == "file" and said:
        size, _, rest = (place / "file").read_text().partition("\n")
        return "" if int(size) == len(rest) else f"{len(rest)} of {size} characters"
    if kind == "checkpoints" and said:
        from trainers.engine.checkpoint import latest

        found = latest(place / "out")
        return (
            ""
            if found is not None and found.step == int(said[-1])
            else f"acknowledged {said[-1]}, kept {found and found.step}"
        )
    return ""
