"""The language model as three questions: which tool now, an answer of a given shape, or plain text.

Speaks to any OpenAI-compatible URL, never streaming, and never without an end: attempts, and the seconds, bytes and tokens of one answer
are bounded. A server that asks for patience gets it, within `patience`. Hands each request and raw answer to `on_call`. Knows nothing of
prompts, of what the tools do, or of who serves the model.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Self, TypedDict, TypeVar

from pydantic import BaseModel, JsonValue

from agent.llm.answers import InvalidPlan, ToolCall, read_call, read_object, read_text
from agent.llm.completion import read_completion
from agent.llm.failing import Failure, failure_of
from agent.llm.keys import key_for
from agent.llm.schema import JsonDict, ToolSpec, answer_grammar, as_response_format, as_tool, call_grammar
from agent.llm.wire import NoReply, TooLong, exchange
from prompts.errors import LlmError
from prompts.ground.clean import clean
from prompts.ground.console import typed

__all__ = ["InvalidPlan", "Llm", "LlmCallRecord", "ToolCall"]

Message = dict[str, Any]
Shape = TypeVar("Shape", bound=BaseModel)
Answer = TypeVar("Answer")
LONGEST_WAIT = 8.0  # seconds between two attempts, before jitter
CROWDED = 8  # times longer where a server has too many requests and does not say for how long
ANSWER_BYTES = 2**20  # a long answer has some 10,000
SECRET = 8  # characters; a shorter key is a word like "none"
UNSEEN_TOKENS = 4096  # that a server may add: its own instructions, say
WORTH_TELLING = 5.0  # seconds of waiting that a person is told of


class LlmCallRecord(TypedDict):
    """One attempt, with the field names of the store's `llm_calls`. `response` is None where no JSON came back."""

    attempt: int
    purpose: str
    model: str
    request: JsonDict
    response: JsonValue
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    problem: str | None


class Llm:
    """A model behind an OpenAI-compatible `base_url` (ending in /v1).

    `api_key` comes from PALATE_LLM_KEY or OPENAI_API_KEY where not given, for hosts that may have it (agent/llm/keys.py). `timeout` is in
    seconds for one whole answer; `backoff` is the wait before the second attempt, doubling, at most 8 s, give or take a half; `patience`
    the longest wait in seconds that a server may ask for. `answer_bytes` and `answer_tokens` bound one answer; none: as many tokens as
    the question allows. `tell` hears of long waits. `tight` is for a vLLM server with the Hermes parser: the whole text of a call is then
    fixed by `schema.call_grammar`; elsewhere a required, strict tool call is asked for.

    Raises:
        InputError: the address is none, or the key may not go there.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        attempts: int = 3,
        timeout: float = 60.0,
        temperature: float | None = None,
        seed: int | None = None,
        on_call: Callable[[LlmCallRecord], None] | None = None,
        tight: bool = False,
        backoff: float = 0.5,
        patience: float = 120.0,
        answer_bytes: int = ANSWER_BYTES,
        answer_tokens: int | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.model, self.tight = model, tight
        self._given_key = api_key
        self.move_to(base_url)
        self._attempts, self._timeout, self._backoff, self._patience = max(1, attempts), timeout, backoff, patience
        self._answer_bytes, self._answer_tokens = answer_bytes, answer_tokens
        self._sampling = {
            key: value for key, value in (("temperature", temperature), ("seed", seed)) if value is not None
        }
        self._on_call = on_call or (lambda record: None)
        self._tell = tell or (lambda text: None)

    def choose_tool(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        *,
        purpose: str = "plan",
        max_tokens: int = 512,
        only: Collection[str] | None = None,
        **sampling: Any,
    ) -> ToolCall:
        """Exactly one call of one of `tools`, its arguments valid for the tool's model. `only`: the names of those that are of use
        now, where that is known; whoever answers from a record is not held to them, for it may be of an older routine.

        Raises:
            InvalidPlan: prose, broken JSON, wrong types, an unknown tool, or an answer cut off at `max_tokens`.
            LlmError: no answer after all attempts.
        """
        tools = [tool for tool in tools if only is None or tool.name in only]
        shape = _tight_call(tools) if self.tight else _strict_call(tools)
        request = self._request(messages, max_tokens, sampling) | shape
        return self._ask(request, purpose, lambda response: read_call(response, tools))

    def write(
        self,
        messages: Sequence[Message],
        schema: type[Shape],
        *,
        purpose: str = "write",
        max_tokens: int = 512,
        **sampling: Any,
    ) -> Shape:
        """An answer of the shape `schema`. Raises as `choose_tool`."""
        shape: JsonDict = {"response_format": as_response_format(schema)}
        if self.tight:
            shape = {"structured_outputs": {"structural_tag": answer_grammar(schema)}}
        request = self._request(messages, max_tokens, sampling) | shape
        return self._ask(request, purpose, lambda response: read_object(response, schema))

    def chat(
        self, messages: Sequence[Message], *, purpose: str = "chat", max_tokens: int = 512, **sampling: Any
    ) -> str:
        """Plain text. Raises as `choose_tool` (an empty answer is invalid; one cut off is returned as far as it came)."""
        return self._ask(self._request(messages, max_tokens, sampling), purpose, read_text)

    def close(self) -> None:
        """Nothing is kept open between two questions."""

    def move_to(self, base_url: str) -> None:
        """Speak to another address from now on: the server was started again. Raises InputError."""
        self.base_url = base_url.rstrip("/")
        self._key = self._given_key or key_for(self.base_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, messages: Sequence[Message], max_tokens: int, sampling: JsonDict) -> JsonDict:
        given = {key: value for key, value in sampling.items() if value is not None}
        limit = {"max_tokens": self._answer_tokens or max_tokens}
        return {"model": self.model, "messages": list(messages)} | limit | self._sampling | given

    def _ask(self, request: JsonDict, purpose: str, read: Callable[[object], Answer]) -> Answer:
        for attempt in range(self._attempts):
            record = self._record(request, purpose, attempt)
            failure = self._post(record)
            if failure is None:
                return self._read(record, read)
            self._on_call(record)
            if not failure.passing or attempt + 1 == self._attempts:
                raise self._gave_up(failure, attempt + 1) from failure.cause
            self._wait(failure, attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _record(self, request: JsonDict, purpose: str, attempt: int) -> LlmCallRecord:
        return LlmCallRecord(
            attempt=attempt, purpose=purpose, model=self.model, request=request, response=None,
            prompt_tokens=0, completion_tokens=0, seconds=0.0, problem=None,
        )  # fmt: skip

    def _post(self, record: LlmCallRecord) -> Failure | None:
        """Fills in the answer and the seconds; hands back what went wrong, if anything."""
        started = time.monotonic()
        try:
            body = json.dumps(record["request"]).encode()
            reply = exchange(
                f"{self.base_url}/chat/completions", seconds=self._timeout, most_bytes=self._answer_bytes, key=self._key, body=body
            )  # fmt: skip
            record["response"], failure = failure_of(replace(reply, body=self._without_key(reply.body)))
        except NoReply as error:
            more = " (`llm.answer_bytes` in the config raises it)" if isinstance(error, TooLong) else ""
            failure = Failure(f"{error.text}{more}", error.passing, cause=error)
        record["problem"] = failure.text if failure else None
        record["seconds"] = time.monotonic() - started
        return failure

    def _without_key(self, body: bytes) -> bytes:
        """A server may repeat what it was sent, and its words are kept and shown."""
        return body.replace(self._key.encode(), b"(your key)") if self._key and len(self._key) >= SECRET else body

    def _read(self, record: LlmCallRecord, read: Callable[[object], Answer]) -> Answer:
        heard = read_completion(record["response"])
        record["prompt_tokens"] = min(heard.prompt_tokens, _most_tokens(record["request"]))
        record["completion_tokens"] = min(
            heard.completion_tokens, max(record["request"]["max_tokens"], _most_tokens(record["response"]))
        )
        try:
            return read(record["response"])
        except InvalidPlan as error:
            told = self._with_limit(error, record["request"])
            record["problem"] = f"{told.problem}: {told.text}"
            raise told from None
        finally:
            self._on_call(record)

    def _with_limit(self, error: InvalidPlan, request: JsonDict) -> InvalidPlan:
        """An answer that was cut off, with the number that cut it."""
        if error.problem != "cut_off":
            return error
        limit = f"one answer has {request['max_tokens']} tokens at most; `llm.answer_tokens` in the config raises it"
        return InvalidPlan("cut_off", f"{error.text} ({limit})")

    def _wait(self, failure: Failure, attempt: int) -> None:
        """Before the next attempt: as long as the server asks for. Raises LlmError for longer than our patience."""
        crowd = CROWDED if failure.crowded and failure.wait is None else 1
        pause = min(LONGEST_WAIT * crowd, self._backoff * crowd * 2**attempt) * random.uniform(0.5, 1.5)
        if failure.wait is not None:
            if failure.wait > self._patience:
                raise self._gave_up(failure, attempt + 1) from failure.cause
            pause = max(pause, failure.wait * random.uniform(1.0, 1.05))  # one that asks for 0 s is not asked at once
        if pause >= WORTH_TELLING:
            self._tell(f"the language model's server wants patience ({failure.text}): asking again in {pause:.0f} s")
        time.sleep(pause)

    def _gave_up(self, failure: Failure, attempts: int) -> LlmError:
        tried = "once" if attempts == 1 else f"{attempts} times"
        why = failure.text
        if failure.wait is not None and failure.wait > self._patience:
            why += (
                f"; it asks to be left alone for {failure.wait:.0f} s, and {self._patience:g} s is the longest we wait (`llm.patience` in "
                "the config raises it): go on with the run then"
            )
        return LlmError(
            f"the language model at {clean(self.base_url)!r} (model {clean(self.model)!r}) gave no usable answer, asked {tried}: "
            f"{why}. See what is wrong with `{typed('doctor')}`, or give another server with --llm-url."
        )


def _most_tokens(sent: JsonValue | JsonDict) -> int:
    """A token has a byte at least: a server that counts more is mistaken, and would use the run's budget up at once."""
    return UNSEEN_TOKENS + len(json.dumps(sent))


def _strict_call(tools: Sequence[ToolSpec]) -> JsonDict:
    """Required, strict and single: on vLLM only all three together constrain the whole call."""
    return {"tools": [as_tool(tool) for tool in tools], "tool_choice": "required", "parallel_tool_calls": False}


def _tight_call(tools: Sequence[ToolSpec]) -> JsonDict:
    """Our own grammar. vLLM would replace it for a required call, and offer its own beside it for a strict tool."""
    return {
        "tools": [as_tool(tool, strict=False) for tool in tools],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "structured_outputs": {"structural_tag": call_grammar(tools)},
    }
