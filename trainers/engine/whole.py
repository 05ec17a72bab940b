"""The whole denoiser as what learns, saved as a pipeline of its own that trainers.model.load loads.

Knows diffusers' folders. Does not know the loss. Takes the memory of a whole model several times, and makes no adapter.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from prompts.errors import InputError, PalateError
from prompts.ground.quiet import quiet
from trainers.engine.own_weights import OwnWeights
from trainers.engine.training import Training
from trainers.files.adapter_file import MODEL_FOLDER, Adapter, sha256
from trainers.files.export import last, use_of, write_card
from trainers.files.stock import in_one_dtype
from trainers.model.attach import unload
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.model.paint import paint_as_it_is


class WholeDenoiser(OwnWeights):
    """All weights of the denoiser."""

    def __init__(self) -> None:
        super().__init__(lambda name: True)

    def begin(self, training: Training) -> None:
        if training.frozen:
            raise InputError(
                f"learns = 'denoiser' trains every weight of {training.model.name!r} and cannot stand on adapters: leave them out, "
                "or let a LoRA learn"
            )
        unload(training.model)
        super().begin(training)

    def save(self, training: Training, out: Path, about: dict[str, Any], name: str) -> Adapter:
        """Write OUT/model, a whole pipeline in the dtype of the base, in one move; prove that it paints as the model in memory does."""
        model, folder, part = training.model, out / MODEL_FOLDER, out / f".{MODEL_FOLDER}.{os.getpid()}"
        for value, own in self.own.values():
            value.data = value.data.to(own.dtype)
        for left in out.glob(f".{MODEL_FOLDER}.*"):  # by a process that was killed here
            shutil.rmtree(left, ignore_errors=True)
        try:
            with quiet():
                model.pipe.save_pretrained(part, safe_serialization=True)
            in_one_dtype(part)
            _prove(training, part)
            shutil.rmtree(folder, ignore_errors=True)  # of a job that was ended before its card
            os.replace(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        adapter = Adapter(out, _digest(model, folder), about["kind"], about["config"], last(training.history))
        files = {"files": [MODEL_FOLDER], "model": MODEL_FOLDER}
        write_card(adapter, name=name, job=about, what="A model", use=use_of(about, files), files=files)
        return adapter


def _prove(training: Training, part: Path) -> None:
    """Raises PalateError unless the folder, loaded again, paints what the model in memory does."""
    model = training.model
    written = load(str(part), device=str(model.device), dtype=None if model.device.type == "cpu" else model.dtype)
    if written.dtype != model.dtype:  # load computes in float32 on a CPU
        written.pipe.to(model.dtype)
    ours, theirs = (_painted(one, training.config.size or model.size) for one in (model, written))
    if np.abs(ours - theirs).max() > 2:
        raise PalateError(f"{str(part)!r} loads back as another model: this is a bug, please report it")


def _painted(model: BaseModel, size: int) -> np.ndarray:
    images = paint_as_it_is(["a photo"], model=model, seed=0, steps=2, guidance_scale=3.0, size=size)
    return np.asarray(images[0], dtype=int)


def _digest(model: BaseModel, folder: Path) -> str:
    """The sha256 of the denoiser's file, or of those of its parts, in their order."""
    part = "unet" if getattr(model.pipe, "unet", None) is not None else "transformer"
    found = [sha256(file) for file in sorted((folder / part).glob("*.safetensors"))]
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()
