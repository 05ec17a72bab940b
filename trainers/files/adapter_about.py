"""What an adapter is, told from its files alone: no model is loaded.

Knows the layouts in which LoRA weights are written and the card beside ours. Does not know whether they fit a model.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from prompts.errors import InputError
from trainers.files import adapter_file, third_party, word_file

# How a down weight's key ends, its up weight's, and whose layout that is.
ENDINGS = (
    (".lora_A.weight", ".lora_B.weight", "diffusers"), (".lora_down.weight", ".lora_up.weight", "kohya"),
    (".down.weight", ".up.weight", "diffusers"), (":down", ":up", "cloneofsimo"),
)  # fmt: skip


def about(path: Path | str) -> dict[str, Any]:
    """Layout, kind, base, ranks, alphas, layers of each part, norm (of the whole change at weight 1), sha256 and parents.

    Raises InputError for pickles, damaged files and what is no LoRA."""
    file = adapter_file.find(path)
    if (word := word_file.read(file)) is not None:
        return _of_word(file, word)
    tensors, metadata = third_party.opened(file)
    layers = list(_layers(file, tensors))
    if not layers:
        raise InputError(f"adapter {str(file)!r} holds no LoRA weights: export it again")
    card = _card(file)
    job = card.get("job", {})
    return {
        "file": str(file), "sha256": adapter_file.sha256(file), "layout": layers[0][0], "kind": card.get("kind", "foreign"),
        "base_model": card.get("base_model") or metadata.get("ss_sd_model_name"), "rank": sorted({one[2] for one in layers}),
        "alpha": sorted({one[3] for one in layers}), "layers": dict(Counter(one[1] for one in layers)),
        "norm": math.sqrt(sum(one[4] for one in layers)), "parents": card.get("parents") or _acting(job),
        "metrics": card.get("metrics", {}),
    }  # fmt: skip


def _of_word(file: Path, word: word_file.Word) -> dict[str, Any]:
    card = _card(file)
    return {
        "file": str(file), "sha256": adapter_file.sha256(file), "layout": "word", "kind": card.get("kind", "foreign"),
        "base_model": card.get("base_model"), "word": word.token, "vectors": {key: list(one.shape) for key, one in word.vectors.items()},
        "parents": [], "metrics": card.get("metrics", {}),
    }  # fmt: skip


def _layers(file: Path, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str, int, float, float]]:
    """Layout, part, rank, alpha and squared Frobenius norm of each layer. The product of the two is never made."""
    for key, down in tensors.items():
        for low, high, layout in ENDINGS:
            if key.endswith(low):
                up, name = tensors.get(key.removesuffix(low) + high), key.removesuffix(low)
                if up is None:
                    raise InputError(f"adapter {str(file)!r} is not whole: {key!r} has no up weights beside it")
                rank = len(down)
                alpha = float(tensors.get(f"{name}.alpha", rank))
                if layout == "kohya":
                    down, up = third_party.layer(file, name, tensors)
                    norm = _norm(down, up)
                else:
                    norm = _norm(down, up) * (alpha / rank) ** 2
                yield layout, _part(name), rank, alpha, norm
                break


def _norm(down: Tensor, up: Tensor) -> float:
    first, second = up.double().flatten(1), down.double().flatten(1)
    return float(((first.T @ first) * (second @ second.T)).sum())


def _part(name: str) -> str:
    for prefix, part in (("lora_unet_", "denoiser"), ("lora_te2_", "text_encoder_2"), ("lora_te", "text_encoder")):
        if name.startswith(prefix):
            return part
    part = name.replace(":", ".").split(".")[0]
    return "denoiser" if part in ("unet", "transformer", "diffusion_model") else part


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
