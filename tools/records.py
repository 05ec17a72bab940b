"""The rows of the trajectory as plain frozen records: what a step writes and what the store hands back.

They hold text, numbers and JSON only: no pixels, no tensors. They know nothing of SQLite but which fields are kept as
JSON text. The store fills in `run_id`, `step` and `round` of what came with a step; a writer's are ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, field_validator

RunState = Literal["running", "waiting", "done", "stopped", "failed"]
JobState = Literal["queued", "running", "done", "failed"]
LARGEST_INTEGER = 2**63 - 1  # SQLite's


def now() -> str:
    """The time in UTC as ISO 8601 text with milliseconds, which sorts as text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def plain(value: Any) -> Any:
    """`value` as JSON that every reader accepts.

    The record must keep what a broken model answers: half a surrogate pair, `Infinity` and `NaN` become text
    ("\\ud83d", "Infinity", "NaN"). Tuples become lists. Anything else is left alone.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def to_json(value: Any) -> str:
    """JSON text, non-ASCII as it is. Raises: ValueError for NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


Text = Annotated[str, BeforeValidator(plain)]
Json = Annotated[JsonValue, BeforeValidator(plain)]
JsonObject = Annotated[dict[str, JsonValue], BeforeValidator(plain)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Seconds = Annotated[float, Field(ge=0)]


class Record(BaseModel):
    """One row. `row()` is what SQLite gets; `from_row` undoes it and ignores columns it has no field for."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    json_columns: ClassVar[frozenset[str]] = frozenset()
    apart: ClassVar[frozenset[str]] = frozenset()  # fields that are rows of other tables

    def row(self) -> dict[str, Any]:
        """Column names to values; None stays NULL."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name not in self.apart}
        return values | {name: to_json(values[name]) for name in self.json_columns if values[name] is not None}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record that a row of the store holds."""
        values = {name: row[name] for name in cls.model_fields if name in row}
        unpacked = {name: json.loads(values[name]) for name in cls.json_columns if values.get(name) is not None}
        return cls.model_validate(values | unpacked)


class RunRow(Record):
    """One run. `parent` and `parent_step` say where a fork left the run it came from."""

    json_columns = frozenset({"config", "versions"})
    id: str
    created: str
    brief: Text
    config: JsonObject
    versions: JsonObject
    seed: Seed
    state: RunState = "running"
    parent: str | None = None
    parent_step: int | None = None


class Kept(Record):
    """A row that came with a step."""

    run_id: str = ""
    step: int = 0


class ImageRow(Kept):
    """One painted image. `path` is relative to the run's folder; `idx` is its position in the step, from 0;
    `round` is the step's, which the store fills in.

    `adapters` holds one object an adapter in use, with at least `sha256` and `weight`.
    """

    json_columns = frozenset({"adapters", "sampler"})
    sha256: Sha256
    round: int = 0
    idx: int = Field(ge=0)
    path: Text
    prompt: Text
    seed: Seed
    model: Text
    adapters: Annotated[list[dict[str, JsonValue]], BeforeValidator(plain)] = []
    sampler: JsonObject = {}

    @property
    def id(self) -> str:
        """The first 16 hex digits of the file's sha256: unique in a run, the same in a run that repeats it."""
        return self.sha256[:16]

    @property
    def shown(self) -> bool:
        """Whether it belongs to a round that a person rates: no pool's and no evaluation's."""
        return bool(self.sampler.get("purpose", "paint") == "paint")

    def row(self) -> dict[str, Any]:
        """As `Record.row`, with the id."""
        return {"id": self.id} | super().row()

    @field_validator("path")
    @classmethod
    def _relative(cls, path: str) -> str:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError(f"{path!r} must be relative to the run's folder")
        return path


class ScoreRow(Kept):
    """What the scorer `name`, at `version`, says of `image` (an image id of the same run)."""

    image: str
    name: str
    version: str
    value: float


class PairRow(Kept):
    """A training pair: image `win` is preferred to image `lose` by `margin` (in units of the score that chose them)."""

    prompt: Text
    win: str
    lose: str
    margin: float


class PreferenceRow(Kept):
    """A preference model as fitted at this step; `path` is its file, `sha256` the file's."""

    json_columns = frozenset({"metrics"})
    kind: str
    metrics: JsonObject
    path: Text
    sha256: Sha256


class AdapterRow(Kept):
    """A trained adapter. Sent again by a later step, its `metrics` and `promoted` are brought up to date."""

    json_columns = frozenset({"config", "metrics"})
    sha256: Sha256
    kind: str
    base: Text
    path: Text
    config: JsonObject
    parent: Sha256 | None = None
    metrics: JsonObject = {}
    promoted: bool | None = None


class LlmCall(Kept):
    """One request to the LLM and its raw answer. `problem` says why an answer was of no use.

    `request["messages"]` holds whole messages here; the store keeps each content once, in `messages`.
    """

    json_columns = frozenset({"request", "response"})
    attempt: int = Field(ge=0)
    purpose: str
    model: Text
    request: JsonObject
    response: Json = None
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    seconds: Seconds
    problem: Text | None = None


class StepRow(Record):
    """One step of a run: which node ran which tool, with what, what came of it, and how long each part took."""

    json_columns = frozenset({"args", "result", "seconds_by_part"})
    run_id: str = ""
    step: int = Field(ge=0)
    round: int = Field(ge=0)
    node: str
    tool: str | None = None
    args: JsonObject = {}
    result: Json = None
    error: Text | None = None
    planner: str | None = None
    started: str = Field(default_factory=now)
    seconds: Seconds = 0.0
    seconds_by_part: dict[str, Seconds] = {}

    @property
    def facts(self) -> dict[str, Any]:
        """The result as a dict; empty when it is none."""
        return dict(self.result) if isinstance(self.result, dict) else {}


class StepRecord(StepRow):
    """A step with everything that came with it: what `Store.add_step` writes in one transaction."""

    apart = frozenset({"images", "scores", "pairs", "preferences", "adapters", "llm_calls"})
    images: tuple[ImageRow, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    pairs: tuple[PairRow, ...] = ()
    preferences: tuple[PreferenceRow, ...] = ()
    adapters: tuple[AdapterRow, ...] = ()
    llm_calls: tuple[LlmCall, ...] = ()


class RatingRow(Kept):
    """What `rater` thinks of `image`, 0 to 10. `superseded` is when the same rater gave another, or None."""

    image: str
    value: float = Field(ge=0, le=10)
    rater: Text
    created: str
    superseded: str | None = None


class AnswerRow(Kept):
    """What `rater` answered to the `question`-th question (from 0) of a step: one of the images `shown`, in the order they stood,
    or one of `NO_PICTURE`. `superseded` is when they took it back or answered otherwise, or None."""

    json_columns = frozenset({"shown"})
    question: int = Field(ge=0)
    kind: Literal["ab", "best", "worst"]
    shown: list[str]
    answer: str
    rater: Text
    created: str
    superseded: str | None = None


NO_PICTURE = ("tie", "both bad", "skip")  # answers that name none: as good, as bad, no idea


class ComparisonRow(Kept):
    """`rater` prefers image `win` to image `lose`, or finds them alike (`tie`: then `win` is the one that stood first).

    `answer`: the id of the answer that said it, 0 where it was given by itself; `number`: which of the things that it said.
    """

    win: str
    lose: str
    tie: bool = False
    answer: int = 0
    number: int = 0
    rater: Text
    created: str

    @property
    def click(self) -> tuple[int, int, int]:
        """What is the same for all that one answer said, in a run."""
        return self.step, self.answer, 0 if self.answer else self.number


class JobRow(Record):
    """A training job's process: `at_step` of `total`. Kept outside the steps, because it lives while one is running."""

    id: str
    run_id: str | None = None
    step: int | None = None
    kind: str
    state: JobState
    pid: int | None = None
    heartbeat: str | None = None
    at_step: int = Field(default=0, ge=0)
    total: int = Field(default=0, ge=0)
    error: Text | None = None
