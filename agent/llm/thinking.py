"""What a model said aloud, apart from what it thought: thinking holds drafts, and a draft must never be carried out.

Models mark their thinking in several ways, some leave the opening mark to the prompt, and thoughts mention the marks themselves. Where
that leaves a doubt, it counts as thought. Knows nothing of tools or servers.
"""

from __future__ import annotations

import json
import re

CALL = "<tool_call>"
ENDS = "</tool_call>"
# Any tag whose name speaks of thinking; bounded, so that no answer is slow to read.
NAMES = r"(?:[\w:.-]{0,24}(?:think|thought|reason|reflect)[\w:.-]{0,24}|analysis|scratchpad)"
OPENED = re.compile(
    rf"<\|?\s{{0,2}}{NAMES}(?:\s[^<>|]{{0,99}})?\|?>|\[THINK\]|◁think▷|<\|channel\|>\s{{0,9}}analysis\b", re.IGNORECASE
)
CLOSED = re.compile(
    rf"<\|?\s{{0,2}}/\|?\s{{0,2}}{NAMES}\s{{0,2}}\|?>|\[/THINK\]|◁/think▷|<\|end_(?:of_)?think(?:ing)?\|>|<\|end_(?:of_)?thought\|>"
    r"|<\|channel\|>\s{0,9}final\b[^<]{0,99}<\|message\|>",
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


def is_unclear(text: str, start: int) -> bool:
    """Whether a second call is written out behind the one at `start`, with words between: then the first may have been a draft, marked
    in a way that we do not know. Calls side by side are several calls."""
    first, *others = WRITTEN_CALL.split(text[start:])
    told = first.partition(ENDS)[2] if ENDS in first else first[_end(first) :]
    return bool(others) and bool(told.replace(ENDS, "").strip())


def _end(text: str) -> int:
    """Where the JSON at the text's beginning ends; 0 where it is none."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)[1]
    except (ValueError, RecursionError):
        return 0


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
