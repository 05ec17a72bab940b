"""A run in sums, and a page of runs: one query each, added up by SQLite, so that no run has to fit into memory.

Adds to agent/store/counts.py. What the sums mean is told by agent/store/summary.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from agent.store.counts import Counts
from agent.store.database.indexes import DONE, SHOWN
from agent.store.database.rows import records
from tools.records import AdapterRow, ImageRow, LlmCall, StepRow, to_json

RATED = (
    "exists (select 1 from ratings r where r.run_id = images.run_id and r.image = images.id and r.superseded is null)"
)
# The runs of a page with what their images come to, and the first and the last round that somebody rated.
PAGE = f"""select id, created, brief, state,
  (select count(distinct round) from images where run_id = runs.id and {SHOWN}) as rounds,
  (select count(*) from images where run_id = runs.id and {SHOWN}) as images,
  (select round from images where run_id = runs.id and {SHOWN} and {RATED} order by round limit 1) as first,
  (select round from images where run_id = runs.id and {SHOWN} and {RATED} order by round desc limit 1) as last
from runs order by rowid desc limit ?"""
# Of each picture that was shown, what each judge said last.
NEWEST_SCORES = f"""select images.round, said.name, said.value from images join (
  select image, name, value, row_number() over (partition by image, name order by step desc, rowid desc) as place
  from scores where run_id = ?1) said on said.image = images.id and said.place = 1
where images.run_id = ?1 and {SHOWN} order by images.round"""
PLANS = """select c.step, c.attempt, c.purpose, c.model, '{}' as request, c.response, c.seconds, c.problem,
  s.round, s.node, s.tool, s.args, s.error, s.planner
from llm_calls c left join steps s on s.run_id = c.run_id and s.step = c.step
where c.run_id = ? and c.purpose = 'plan' order by c.step, c.rowid"""
PLAN_NAMES = [
    "step",
    "attempt",
    "purpose",
    "model",
    "request",
    "response",
    "seconds",
    "problem",
    "round",
    "node",
    "tool",
    "args",
    "error",
    "planner",
]


class Totals(Counts):
    """Counts, and what takes a whole run or many."""

    def counted(self, run_id: str) -> dict[str, Any]:
        """A run's numbers of steps, errors, images, ratings and answers, and the seconds of its steps."""
        sql = """select count(*) as steps, count(error) as errors, coalesce(sum(seconds), 0) as seconds,
          (select count(*) from images where run_id = ?1) as images,
          (select count(*) from ratings where run_id = ?1 and superseded is null) as ratings,
          (select count(*) from answers where run_id = ?1 and superseded is null) as answers
        from steps where run_id = ?1"""
        return self._rows(sql, [run_id])[0]

    def shown_by_round(self, run_id: str) -> Iterator[tuple[int, str]]:
        """(round, image) of the pictures that a person was shown, round by round."""
        return self._stream(
            f"select round, id from images where run_id = ? and {SHOWN} order by round, step, idx", [run_id]
        )

    def newest_scores(self, run_id: str) -> Iterator[tuple[int, str, float]]:
        """(round, judge, value) of the pictures that a person was shown, round by round: what each judge said of each last."""
        return self._stream(NEWEST_SCORES, [run_id])

    def shown_images(self, run_id: str) -> list[ImageRow]:
        """The pictures that a person was shown, round by round in the order painted."""
        return self._read(
            ImageRow, f"select * from images where run_id = ? and {SHOWN} order by round, step, idx", [run_id]
        )

    def judged(self, run_id: str) -> Iterator[tuple[str, str, float]]:
        """(image, judge, value) as the view `ledger` has them."""
        return self._stream("select image, judge, value from ledger where run_id = ?", [run_id])

    def plans(self, run_id: str) -> Iterator[tuple[LlmCall, StepRow | None]]:
        """The calls that asked the language model what to do next, in the order made, without the messages sent; each with its step."""
        for values in self._stream(PLANS, [run_id]):
            row = dict(zip(PLAN_NAMES, values, strict=True))
            step = {**row, "run_id": run_id, "seconds": 0.0}
            made = records(StepRow, [step], self.unreadable) if row["node"] is not None else []
            for call in records(LlmCall, [{**row, "run_id": run_id}], self.unreadable):
                yield call, next(iter(made), None)

    def rounds_by(self, run_id: str, planner: str) -> list[int]:
        """The rounds in which a planner decided."""
        sql = "select distinct round from steps where run_id = ? and planner = ? order by round"
        return [row[0] for row in self._stream(sql, [run_id, planner])]

    def calls_counted(self, run_id: str) -> dict[str, Any]:
        """A run's calls of the language model, their tokens and seconds."""
        sql = """select count(*) as calls, coalesce(sum(prompt_tokens), 0) as prompt_tokens,
          coalesce(sum(completion_tokens), 0) as completion_tokens, coalesce(sum(seconds), 0) as seconds
        from llm_calls where run_id = ?"""
        return self._rows(sql, [run_id])[0]

    def models_called(self, run_id: str) -> list[str]:
        """The language models that were asked."""
        return [
            row[0]
            for row in self._stream("select distinct model from llm_calls where run_id = ? order by model", [run_id])
        ]

    def seconds_by_part(self, run_id: str) -> dict[str, float]:
        """Part to the seconds that a run's steps spent in it."""
        sql = """select part.key, sum(part.value)
        from steps, json_each(iif(json_valid(seconds_by_part), iif(json_type(seconds_by_part) = 'object', seconds_by_part, '{}'), '{}')) as part where run_id = ? group by part.key"""
        return dict(self._stream(sql, [run_id]))

    def page(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The newest runs with their numbers, newest first: rounds, images, and the `first` and `last` round that was rated."""
        return self._rows(PAGE, [-1 if limit is None else limit])

    def count_runs(self) -> int:
        """How many runs there are."""
        return int(self._one("select count(*) from runs", []))

    def ratings_of_rounds(self, rounds: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int, str, float]]:
        """(run, round, image, rating) of the rounds named, each (run, round)."""
        sql = f"""select images.run_id, images.round, images.id, r.value from json_each(?) as wanted
          cross join images on images.run_id = json_extract(wanted.value, '$[0]') and images.round = json_extract(wanted.value, '$[1]')
          cross join ratings r on r.run_id = images.run_id and r.image = images.id and r.superseded is null
          where {SHOWN} order by r.id"""  # cross: rounds first, or SQLite would read all ratings of their runs
        return self._stream(sql, [to_json([list(one) for one in rounds])])

    def adapters_of(self, runs: Iterable[str]) -> dict[str, list[AdapterRow]]:
        """Run to its adapters, oldest first."""
        return self._by_run(AdapterRow, "select * from adapters where run_id in ({}) order by step, rowid", runs)

    def evaluations_of(self, runs: Iterable[str]) -> dict[str, list[StepRow]]:
        """Run to its evaluations of adapters that worked, oldest first."""
        sql = f"select * from steps where run_id in ({{}}) and tool = 'evaluate_adapter' and {DONE} order by step"
        return self._by_run(StepRow, sql, runs)

    def _by_run(self, record: Any, sql: str, runs: Iterable[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for row in self._read(record, sql.format("select value from json_each(?)"), [to_json(list(runs))]):
            found.setdefault(row.run_id, []).append(row)
        return found
