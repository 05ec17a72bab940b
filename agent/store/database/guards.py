"""Views that survive a damaged row: where a JSON column holds no JSON, it counts as empty, and the other rows are still told.

It knows SQL text. What is wrong with the row is told where it is read (agent/store/views.py) and by the chain.
"""

from __future__ import annotations

import re

COLUMN = re.compile(r"json_(extract|each)\((\w+(?:\.\w+)?)(?=[,)])")


def guarded(view: str) -> tuple[str, str]:
    """The statements that put the guarded view in the place of a `create view NAME as ...`."""
    name = view.split()[2]
    return f"drop view {name}", COLUMN.sub(r"json_\1(iif(json_valid(\2), \2, '[]')", view)
