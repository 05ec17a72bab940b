"""Why there is no answer, in the server's own words, and whether and when asking again may help.

Servers say it by an HTTP code, by an error under HTTP 200, or by a page that is no answer at all. Knows nothing of attempts.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import JsonValue

from agent.llm.completion import Refusal, is_completion, kept, read_refusal
from agent.llm.wire import Reply
from prompts.ground.clean import clean

FOREIGN = "it answers, but not like an OpenAI server (does the URL end in /v1?)"
LONGEST_TOLD = 300  # characters of a server's own message


@dataclass(frozen=True)
class Failure:
    """`passing`: asking again may help; `wait`: after so many seconds, where the server said; `crowded`: it has too many requests."""

    text: str
    passing: bool
    cause: Exception | None = None
    wait: float | None = None
    crowded: bool = False


def failure_of(reply: Reply) -> tuple[JsonValue, Failure | None]:
    """The answer, as it can be kept, or what is wrong with it. What failed keeps no answer: a replay asks for those that were used."""
    try:
        body = kept(json.loads(reply.body))
    except RecursionError:
        return None, Failure("its answer is nested too deep to be read", passing=False)
    except ValueError as error:  # also what is no text at all
        return None, _no_json(reply, error)
    if _ok(reply) and is_completion(body) and read_refusal(body) is None:
        return body, None
    return None, _refused(reply, body)


def wait_of(reply: Reply, now: datetime | None = None) -> float | None:
    """Seconds of Retry-After, given as a number or as a date; none where it says nothing that can be read."""
    said = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(said)
    except ValueError:
        seconds = _until(said, now or datetime.now(UTC))
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _ok(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def _until(date: str, now: datetime) -> float:
    try:
        when = parsedate_to_datetime(date)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return math.nan


def _refused(reply: Reply, body: JsonValue) -> Failure:
    found = read_refusal(body)
    if _ok(reply) and found is None:
        return Failure(FOREIGN, passing=False)
    if _ok(reply) and found is not None:
        code = f" {found.code}" if found.code else ""
        return _told(reply, found, f"an error{code} under HTTP 200: {found.said}")
    said = found.said if found else clean(json.dumps(body), LONGEST_TOLD)
    return _told(reply, Refusal(said, reply.status), f"HTTP {reply.status}: {said}{_moved(reply)}")


def _no_json(reply: Reply, error: ValueError) -> Failure:
    page = clean(reply.body[: 4 * LONGEST_TOLD].decode("utf-8", "replace"), LONGEST_TOLD)
    if not _ok(reply):
        return _told(reply, Refusal(page, reply.status), f"HTTP {reply.status}: {page or 'no words'}{_moved(reply)}")
    if not page.startswith(("{", "[")):
        return Failure(f"{FOREIGN}: {page[:80]!r}", passing=False)
    return Failure(f"the answer is not JSON ({clean(error, 120)})", passing=False, cause=error)


def _told(reply: Reply, found: Refusal, text: str) -> Failure:
    return Failure(text, found.passing, wait=wait_of(reply), crowded=found.code == 429)


def _moved(reply: Reply) -> str:
    """A redirect is not followed: it would take the key along."""
    if not 300 <= reply.status < 400:
        return ""
    return (
        f" (it points to {clean(reply.headers.get('location', 'nowhere'), 200)!r}: if that is right, give that address)"
    )
