"""What the log of a model server says, for people: its last line while it starts, its reason when it ends.

Knows the look of vLLM's lines; takes any other text as it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from prompts.ground.clean import harmless

TAIL = 32_768  # bytes of the log that are looked at
LONGEST_LINE = 300  # characters
_PREFIX = re.compile(r"^(\(.*?pid=\d+\)\s*)?((DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:.]+ (\[.*?\] ?)?)?")
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b|\berror: |No module named")
_NOISE = re.compile(
    r"^[^A-Za-z]*$|^Route: |warnings\.warn|^File \"|^Traceback|█|\d% ?[^|]{0,12}\||[Ss]ee root cause above"
)  # the two before the last: its progress bars


def lines(log: Path, start: int = 0) -> list[str]:
    """The end of the log, from byte `start` at most, without prefixes, drawings and stack frames."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    bare = [harmless(_PREFIX.sub("", line.strip()).strip()[:LONGEST_LINE]) for line in text.splitlines()]
    return [line for line in bare if not _NOISE.search(line)]


def last_line(log: Path, start: int = 0) -> str:
    """The last line that says something, or ""."""
    return (lines(log, start) or [""])[-1]


def why(log: Path, start: int = 0) -> str:
    """What went wrong: the first and the last error in the log, else its last three lines."""
    said = lines(log, start)
    errors = [line for line in said if _ERROR.search(line)]
    told = [errors[0], errors[-1]] if errors else said[-3:]
    return " / ".join(dict.fromkeys(told)) or "its log is empty"
