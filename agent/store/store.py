"""The trajectory store: every run, step, image, score and rating in one SQLite file, through sqlite-utils.

It writes a step and everything that came with it in one transaction, and hands plain records back. It does not know
what a tool does, where a run's folder is, or what LangGraph remembers. Threads may share one Store; processes open
their own. The schema is in agent/store/database/migrations.py, the records in tools/records.py, all reading in agent/store/views.py.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from agent.store.database import chain
from agent.store.database.checked import answer_row, checked_rating
from agent.store.database.copying import copy_run
from agent.store.database.messages import without_contents
from agent.store.database.migrations import explained, transaction
from agent.store.database.reading import opened
from agent.store.totals import Totals
from prompts.errors import InputError
from prompts.ground.console import typed
from tools.records import (
    LARGEST_INTEGER,
    JobRow,
    Kept,
    LlmCall,
    RunRow,
    RunState,
    StepRecord,
    now,
    plain,
    to_json,
)


class Store(Totals):
    """The database at `path`, made or migrated on construction; waits `busy_seconds` for another process's lock.

    Every method raises StoreError when the database is locked, full or damaged; every write is on disk on return.
    `reading`: nothing will be written, so that it may lie where nothing can be.
    """

    def __init__(self, path: Path | str, *, busy_seconds: float = 10.0, reading: bool = False) -> None:
        self.path = Path(path)
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self.unreadable = {}
        self._opened = opened(self.path, busy_seconds, reading=reading)
        self._db = self._opened.database

    def close(self) -> None:
        """Let the file go. Nothing is pending."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def new_run(
        self,
        brief: str,
        config: Mapping[str, Any],
        versions: Mapping[str, Any],
        seed: int,
        *,
        parent: str | None = None,
        parent_step: int | None = None,
    ) -> str:
        """Start a run and return its id, like "20261121-143005-3f2a9c": ids sort by time.

        Raises: InputError for a seed outside 0..2**63-1 or an unknown `parent`.
        """
        if not 0 <= seed <= LARGEST_INTEGER:
            raise InputError(f"seed {seed!r} cannot be stored: give a whole number from 0 to {LARGEST_INTEGER}.")
        if parent is not None:
            self.run(parent)
        created = now()
        run = RunRow(
            id=_new_id(created),
            created=created,
            brief=brief,
            config=dict(config),
            versions=dict(versions),
            seed=seed,
            parent=parent,
            parent_step=parent_step,
        )
        with self._writing():
            self._insert("runs", [run.row()])
            chain.extend(self._db.conn, run.id, rows=[("runs", run.id)], first=True)
        return run.id

    def finish_run(self, run_id: str, state: RunState = "done") -> None:
        """Set a run's state; "running" takes it up again. Raises: InputError for an unknown run."""
        self.run(run_id)
        with self._writing():
            sql = "update runs set state = ? where id = ? and state <> ?"
            if self._db.conn.execute(sql, [state, run_id, state]).rowcount:
                chain.extend(self._db.conn, run_id, rows=[("runs", run_id)])

    def copy_to(self, path: Path, run_id: str) -> None:
        """Write a run to a database of its own. Raises InputError for an unknown run, StoreError where `path` is there already."""
        self.run(run_id)
        with self._lock:
            copy_run(self._db.conn, run_id, path, self._busy_seconds)

    def add_step(self, run_id: str, step: StepRecord) -> bool:
        """Write a step and all that came with it in one transaction.

        False, and nothing changed, when the run already has a step of that number. An image painted before in this
        run (the same bytes) stays where it first appeared.

        Raises: InputError for an unknown run; StoreError when a row contradicts the store (a score of an image
        that is not there, say): then nothing of the step is kept.
        """
        self.run(run_id)
        here = {"run_id": run_id, "step": step.step}
        with self._writing():
            since = chain.marks(self._db.conn)
            if not self._insert("steps", [step.row() | here], "on conflict (run_id, step) do nothing"):
                return False
            self._insert_llm_calls(step.llm_calls, here)
            images = _rows(step.images, here | {"round": step.round})
            self._insert("images", images, "on conflict (run_id, id) do nothing")
            self._insert("adapters", _rows(step.adapters, here), _update("run_id, sha256", "metrics", "promoted"))
            self._insert("scores", _rows(step.scores, here))
            self._insert("pairs", _rows(step.pairs, here))
            self._insert("preferences", _rows(step.preferences, here))
            made = [("adapters", row.sha256) for row in step.adapters]
            chain.extend(self._db.conn, run_id, step=step.step, since=since, rows=made)
        return True

    def add_ratings(self, run_id: str, step: int, ratings: Sequence[tuple[str, float]], rater: str) -> int:
        """Keep (image id, 0..10) ratings, all or none; returns how many were new or changed.

        A rater's second rating of an image replaces the first, which stays as superseded.

        Raises: InputError for an unknown run, an image of another run, or a value that is no number from 0 to 10.
        """
        checked = [(image, checked_rating(image, value)) for image, value in ratings]
        self._require_images(run_id, (image for image, _ in checked))
        with self._writing():
            kept = [self._rate(run_id, step, image, value, plain(rater)) for image, value in checked]
            return self._linked(run_id, "ratings", kept)

    def add_comparisons(self, run_id: str, step: int, comparisons: Sequence[tuple[str, str]], rater: str) -> int:
        """Keep (win, lose) image ids, all or none; returns how many were new to this step.

        Raises: InputError for an unknown run, an image of another run, or an image compared with itself.
        """
        for win, lose in comparisons:
            if win == lose:
                raise InputError(f"image {win!r} cannot be preferred to itself: compare two images.")
        self._require_images(run_id, (image for pair in comparisons for image in pair))
        here = {"run_id": run_id, "step": step, "rater": plain(rater), "created": now()}
        rows = [{"win": win, "lose": lose} | here for win, lose in comparisons]
        with self._writing():
            last = self._db.conn.execute("select coalesce(max(id), 0) from comparisons").fetchone()
            self._insert("comparisons", rows, "on conflict (run_id, step, win, lose, rater) do nothing")
            kept = self._db.conn.execute("select id from comparisons where id > ? order by id", last).fetchall()
            return self._linked(run_id, "comparisons", kept)

    def add_answers(
        self,
        run_id: str,
        step: int,
        questions: Sequence[Mapping[str, Any]],
        answers: Sequence[tuple[int, str]],
        rater: str,
    ) -> int:
        """Keep (number of the question, answer) for questions {"kind", "images"}, all or none; returns how many were new or changed.

        An answer is one of the question's images or a word of `NO_PICTURE`. A second answer takes the place of the first, which
        stays as superseded.
        Raises: InputError for an unknown run, question or image, one image shown twice, or an answer that was not on offer.
        """
        rows = [answer_row(questions, number, answer) for number, answer in answers]
        self._require_images(run_id, (image for row in rows for image in row["shown"]))
        here = {"run_id": run_id, "step": step, "rater": plain(rater), "created": now()}
        with self._writing():
            kept = [self._answer(row | here | {"shown": to_json(row["shown"])}) for row in rows]
            return self._linked(run_id, "answers", kept)

    def undo_answer(self, run_id: str, step: int, rater: str) -> int:
        """Take back a rater's newest answer of a step, which stays as superseded; returns its question's number.

        Raises: InputError when there is none.
        """
        mine = [row for row in self.answers(run_id, step=step) if row.rater == plain(rater)]
        if not mine:
            raise InputError(f"there is nothing to undo: {rater!r} has answered no question of step {step!r} yet.")
        same = {"run_id": run_id, "step": step, "question": mine[-1].question, "rater": mine[-1].rater}
        with self._writing():
            self._linked(run_id, "answers", [self._superseded("answers", same, now())])
        return mine[-1].question

    def save_job(self, job: JobRow) -> None:
        """Insert a job or bring it up to date, outside any step."""
        row = job.row()
        with self._writing():
            before = chain.digest_of(self._db.conn, "jobs", job.run_id, job.id)
            self._insert("jobs", [row], _update("id", *(name for name in row if name != "id")))
            if job.run_id is not None and before != chain.digest_of(self._db.conn, "jobs", job.run_id, job.id):
                chain.extend(self._db.conn, job.run_id, rows=[("jobs", job.id)])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, explained(self.path, self._busy_seconds), transaction(self._db.conn):
            yield

    def _insert(self, table: str, rows: Sequence[Mapping[str, Any]], on_conflict: str = "") -> int:
        """Add rows of one shape; returns how many were added or changed.

        Not Table.insert_all: its `ignore` would also swallow rows that break a constraint we did not mean.
        """
        if not rows:
            return 0
        names, values = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
        sql = f"insert into {table} ({names}) values ({values}) {on_conflict}"
        return self._db.conn.executemany(sql, rows).rowcount

    def _insert_llm_calls(self, calls: Iterable[LlmCall], here: dict[str, Any]) -> None:
        for call in calls:
            request, messages = without_contents(call.request)
            self._insert("messages", messages, "on conflict (sha256) do nothing")
            self._insert("llm_calls", _rows([call.model_copy(update={"request": request})], here))

    def _rate(self, run_id: str, step: int, image: str, value: float, rater: str) -> list[int]:
        row = {"run_id": run_id, "image": image, "rater": rater, "value": value, "step": step, "created": now()}
        return self._replace("ratings", {name: row[name] for name in ("run_id", "image", "rater")}, "value", row)

    def _answer(self, row: dict[str, Any]) -> list[int]:
        return self._replace(
            "answers", {name: row[name] for name in ("run_id", "step", "question", "rater")}, "answer", row
        )

    def _replace(self, table: str, same: Mapping[str, Any], said: str, row: Mapping[str, Any]) -> list[int]:
        """Keep `row` in the place of what was said of the `same` before; the ids of the rows touched, none where it says nothing new."""
        where = " and ".join(f"{name} = :{name}" for name in same)
        sql = f"select 1 from {table} where superseded is null and {where} and {said} = :{said}"
        if self._db.conn.execute(sql, row).fetchone():
            return []
        touched = self._superseded(table, same, row["created"])
        self._insert(table, [row])
        return [*touched, *self._db.conn.execute("select last_insert_rowid()").fetchone()]

    def _superseded(self, table: str, same: Mapping[str, Any], when: str) -> list[int]:
        where = " and ".join(f"{name} = :{name}" for name in same)
        sql = f"update {table} set superseded = :when where superseded is null and {where} returning id"
        return [row[0] for row in self._db.conn.execute(sql, {**same, "when": when}).fetchall()]

    def _linked(self, run_id: str, table: str, kept: Iterable[Sequence[int]]) -> int:
        """Cover the rows that each thing said has touched; how many said something new."""
        new = [ids for ids in kept if ids]
        if new:
            chain.extend(self._db.conn, run_id, rows=[(table, one) for ids in new for one in ids])
        return len(new)

    def _require_images(self, run_id: str, images: Iterable[str]) -> None:
        self.run(run_id)
        asked = list(images)
        sql = "select id from images where run_id = ? and id in (select value from json_each(?))"
        known = {row["id"] for row in self._rows(sql, [run_id, to_json(plain(asked))])}
        for image in asked:
            if image not in known:
                raise InputError(
                    f"image {image!r} is not in run {run_id!r}: use an id that `{typed('logs', 'show', run_id)}` lists."
                )


def _new_id(created: str) -> str:
    day, _, time = created[:19].partition("T")
    return f"{day.replace('-', '')}-{time.replace(':', '')}-{secrets.token_hex(3)}"


def _rows(records: Iterable[Kept], here: dict[str, Any]) -> list[dict[str, Any]]:
    return [record.row() | here for record in records]


def _update(key: str, *names: str) -> str:
    return f"on conflict ({key}) do update set " + ", ".join(f"{name} = excluded.{name}" for name in names)
