"""Adapter files: what they are called, where they lie, and the card beside ours.

Knows files. Does not know what is in them, painting, training or where an adapter's weights came from.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prompts.errors import InputError
from prompts.ground.clean import clean

DIFFUSERS_FILE = "pytorch_lora_weights.safetensors"
WORD_FILE = "learned_embeds.safetensors"  # of a learned word, as diffusers calls it
MODEL_FOLDER = "model"  # of a training that made a whole model, beside its adapter.json
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}


@dataclass(frozen=True)
class AdapterRef:
    """One adapter to attach: `path` is a .safetensors file or a folder holding one; `weight` is usually 0 to 1."""

    path: Path | str
    weight: float = 1.0


@dataclass(frozen=True)
class Adapter:
    """What a training made. `path`: its folder; `sha256`: of its diffusers file, or of a whole model's denoiser; `metrics`: its last losses."""

    path: Path
    sha256: str
    kind: str
    config: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file that others load."""
        return next((file for name in (DIFFUSERS_FILE, WORD_FILE) if (file := self.path / name).is_file()), self.path)

    @classmethod
    def read(cls, folder: Path | str) -> Adapter:
        """The adapter whose adapter.json lies in `folder`. Raises InputError when there is none."""
        try:
            card = json.loads((Path(folder) / "adapter.json").read_text())
            return cls(Path(folder), card["sha256"], card["kind"], card["config"], card["metrics"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{str(folder)!r} is not an adapter folder: it needs a readable adapter.json") from error


def sha256(file: Path) -> str:
    """The sha256 of a file, as hex. Raises InputError for one that cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"{str(file)!r} cannot be read ({error.strerror}): check the path and who may read it"
        ) from error


def find(path: Path | str) -> Path:
    """The .safetensors file that `path` means. Raises InputError for pickles, missing files and ambiguous folders."""
    try:
        return _found(path)
    except (OSError, ValueError) as error:  # a name too long for the file system, or one that nobody may look at
        raise InputError(
            f"adapter {str(path)!r:.200} cannot be looked for ({clean(error, 120)}): give another path"
        ) from error


def _found(path: Path | str) -> Path:
    given = Path(os.path.expanduser(path))  # of an unknown "~name", pathlib makes an error
    if given.suffix.lower() in PICKLES:
        raise InputError(
            f"adapter {str(path)!r} is a pickle, which can run code when it is read: convert it to .safetensors first"
        )
    for folder in (given, given / MODEL_FOLDER):
        if (folder / "model_index.json").is_file():
            raise InputError(f"{str(path)!r} is a whole model, not an adapter: give {str(folder)!r} as the model")
    file = given / DIFFUSERS_FILE if given.is_dir() else given
    if given.is_dir() and not file.is_file():
        others = sorted(given.glob("*.safetensors"))
        if len(others) != 1:
            raise InputError(f"adapter folder {str(path)!r} needs {DIFFUSERS_FILE} or exactly one .safetensors file")
        file = others[0]
    if not file.is_file() or file.suffix != ".safetensors":
        raise InputError(f"adapter {str(path)!r} is not a .safetensors file: give the file or the folder it lies in")
    return file.resolve()


def with_word(ref: AdapterRef) -> list[AdapterRef]:
    """The adapter, and the word that was learned with it if one lies in its folder; the weight is the LoRA's."""
    files = [Path(os.path.expanduser(ref.path)) / name for name in (DIFFUSERS_FILE, WORD_FILE)]
    if not all(map(os.path.isfile, files)):
        return [ref]
    return [AdapterRef(files[0], ref.weight), AdapterRef(files[1], float(ref.weight != 0))]
