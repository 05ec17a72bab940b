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
from prompts.ground.clean import clean
from trainers.files import adapter_file, halves, word_file
from trainers.files.header import base_named
from trainers.files.names import part_named

_PARENT = {"name", "weight"}


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
        found = json.loads((file.parent / "adapter.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{str(file.parent / 'adapter.json')!r} cannot be read ({clean(error, 120)}): mend or remove it"
        ) from error
    files = found.get("files", []) if isinstance(found, dict) else []
    return (
        {key: one for key, one in found.items() if _fits(key, one)}
        if isinstance(files, list) and file.name in files
        else {}
    )


def _fits(key: str, value: Any) -> bool:
    """Whether a card's value is of the kind that ours are; what is not, somebody wrote, and it is left out."""
    if key == "parents":
        return isinstance(value, list) and all(isinstance(one, dict) and one.keys() >= _PARENT and isinstance(one["weight"], int | float) for one in value)  # fmt: skip
    if key == "job":
        weights = value.get("adapters") or {} if isinstance(value, dict) else None
        return isinstance(weights, dict) and all(isinstance(one, int | float) for one in weights.values())
    return isinstance(value, {"kind": str, "base_model": str, "metrics": dict}.get(key, object))


def _acting(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The adapters that a training stood on."""
    return [{"name": name, "weight": weight} for name, weight in (job.get("adapters") or {}).items()]
