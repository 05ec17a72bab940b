"""Everything that can be asked of a store: rows as plain records, lineage, and a person's own SQL. It writes nothing.

`Store` (agent/store/store.py) is this with writing added. The SQL views for people are in agent/store/database/migrations.py.
"""

from __future__ import annotations

import difflib
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from agent.store.database import chain
from agent.store.database.engine import Database
from agent.store.database.messages import chat_messages, with_contents
from agent.store.database.migrations import explained
from agent.store.database.querying import answered
from agent.store.database.reading import Opened
from agent.store.database.rows import DAMAGE, fetched, note, records
from prompts.errors import InputError, StoreError
from prompts.ground.console import typed
from tools.records import (
    AdapterRow,
    AnswerRow,
    ComparisonRow,
    ImageRow,
    JobRow,
    LlmCall,
    PairRow,
    PreferenceRow,
    RatingRow,
    Record,
    RunRow,
    ScoreRow,
    StepRecord,
    StepRow,
    plain,
    to_json,
)

R = TypeVar("R", bound=Record)
Values = Sequence[Any] | dict[str, Any]


class Lineage(Record):
    """Where an image came from: its run, the step that painted it, the adapters in use and what they grew from.

    `adapters` goes from those in use back to the first; `ancestors` from the run's parent back to the first run.
    """

    image: ImageRow
    step: StepRow
    run: RunRow
    adapters: tuple[AdapterRow, ...]
    ancestors: tuple[RunRow, ...]
    scores: tuple[ScoreRow, ...]
    ratings: tuple[RatingRow, ...]


class Views:
    """The reading half of a store. Every method raises StoreError when the database is locked or damaged.

    One damaged row costs one row: it is left out, and named in `unreadable` with what is wrong with it."""

    path: Path
    unreadable: dict[str, str]
    _busy_seconds: float
    _lock: threading.RLock
    _db: Database
    _opened: Opened

    def run(self, run_id: str) -> RunRow:
        """One run. Raises: InputError naming the nearest ids."""
        found = self._read(RunRow, "select * from runs where id = ?", [plain(run_id)])
        if not found:
            self._refuse_unreadable(f"the row of run {run_id}")
            ids = [row["id"] for row in self._rows("select id from runs order by rowid desc")]
            near = ", ".join(difflib.get_close_matches(run_id, ids, n=3, cutoff=0.3) or ids[:3])
            hint = f"did you mean {near}?" if near else f"it holds no runs yet; `{typed('run', 'CONFIG')}` starts one."
            raise InputError(f"there is no run {run_id!r} in {str(self.path)!r}: {hint}")
        return found[0]

    def find(self, run: str | None) -> RunRow:
        """The run of that id; for None or "last" the one begun last, whatever the clock said. Raises: InputError when there is none."""
        if run is not None and run != "last":
            return self.run(run)
        found = self._read(RunRow, "select * from runs order by rowid desc limit 1")
        if not found:
            self._refuse_unreadable("the row of run ")
            raise InputError(
                f"{str(self.path)!r} holds no runs yet: `{typed('run', 'CONFIG')}` or `{typed('demo')}` starts one."
            )
        return found[0]

    def runs(self, limit: int | None = None) -> list[RunRow]:
        """Every run, the one begun last first, whatever the clock said; or the `limit` newest."""
        return self._read(RunRow, "select * from runs order by rowid desc limit ?", [-1 if limit is None else limit])

    def steps(self, run_id: str) -> list[StepRow]:
        """A run's steps in order, without what came with them (`step` has that). Raises: InputError, unknown run."""
        self.run(run_id)
        return self._kept(StepRow, "steps", run_id)

    def step(self, run_id: str, step: int) -> StepRecord:
        """One step with everything that came with it. Raises: InputError for an unknown run or step."""
        self.run(run_id)
        rows = self._kept(StepRow, "steps", run_id, step)
        if not rows:
            self._refuse_unreadable(f"step {step} of run {run_id}")
            raise InputError(f"run {run_id!r} has no step {step!r}: `{typed('logs', 'show', run_id)}` lists its steps.")
        return StepRecord(
            **dict(rows[0]),
            images=tuple(self._kept(ImageRow, "images", run_id, step)),
            scores=tuple(self._kept(ScoreRow, "scores", run_id, step)),
            pairs=tuple(self._kept(PairRow, "pairs", run_id, step)),
            preferences=tuple(self._kept(PreferenceRow, "preferences", run_id, step)),
            adapters=tuple(self._kept(AdapterRow, "adapters", run_id, step)),
            llm_calls=tuple(self.llm_calls(run_id, step)),
        )

    def images(self, run_id: str, round: int | None = None) -> list[ImageRow]:
        """A run's images in the order they were painted, or those of one round."""
        return self._found(ImageRow, "images", "step, idx", run_id=run_id, round=round)

    def scores(
        self, run_id: str, image: str | None = None, name: str | None = None, *, step: int | None = None
    ) -> list[ScoreRow]:
        """A run's scores in the order given, or those of one image, one scorer or one step."""
        return self._found(ScoreRow, "scores", "step, rowid", run_id=run_id, image=image, name=name, step=step)

    def ratings(
        self, run_id: str, *, superseded: bool = False, step: int | None = None, image: str | None = None
    ) -> list[RatingRow]:
        """A run's current ratings in the order given, or those of one step or image; with `superseded`, those that were replaced too."""
        return self._found(RatingRow, _current("ratings", superseded), "id", run_id=run_id, step=step, image=image)

    def answers(self, run_id: str, *, superseded: bool = False, step: int | None = None) -> list[AnswerRow]:
        """A run's current answers to questions in the order given, or those of one step; with `superseded`, those taken back too."""
        return self._found(AnswerRow, _current("answers", superseded), "id", run_id=run_id, step=step)

    def comparisons(self, run_id: str) -> list[ComparisonRow]:
        """A run's comparisons, step by step in the order given: what its current answers say of two images at a time."""
        sql = "select * from current_comparisons where run_id = ? order by step, answer, number"
        return self._read(ComparisonRow, sql, [run_id])

    def pairs(self, run_id: str) -> list[PairRow]:
        """A run's training pairs in the order made."""
        return self._kept(PairRow, "pairs", run_id)

    def preferences(self, run_id: str) -> list[PreferenceRow]:
        """A run's preference models, oldest first."""
        return self._kept(PreferenceRow, "preferences", run_id)

    def adapters(self, run_id: str) -> list[AdapterRow]:
        """A run's adapters, oldest first."""
        return self._kept(AdapterRow, "adapters", run_id)

    def adapter_runs(self, sha256: str) -> list[str]:
        """The runs that made an adapter of this hash, newest first."""
        sql = "select run_id from adapters join runs on runs.id = run_id where sha256 = ? order by runs.rowid desc"
        return [str(row["run_id"]) for row in self._rows(sql, [sha256])]

    def jobs(self, run_id: str | None = None) -> list[JobRow]:
        """Every job, oldest first, or those of one run."""
        return self._found(JobRow, "jobs", "rowid", run_id=run_id)

    def llm_calls(self, run_id: str, step: int | None = None) -> list[LlmCall]:
        """A run's LLM calls in the order made, or those of one step, with their messages put back whole."""
        calls = self._kept(LlmCall, "llm_calls", run_id, step)
        wanted = {message.get("content_sha256") for call in calls for message in chat_messages(call.request)}
        sql = "select sha256, content from messages where sha256 in (select value from json_each(?))"
        contents = {row["sha256"]: row["content"] for row in self._rows(sql, [to_json(list(wanted))])}
        return [whole for call in calls if (whole := self._with_contents(call, contents))]

    def altered(self, run_id: str) -> list[str]:
        """What of a run is not as it was written, in words; empty where nothing is known."""
        with self._lock, explained(self.path, self._busy_seconds):
            return chain.altered(self._db.conn, run_id)

    def chained(self, run_id: str) -> bool:
        """Whether `altered` can tell: it cannot of a run from before the chain."""
        with self._lock, explained(self.path, self._busy_seconds):
            return chain.is_chained(self._db.conn, run_id)

    def ledger(self, run_id: str) -> list[dict[str, Any]]:
        """What each judge says of each picture shown, as the view of that name has it. Raises: InputError for an unknown run."""
        self.run(run_id)
        return self._rows("select * from ledger where run_id = ?", [run_id])

    def lineage(self, image: str, run_id: str | None = None) -> Lineage:
        """Where an image came from. The same image in several runs: `run_id` chooses, else the run that was first.

        Raises: InputError for an image that no run (or not this run) has.
        """
        sql = f"""select images.* from images join runs on runs.id = run_id where images.id = ?
          {"" if run_id is None else "and run_id = ?"} order by runs.rowid limit 1"""
        found = self._read(ImageRow, sql, [plain(image)] if run_id is None else [plain(image), run_id])
        if not found:
            place = "any run" if run_id is None else f"run {run_id!r}"
            raise InputError(
                f"image {image!r} is not in {place}: `{typed('logs', 'query', 'select * from best_images')}` lists images."
            )
        run = self.run(found[0].run_id)
        return Lineage(
            image=found[0],
            step=self._kept(StepRow, "steps", run.id, found[0].step)[0],
            run=run,
            adapters=tuple(self._adapters_behind(found[0])),
            ancestors=tuple(self._ancestors(run)),
            scores=tuple(self.scores(run.id, image)),
            ratings=tuple(self.ratings(run.id, image=image)),
        )

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of one SELECT, as a person asks for them. The file is opened read-only for it.

        Raises: InputError for SQL that is wrong or would write, attach or change settings.
        """
        with explained(self.path, self._busy_seconds):
            connection = sqlite3.connect(self._opened.uri, self._busy_seconds, uri=True)
        return answered(connection, sql)

    def _adapters_behind(self, image: ImageRow) -> list[AdapterRow]:
        """The adapters that painted `image`, then their parents; the image's own run is asked first."""
        waiting = [adapter.get("sha256") for adapter in image.adapters]
        behind: dict[str, AdapterRow] = {}
        sql = "select * from adapters where sha256 = ? order by run_id <> ?, rowid limit 1"
        while waiting:
            for adapter in self._read(AdapterRow, sql, [waiting.pop(0), image.run_id]):
                if adapter.sha256 not in behind:
                    behind[adapter.sha256] = adapter
                    waiting.append(adapter.parent)
        return list(behind.values())

    def _ancestors(self, run: RunRow) -> list[RunRow]:
        found: list[RunRow] = []
        while run.parent is not None:  # ends: a parent is always there before its fork
            run = self.run(run.parent)
            found.append(run)
        return found

    def _kept(self, record: type[R], table: str, run_id: str, step: int | None = None) -> list[R]:
        return self._found(record, table, "step, rowid", run_id=run_id, step=step)

    def _found(self, record: type[R], table: str, order: str, **wanted: str | int | None) -> list[R]:
        """Rows with the values wanted, where there are some. Not `? is null or step = ?`: no index serves that."""
        given = {name: plain(value) for name, value in wanted.items() if value is not None}
        which = " and ".join(f"{name} = :{name}" for name in given) or "true"
        return self._read(record, f"select * from {table} where {which} order by {order}", given)

    def _read(self, record: type[R], sql: str, values: Values = ()) -> list[R]:
        return records(record, self._rows(sql, values), self.unreadable)

    def _with_contents(self, call: LlmCall, contents: Mapping[str, str]) -> LlmCall | None:
        try:
            return call.model_copy(update={"request": with_contents(call.request, contents)})
        except DAMAGE as error:
            note(self.unreadable, LlmCall, call.model_dump(), error)
            return None

    def _refuse_unreadable(self, start: str) -> None:
        """Raises StoreError where what was asked for is there, and damaged."""
        for name, why in self.unreadable.items():
            if name.startswith(start):
                raise StoreError(
                    f"{name} of {str(self.path)!r} cannot be read ({why}): put back a copy of the database."
                )

    def _rows(self, sql: str, values: Values = ()) -> list[dict[str, Any]]:
        with self._lock, explained(self.path, self._busy_seconds):
            return fetched(self._db, sql, values)


def _current(table: str, superseded: bool) -> str:
    """The table, or what in it was not replaced."""
    return table if superseded else f"(select * from {table} where superseded is null)"
