"""Files that hold a learned word: as diffusers writes them, as the community does for SDXL, and A1111's.

Knows the layouts. Does not know tokenizers or pipelines; trainers.model.words makes one know a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from prompts.errors import InputError
from prompts.ground.clean import clean
from trainers.files.halves import finite, of_layer

FIRST, SECOND = "clip_l", "clip_g"  # a text encoder's key in a file of several
_OF_A1111 = "emb_params"  # its only key says nothing: there a file's name is the word


@dataclass(frozen=True)
class Word:
    """A word, and by key of the text encoder its vectors (N, width): N is the number of tokens that it takes."""

    token: str
    vectors: Mapping[str, Tensor]


def read(file: Path) -> Word | None:
    """The word in a .safetensors file, None when it holds something else.

    {word: vectors} of one text encoder as diffusers has it, or {"clip_l": .., "clip_g": ..} of SDXL's two as the community
    has it; that one and A1111's do not name their word, which is then the file's name in angle brackets. Raises InputError for
    vectors that are none or not finite, and for a name that cannot be said."""
    try:
        with safe_open(file, framework="pt") as stored:
            keys, told = set(stored.keys()), stored.metadata() or {}
            if len(keys) > 1 and keys != {FIRST, SECOND}:
                return None
            tensors = {key: stored.get_tensor(key) for key in keys}
    except (OSError, SafetensorError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, MemoryError):
        return None  # whoever reads it for what it is will say why it cannot
    if not tensors or any(one.ndim not in (1, 2) or not one.is_floating_point() for one in tensors.values()):
        return None
    if any(key.endswith(".weight") or of_layer(key) for key in tensors):
        return None  # a LoRA of which one tensor is left
    tensors = {key: torch.atleast_2d(one) for key, one in tensors.items()}
    for key, rows in tensors.items():
        if not rows.numel() or not finite(rows):
            what = "numbers that are not finite" if rows.numel() else f"no vectors (its shape is {tuple(rows.shape)})"
            raise InputError(
                f"the word in {str(file)!r} holds {what} in {clean(key, 80)!r}: train it again, or get it again"
            )
    token = told.get("token", f"<{file.stem}>")
    if len(tensors) == 1 and _OF_A1111 not in tensors:
        ((token, rows),) = tensors.items()
        tensors = {FIRST: rows}
    if not token.strip() or clean(token) != token:
        raise InputError(
            f"the word in {str(file)!r} is called {clean(token, 80)!r}, which no prompt can say: have it exported with another name"
        )
    return Word(token, tensors if len(tensors) > 1 else {FIRST: next(iter(tensors.values()))})


def write(word: Word, file: Path) -> None:
    """Write the layout that `read` reads, for diffusers' load_textual_inversion, ComfyUI and A1111."""
    vectors = {key: rows.detach().float().cpu().contiguous() for key, rows in word.vectors.items()}
    named = vectors if len(vectors) > 1 else {word.token: vectors[FIRST]}
    save_file(named, file, metadata={"token": word.token})  # a second entry would come in any order
