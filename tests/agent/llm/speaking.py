"""A server on loopback that says bytes, not answers: slowly, endlessly, packed, or cut off in the middle."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.agent.fast import completion

Said = Iterable[bytes | float]  # bytes to send, seconds to wait


@dataclass
class Heard:
    """What came to the server: each request whole, as text."""

    url: str = ""
    requests: list[str] = field(default_factory=list)


def answer(body: Any, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


HELLO = answer(completion("hello"))


@contextmanager
def speaking(say: Callable[[int], Said]) -> Iterator[Heard]:
    """Connection number n (from 0) hears `say(n)`, and is closed."""
    listening = socket.create_server(("127.0.0.1", 0))
    heard, over = Heard(f"http://127.0.0.1:{listening.getsockname()[1]}/v1"), threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            heard.requests.append(_request(connection))
            for part in say(len(heard.requests) - 1):
                if over.is_set():
                    return
                time.sleep(part) if isinstance(part, float) else connection.sendall(part)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threads.append(threading.Thread(target=serve, args=(listening.accept()[0],)))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield heard
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for thread in threads:
            thread.join()


def _request(connection: socket.socket) -> str:
    """One request with its body."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += connection.recv(65_536) or b"\r\n\r\n"
    head, _, body = text.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)  # fmt: skip
    while len(body) < length:
        body += connection.recv(65_536)
    return (head + b"\r\n\r\n" + body).decode()
