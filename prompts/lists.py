"""Lists of prompts of a vocabulary: `pool` (training pairs), `held_out` (judging adapters), `anchors` (GAL directions)."""

from __future__ import annotations

from pathlib import Path
from random import Random

from prompts.vocabulary import Vocabulary

FOLDER = Path(__file__).parent / "lists"
DRAWN = 32  # prompts of a list that nobody wrote


def load_list(vocabulary: Vocabulary, kind: str) -> list[str]:
    """The lines of `prompts/lists/NAME.KIND.txt`; for a vocabulary without one, prompts drawn from it, always the same."""
    path = FOLDER / f"{vocabulary.name}.{kind}.txt"
    if path.is_file():
        return [line for line in path.read_text().splitlines() if line.strip()]
    rng = Random(f"{vocabulary.name} {kind}")
    return [vocabulary.phrase(vocabulary.random(rng)) for _ in range(DRAWN)]
