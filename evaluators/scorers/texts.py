"""Each text is encoded once: the memory that the scorers share. Knows nothing of their models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

BATCH = 64
CACHED = 4096

Found = TypeVar("Found")


def remembered(
    texts: Sequence[str], known: dict[str, Found], encode: Callable[[list[str]], Iterable[Found]]
) -> list[Found]:
    """What `encode` makes of each text (N), in their order; what is not in `known` yet is encoded, in batches, and kept there.

    `known` is emptied when it has grown beyond `CACHED` texts."""
    if len(known) > CACHED:
        known.clear()
    new = [text for text in dict.fromkeys(texts) if text not in known]
    for start in range(0, len(new), BATCH):
        batch = new[start : start + BATCH]
        known.update(zip(batch, encode(batch), strict=True))
    return [known[text] for text in texts]
