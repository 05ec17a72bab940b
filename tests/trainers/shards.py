"""What a store of pairs tells beside its tensors."""

import json
from pathlib import Path
from typing import Any


def pairs_told(folder: Path) -> list[dict[str, Any]]:
    """A line a pair, in their order: prompt, seed, scores, margin."""
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]
