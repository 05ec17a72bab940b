"""agent/llm/wire.py and failing.py: one answer has an end, in seconds and in bytes, and what failed is told in the server's words."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import pytest

from agent.llm.client import Llm
from agent.llm.failing import wait_of
from agent.llm.wire import Reply, is_loopback
from agent.stopping import Stopped, stoppable
from prompts.errors import LlmError
from prompts.ground.clean import harmless
from tests.agent.fast import completion
from tests.agent.llm.speaking import HELLO, Said, answer, speaking

ASKED = [{"role": "user", "content": "hello?"}]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n"


def dripping(first: bytes) -> Iterator[bytes | float]:
    """A byte every 50 ms, without end."""
    yield first
    for byte in repeat(b"x"):
        yield byte
        yield 0.05


def asked(say: Callable[[int], Said], **options: Any) -> tuple[str, list[Any]]:
    """What the client says, or why it gave up, and its records."""
    records: list[Any] = []
    usual = {"attempts": 1, "backoff": 0.001, "timeout": 20.0}
    told = ""
    with speaking(say) as heard:
        llm = Llm(heard.url, "m", on_call=records.append, **{**usual, **options})
        try:
            return llm.chat(ASKED), records
        except LlmError as error:
            told = str(error)
    assert harmless(told) == told and "palate doctor" in told
    return told, records


@pytest.mark.parametrize("first", [HEAD, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 2", b""])
def test_a_server_that_sends_a_byte_at_a_time_is_given_up_in_time(first: bytes) -> None:
    began = time.monotonic()
    told, _ = asked(lambda _: dripping(first), timeout=0.4)
    assert "no answer within 0.4 s" in told and time.monotonic() - began < 4


@pytest.mark.parametrize("status", ["200 OK", "500 Oh"])
def test_an_answer_without_end_is_cut_with_its_number_and_how_to_raise_it(status: str) -> None:
    endless = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n".encode()
    told, records = asked(lambda _: iter([endless, *[b"x" * 65_536] * 100]), answer_bytes=100_000)
    assert "longer than 100000 bytes" in told and "llm.answer_bytes" in told and records[0]["response"] is None


@pytest.mark.parametrize(
    ("packing", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)  # fmt: skip
def test_a_packed_answer_is_unpacked_within_the_limit(packing: str, pack: Callable[[bytes], bytes]) -> None:
    whole = pack(json.dumps(completion("hello")).encode())
    assert asked(lambda _: [answer(whole, "200 OK", f"Content-Encoding: {packing}")])[0] == "hello"
    bomb = pack(b" " * 5_000_000)
    assert len(bomb) < 10_000
    assert "longer than 100000 bytes" in asked(lambda _: [answer(bomb, "200 OK", f"Content-Encoding: {packing}")], answer_bytes=100_000)[0]  # fmt: skip


def test_a_broken_packing_is_told() -> None:
    assert "cannot be unpacked" in asked(lambda _: [answer(b"no gzip", "200 OK", "Content-Encoding: gzip")])[0]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([b"SSH-2.0-OpenSSH\r\n"], "does not speak HTTP"),
        ([HEAD, b'{"choices"'], "broke off"),
        ([], "broke off"),
        ([answer(b"{" * 2000)], "not JSON"),
        ([answer(b"[" * 100_000)], "nested too deep"),
        ([answer(b"\xff\xfe\x00")], "like an OpenAI server"),
        ([answer(b"")], "like an OpenAI server"),
        ([answer(b"data: {}\n\n")], "like an OpenAI server"),
        ([answer(b"null")], "like an OpenAI server"),
        ([answer({"error": {"message": "out of\x1b[2J\u202ememory"}}, "500 Oh")], "HTTP 500: out of [2Jmemory"),
        ([answer(b"<html>gateway\x9b</html>", "502 Bad")], "HTTP 502: <html>gateway"),
        ([answer(b"[1, 2]", "418 Tea")], "HTTP 418: [1, 2]"),
    ],
)
def test_what_is_no_answer_is_told(said: list[bytes], told: str) -> None:
    assert told in asked(lambda _: said)[0]


def test_a_redirect_is_told_and_not_followed() -> None:
    with speaking(lambda _: [HELLO]) as other:
        moved = answer(b"{}", "307 Moved", f"Location: {other.url}/chat/completions")
        told, _ = asked(lambda _: [moved], api_key="secret")
        assert other.requests == [] and "HTTP 307" in told and other.url in told


@pytest.mark.parametrize(
    "busy",
    [
        answer({"error": {"message": "slow down"}}, "429 Busy", "Retry-After: 0.3"),
        answer({"error": {"message": "slow down", "code": 429}}, "200 OK", "Retry-After: 0.3"),
        answer({"error": {"message": "slow down"}}, "503 Busy", "retry-after: 0.3"),
    ],
)
def test_a_server_that_asks_for_patience_gets_it_and_is_asked_again(busy: bytes) -> None:
    began = time.monotonic()
    told, records = asked(lambda number: [HELLO if number else busy], attempts=2)
    assert told == "hello" and time.monotonic() - began >= 0.3
    assert "slow down" in records[0]["problem"] and [one["response"] is None for one in records] == [True, False]


def test_a_wait_that_is_longer_than_our_patience_ends_it_with_its_number() -> None:
    busy = answer({"error": {"message": "come back tomorrow"}}, "429 Busy", "Retry-After: 86400")
    told, records = asked(lambda _: [busy], attempts=3, patience=60.0)
    assert len(records) == 1
    assert all(words in told for words in ("come back tomorrow", "86400 s", "60 s", "llm.patience"))


def test_a_long_wait_is_told_to_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("agent.llm.client.time.sleep", slept.append)
    busy, told = answer({"error": "slow down"}, "429 Busy", "Retry-After: 30"), []
    with speaking(lambda number: [HELLO if number else busy]) as heard:
        assert Llm(heard.url, "m", attempts=2, tell=told.append).chat(ASKED) == "hello"
    assert "slow down" in told[0] and 30 <= sum(slept) <= 32


def test_too_many_requests_without_a_word_of_when_get_a_longer_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("agent.llm.client.time.sleep", slept.append)
    with speaking(lambda number: [HELLO if number == 3 else answer({}, "429 Busy")]) as heard:
        assert Llm(heard.url, "m", attempts=4).chat(ASKED) == "hello"
    assert sum(slept) >= 14


NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0), (" 1.5 ", 1.5), ("-3", 0.0), ("", None), ("soon", None), ("inf", None), ("nan", None), ("1e400", None),
        ("Tue, 01 Dec 2026 12:00:30 GMT", 30.0), ("Tue, 01 Dec 2026 11:00:00 GMT", 0.0), ("Tue, 99 Foo 2026", None),
        ("Tue, 01 Dec 2026 12:00:30 -0000", 30.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date(said: str, seconds: float | None) -> None:
    assert wait_of(Reply(429, {"retry-after": said}, b""), NOON) == seconds


def test_an_answer_that_ran_into_its_limit_of_tokens_names_it_and_how_to_raise_it() -> None:
    cut = completion("<think>well, ")
    cut["choices"][0]["finish_reason"] = "length"
    told: list[str] = []
    with speaking(lambda _: [answer(cut)]) as heard:
        for options in ({}, {"answer_tokens": 9000}):
            with pytest.raises(LlmError) as caught:
                Llm(heard.url, "m", **options).chat(ASKED)
            told.append(str(caught.value))
    assert "512 tokens" in told[0] and "9000 tokens" in told[1] and "llm.answer_tokens" in told[0]
    assert '"max_tokens": 512' in heard.requests[0] and '"max_tokens": 9000' in heard.requests[1]


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "http://127.0.0.1/v1", "http://127.9.9.9/v1", "http://[::1]:8/v1"])  # fmt: skip
def test_this_machine_is_known_by_its_letters(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1.nip.io/", "http://localhost.evil.org/", "http://127.0.0.1@evil.org/", "http://evil.org/127.0.0.1", "nonsense", "http://[::1", "http://0x7f000001.org"],
)  # fmt: skip
def test_what_only_looks_like_this_machine_is_another(url: str) -> None:
    assert not is_loopback(url)


def test_a_signal_ends_the_waiting_for_a_slow_server_at_once() -> None:
    began, timer = time.monotonic(), threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with speaking(lambda _: dripping(HEAD)) as heard, pytest.raises(Stopped), stoppable():
        Llm(heard.url, "m", attempts=1, timeout=60.0).chat(ASKED)
    timer.join()
    assert time.monotonic() - began < 4


def test_it_can_be_asked_from_inside_a_running_loop_as_a_notebook_has() -> None:
    async def notebook(url: str) -> str:
        return Llm(url, "m").chat(ASKED)

    with speaking(lambda _: [HELLO]) as heard:
        assert asyncio.run(notebook(heard.url)) == "hello"


def test_a_key_that_a_server_repeats_is_neither_kept_nor_shown() -> None:
    echo = answer({"error": {"message": "no such key: Bearer sk-very-secret"}}, "401 No")
    told, records = asked(lambda _: [echo], api_key="sk-very-secret")
    assert "no such key: Bearer (your key)" in told and "secret" not in json.dumps(records)
    said, records = asked(lambda _: [answer(completion("you sent sk-very-secret"))], api_key="sk-very-secret")
    assert said == "you sent (your key)" and "secret" not in json.dumps(records)


def test_tokens_beyond_what_was_sent_are_not_counted() -> None:
    told = completion("hello") | {"usage": {"prompt_tokens": 10**9, "completion_tokens": 10**9}}
    _, records = asked(lambda _: [answer(told)])
    assert 0 < records[0]["prompt_tokens"] < 5000 and 0 < records[0]["completion_tokens"] < 5000
