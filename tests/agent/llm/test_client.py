from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from agent.llm.client import InvalidPlan, Llm, LlmCallRecord, ToolCall
from agent.llm.schema import Tool
from prompts.errors import LlmError
from tools.records import LlmCall


class Paint(BaseModel):
    prompt: str = Field(max_length=80)
    count: int = Field(ge=1, le=8)
    kind: Literal["a", "b"] = "a"


class Stop(BaseModel):
    pass


TOOLS = [Tool("paint", "paints", Paint), Tool("stop", "ends", Stop)]
ASKED = [{"role": "user", "content": "paint something warm"}]
GOOD = '{"prompt": "three red circles", "count": 4, "kind": "b"}'


class Scripted:
    """An OpenAI-shaped server that gives its replies in order; each is (status, body) or seconds to hang."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, Any] | float] = []
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.clients: list[Llm] = []  # closed with the server: a connection left open warns in some later test
        self.done = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.keys.append(self.headers["Authorization"])
                reply = outer.replies[min(len(outer.seen), len(outer.replies)) - 1]
                if isinstance(reply, float):
                    outer.done.wait(reply)
                    return
                self._send(*reply)

            def _send(self, status: int, body: Any) -> None:
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    thread = threading.Thread(target=scripted.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    for client in scripted.clients:
        client.close()
    scripted.done.set()
    scripted.http.shutdown()
    scripted.http.server_close()
    thread.join()


def said(content: str | None = None, *calls: tuple[str, str], finish: str = "stop") -> tuple[int, dict[str, Any]]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = [
            {"id": str(n), "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(calls)
        ]
    usage = {"prompt_tokens": 12, "completion_tokens": 7}
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}


def called(arguments: str, name: str = "paint", **rest: Any) -> tuple[int, dict[str, Any]]:
    return said(None, (name, arguments), **rest)


def ask(server: Scripted, *replies: Any, **options: Any) -> tuple[Llm, list[LlmCallRecord]]:
    server.replies = list(replies)
    records: list[LlmCallRecord] = []
    server.clients.append(Llm(server.base_url, "tiny", on_call=records.append, **{"backoff": 0.001} | options))
    return server.clients[-1], records


def test_a_good_call_comes_back_as_name_and_arguments(server: Scripted) -> None:
    llm, records = ask(server, called(GOOD))
    call = llm.choose_tool(ASKED, TOOLS)
    assert call == ToolCall("paint", {"prompt": "three red circles", "count": 4, "kind": "b"}, GOOD, repaired=False)
    assert (records[0]["prompt_tokens"], records[0]["completion_tokens"], records[0]["problem"]) == (12, 7, None)


def test_a_tool_call_is_asked_for_strict_required_and_single(server: Scripted) -> None:
    llm, _ = ask(server, called(GOOD), temperature=0.7, seed=3)
    llm.choose_tool(ASKED, TOOLS, seed=4)
    sent = server.seen[0]
    assert all(tool["function"]["strict"] for tool in sent["tools"])
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)
    assert (sent["temperature"], sent["seed"], sent.get("stream", False)) == (0.7, 4, False)


def test_a_tight_call_sends_our_grammar_and_no_strict_tool_beside_it(server: Scripted) -> None:
    llm, _ = ask(server, called(GOOD), tight=True)
    llm.choose_tool(ASKED, TOOLS)
    sent = server.seen[0]
    assert "<tool_call>" in sent["structured_outputs"]["structural_tag"]
    assert sent["tool_choice"] == "auto" and not any("strict" in tool["function"] for tool in sent["tools"])


def test_the_record_fits_the_store_and_holds_what_was_really_sent(server: Scripted) -> None:
    llm, records = ask(server, called(GOOD))
    llm.choose_tool(ASKED, TOOLS)
    row = LlmCall(**records[0])
    assert row.request == server.seen[0] and row.purpose == "plan" and row.seconds > 0


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (said("I would paint something warm."), "prose"),
        (said(""), "empty"),
        (called('{"prompt": "x", "count": '), "broken_json"),
        (called('{"prompt": "x", "count": Infinity}'), "broken_json"),
        (called('{"prompt": ["x"], "count": 4}'), "wrong_types"),
        (called('{"prompt": "x", "count": 99}'), "wrong_types"),
        (called('{"count": 4}'), "wrong_types"),
        (called('{"prompt": "x", "count": 4, "colour": "red"}'), "wrong_types"),
        (called("[]"), "wrong_types"),
        (called("{}", name="fly"), "unknown_tool"),
        (called('{"prompt": "xxxxx', finish="length"), "cut_off"),
        (said('<tool_call>\n{"name": "paint"}\n</tool_call>'), "broken_json"),
    ],
)
def test_a_useless_answer_is_named_recorded_and_not_asked_for_again(server: Scripted, reply: Any, problem: str) -> None:
    llm, records = ask(server, reply)
    with pytest.raises(InvalidPlan) as caught:
        llm.choose_tool(ASKED, TOOLS)
    assert caught.value.problem == problem
    assert len(records) == len(server.seen) == 1
    assert (records[0]["problem"] or "").startswith(problem) and records[0]["response"] == reply[1]


@pytest.mark.parametrize(
    "reply",
    [
        called(GOOD + "\n} and so on"),
        called('{"prompt": "three red circles", "count": "4", "kind": "b"}'),
        said(f'<tool_call>\n{{"name": "paint", "arguments": {GOOD}}}\n</tool_call>'),
        said(f'Sure. <tool_call>{{"name": "paint", "arguments": {GOOD}}}'),
        said(None, ("paint", GOOD), ("stop", "{}")),
    ],
)
def test_one_small_mending_is_made_and_told(server: Scripted, reply: Any) -> None:
    llm, records = ask(server, reply)
    call = llm.choose_tool(ASKED, TOOLS)
    assert call.repaired and call.args == json.loads(GOOD) and records[0]["problem"] is None


def test_a_control_character_that_the_servers_parser_refused_is_mended(server: Scripted) -> None:
    text = '<tool_call>\n{"name": "paint", "arguments": {"prompt": "a\tb", "count": 1, "kind": "a"}}\n</tool_call>'
    llm, _ = ask(server, said(text))
    assert llm.choose_tool(ASKED, TOOLS).args["prompt"] == "a\tb"


def test_two_server_errors_are_outlived(server: Scripted) -> None:
    broken = (500, {"error": {"message": "engine is busy"}})
    llm, records = ask(server, broken, broken, called(GOOD))
    assert llm.choose_tool(ASKED, TOOLS).name == "paint"
    assert [record["attempt"] for record in records] == [0, 1, 2]
    assert records[0]["problem"] == "HTTP 500: engine is busy"


def test_too_many_requests_is_asked_again(server: Scripted) -> None:
    llm, _ = ask(server, (429, {"error": {"message": "slow down"}}), said("hello"))
    assert llm.chat(ASKED) == "hello"


def test_attempts_are_bounded_and_the_error_says_where_and_what_next(server: Scripted) -> None:
    llm, records = ask(server, (500, {"error": {"message": "engine is dead"}}), attempts=2)
    with pytest.raises(LlmError, match="engine is dead") as caught:
        llm.choose_tool(ASKED, TOOLS)
    assert len(server.seen) == len(records) == 2
    assert server.base_url in str(caught.value)
    assert "palate doctor" in str(caught.value) and "--llm-url" in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_request_that_is_wrong_is_not_repeated(server: Scripted, status: int) -> None:
    llm, _ = ask(server, (status, {"error": {"message": "no such model"}}))
    with pytest.raises(LlmError, match=f"HTTP {status}: no such model"):
        llm.chat(ASKED)
    assert len(server.seen) == 1


def test_a_page_that_is_no_completion_is_told(server: Scripted) -> None:
    llm, _ = ask(server, (200, "<html>welcome</html>"))
    with pytest.raises(LlmError, match="end in /v1"):
        llm.chat(ASKED)
    llm, _ = ask(server, (200, {"object": "list"}))
    with pytest.raises(LlmError, match="end in /v1"):
        llm.chat(ASKED)


def test_a_server_that_hangs_is_given_up(server: Scripted) -> None:
    llm, records = ask(server, 30.0, attempts=2, timeout=0.2)
    started = time.monotonic()
    with pytest.raises(LlmError, match=r"no answer within 0\.2 s"):
        llm.chat(ASKED)
    assert time.monotonic() - started < 5 and len(records) == 2 and records[0]["response"] is None


def test_a_closed_port_is_told_with_its_url() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    with pytest.raises(LlmError, match=url) as caught:
        Llm(url, "tiny", attempts=2, backoff=0.001).chat(ASKED)
    assert "nothing answers there" in str(caught.value)


def test_an_answer_of_a_shape_is_validated(server: Scripted) -> None:
    llm, _ = ask(server, said(GOOD))
    assert llm.write(ASKED, Paint) == Paint(prompt="three red circles", count=4, kind="b")
    assert server.seen[0]["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("text", "problem"), [("", "empty"), ("Well,", "broken_json"), ('{"count": 2}', "wrong_types")]
)
def test_an_answer_of_another_shape_is_refused(server: Scripted, text: str, problem: str) -> None:
    llm, _ = ask(server, said(text))
    with pytest.raises(InvalidPlan) as caught:
        llm.write(ASKED, Paint)
    assert caught.value.problem == problem


def test_the_key_comes_from_the_environment(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PALATE_LLM_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "second")
    ask(server, said("hello"))[0].chat(ASKED)
    monkeypatch.setenv("PALATE_LLM_KEY", "first")
    ask(server, said("hello"))[0].chat(ASKED)
    assert server.keys == ["Bearer second", "Bearer first"]


def test_a_local_server_is_not_asked_through_a_proxy(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    llm, _ = ask(server, said("hello"), attempts=1)
    assert llm.chat(ASKED) == "hello"
