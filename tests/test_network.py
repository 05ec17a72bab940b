"""tests/conftest.py: no test speaks to another machine, whatever the protocol."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

ELSEWHERE = ("192.0.2.1", 9)  # an address for documentation, which nobody has
WAYS: dict[str, Callable[[socket.socket], object]] = {
    "connect": lambda one: one.connect(ELSEWHERE),
    "connect_ex": lambda one: one.connect_ex(ELSEWHERE),
    "sendto": lambda one: one.sendto(b"", ELSEWHERE),
    "sendto with flags": lambda one: one.sendto(b"", 0, ELSEWHERE),
    "sendmsg": lambda one: one.sendmsg([b""], [], 0, ELSEWHERE),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nothing_is_sent_beyond_this_machine(way: Callable[[socket.socket], object]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one, pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"):
        way(one)


def test_loopback_is_free() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as here, socket.socket(type=socket.SOCK_DGRAM) as one:
        here.bind(("127.0.0.1", 0))
        one.sendto(b"a", here.getsockname())
        one.sendmsg([b"b"], [], 0, here.getsockname())
        one.connect(here.getsockname())
        one.sendmsg([b"c"])
        assert [here.recv(1) for _ in range(3)] == [b"a", b"b", b"c"]
