"""A language model that reads its answers from a list: for replaying what was recorded, and for tests.

Asks nothing of anyone. An answer that is missing, or of another kind than was asked for, ends the run: a replay never
goes on by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agent.llm.answers import ToolCall
from agent.llm.client import LlmCallRecord, Message
from agent.llm.schema import ToolSpec
from prompts.errors import ReplayError
from prompts.ground.console import typed

Shape = TypeVar("Shape", bound=BaseModel)
Reply = ToolCall | BaseModel | str | Exception


class ScriptedLlm:
    """Gives `replies` in order: a ToolCall to `choose_tool`; a model, or its JSON text, to `write`; text to `chat`.

    An exception among them is raised. `asked` keeps the messages of every question.
    """

    def __init__(self, replies: Iterable[Reply], *, on_call: Callable[[LlmCallRecord], None] | None = None) -> None:
        self._replies = list(replies)
        self._on_call = on_call or (lambda record: None)
        self.model = "recorded"
        self.asked: list[list[Message]] = []

    @property
    def left(self) -> int:
        """How many replies have not been asked for."""
        return len(self._replies) - len(self.asked)

    def choose_tool(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], *, purpose: str = "plan", **_: Any
    ) -> ToolCall:
        """The next reply. Raises ReplayError where it is missing, no call, or a call of a tool that is not offered."""
        reply = self._next(messages, purpose)
        if not isinstance(reply, ToolCall):
            raise self._other(reply, "a tool call")
        if reply.name not in [tool.name for tool in tools]:
            raise self._other(reply, f"a call of one of {[tool.name for tool in tools]}")
        return reply

    def write(self, messages: Sequence[Message], schema: type[Shape], *, purpose: str = "write", **_: Any) -> Shape:
        """The next reply as a `schema`. Raises ReplayError where it is missing or does not fit."""
        reply = self._next(messages, purpose)
        if isinstance(reply, schema):
            return reply
        try:
            return schema.model_validate_json(reply if isinstance(reply, str) else "")
        except ValidationError as error:
            raise self._other(reply, f"a {schema.__name__}") from error

    def chat(self, messages: Sequence[Message], *, purpose: str = "chat", **_: Any) -> str:
        """The next reply as text. Raises ReplayError where it is missing or no text."""
        reply = self._next(messages, purpose)
        if not isinstance(reply, str):
            raise self._other(reply, "text")
        return reply

    def _next(self, messages: Sequence[Message], purpose: str) -> Reply:
        if not self.left:
            raise ReplayError(
                f"missing record: the model was asked for answer {len(self.asked) + 1} ({purpose}), and the record "
                f"holds {len(self._replies)}: what is run is not what was recorded; read the record with "
                f"`{typed('replay', 'RUN', '--mode', 'view')}`"
            )
        reply = self._replies[len(self.asked)]
        self.asked.append(list(messages))
        self._on_call(self._record(messages, purpose, reply))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _record(self, messages: Sequence[Message], purpose: str, reply: Reply) -> LlmCallRecord:
        return LlmCallRecord(
            attempt=0, purpose=purpose, model=self.model, request={"messages": list(messages)}, response=_told(reply),
            prompt_tokens=0, completion_tokens=0, seconds=0.0, problem=str(reply) if isinstance(reply, Exception) else None,
        )  # fmt: skip

    def _other(self, reply: Reply, wanted: str) -> ReplayError:
        return ReplayError(f"record {len(self.asked)} is {reply!r}, and {wanted} was asked for")


def _told(reply: Reply) -> Any:
    """The reply as JSON, for the record."""
    if isinstance(reply, ToolCall):
        return {"name": reply.name, "arguments": reply.args}
    if isinstance(reply, BaseModel):
        return reply.model_dump(mode="json")
    return reply if isinstance(reply, str) else None
