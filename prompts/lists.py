"""Lists of prompts beside a vocabulary: `pool` (training pairs), `held_out` (judging adapters), `anchors` (GAL directions)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from prompts.errors import InputError

FOLDER = Path(__file__).parent / "lists"


@lru_cache
def load_list(vocabulary: str, kind: str) -> list[str]:
    """The lines of `prompts/lists/VOCABULARY.KIND.txt`. Raises InputError when there is no such list."""
    path = FOLDER / f"{vocabulary}.{kind}.txt"
    if not path.is_file():
        raise InputError(
            f"There is no list {kind!r} for the vocabulary {vocabulary!r}: write prompts/lists/{path.name}, a prompt a line."
        )
    return [line for line in path.read_text().splitlines() if line.strip()]
