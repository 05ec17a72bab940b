"""Make one adapter of several: their layers under each other, each with its weight; reduced to a rank where that is asked.

Also the way in for other programs' files, which are merged alone. Knows LoRA layers inside a model, and so whatever can be
attached. Does not know file layouts, nor what an adapter is for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prompts.errors import InputError
from trainers.engine.journal import written
from trainers.files import adapter_file, word_file
from trainers.files.adapter_file import Adapter, AdapterRef
from trainers.files.export import Written, save_layers
from trainers.files.halves import finite
from trainers.files.kohya import kohya_names, text_names
from trainers.files.lora_layers import part_of
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel

Pair = tuple[Tensor, Tensor]  # down (rank, in, ...) and up (out, rank, ...)


def merge(
    refs: Sequence[AdapterRef],
    *,
    model: BaseModel,
    out: Path,
    rank: int | None = None,
    name: str = "merged",
    about: dict[str, Any] | None = None,
) -> Adapter:
    """Save the sum of `refs` as one adapter in `out`: exact without `rank`, as the ranks add up; else every layer's best
    approximation of that rank (Eckart and Young 1936), and `metrics["lost_share"]` of the squared change is gone.

    `about`: what adapter.json says of the job (kind, config, ...). Raises InputError for adapters that do not fit `model`, for a
    rank below 1, and for an `out` that holds an adapter; PalateError when a file does not load back."""
    out = Path(out)
    if os.path.isfile(out / "adapter.json"):
        raise InputError(f"{str(out)!r} holds an adapter already: give another folder")
    if rank is not None and rank < 1:
        raise InputError(f"rank {rank!r} must be at least 1: leave it out for an exact merge")
    for ref in refs:
        _check_no_word(ref)
    parents = [parent(ref) for ref in refs]
    with model.lock, attached(model, refs) as names:
        if not names:
            raise InputError("there is nothing to merge: give at least one adapter with a weight other than 0")
        layers, lost = _layers(model, list(names), rank)
        largest = max(len(pair[0]) for _, _, pair in layers.values())
        told = (
            {"kind": "merge", "base_model": model.name, "config": {"rank": largest, "alpha": None}}
            | (about or {})
            | {"parents": parents}
        )
        with written(out):
            return save_layers(
                out, model.pipe, _written(layers, model, largest), lambda layer: _change(layers.get(id(layer))), about=told,
                metrics={"lost_share": lost}, name=name,
            )  # fmt: skip


def _check_no_word(ref: AdapterRef) -> None:
    """A learned word is no change of weights, and would be left out in silence."""
    file = adapter_file.find(ref.path)
    if word_file.read(file) is not None or (file.parent / adapter_file.WORD_FILE).is_file():
        raise InputError(
            f"{str(ref.path)!r} is or holds a learned word, which cannot be merged: attach it beside the merged adapter"
        )


def parent(ref: AdapterRef) -> dict[str, Any]:
    """What adapter.json tells of an adapter that another one was made of."""
    file = adapter_file.find(ref.path)
    return {"name": file.parent.name if Path(ref.path).is_dir() else file.stem, "sha256": adapter_file.sha256(file), "weight": ref.weight}  # fmt: skip


def stacked(pairs: Sequence[Pair]) -> Pair:
    """One pair that does what all of them do together: downs under each other, ups beside each other."""
    return torch.cat([down for down, _ in pairs]), torch.cat([up for _, up in pairs], dim=1)


def reduced(pair: Pair, rank: int) -> tuple[Pair, float, float]:
    """The best approximation of that rank, the squared length (Frobenius) of what is lost, and of what there was.

    The product is never made: its singular values are those of a small matrix between two orthogonal ones."""
    down, up = pair
    left, first = torch.linalg.qr(up.flatten(1).double())
    right, second = torch.linalg.qr(down.flatten(1).double().T)
    u, values, v = torch.linalg.svd(first @ second.T)
    energy = values.square()
    kept, root = min(rank, len(values)), values[:rank].sqrt()
    near = (root[:, None] * (v[:kept] @ right.T)).to(down.dtype), (left @ u[:, :kept] * root).to(up.dtype)
    made = near[0].reshape(kept, *down.shape[1:]), near[1].reshape(len(up), kept, *up.shape[2:])
    return made, float(energy[kept:].sum()), float(energy.sum())


_Layers = dict[int, tuple[str, str, Pair]]  # a layer's id: its part, its name there, and its merged weights


def _layers(model: BaseModel, names: Sequence[str], rank: int | None) -> tuple[_Layers, float]:
    """The merged weights of every layer that one of `names` changes, and the share of their squared length that a rank took."""
    from peft.tuners.lora import LoraLayer

    found: _Layers = {}
    gone = there = 0.0
    parts = {part: one for part, one in model.pipe.components.items() if isinstance(one, torch.nn.Module)}
    for part, module in parts.items():
        for path, layer in module.named_modules():
            if isinstance(layer, LoraLayer) and any(name in layer.lora_A for name in names):
                pair = stacked([_pair(layer, name) for name in names if name in layer.lora_A])
                if rank is not None:
                    pair, lost, whole = reduced(pair, rank)
                    gone, there = gone + lost, there + whole
                found[id(layer)] = part, path, pair
    return found, gone / there if there else 0.0


def _pair(layer: Any, name: str) -> Pair:
    """The weights of an adapter in a layer, with its alpha and the weight that it acts with."""
    down, up = (weights[name].weight.detach().float() for weights in (layer.lora_A, layer.lora_B))
    scaled = up * layer.scaling[name]
    if not finite(scaled):
        raise InputError(
            f"a layer's change times its weight {layer.scaling[name]:g} is too large for any number: merge with a smaller weight"
        )
    return down, scaled


def _change(known: tuple[str, str, Pair] | None) -> Tensor:
    if known is None:
        return torch.zeros(())
    down, up = known[2]
    return up.flatten(1) @ down.flatten(1)


def _written(layers: _Layers, model: BaseModel, rank: int) -> Written:
    parts: dict[str, dict[str, Tensor]] = {}
    for part, path, (down, up) in layers.values():
        flat = part.startswith("text_encoder") and path.startswith(
            "encoder.layers."
        )  # transformers 4 has a text_model around it
        named = f"text_model.{path}" if flat else path
        parts.setdefault(part, {}).update({f"{named}.lora_A.weight": down, f"{named}.lora_B.weight": up})
    several, kohya = hasattr(model.pipe, "text_encoder_2"), dict[str, Tensor]()
    prefixes = {"text_encoder": "lora_te1_" if several else "lora_te_", "text_encoder_2": "lora_te2_", "text_encoder_3": "lora_te3_"}  # fmt: skip
    for part, state in parts.items():
        mine = part == part_of(model.pipe)
        kohya |= kohya_names(state, None, model.denoiser) if mine else text_names(state, prefixes[part])
    return Written(parts, kohya, rank, float(rank))
