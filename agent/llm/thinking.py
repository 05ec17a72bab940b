"""What a model said aloud, apart from what it thought: thinking holds drafts, and a draft must never be carried out.

Models mark their thinking in several ways, some leave the opening mark to the prompt, and thoughts mention the marks themselves. Where
that leaves a doubt, it counts as thought. Knows nothing of tools or servers.
"""

from __future__ import annotations

import json
import re

CALL = "<tool_call>"
NAMES = r"(?:seed:)?think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad"
OPENED = re.compile(
    rf"<(?:{NAMES})(?:\s[^<>]*)?>|\[THINK\]|◁think▷|<\|(?:begin_of_thought|START_THINKING)\|>"
    r"|<\|channel\|>\s*analysis\b",
    re.IGNORECASE,
)
CLOSED = re.compile(
    rf"</\s*(?:{NAMES})\s*>|\[/THINK\]|◁/think▷|<\|(?:end_of_thought|END_THINKING)\|>"
    r"|<\|channel\|>\s*final\b[^<]*<\|message\|>",
    re.IGNORECASE,
)
WRITTEN_CALL = re.compile(rf"{CALL}\s*(?=\{{)")
FENCE = re.compile(r"^\s*```\w*\s*(?=\{)")


def spoken(text: str) -> str:
    """What stands after the last thought. A thought that was never closed takes all that follows it along."""
    return text if _is_json(text) else _aloud(text)[0]


def still_thinking(text: str) -> bool:
    """Whether the text ends inside a thought: what a server's parser found after it was found in there."""
    return not _is_json(text) and _aloud(text)[1]


def starts_call(text: str) -> int | None:
    """Where the JSON of a call written out in the text begins: at the text's own beginning, else after the first `<tool_call>`
    that one follows (others are mere mentions). None where there is none."""
    fenced = FENCE.match(text)
    if fenced or text.lstrip().startswith("{"):
        return fenced.end() if fenced else 0
    found = WRITTEN_CALL.search(text)
    return found.end() if found else None


def _aloud(text: str) -> tuple[str, bool]:
    rest = text[max((mark.end() for mark in CLOSED.finditer(text)), default=0) :]
    opened, begins = OPENED.search(rest), starts_call(rest)
    # A mark after the beginning of a call stands in the call's own words, or behind it.
    if opened is None or (begins is not None and begins <= opened.start()):
        return rest, False
    return rest[: opened.start()], True


def _is_json(text: str) -> bool:
    """Then marks are words of the answer."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
