"""Encoded pairs on disk: the latents of winners and losers and what the model is told of their prompts, computed once.

Shards of safetensors, each whole or not there, read row by row without loading the rest: as many pairs as the disk holds.
Knows files and tensors. Does not know where the pairs come from, nor losses.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from prompts.errors import InputError, PalateError
from prompts.ground.atomic import write_atomically
from trainers.files.halves import finite
from trainers.model.denoiser import Conditions

_EXTRA = "extra."


class PairStore:
    """The pairs in a folder. Rows are numbered across shards, in the order in which they were written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = sorted(
            file for file in folder.glob("shard-*.safetensors") if file.with_suffix(".jsonl").is_file()
        )
        self._open = [_opened(file) for file in self._files]
        counts = [file.get_slice("win").get_shape()[0] for file in self._open]
        self._ends = list(itertools.accumulate(counts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def shards(self) -> int:
        return len(self._files)

    def batch(self, rows: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Conditions]:
        """Latents (N, C, H, W) of winners and losers in float32, and their conditions."""
        parts = [self._row(row) for row in rows]
        stacked = {key: torch.cat([part[key] for part in parts]).to(device) for key in parts[0]}
        extras = {key.removeprefix(_EXTRA): value for key, value in stacked.items() if key.startswith(_EXTRA)}
        return stacked["win"].float(), stacked["lose"].float(), Conditions(stacked["embeds"], extras)

    def fingerprint(self) -> str:
        """A hash over what the shards say of their pairs."""
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(file.with_suffix(".jsonl").read_bytes())
        return digest.hexdigest()

    def _row(self, row: int) -> dict[str, Tensor]:
        shard = bisect.bisect_right(self._ends, row)
        at = row - (self._ends[shard - 1] if shard else 0)
        file = self._open[shard]
        told = int(file.get_slice("prompt")[at : at + 1])
        found = {key: file.get_slice(key)[at : at + 1] for key in ("win", "lose")}
        rest = (key for key in file.keys() if key not in ("win", "lose", "prompt"))  # noqa: SIM118  not a mapping
        found |= {key: file.get_slice(key)[told : told + 1] for key in rest}
        if bad := next((key for key, value in found.items() if not finite(value)), None):
            raise InputError(f"pair {at} of {str(self._files[shard])!r} holds numbers that are not finite in {bad!r}: delete the file, and it is made again")  # fmt: skip
        return found


def has_shard(folder: Path, number: int) -> bool:
    """Whether shard `number` is there, both its files."""
    return all((folder / f"shard-{number:05d}{end}").is_file() for end in (".safetensors", ".jsonl"))


def write_shard(
    folder: Path, number: int, win: Tensor, lose: Tensor, conditions: Conditions, lines: Sequence[dict[str, Any]]
) -> Path:
    """Write pairs as shard `number`, in one move. `lines`: what is known of each, its prompt first; a prompt is stored once.

    Latents are kept in float16. Raises PalateError on a full disk."""
    prompts = [line["prompt"] for line in lines]
    distinct = list(dict.fromkeys(prompts))
    firsts = [prompts.index(prompt) for prompt in distinct]
    tensors = {"win": win.half(), "lose": lose.half(), "embeds": conditions.embeds[firsts]}
    tensors |= {_EXTRA + key: value[firsts] for key, value in conditions.extras.items()}
    tensors["prompt"] = torch.tensor([distinct.index(prompt) for prompt in prompts])
    if bad := next((key for key, value in tensors.items() if not finite(value)), None):
        raise PalateError(f"shard {number} would hold numbers that are not finite in {bad!r}: float16 is too small for them, or the model broke; use another model")  # fmt: skip
    file = folder / f"shard-{number:05d}.safetensors"
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file.with_suffix(".jsonl"), "".join(json.dumps(line) + "\n" for line in lines))
        save_file({key: value.contiguous().cpu() for key, value in tensors.items()}, part)
        os.replace(part, file)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise PalateError(
            f"{str(file)!r} cannot be written ({error}): make room and run it again; earlier shards are whole"
        ) from error
    return file


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt")
    except (OSError, SafetensorError) as error:
        raise InputError(f"pairs {str(file)!r} cannot be read ({error}): delete it, and it is made again") from error
