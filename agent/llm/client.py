"""The language model as three questions: which tool now, an answer of a given shape, or plain text.

Speaks to any OpenAI-compatible URL, never streaming, and never without an end: attempts, seconds and tokens are bounded.
Hands each request and raw answer to `on_call`. Knows nothing of prompts, of what the tools do, or of who serves the model.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from agent.llm.answers import InvalidPlan, ToolCall, read_call, read_object, read_text
from agent.llm.schema import JsonDict, ToolSpec, answer_grammar, as_response_format, as_tool, call_grammar
from prompts.console import typed
from prompts.errors import LlmError

if TYPE_CHECKING:  # at run time on first use: `palate --help` must not wait for it
    import openai

__all__ = ["InvalidPlan", "Llm", "LlmCallRecord", "ToolCall"]

Message = dict[str, Any]
Shape = TypeVar("Shape", bound=BaseModel)
Answer = TypeVar("Answer")
LONGEST_WAIT = 8.0  # seconds between two attempts, before jitter
LONGEST_TOLD = 300  # characters of a server's own message
# A busy or starting server answers with these; anything else in 4xx stays wrong however often it is asked.
PASSING = frozenset({408, 409, 425, 429})


class LlmCallRecord(TypedDict):
    """One attempt, with the field names of the store's `llm_calls`. `response` is None where no JSON came back."""

    attempt: int
    purpose: str
    model: str
    request: JsonDict
    response: Any
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    problem: str | None


class Llm:
    """A model behind an OpenAI-compatible `base_url` (ending in /v1).

    `api_key` comes from PALATE_LLM_KEY or OPENAI_API_KEY where not given ("none" where neither is set: a local server
    wants none). `timeout` is in seconds for one attempt; `backoff` is the wait before the second attempt, doubling, at
    most 8 s, give or take a half. `tight` is for a vLLM server with the Hermes parser: the whole text of a call is then fixed
    by `schema.call_grammar`; elsewhere a required, strict tool call is asked for.
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
    ) -> None:
        self.base_url, self.model, self.tight = base_url.rstrip("/"), model, tight
        self._key = api_key or os.environ.get("PALATE_LLM_KEY") or os.environ.get("OPENAI_API_KEY") or "none"
        self._attempts, self._timeout, self._backoff = max(1, attempts), timeout, backoff
        self._sampling = {
            key: value for key, value in (("temperature", temperature), ("seed", seed)) if value is not None
        }
        self._on_call = on_call or (lambda record: None)
        self._made: openai.OpenAI | None = None

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
        """Let the connection go; the next question opens another."""
        if self._made is not None:
            self._made.close()
            self._made = None

    def move_to(self, base_url: str) -> None:
        """Speak to another address from now on: the server was started again."""
        self.close()
        self.base_url = base_url.rstrip("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, messages: Sequence[Message], max_tokens: int, sampling: JsonDict) -> JsonDict:
        given = {key: value for key, value in sampling.items() if value is not None}
        return {"model": self.model, "messages": list(messages), "max_tokens": max_tokens} | self._sampling | given

    def _ask(self, request: JsonDict, purpose: str, read: Callable[[Any], Answer]) -> Answer:
        for attempt in range(self._attempts):
            record = self._record(request, purpose, attempt)
            failure = self._post(record)
            if failure is None:
                return self._read(record, read)
            self._on_call(record)
            if not failure.passing or attempt + 1 == self._attempts:
                raise self._gave_up(failure, attempt + 1) from failure.cause
            time.sleep(min(LONGEST_WAIT, self._backoff * 2**attempt) * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _record(self, request: JsonDict, purpose: str, attempt: int) -> LlmCallRecord:
        return LlmCallRecord(
            attempt=attempt, purpose=purpose, model=self.model, request=request, response=None,
            prompt_tokens=0, completion_tokens=0, seconds=0.0, problem=None,
        )  # fmt: skip

    def _post(self, record: LlmCallRecord) -> _Failure | None:
        """Fills in the answer and the seconds; hands back what went wrong, if anything."""
        import openai

        started = time.monotonic()
        failure = None
        try:
            record["response"] = self._client().post("/chat/completions", cast_to=object, body=record["request"])
        except (openai.APIError, ValueError) as error:  # ValueError: a body that says it is JSON and is not
            failure = _failure(error, self._timeout)
        if failure is None and not _is_completion(record["response"]):
            failure = _Failure("it answers, but not like an OpenAI server (does the URL end in /v1?)", passing=False)
        record["problem"] = failure.text if failure else None
        record["seconds"] = time.monotonic() - started
        return failure

    def _read(self, record: LlmCallRecord, read: Callable[[Any], Answer]) -> Answer:
        try:
            record["prompt_tokens"], record["completion_tokens"] = _tokens(record["response"])
            return read(record["response"])
        except InvalidPlan as error:
            record["problem"] = f"{error.problem}: {error.text}"
            raise
        finally:
            self._on_call(record)

    def _client(self) -> openai.OpenAI:
        import openai

        if self._made is None:
            # A proxy named in the environment is for the world, not for a server on this machine.
            direct = openai.DefaultHttpxClient(trust_env=False) if self._is_local() else None
            self._made = openai.OpenAI(
                base_url=self.base_url, api_key=self._key, timeout=self._timeout, max_retries=0, http_client=direct
            )
        return self._made

    def _is_local(self) -> bool:
        return urlsplit(self.base_url).hostname in ("127.0.0.1", "localhost", "::1")

    def _gave_up(self, failure: _Failure, attempts: int) -> LlmError:
        tried = "once" if attempts == 1 else f"{attempts} times"
        return LlmError(
            f"the language model at {self.base_url!r} (model {self.model!r}) gave no usable answer, asked {tried}: "
            f"{failure.text}. See what is wrong with `{typed('doctor')}`, or give another server with --llm-url."
        )


@dataclass(frozen=True)
class _Failure:
    """Why there is no answer; `passing`: asking again may help."""

    text: str
    passing: bool
    cause: Exception | None = None


def _failure(error: Exception, timeout: float) -> _Failure:
    """The openai package's errors in our words: the one place that knows them."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return _Failure(f"no answer within {timeout:g} s", passing=True, cause=error)
    if isinstance(error, openai.APIStatusError):
        code = error.status_code
        return _Failure(f"HTTP {code}: {_told(error)}", passing=code in PASSING or code >= 500, cause=error)
    if isinstance(error, openai.APIConnectionError):
        return _Failure(f"nothing answers there ({error.__cause__ or error})", passing=True, cause=error)
    return _Failure(f"the answer is not JSON ({error})", passing=False, cause=error)


def _told(error: openai.APIStatusError) -> str:
    """What the server says is wrong, in one line."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else body
    return " ".join(str(said or error.message).split())[:LONGEST_TOLD]


def _is_completion(response: Any) -> bool:
    choices = response.get("choices") if isinstance(response, dict) else None
    return isinstance(choices, list) and bool(choices)


def _tokens(response: Any) -> tuple[int, int]:
    """Tokens read and written, 0 where the server does not say."""
    usage = response.get("usage") or {}
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


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
