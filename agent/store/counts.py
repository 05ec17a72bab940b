"""What is asked at every step: the newest of this, the number of that, in a time that does not grow with the run or with other runs.

Rows that a whole run is made of are in agent/store/views.py, which this adds to; sums over a run are in agent/store/totals.py, the indexes
in agent/store/database/indexes.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from agent.store.database.indexes import DONE, FAILED, HEARD, SHOWN
from agent.store.database.migrations import explained
from agent.store.database.rows import legible
from agent.store.views import Values, Views
from tools.records import ImageRow, PreferenceRow, StepRow, plain, to_json

BATCH = 500  # rows read at a time where all are read
# Counted in indexes that hold current ones only; SQLite would take those that hold all.
CURRENT_RATINGS = "ratings indexed by one_current_rating where run_id = ?1 and superseded is null"
CURRENT_ANSWERS = "answers indexed by one_current_answer where run_id = ?1 and superseded is null"


class ShownImage(NamedTuple):
    """What is needed of a picture that a person was shown where thousands are looked through."""

    id: str
    round: int
    step: int
    prompt: str


class Counts(Views):
    """Views, and what is asked often."""

    def version(self) -> tuple[int, int]:
        """Numbers that differ when anything was written since, by us or by another process."""
        with self._lock:
            return self._db.conn.total_changes, int(self._one("pragma data_version", []))

    def newest_step(self, run_id: str) -> StepRow | None:
        """The newest step."""
        sql = "select * from steps where run_id = ? order by step desc limit 1"
        return next(iter(self._read(StepRow, sql, [run_id])), None)

    def last_step(self, run_id: str) -> int:
        """The number of a run's newest step; 0 before there is one."""
        return int(self._one("select coalesce(max(step), 0) from steps where run_id = ?", [run_id]))

    def steps_after(self, run_id: str, step: int, limit: int = -1) -> list[StepRow]:
        """The steps after one, oldest first; no more than `limit`."""
        sql = "select * from steps where run_id = ? and step > ? order by step limit ?"
        return self._read(StepRow, sql, [run_id, step, limit])

    def each_step(self, run_id: str) -> Iterator[StepRow]:
        """Every step of a run in order, no more than `BATCH` of them in memory. Raises: InputError for an unknown run."""
        self.run(run_id)
        after = -1
        while found := self.steps_after(run_id, after, BATCH):
            yield from found
            after = found[-1].step

    def done(self, run_id: str, tool: str, round: int | None = None) -> list[StepRow]:
        """The steps of a tool that worked, or those of one round, oldest first."""
        sql = f"select * from steps where run_id = ? and tool = ? and {DONE}"
        values = [run_id, tool] if round is None else [run_id, tool, round]
        return self._read(StepRow, f"{sql}{'' if round is None else ' and round = ?'} order by step", values)

    def failed(self, run_id: str, tool: str) -> list[StepRow]:
        """The steps of a tool that ended with an error, oldest first."""
        sql = f"select * from steps where run_id = ? and tool = ? and {FAILED} order by step"
        return self._read(StepRow, sql, [run_id, tool])

    def newest_done(self, run_id: str, tool: str) -> StepRow | None:
        """The newest step of a tool that worked."""
        sql = f"select * from steps where run_id = ? and tool = ? and {DONE} order by step desc limit 1"
        return next(iter(self._read(StepRow, sql, [run_id, tool])), None)

    def heard(self, run_id: str, after: int = -1) -> list[StepRow]:
        """The steps, after one, at which the person said something in words; oldest first."""
        sql = f"select * from steps where run_id = ? and {HEARD} and step > ? order by step"
        return self._read(StepRow, sql, [run_id, after])

    def times_done(self, run_id: str, tool: str) -> int:
        """How many steps of a tool worked."""
        return int(self._one(f"select count(*) from steps where run_id = ? and tool = ? and {DONE}", [run_id, tool]))

    def tools_done(self, run_id: str, after: int) -> list[str]:
        """The tools that worked after a step, in the order of their first time."""
        sql = f"select tool from steps where run_id = ? and tool is not null and {DONE} and step > ? group by tool order by min(step)"
        return [row[0] for row in self._stream(sql, [run_id, after])]

    def tools_failed(self, run_id: str, planner: str, after: int) -> list[str]:
        """The tools that a planner has tried after a step and that did not work."""
        sql = f"select distinct tool from steps where run_id = ? and tool is not null and {FAILED} and step > ? and planner = ?"
        return [row[0] for row in self._stream(sql, [run_id, after, planner])]

    def shown_count(self, run_id: str) -> int:
        """How many pictures a person was shown."""
        return int(self._one(f"select count(*) from images where run_id = ? and {SHOWN}", [run_id]))

    def shown(self, run_id: str) -> list[ShownImage]:
        """The pictures that a person was shown, in the order painted."""
        sql = f"select id, round, step, prompt from images where run_id = ? and {SHOWN} order by step, idx"
        return [ShownImage(*row) for row in self._stream(sql, [run_id])]

    def newest_painting(self, run_id: str) -> list[ImageRow]:
        """The pictures of the newest painting that a person was shown."""
        newest = f"select step from images where run_id = :run and {SHOWN} order by step desc limit 1"
        sql = f"select * from images where run_id = :run and step = ({newest}) and {SHOWN} order by idx"
        return self._read(ImageRow, sql, {"run": run_id})

    def images_named(self, run_id: str, ids: Iterable[str]) -> dict[str, ImageRow]:
        """Images by their ids; those that the run has not are left out."""
        sql = "select * from images where run_id = ? and id in (select value from json_each(?))"
        return {row.id: row for row in self._read(ImageRow, sql, [run_id, to_json(plain(list(ids)))])}

    def image_ids(self, run_id: str) -> set[str]:
        """The ids of all images of a run."""
        return {row[0] for row in self._stream("select id from images where run_id = ?", [run_id])}

    def ratings_of(self, run_id: str, images: Iterable[str] | None = None) -> list[tuple[str, float, str]]:
        """(image, value, rater) of a run's current ratings in the order given, or of those of some images."""
        sql = "select image, value, rater from ratings where run_id = ? and superseded is null"
        if images is None:
            return list(self._stream(f"{sql} order by id", [run_id]))
        sql += " and image in (select value from json_each(?)) order by id"
        return list(self._stream(sql, [run_id, to_json(plain(list(images)))]))

    def clicks(self, run_id: str) -> int:
        """How many pictures the person rated, and how many questions they answered."""
        rated = f"select count(distinct image) from {CURRENT_RATINGS}"
        return int(self._one(f"select ({rated}) + (select count(*) from {CURRENT_ANSWERS})", [run_id]))

    def said_so_far(self, run_id: str) -> tuple[int, ...]:
        """Numbers that differ when anything was rated, answered, taken back or shown since: what is known of the taste is the same
        where they are."""
        parts = [f"(select count(*) from {current})" for current in (CURRENT_RATINGS, CURRENT_ANSWERS)]
        for table, what in (
            ("ratings", "max(id)"),
            ("answers", "max(id)"),
            ("comparisons", "count(*)"),
            ("images", "count(*)"),
        ):
            parts.append(f"(select coalesce({what}, 0) from {table} where run_id = ?1)")
        return tuple(next(iter(self._stream(f"select {', '.join(parts)}", [run_id]))))

    def newest_preference(self, run_id: str) -> PreferenceRow | None:
        """The newest preference model."""
        sql = "select * from preferences where run_id = ? order by step desc, rowid desc limit 1"
        return next(iter(self._read(PreferenceRow, sql, [run_id])), None)

    def tokens(self, run_id: str) -> int:
        """What a run's calls of the language model used in all."""
        sql = "select coalesce(sum(prompt_tokens + completion_tokens), 0) from llm_calls where run_id = ?"
        return int(self._one(sql, [run_id]))

    def _one(self, sql: str, values: Values) -> Any:
        return next(iter(self._stream(sql, values)))[0]

    def _stream(self, sql: str, values: Values) -> Iterator[Any]:
        """Rows as tuples, read `BATCH` at a time."""
        with self._lock, explained(self.path, self._busy_seconds):
            cursor = self._db.execute(sql, values)
        while rows := self._fetched(cursor):
            yield from rows

    def _fetched(self, cursor: Any) -> list[Any]:
        with self._lock, explained(self.path, self._busy_seconds):
            self._db.conn.text_factory = legible  # a cursor cannot go back to a row that it could not read
            try:
                return list(cursor.fetchmany(BATCH))
            finally:
                self._db.conn.text_factory = str
