"""One request and its whole answer, bounded: so many seconds for all of it, so many bytes, no redirect, no proxy on the way to loopback.

A timeout of a socket bounds one read, and a server that sends a byte a second is then waited for without end; here the whole exchange
(connection, headers, body) has one deadline; only looking up a name may take longer, by what the system gives it. A redirect is told and not followed: it would take the key along. Knows nothing of
what is asked.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prompts.ground.clean import clean

if TYPE_CHECKING:  # at run time on first use: `palate --help` must not wait for it
    import ssl

    import httpx2 as httpx

INFLATED = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's window bits
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
SENT = {"host", "connection", "content-length", "transfer-encoding", "authorization", *map(str.lower, HEADERS)}
REWRITTEN = (
    "content-encoding",
    "content-length",
    "transfer-encoding",
)  # of an answer that is unpacked and whole by now
LONGEST_TOLD = 200  # characters of an error of the connection


@dataclass(frozen=True)
class Reply:
    """An answer as it came. The names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoReply(Exception):
    """No whole answer within the limits. `passing`: asking again may help."""

    def __init__(self, text: str, *, passing: bool) -> None:
        super().__init__(text)
        self.text, self.passing = text, passing


class TooLong(NoReply):
    """More bytes than are taken."""


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, by its letters: no name is looked up."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def exchange(url: str, *, seconds: float, most_bytes: int, key: str | None = None, body: bytes | None = None) -> Reply:
    """Send `body` (JSON), or ask without one, and wait for the whole answer. Raises NoReply."""
    import httpx2 as httpx

    try:
        return _run(lambda: _exchange(url, seconds, most_bytes, key, body))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise NoReply(f"no answer within {seconds:g} s", passing=True) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
        raise NoReply(f"this is no address ({clean(error, LONGEST_TOLD)})", passing=False) from error
    except httpx.RemoteProtocolError as error:
        raise NoReply(f"it broke off, or does not speak HTTP ({clean(error, LONGEST_TOLD)})", passing=True) from error
    except (httpx.HTTPError, OSError) as error:
        raise NoReply(f"nothing answers there ({_cause(error)})", passing=True) from error


def _run(ask: Callable[[], Coroutine[None, None, Reply]]) -> Reply:
    """Where a loop runs already, as in a notebook, in a thread beside it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(ask())
    beside = ThreadPoolExecutor(1)
    try:
        return beside.submit(lambda: asyncio.run(ask())).result()
    finally:
        beside.shutdown(wait=False)  # who interrupts must not wait for the server


async def _exchange(url: str, seconds: float, most_bytes: int, key: str | None, body: bytes | None) -> Reply:
    """By the openai client, which speaks the protocol; what it reads is bounded below it, and it neither retries nor casts."""
    import httpx2 as httpx
    import openai

    how: Any = {"headers": {} if key else {"Authorization": openai.Omit()}}
    async with (
        asyncio.timeout(seconds),
        openai.AsyncOpenAI(
            api_key=key or "none", base_url=url, max_retries=0, timeout=seconds, default_headers=HEADERS,
            http_client=_bounded(url, seconds, most_bytes),
        ) as client,
    ):  # fmt: skip
        try:
            asked = (
                client.get(url, cast_to=httpx.Response, options=how)
                if body is None
                else client.post(url, cast_to=httpx.Response, content=body, options=how)
            )
            response: httpx.Response = await asked
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIConnectionError as error:
            raise error.__cause__ or error  # noqa: B904 - its own cause stays what it was
    return Reply(
        response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
    )


def _bounded(url: str, seconds: float, most_bytes: int) -> httpx.AsyncClient:
    """A client that takes no more bytes than that, packed or not. A proxy that the environment names is for the world, not for a server
    on this machine."""
    import httpx2 as httpx

    class Bounded(httpx.AsyncClient):
        async def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
            for name in [name for name in request.headers if name.lower() not in SENT]:
                del request.headers[
                    name
                ]  # the client adds what the environment says of an account, which is not for every server
            found = await super().send(request, **{**how, "stream": True})
            try:
                parts, size = [], 0
                async for part in found.aiter_raw():
                    size += len(part)
                    _check_size(size, most_bytes)
                    parts.append(part)
            finally:
                await found.aclose()
            told = {name.lower(): value for name, value in found.headers.items()}
            whole = _inflated(b"".join(parts), told, most_bytes)
            kept = {name: value for name, value in told.items() if name not in REWRITTEN}
            return httpx.Response(found.status_code, headers=kept, content=whole, request=request)

    plain = url.lower().startswith("http:") and is_loopback(url)
    verify: ssl.SSLContext | bool = False if plain else _certificates()
    return Bounded(timeout=seconds, trust_env=not is_loopback(url), follow_redirects=False, verify=verify)


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Read once: they take longer than most requests."""
    import httpx2 as httpx

    return httpx.create_ssl_context()


def _inflated(body: bytes, headers: Mapping[str, str], most_bytes: int) -> bytes:
    """A body that was packed although we asked for it plain; a small one may unfold to gigabytes."""
    packed = headers.get("content-encoding", "identity").strip().lower()
    if packed not in INFLATED:
        return body
    try:
        whole = zlib.decompressobj(INFLATED[packed]).decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise NoReply(f"its answer cannot be unpacked ({error})", passing=True) from error
    _check_size(len(whole), most_bytes)
    return whole


def _check_size(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise TooLong(f"its answer is longer than {most_bytes} bytes", passing=False)


def _cause(error: BaseException) -> str:
    return clean(error.__cause__ or error, LONGEST_TOLD) or type(error).__name__
