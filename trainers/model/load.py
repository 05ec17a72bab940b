"""Load a text-to-image pipeline by folder or hub id, onto a device that is there.

Knows diffusers' loader and what its errors mean. Does not know adapters, nor what is painted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from prompts.errors import InputError, PalateError
from prompts.ground.quiet import quiet
from trainers.files.halves import finite
from trainers.model.base_model import BaseModel

_HUB_ID = re.compile(r"^\w[\w.-]*/\w[\w.-]*$")  # "./x" and "../x" are paths
_HOLDS = "a model folder holds model_index.json and the folders it names (unet or transformer, vae, text_encoder, ...)"


def load(model: str, *, device: str = "auto", dtype: torch.dtype | None = None) -> BaseModel:
    """Load any diffusers text-to-image pipeline. CPU computes in float32, accelerators in bfloat16 unless told.

    A folder's name is its absolute path from here on, a hub id stays as it is. Raises InputError when the folder or hub id is not a
    model, holds weights that are not finite, or the device or dtype cannot be used."""
    from diffusers import AutoPipelineForText2Image

    where = device_of(device)
    if where.type == "cpu" and dtype not in (None, torch.float32):
        raise InputError(f"dtype {dtype!r} is not for the CPU: leave dtype out, the CPU computes in float32")
    kind = dtype or (torch.float32 if where.type == "cpu" else torch.bfloat16)
    with _model_errors(model), quiet():
        model = _placed(model)
        variant = _variant(_folder(model))
        pipe = AutoPipelineForText2Image.from_pretrained(model, dtype=kind, use_safetensors=True, variant=variant)
        pipe.to(where)
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval()
    _check_finite(model, pipe)
    return BaseModel(model, pipe, where, kind)


def _placed(model: str) -> str:
    """A model as it can be found again from any folder: the absolute path of a folder, a hub id as it is.

    A folder that is there is meant before the hub's repository of the same name."""
    folder = os.path.expanduser(model)
    return os.path.abspath(folder) if os.path.isdir(folder) else model


def _check_finite(model: str, pipe: Any) -> None:
    """A damaged weight would paint black, and be blamed on whatever came after it."""
    for key, part in pipe.components.items():
        for name, tensor in part.named_parameters() if isinstance(part, torch.nn.Module) else ():
            if not finite(tensor.detach()):
                raise InputError(
                    f"model {model!r} holds numbers that are not finite in {key}'s {name!r}: get it again, its file is damaged"
                )


def device_of(device: str) -> torch.device:
    """The device that `device` names; `auto` is the first GPU, or the CPU. Raises InputError for one that is not here."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {device!r} is not available here: use 'cpu' or 'auto'")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device {device!r} is not one we know: use 'auto', 'cpu', 'cuda' or 'mps'") from error


def _folder(model: str) -> Path | None:
    """The local folder meant by `model`, None for a hub id."""
    folder = Path(os.path.expanduser(model))
    if os.path.isfile(folder / "model_index.json"):
        return folder
    if os.path.exists(folder) or (folder.parent.name and os.path.isdir(folder.parent)) or not _HUB_ID.match(model):
        missing = "no model_index.json in it" if os.path.exists(folder) else "no such folder"
        raise InputError(f"{model!r} is not a model: {missing}; {_HOLDS}")
    return None


def _variant(folder: Path | None) -> str | None:
    """The variant "fp16" when a local folder has its weights under such file names only."""
    weights = list(folder.glob("*/*.safetensors")) if folder else []
    return "fp16" if weights and all(".fp16." in file.name for file in weights) else None


@contextmanager
def _model_errors(model: str) -> Iterator[None]:
    import httpx
    from safetensors import SafetensorError

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise PalateError(f"{model!r} does not fit in GPU memory: free some or load it on 'cpu'") from error
    except (OSError, ValueError, KeyError, ImportError, httpx.HTTPError, SafetensorError, RuntimeError) as error:
        where = "" if os.path.exists(model) else "there is no such folder, and the hub did not give it (offline?): "
        why = f"{type(error).__name__}: {str(error)[:300]}"
        raise InputError(f"model {model!r} cannot be loaded: {where}{_HOLDS} [{why}]") from error
