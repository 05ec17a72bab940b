"""Answers of a language model server in 2,800 shapes, through the real client, from a real HTTP server on loopback.

Each attempt takes a sound answer, or one with thinking around it, and spoils it: a value in any place becomes something else, bytes are
lost, the server drips, floods, packs, moves, or wants patience. Right is: a call, an object or a text; or an InvalidPlan or an LlmError
whose words steer no terminal; never a draft carried out; and what is kept of it goes through a checkpoint and the store.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import BaseModel, Field

from agent.llm.answers import InvalidPlan, ToolCall
from agent.llm.client import Llm
from agent.llm.completion import MOST_TOKENS
from agent.llm.schema import Tool
from agent.store.store import Store
from benchmarks.campaign.part import Part
from prompts.errors import LlmError
from prompts.ground.clean import harmless
from tools.records import LlmCall, StepRecord

ATTEMPTS = 2800
TIMEOUT, MOST_BYTES = 1.0, 200_000  # of one answer
SLOW = 10.0  # seconds that no attempt may take
ASKED = [{"role": "user", "content": "paint something warm"}]


class Paint(BaseModel):
    """What a sound answer calls."""

    prompt: str = Field(max_length=80)
    count: int = Field(ge=1, le=8)
    much: float = 1.0
    kind: Literal["a", "b"] = "a"


class Drafted(BaseModel):
    """What only thinking calls: nobody may carry it out."""

    why: str = ""


TOOLS = [Tool("paint", "paints", Paint), Tool("drafted", "was dropped", Drafted)]
ARGUMENTS: dict[str, Any] = {"prompt": "three red circles", "count": 4, "much": 0.5, "kind": "b"}
CALL = f'<tool_call>\n{{"name": "paint", "arguments": {json.dumps(ARGUMENTS)}}}\n</tool_call>'
DRAFT = '<tool_call>\n{"name": "drafted", "arguments": {"why": "no"}}\n</tool_call>'
THOUGHTS = (
    f"<think>{DRAFT} no.</think>", f"<think>I could say {DRAFT} and </think> is how it ends. {DRAFT}</think>\n", f"{DRAFT}</think>",
    f"<thinking>\n{DRAFT}\n</thinking>", f"[THINK]{DRAFT}[/THINK]", f"<THINK>{DRAFT}</THINK>", f"◁think▷{DRAFT}◁/think▷",
    f"<think>a</think>{DRAFT}<think>b</think>", "<think>I use <tool_call> next</think>", f"<think>{DRAFT}", f"<reasoning>{DRAFT}",
)  # fmt: skip
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, -(10**30), 10**30, 2**63, 1.5, float("nan"), float("inf"), -0.0, "", "x", "429", "\u202e\x9b31m\x1b[2J",
    "\ud83d", "\x00", "9" * 5000, [], {}, [None], [[]], {"text": None}, {"error": None}, [1, "2", {"a": []}], "{", '{"a": 1e999}', DRAFT[:20],
    THOUGHTS[0], {"message": {"message": {}}}, ["a"] * 500,
)  # fmt: skip
REFUSED = (
    {"message": "slow down", "code": 429}, "no", {"message": "\x1b[2Jno", "type": "server_error"}, [], {"code": "invalid_key"},
)  # fmt: skip
STATUSES = (200, 200, 200, 201, 204, 302, 400, 401, 404, 408, 418, 429, 500, 502, 503, 529)
DATE = "Tue, 01 Dec 2026 12:00:30 GMT"
PATIENCE = ("0", "0.01", "-5", "soon", "99999999", "inf", "nan", DATE, "Tue, 99 Foo", "1e400", "٣")


@dataclass
class Said:
    """What the server says next: a status, headers, a body, and how it is sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    how: Literal["whole", "drip", "flood", "cut"] = "whole"


def run(seed: int, quick: bool) -> Part:
    """All attempts; a tenth with `quick`."""
    part = Part("answers", notes="a language model server's answers: a call, or an error of ours; kept and resumable")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_until_done:
        store = open_until_done.enter_context(Store(Path(folder) / "palate.sqlite"))
        url, say = open_until_done.enter_context(serving())
        run_id = store.new_run("", {}, {}, 0)
        for number in range(ATTEMPTS // 10 if quick else ATTEMPTS):
            rng = random.Random(f"answers {seed} {number}")
            said = shape(rng)
            say(said)
            told = f"seed {seed}, answer {number}, {said.how} {said.status}, {said.body[:120]!r}"
            part.attempt(told, partial(trial, rng, url, store, run_id, number))
    return part


def trial(rng: random.Random, url: str, store: Store, run_id: str, number: int) -> str:
    """One question; "" when its answer was treated rightly."""
    records: list[Any] = []
    llm = Llm(
        url,
        "m",
        attempts=2,
        timeout=TIMEOUT,
        backoff=0.001,
        patience=0.05,
        answer_bytes=MOST_BYTES,
        on_call=records.append,
    )
    call = partial(llm.choose_tool, ASKED, TOOLS)
    asks: tuple[Callable[[], Any], ...] = (call, call, partial(llm.write, ASKED, Paint), partial(llm.chat, ASKED))
    began = time.monotonic()
    try:
        found = rng.choice(asks)()
    except (InvalidPlan, LlmError) as error:
        found = error
    if time.monotonic() - began > SLOW:
        return f"it took {time.monotonic() - began:.1f} s"
    return wrong(found) or unkept(found, records, store, run_id, number + 1)


def wrong(found: Any) -> str:
    """What is wrong with what came out."""
    if isinstance(found, LlmError):
        return "" if harmless(found) == str(found) else f"its words steer a terminal: {str(found)!r}"
    if not isinstance(found, ToolCall):
        return ""
    words = json.dumps(found.args, ensure_ascii=False)
    if found.name == "drafted":
        return "a draft was carried out"
    return "" if harmless(words) == words else f"its arguments steer a terminal: {words!r}"


def unkept(found: Any, records: list[Any], store: Store, run_id: str, step: int) -> str:
    """What is wrong with what is kept: it goes through a checkpoint and the store as a step's does."""
    calls = tuple(LlmCall.model_validate({**record, "attempt": number}) for number, record in enumerate(records))
    args = found.args if isinstance(found, ToolCall) else {}
    error = str(found) if isinstance(found, LlmError) else None
    record = StepRecord(step=step, round=0, node="act", args=args, error=error, llm_calls=calls)
    state = {"calls": records, "record": record.model_dump(mode="json"), "plan": {"args": args, "problem": error}}
    serde = JsonPlusSerializer()
    if serde.loads_typed(serde.dumps_typed(state)) != state:
        return "a checkpoint gives back something else"
    store.add_step(run_id, record)
    rows = store.llm_calls(run_id, step)
    if [row.response for row in rows] != [call.response for call in calls]:
        return "the store gives back something else"
    counts = [count for row in rows for count in (row.prompt_tokens, row.completion_tokens)]
    return "" if all(0 <= count <= MOST_TOKENS for count in counts) else f"it counts {counts} tokens"


def shape(rng: random.Random) -> Said:
    """An answer, spoilt in some way or sound."""
    said = Said(200, {"Content-Type": "application/json"}, json.dumps(spoilt(rng, sound(rng))).encode())
    for likely, spoil in ((0.12, _status), (0.1, _bytes), (0.05, _packed), (0.08, _how)):
        if rng.random() < likely:
            spoil(rng, said)
    return said


def sound(rng: random.Random) -> dict[str, Any]:
    """An answer as it should be, in one of the ways that servers have, or an error under HTTP 200."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    kind = rng.randrange(6)
    if kind < 2:
        arguments = rng.choice((json.dumps(ARGUMENTS), ARGUMENTS))
        message["tool_calls"] = [{"id": "0", "type": "function", "function": {"name": "paint", "arguments": arguments}}]
        message["content"] = rng.choice((None, "", "Sure.", *THOUGHTS))
    elif kind < 5:
        text = rng.choice(("", *THOUGHTS)) + rng.choice(
            (CALL, json.dumps(ARGUMENTS), "Well.", f"```json\n{CALL[12:-13]}\n```")
        )
        message["content"] = rng.choice(
            (text, [{"type": "thinking", "thinking": DRAFT}, {"type": "text", "text": text}])
        )
    whole = {
        "id": "x",
        "choices": [{"index": 0, "message": message, "finish_reason": rng.choice(("stop", "length", None))}],
    }
    usage = {"usage": {"prompt_tokens": 12, "completion_tokens": 7}}
    return whole | usage if kind < 5 else {"error": copy.deepcopy(rng.choice(REFUSED)), **rng.choice(({}, whole))}


def spoilt(rng: random.Random, whole: Any) -> Any:
    """The answer with junk in up to three places."""
    holder = {"whole": copy.deepcopy(whole)}
    for _ in range(rng.randrange(4)):
        inside, key = rng.choice(list(_places(holder)))
        if rng.random() < 0.2 and isinstance(key, str) and key != "whole":
            del inside[key]
        else:
            inside[key] = _deep(rng) if rng.random() < 0.03 else copy.deepcopy(rng.choice(JUNK))
    return holder["whole"]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in a tree, by what holds it and its key."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    for key in keys[:20]:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _deep(rng: random.Random) -> Any:
    value: Any = 1
    for _ in range(rng.choice((30, 60, 300))):
        value = rng.choice(([value], {"a": value}))
    return value


def _status(rng: random.Random, said: Said) -> None:
    said.status = rng.choice(STATUSES)
    if rng.random() < 0.7:
        said.headers["Retry-After"] = rng.choice(PATIENCE).encode().decode("latin-1")
    if said.status == 302:
        said.headers["Location"] = rng.choice(("http://127.0.0.1:9/", "", "\x9b", "//x"))


def _bytes(rng: random.Random, said: Said) -> None:
    place = rng.randrange(max(1, len(said.body)))
    said.body = rng.choice((said.body[:place], said.body[:place] + bytes([rng.randrange(256)]) + said.body[place + 1 :], b"<html>\xff\x9b</html>",
                            b"data: " + said.body, b"\xef\xbb\xbf" + said.body, b"[" * 50_000, b'{"a":' * 20_000, said.body * 2, b""))  # fmt: skip


def _packed(rng: random.Random, said: Said) -> None:
    bomb = gzip.compress(b" " * 5_000_000)
    said.headers["Content-Encoding"] = rng.choice(("gzip", "gzip", "deflate", "br", "?"))
    said.body = rng.choice((gzip.compress(said.body), bomb, said.body))


def _how(rng: random.Random, said: Said) -> None:
    said.how = rng.choice(("drip", "flood", "cut"))


@contextmanager
def serving() -> Iterator[tuple[str, Callable[[Said], None]]]:
    """A server that says what it was told last; its URL, and how to tell it."""
    told: list[Said] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = told[-1]
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.how != "flood":
                self.send_header("Content-Length", str(len(said.body) + (99 if said.how == "cut" else 0)))
            self.end_headers()
            for part in _parts(said):
                try:
                    self.wfile.write(part)
                except OSError:
                    return  # it has heard enough

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", told.append
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _parts(said: Said) -> Iterator[bytes]:
    if said.how == "drip":
        for byte in said.body:
            yield bytes([byte])
            time.sleep(0.05)
    elif said.how == "flood":
        for _ in range(200):
            yield said.body or b" " * 1000
            yield b" " * 10_000
    elif said.status != 204:
        yield said.body
