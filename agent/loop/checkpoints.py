"""LangGraph's own file: it resumes execution, and is emptied when a run is done. What is read from it is data and never runs.

LangGraph's own reader imports and calls whatever a blob names, and only an environment variable makes it strict; a home that someone
sends is such a file. So nothing is read here but plain values and LangGraph's note that a question is open, and what was read must
have the shape of what we write. Anything else is refused: without this file a run goes on from the record, which has all that counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import ormsgpack
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Interrupt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter

from agent.llm.completion import tokens
from agent.loop.graph import State
from agent.loop.planners import Plan
from agent.store.database.migrations import explained, result_code
from prompts.errors import StoreError
from tools.records import LlmCall, StepRecord

BUSY_SECONDS = 10.0  # how long to wait for another process's lock
PACKING = (  # dataclasses, dates and the like are no plain values: they go to `_packed`, which knows one of them
    ormsgpack.OPT_NON_STR_KEYS | ormsgpack.OPT_REPLACE_SURROGATES | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME | ormsgpack.OPT_PASSTHROUGH_ENUM | ormsgpack.OPT_PASSTHROUGH_UUID
)  # fmt: skip
QUESTION = 2  # the extension type that LangGraph gives to an open question, and all that we read of those
ABOUT_QUESTION = ("langgraph.types", "Interrupt")
TRANSIENT = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
    | {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
)  # errors that no other file would mend


class PlainValues:
    """What LangGraph asks of a serializer: numbers, texts, lists and dicts as msgpack, and open questions; nothing else, either way."""

    def dumps_typed(self, value: Any) -> tuple[str, bytes]:
        """A kind and bytes. Raises TypeError for a value that is not plain."""
        return ("null", b"") if value is None else ("msgpack", ormsgpack.packb(value, _packed, PACKING))

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Undo `dumps_typed`. Raises ValueError for a kind or an extension that we do not write: nothing of it is run."""
        kind, packed = data
        if kind == "null":
            return None
        if kind != "msgpack":
            raise ValueError(f"it holds a value of kind {kind!r}")
        return ormsgpack.unpackb(packed, ext_hook=_question, option=ormsgpack.OPT_NON_STR_KEYS)


def _packed(value: Any) -> Any:
    if isinstance(value, Interrupt):
        about = (*ABOUT_QUESTION, {"value": value.value, "id": value.id})
        return ormsgpack.Ext(QUESTION, ormsgpack.packb(about, None, PACKING))
    if isinstance(value, BaseException):  # LangGraph notes what ended a node
        return repr(value)
    raise TypeError(f"{value!r} is no plain value: state holds ids, numbers and short texts")


def _question(kind: int, packed: bytes) -> Interrupt:
    """An open question from its two plain parts: no name that the bytes hold is looked up. Raises ValueError for any other extension."""
    if kind != QUESTION:
        raise ValueError(f"it holds an extension of type {kind}")
    *about, parts = ormsgpack.unpackb(packed, option=ormsgpack.OPT_NON_STR_KEYS)
    if tuple(about) != ABOUT_QUESTION or parts.get("response_schema") is not None:
        raise ValueError(f"it names {'.'.join(map(str, about))}")
    return Interrupt(value=parts["value"], id=str(parts["id"]))


class _Asked(BaseModel):
    """What a person is asked, as far as it is read again."""

    model_config = ConfigDict(extra="allow")
    asked: list[str]
    step: int
    round: int
    questions: list[dict[str, JsonValue]] | None = None


def _call(call: Any) -> Any:
    """What a server said to count is counted again when it is recorded: no number of its may make a run unresumable."""
    counts = {name: tokens(call.get(name)) for name in ("prompt_tokens", "completion_tokens")}
    LlmCall.model_validate({**call, **counts, "attempt": 0})
    return call


def _record(record: Any) -> Any:
    return record and StepRecord.model_validate(record).model_dump(mode="json")


def _plan(plan: Any) -> Any:
    TypeAdapter(Plan).validate_python(Plan(**plan))
    return plan


def _asked(asked: Any) -> Any:
    return asked and _Asked.model_validate(asked).model_dump(exclude_unset=True)


# What acts on a run is read closely: the rest is State's, below.
CHECKS: Mapping[str, Any] = {
    "plan": Annotated[dict[str, Any], BeforeValidator(_plan)],
    "calls": list[Annotated[dict[str, Any], BeforeValidator(_call)]],
    "record": Annotated[dict[str, Any], BeforeValidator(_record)],
    "asked": Annotated[dict[str, Any], BeforeValidator(_asked)],
}
Version = Annotated[str, Field(pattern=r"^\d{32}\.[0-9.e-]+$")]  # what SqliteSaver counts with
READERS = {name: TypeAdapter(kind) for name, kind in {**get_type_hints(State), **CHECKS}.items()}


class _Checkpoint(BaseModel):
    """The shape of what LangGraph keeps, closely enough that nothing after it stumbles."""

    model_config = ConfigDict(strict=True, extra="allow")
    v: int
    id: str
    ts: str
    channel_values: dict[str, Any]
    channel_versions: dict[str, Version]
    versions_seen: dict[str, dict[str, Version]]


class Checkpoints(SqliteSaver):
    """LangGraph's saver in one file, reading nothing but what we write."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, serde=PlainValues())
        self.jsonplus_serde = cast(Any, None)  # the permissive one that the parent makes: used by nobody, and not to be
        self.path = path

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        """The newest checkpoint of a run. Raises StoreError, which says what to do, for anything that we did not write."""
        try:
            found = super().get_tuple(config)
            if found is not None:
                _check(found)
            return found
        except sqlite3.Error:
            raise
        except Exception as error:  # whatever damage does: the bytes are anybody's
            raise spoilt(self.path, error) from error


def _check(found: CheckpointTuple) -> None:
    """Raises an exception of any kind where the shape is not ours."""
    kept = _Checkpoint.model_validate(found.checkpoint)
    json.dumps(kept.channel_values)
    waiting = [(channel, value) for _, channel, value in found.pending_writes or []]
    for channel, value in [*kept.channel_values.items(), *waiting]:
        if channel in READERS:
            READERS[channel].validate_python(value)
        if channel == "__interrupt__":
            _ = [_Asked.model_validate(one.value) for one in value]


def spoilt(path: Path, why: object) -> StoreError:
    """A file that is not as we wrote it: of no use, and of no value either."""
    told = " ".join(str(why).split())[:160]
    return StoreError(
        f"{str(path)!r} is damaged or was altered ({told}); nothing of it was run. Delete it ({path.name}*), which loses nothing: the "
        "record has every step and answer, and the run goes on from there."
    )


@contextmanager
def checkpoints(path: Path) -> Iterator[Checkpoints]:
    """The file, made where there is none. Raises StoreError for one that cannot be used."""
    with _only_sqlite_explained(path):
        connection = sqlite3.connect(path, check_same_thread=False, timeout=BUSY_SECONDS)
        try:
            connection.execute("pragma trusted_schema = off")
            connection.execute("pragma journal_mode = wal")
            yield Checkpoints(connection, path)
        finally:
            connection.close()


@contextmanager
def _only_sqlite_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = result_code(error)
        if code not in TRANSIENT:
            raise spoilt(path, error) from error
        with explained(path, BUSY_SECONDS):  # which would also blame the checkpoints for any file that a tool misses
            raise
