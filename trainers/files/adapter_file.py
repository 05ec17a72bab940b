"""Adapter files: find them; read LoRAs safely and check that they fit a model.

Knows files, key names and shapes. Does not know painting, training or where an adapter's weights came from.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from prompts.errors import InputError
from trainers.files.third_party import translated

DIFFUSERS_FILE = "pytorch_lora_weights.safetensors"
WORD_FILE = "learned_embeds.safetensors"  # of a learned word, as diffusers calls it
MODEL_FOLDER = "model"  # of a training that made a whole model, beside its adapter.json
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}

# diffusers writes "to_q.lora.down", older files "to_q_lora.down", PEFT "to_q.lora_A", text encoders "lora_linear_layer"
_LORA_KEY = re.compile(
    r"^(?P<module>.+?)(?:\.lora_(?P<peft>[AB])|(?P<old>_lora|\.lora|\.lora_linear_layer)\.(?P<side>down|up))\.weight$"
)
_TEXT_NAMES = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


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
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{str(folder)!r} is not an adapter folder: it needs a readable adapter.json") from error


def sha256(file: Path) -> str:
    """The sha256 of a file, as hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find(path: Path | str) -> Path:
    """The .safetensors file that `path` means. Raises InputError for pickles, missing files and ambiguous folders."""
    given = Path(path).expanduser()
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
    files = [Path(ref.path).expanduser() / name for name in (DIFFUSERS_FILE, WORD_FILE)]
    if not all(file.is_file() for file in files):
        return [ref]
    return [AdapterRef(files[0], ref.weight), AdapterRef(files[1], float(ref.weight != 0))]


def read(file: Path, pipe: Any) -> dict[str, torch.Tensor]:
    """The tensors of a LoRA file (diffusers, PEFT or kohya names) under diffusers' names. Raises InputError."""
    if not hasattr(pipe, "lora_state_dict"):
        raise InputError(
            f"{type(pipe).__name__} cannot take LoRA adapters: paint without adapters or use another model"
        )
    options: dict[str, Any] = {"unet_config": pipe.unet.config} if getattr(pipe, "unet", None) is not None else {}
    try:
        theirs = translated(file, pipe)
        found = pipe.lora_state_dict(
            str(file.parent) if theirs is None else theirs, weight_name=file.name, use_safetensors=True,
            local_files_only=True, **options,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, IndexError, SafetensorError) as error:
        raise InputError(f"adapter {str(file)!r} is not a LoRA file we can read ({error}): export it again") from error
    return found[0] if isinstance(found, tuple) else found


def check(state: Mapping[str, torch.Tensor], pipe: Any, name: str) -> None:
    """Raises InputError naming the first key whose module or shape `pipe` does not have. Touches nothing."""
    if not state:
        raise InputError(f"adapter {name!r} holds no LoRA weights: export it again")
    modules = {
        key: dict(part.named_modules()) for key, part in pipe.components.items() if hasattr(part, "named_modules")
    }
    for key, tensor in state.items():
        _check_key(key, tuple(tensor.shape), modules, name)


def _check_key(key: str, shape: tuple[int, ...], modules: Mapping[str, Mapping[str, Any]], name: str) -> None:
    part, _, rest = key.partition(".")
    match = _LORA_KEY.match(rest)
    path = _module_path(match, part) if match else ""
    here = modules.get(part, {})
    module = here.get(path) or here.get(
        f"text_model.{path}"
    )  # transformers 4 had the encoder's layers below text_model
    weight = getattr(module, "weight", None)
    if match is None or weight is None:
        raise InputError(f"adapter {name!r} does not fit this model: it has no place for {key!r} of shape {shape}")
    down = match["peft"] == "A" or match["side"] == "down"
    axis = 1 if down else 0
    if len(shape) != weight.ndim or shape[axis] != weight.shape[axis]:
        needs = ("rank", weight.shape[1]) if down else (weight.shape[0], "rank")
        raise InputError(
            f"adapter {name!r} does not fit this model: {key!r} has shape {shape}, but the layer's weight is "
            f"{tuple(weight.shape)} and needs ({needs[0]}, {needs[1]}): use the adapter with the model it was made for"
        )


def _module_path(match: re.Match[str], part: str) -> str:
    path = match["module"].replace(".processor", "")
    head, _, leaf = path.rpartition(".")
    if part.startswith("text_encoder"):
        return f"{head}.{_TEXT_NAMES.get(leaf, leaf)}".removeprefix("text_model.")
    return f"{path}.0" if leaf == "to_out" and match["old"] == "_lora" else path
