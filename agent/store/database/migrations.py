"""The store's schema, version by version, and how a database file is opened, brought up to date and complained about.

It knows tables, versions, locks and SQLite's errors; it does not know what a step is or who writes when. A migration
that has been released is never edited: a change is a new one at the end of `MIGRATIONS`.

Long because the SQL of every version stands in one place, in the order in which databases have had it.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.store.database import chain
from agent.store.database.engine import Database
from agent.store.database.guards import guarded
from agent.store.database.indexes import GROWTH, INDEXED_LEDGER, ONE_COMPARED
from prompts.errors import StoreError

APPLICATION_ID = 0x50414C54  # "PALT": tells our files from another program's

TABLES = (
    """create table runs (
  id text primary key, created text not null, brief text not null, config text not null, versions text not null,
  seed integer not null, state text not null
    check (state in ('running', 'waiting', 'done', 'stopped', 'failed')),
  parent text references runs(id), parent_step integer) strict""",
    """create table steps (
  run_id text not null references runs(id), step integer not null, round integer not null, node text not null,
  tool text, args text not null, result text, error text, planner text, started text not null,
  seconds real not null, seconds_by_part text not null,
  primary key (run_id, step)) strict""",
    """create table messages (sha256 text primary key, role text not null, content text not null) strict""",
    """create table llm_calls (
  id integer primary key, run_id text not null references runs(id), step integer not null, attempt integer not null,
  purpose text not null, model text not null, request text not null, response text, prompt_tokens integer not null,
  completion_tokens integer not null, seconds real not null, problem text,
  foreign key (run_id, step) references steps(run_id, step)) strict""",
    """create table images (
  run_id text not null references runs(id), id text not null, sha256 text not null, step integer not null,
  round integer not null, idx integer not null, path text not null, prompt text not null, seed integer not null,
  model text not null, adapters text not null, sampler text not null,
  primary key (run_id, id),
  foreign key (run_id, step) references steps(run_id, step)) strict""",
    """create table scores (
  run_id text not null references runs(id), image text not null, name text not null, version text not null,
  value real not null, step integer not null,
  primary key (run_id, image, name, version, step),
  foreign key (run_id, image) references images(run_id, id),
  foreign key (run_id, step) references steps(run_id, step)) strict""",
    # A rating can arrive before the step that asked for it is recorded: its step is a number, not a reference.
    """create table ratings (
  id integer primary key, run_id text not null references runs(id), image text not null,
  value real not null check (value between 0 and 10), rater text not null, created text not null,
  step integer not null, superseded text,
  foreign key (run_id, image) references images(run_id, id)) strict""",
    """create unique index one_current_rating on ratings (run_id, image, rater) where superseded is null""",
    """create table comparisons (
  id integer primary key, run_id text not null references runs(id), win text not null, lose text not null,
  rater text not null, created text not null, step integer not null, check (win <> lose),
  unique (run_id, step, win, lose, rater),
  foreign key (run_id, win) references images(run_id, id),
  foreign key (run_id, lose) references images(run_id, id)) strict""",
    """create table pairs (
  id integer primary key, run_id text not null references runs(id), step integer not null, prompt text not null,
  win text not null, lose text not null, margin real not null,
  foreign key (run_id, step) references steps(run_id, step),
  foreign key (run_id, win) references images(run_id, id),
  foreign key (run_id, lose) references images(run_id, id)) strict""",
    """create table preferences (
  id integer primary key, run_id text not null references runs(id), step integer not null, kind text not null,
  metrics text not null, path text not null, sha256 text not null,
  foreign key (run_id, step) references steps(run_id, step)) strict""",
    # The parent may have been imported with a profile or made in another run, so it is a hash, not a reference.
    """create table adapters (
  run_id text not null references runs(id), sha256 text not null, step integer not null, kind text not null,
  base text not null, path text not null, config text not null, parent text, metrics text not null, promoted integer,
  primary key (run_id, sha256),
  foreign key (run_id, step) references steps(run_id, step)) strict""",
    # A job lives while its step is still running, so its step cannot be a reference either.
    """create table jobs (
  id text primary key, run_id text references runs(id), step integer, kind text not null,
  state text not null check (state in ('queued', 'running', 'done', 'failed')), pid integer, heartbeat text,
  at_step integer not null, total integer not null, error text) strict""",
)
# Views for people: what Datasette and `palate logs query` show first.
CURRENT_RATINGS = """create view current_ratings as
select run_id, image, value, rater, created, step from ratings where superseded is null"""

BEST_IMAGES = """create view best_images as select
  images.run_id, images.id as image, images.round, images.prompt, images.path,
  (select avg(value) from current_ratings r where r.run_id = images.run_id and r.image = images.id) as rating,
  (select count(*) from current_ratings r where r.run_id = images.run_id and r.image = images.id) as ratings,
  (select value from scores s where s.run_id = images.run_id and s.image = images.id and s.name = 'pickscore'
   order by s.step desc limit 1) as pickscore,
  (select json_group_object(name, value) from
     (select name, value from scores s where s.run_id = images.run_id and s.image = images.id order by step)) as scores,
  images.seed, images.model, images.adapters from images
order by rating desc nulls last, pickscore desc nulls last, images.run_id, images.step, images.idx"""

RUN_SUMMARY = """create view run_summary as select
  runs.id as run_id, runs.created, runs.state, runs.brief,
  (select count(distinct round) from steps where run_id = runs.id and round > 0) as rounds,
  (select count(*) from steps where run_id = runs.id) as steps,
  (select count(*) from steps where run_id = runs.id and error is not null) as errors,
  (select round(sum(seconds), 3) from steps where run_id = runs.id) as seconds,
  (select count(*) from images where run_id = runs.id
   and coalesce(json_extract(sampler, '$.purpose'), 'paint') = 'paint') as images,
  (select count(*) from current_ratings where run_id = runs.id) as ratings,
  (select round(avg(value), 2) from current_ratings where run_id = runs.id) as mean_rating,
  (select max(value) from current_ratings where run_id = runs.id) as best_rating,
  (select count(*) from current_comparisons where run_id = runs.id) as comparisons,
  (select count(*) from llm_calls where run_id = runs.id) as llm_calls,
  (select sum(prompt_tokens + completion_tokens) from llm_calls where run_id = runs.id) as llm_tokens,
  (select count(*) from adapters where run_id = runs.id) as adapters,
  (select count(*) from adapters where run_id = runs.id and promoted) as promoted,
  runs.parent, runs.parent_step, runs.seed
from runs order by runs.created desc"""

# One row for each image and adapter in use; an adapter that two runs made is told by the first.
LINEAGE = """create view lineage as select
  images.run_id, images.id as image, images.round, images.step, steps.tool, steps.planner,
  images.prompt, images.seed, images.model, json_extract(used.value, '$.sha256') as adapter,
  json_extract(used.value, '$.weight') as weight,
  made.kind as adapter_kind, made.base as adapter_base, made.parent as adapter_parent,
  runs.parent as parent_run, runs.parent_step, runs.brief
from images join runs on runs.id = images.run_id
join steps on steps.run_id = images.run_id and steps.step = images.step
left join json_each(images.adapters) as used
left join adapters as made on made.rowid =
  (select min(rowid) from adapters where sha256 = json_extract(used.value, '$.sha256'))
order by images.run_id, images.step, images.idx"""

# What each judge says of each picture that a person was shown, newest word first; `standing` is its rank among the run's, 0 to 1.
LEDGER = """create view ledger as
with judged as (
  select s.run_id, s.image, s.name as judge, s.value, row_number() over (
    partition by s.run_id, s.image, s.name order by s.step desc, s.rowid desc) as newest from scores s
  where s.version <> 'evaluation'
  union all
  select run_id, image, 'rating', avg(value), 1 from current_ratings group by run_id, image)
select judged.run_id, images.round, judged.image, judged.judge, judged.value,
  percent_rank() over (partition by judged.run_id, judged.judge order by judged.value) as standing, images.prompt
from judged join images on images.run_id = judged.run_id and images.id = judged.image
where judged.newest = 1 and coalesce(json_extract(images.sampler, '$.purpose'), 'paint') = 'paint'
order by judged.run_id, images.round, images.idx, judged.judge"""
# An answer can arrive before its step is recorded, as a rating can. `answer` is one of the pictures shown, or a word.
ANSWERS = (
    """create table answers (
  id integer primary key, run_id text not null references runs(id), step integer not null, question integer not null,
  kind text not null check (kind in ('ab', 'best', 'worst')), shown text not null, answer text not null,
  rater text not null, created text not null, superseded text) strict""",
    """create unique index one_current_answer on answers (run_id, step, question, rater) where superseded is null""",
)
# What answers say of two pictures at a time. A tie has no winner: `win` is the one that stood first.
CURRENT_COMPARISONS = """create view current_comparisons as
select run_id, win, lose, 0 as tie, rater, created, step, 0 as answer, id as number from comparisons
union all
select a.run_id, iif(a.kind = 'worst', other.value, a.answer), iif(a.kind = 'worst', a.answer, other.value), 0,
  a.rater, a.created, a.step, a.id, other.key
from answers a join json_each(a.shown) other on other.value <> a.answer
where a.superseded is null and a.answer in (select value from json_each(a.shown))
union all
select run_id, json_extract(shown, '$[0]'), json_extract(shown, '$[1]'), 1, rater, created, step, id, 0 from answers
where superseded is null and kind = 'ab' and answer in ('tie', 'both bad')"""

INDEXES = (
    "create index llm_calls_by_step on llm_calls (run_id, step)",
    "create index images_by_step on images (run_id, step, idx)",
    "create index images_by_id on images (id)",
    "create index pairs_by_step on pairs (run_id, step)",
    "create index preferences_by_step on preferences (run_id, step)",
    "create index adapters_by_hash on adapters (sha256)",
)
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (*TABLES, f"pragma application_id = {APPLICATION_ID}"),
    (*INDEXES, CURRENT_RATINGS, BEST_IMAGES, RUN_SUMMARY.replace("current_comparisons", "comparisons"), LINEAGE),
    # rounds and images are now those that a person was shown
    ("drop view run_summary", RUN_SUMMARY.replace("current_comparisons", "comparisons")),
    (LEDGER,),
    (*ANSWERS, CURRENT_COMPARISONS, "drop view run_summary", RUN_SUMMARY),
    # the same views, so written that SQLite need not read other runs' rows for one's
    (*GROWTH, "drop view ledger", INDEXED_LEDGER, "drop view run_summary", RUN_SUMMARY.replace(*ONE_COMPARED)),
    # one damaged row no longer ends a whole view; the chain, which runs from before it have not
    (
        *(
            part
            for view in (CURRENT_COMPARISONS, RUN_SUMMARY.replace(*ONE_COMPARED), LINEAGE, INDEXED_LEDGER)
            for part in guarded(view)
        ),
        chain.TABLE,
        chain.UNCHAINED,
    ),
)


def open_database(path: Path, busy_seconds: float) -> Database:
    """The database at `path`, made if absent, in WAL with every commit synced, at the newest version.

    Raises: StoreError when it is locked for longer than `busy_seconds`, newer than this program, another program's,
    damaged, or cannot be made.
    """
    with explained(path, busy_seconds):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Transactions are begun by hand, and Store's lock keeps threads apart.
        connection = sqlite3.connect(path, busy_seconds, isolation_level=None, check_same_thread=False)
        try:
            check_ours(connection, path)
            enter_wal(connection, busy_seconds)
            connection.execute("pragma synchronous = full")
            connection.execute("pragma foreign_keys = on")
            database = Database(connection)
            migrate(database, path)
        except BaseException:
            connection.close()
            raise
    return database


def enter_wal(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch to WAL. SQLite does not wait for a lock here, so two processes making one database would collide."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if result_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def check_ours(connection: sqlite3.Connection, path: Path) -> int:
    """The database's version. Raises: StoreError when the database is another program's, or newer than `MIGRATIONS`."""
    sql = "select user_version, application_id, (select count(*) from sqlite_master)"
    sql += " from pragma_user_version, pragma_application_id"
    version, owner, tables = connection.execute(sql).fetchone()
    if (version or tables) and owner != APPLICATION_ID:
        raise StoreError(f"{str(path)!r} is another program's database: give another path.")
    if version > len(MIGRATIONS):
        found = f"has version {version} and this Palate knows versions up to {len(MIGRATIONS)}"
        raise StoreError(f"{str(path)!r} {found}: upgrade Palate, or give another path.")
    return int(version)


def migrate(database: Database, path: Path) -> None:
    """Run the migrations that `database` has not had, all in one transaction: it has them all or none."""
    connection = database.conn
    if check_ours(connection, path) == len(MIGRATIONS):
        return
    with transaction(connection):
        # Asked again, because another process may have migrated it while we waited.
        for migration in MIGRATIONS[check_ours(connection, path) :]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"pragma user_version = {len(MIGRATIONS)}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, on disk when it ends. Immediate: a reader that turns writer would fail instead of waiting."""
    if connection.in_transaction:  # a signal struck between somebody's `begin`, or savepoint, and its `try`
        connection.execute("rollback")
    try:
        connection.execute("begin immediate")
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


@contextmanager
def explained(path: Path, busy_seconds: float) -> Iterator[None]:
    """Turn what SQLite raises about `path` into a StoreError that says what to do next."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{str(path)!r} {_explanation(error, path, busy_seconds)}") from error


def _explanation(error: Exception, path: Path, busy_seconds: float) -> str:
    code = result_code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"was locked by another process for {busy_seconds:g} s: end or wait for that process, then try again."
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"is damaged or not a database ({error}): restore a copy, or give another path."
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return f"could not be written ({error}; {_free(path)} free): make room on the disk, then run again."
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM) or isinstance(error, OSError):
        return f"cannot be opened for writing ({error}): check that the folder exists and is yours."
    return f"did not take what was written ({error}): nothing of it was kept."


def result_code(error: BaseException | None) -> int:
    """SQLite's primary result code, or 0; the extended one holds the primary in its low byte."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _free(path: Path) -> str:
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    return f"{shutil.disk_usage(folder).free / 2**20:.0f} MiB"
