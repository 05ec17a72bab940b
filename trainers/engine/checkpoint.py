"""Checkpoint folders: checkpoint-N/ holds weights, optimizer state, the generator's state and the losses so far.

Knows files only, all of them safetensors and JSON. Does not know which trainer writes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from prompts.errors import InputError, PalateError
from trainers.files.halves import finite

FREE = {  # settings of a training that may change while it is interrupted: they make no other adapter
    "gradient_checkpointing", "sample_prompts", "sample_every", "sample_steps", "sample_guidance", "checkpoint_every", "keep_checkpoints",
}  # fmt: skip
_NAME = re.compile(r"^checkpoint-(\d+)$")


@dataclass
class Checkpoint:
    """A moment of training. `step`: steps done; `about`: what identifies the job; `history`: losses of each step."""

    step: int
    about: dict[str, Any]
    history: list[dict[str, float]]
    tensors: dict[str, Tensor]


def pack(
    weights: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    kept: Mapping[str, Tensor],
    *,
    scaler: torch.amp.GradScaler | None = None,
) -> dict[str, Tensor]:
    """One flat dict of everything that must come back bit for bit."""
    packed = {f"weight.{name}": value.detach() for name, value in weights.items()}
    for index, values in optimizer.state_dict()["state"].items():
        packed |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in values.items()}
    packed |= {f"kept.{name}": value for name, value in kept.items()}
    for key, number in (scaler.state_dict() if scaler else {}).items():
        packed[f"scaler.{key}"] = torch.tensor(number, dtype=torch.float64)
    packed["generator"] = generator.get_state()
    return {key: value.contiguous().cpu() for key, value in packed.items()}


def unpack(
    tensors: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    *,
    scaler: torch.amp.GradScaler | None = None,
) -> None:
    """Put what `pack` took back into weights, optimizer, generator and scaler, in place."""
    with torch.no_grad():
        for name, value in weights.items():
            value.copy_(tensors[f"weight.{name}"])
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, field = key.split(".", 2)
            state.setdefault(int(index), {})[field] = _number(value) if value.dtype == torch.int64 else value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    generator.set_state(tensors["generator"])
    if scaler is not None and scaler.is_enabled():
        found = {key: tensors[f"scaler.{key}"].item() for key in scaler.state_dict()}
        scaler.load_state_dict(found | {key: int(found[key]) for key in ("growth_interval", "_growth_tracker")})


def _number(value: Tensor) -> Tensor | int:
    """The 8-bit optimizer counts its steps in a plain int; AdamW in a float32 tensor."""
    return int(value) if value.ndim == 0 else value


def kept(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` was given as `kept`."""
    return {key.removeprefix("kept."): value for key, value in tensors.items() if key.startswith("kept.")}


def save(out: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write checkpoint-N in one move and drop all but the `keep` newest. An existing checkpoint-N is left as it is."""
    folder = out / f"checkpoint-{checkpoint.step}"
    if not folder.exists():
        try:
            _write(out / f".checkpoint-{checkpoint.step}.{os.getpid()}", folder, checkpoint)
        except OSError as error:
            raise PalateError(
                f"checkpoint {str(folder)!r} cannot be written ({error.strerror or error}): make room and run it again; the "
                "checkpoints before it are whole"
            ) from error
    for old in _folders(out)[:-keep]:
        shutil.rmtree(old)
    return folder


def _write(part: Path, folder: Path, checkpoint: Checkpoint) -> None:
    """All of it, or nothing."""
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        save_file(checkpoint.tensors, part / "training.safetensors")
        about = {"step": checkpoint.step, "about": checkpoint.about, "history": checkpoint.history}
        (part / "training.json").write_text(json.dumps(about))
        _sync(part)
        os.rename(part, folder)
    except SafetensorError as error:  # its writer reports a full disk so
        raise OSError(str(error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def latest(out: Path) -> Checkpoint | None:
    """The newest checkpoint in `out`, None when there is none. Raises PalateError when it is damaged."""
    folders = _folders(out)
    if not folders:
        return None
    try:
        about = json.loads((folders[-1] / "training.json").read_text())
        tensors = load_file(folders[-1] / "training.safetensors")
        if bad := next((key for key, one in tensors.items() if key.startswith("weight.") and not finite(one)), None):
            raise ValueError(f"{bad!r} holds numbers that are not finite")
        return Checkpoint(about["step"], about["about"], about["history"], tensors)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise PalateError(
            f"checkpoint {str(folders[-1])!r} is damaged ({error}): delete it to use the one before"
        ) from error


def same_job(out: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises InputError naming the first setting in which the job found in `out` differs from the one asked for."""
    flat = [{**about, **about["config"]} for about in (then, now)]
    for key in sorted((set(flat[0]) | set(flat[1])) - FREE - {"config"}):
        if not same(flat[0].get(key), flat[1].get(key)):
            raise InputError(
                f"{str(out)!r} holds another job: its {key} was {flat[0].get(key)!r:.200}, now "
                f"{flat[1].get(key)!r:.200}: "
                "use the same settings to continue it, or another folder"
            )


def same(then: Any, now: Any) -> bool:
    """Whether two settings are equal, but for paths of the same name of which the first is gone: what they name was moved."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        return then.keys() == now.keys() and all(same(then[key], now[key]) for key in then)
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(same, then, now))
    return bool(then == now) or _moved(then, now)


def _moved(then: Any, now: Any) -> bool:
    paths = [Path(one) if isinstance(one, str) else None for one in (then, now)]
    if not all(path is not None and path.is_absolute() for path in paths):
        return False
    return paths[0].name == paths[1].name and not paths[0].exists() and paths[1].exists()  # type: ignore[union-attr]


def fingerprint(examples: Sequence[tuple[Image.Image, str]], weights: Sequence[float] | None) -> str:
    """A hash over the pixels, prompts and weights of a dataset."""
    digest = hashlib.sha256(json.dumps([list(weights or []), [prompt for _, prompt in examples]]).encode())
    for image, _ in examples:
        digest.update(f"{image.mode}{image.size}".encode() + image.tobytes())
    return digest.hexdigest()


def _folders(out: Path) -> list[Path]:
    found = [(int(match[1]), path) for path in out.glob("checkpoint-*") if (match := _NAME.match(path.name))]
    return [path for _, path in sorted(found)]


def _sync(folder: Path) -> None:
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
