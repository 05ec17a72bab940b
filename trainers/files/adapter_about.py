"""What an adapter is, told from its files alone: no model is loaded.

Knows the layouts in which LoRA weights are written and the card beside ours. Does not know whether they fit a model.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prompts.errors import InputError
from trainers.files import adapter_file, halves, word_file
from trainers.files.header import base_named
from trainers.files.names import part_named


def about(path: Path | str) -> dict[str, Any]:
    """Layout, kind, base, ranks, alphas, layers of each part, norm (of the whole change at weight 1), sha256 and parents.

    Raises InputError for pickles, damaged files and what is no LoRA."""
    file = adapter_file.find(path)
    if (word := word_file.read(file)) is not None:
        return _of_word(file, word)
    lora, card = halves.read(file), _card(file)
    layers = list(lora.layers.values())
    job = card.get("job", {})
    return {
        "file": str(file), "sha256": adapter_file.sha256(file), "layout": layers[0].layout, "kind": card.get("kind", "foreign"),
        "base_model": card.get("base_model") or base_named(lora.metadata), "rank": sorted({one.rank for one in layers}),
        "alpha": sorted({one.alpha for one in layers}), "layers": dict(Counter(part_named(name) for name in lora.layers)),
        "norm": math.sqrt(sum(map(halves.norm_of, layers))), "parents": card.get("parents") or _acting(job),
        "metrics": card.get("metrics", {}),
    }  # fmt: skip


def _of_word(file: Path, word: word_file.Word) -> dict[str, Any]:
    card = _card(file)
    return {
        "file": str(file), "sha256": adapter_file.sha256(file), "layout": "word", "kind": card.get("kind", "foreign"),
        "base_model": card.get("base_model"), "word": word.token, "vectors": {key: list(one.shape) for key, one in word.vectors.items()},
        "parents": [], "metrics": card.get("metrics", {}),
    }  # fmt: skip


def _card(file: Path) -> dict[str, Any]:
    """adapter.json beside the file, if there is one; it is trusted for words only."""
    try:
        found = json.loads((file.parent / "adapter.json").read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(
            f"{str(file.parent / 'adapter.json')!r} cannot be read ({error}): mend or remove it"
        ) from error
    return found if isinstance(found, dict) and file.name in found.get("files", []) else {}


def _acting(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The adapters that a training stood on."""
    return [{"name": name, "weight": weight} for name, weight in job.get("adapters", {}).items()]
