"""Where a scorer's weights are and what version they have. Loads nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from prompts.errors import InputError

TENSORS = (".safetensors", ".pt", ".pth")  # the first is preferred


def version_of(folder: Path) -> str:
    """First 12 hex digits of the sha256 over a folder's safetensors files, in the order of their names.

    Raises: InputError if there is no such folder or no weights in it.
    """
    if not folder.is_dir():
        raise InputError(f"no model folder {str(folder)!r}: check the path, or make the bundled models first")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"no *.safetensors in {str(folder)!r}: only safetensors weights are loaded")
    return _hashed(files)


def version_of_file(file: Path) -> str:
    """First 12 hex digits of a file's sha256."""
    return _hashed([file])


def weight_file(path: Path) -> Path:
    """The file of tensors that `path` means: itself, or the only .safetensors of a folder, or else its only .pt or .pth.

    Raises: InputError if there is none, or more than one to choose from.
    """
    if path.is_file() and path.suffix in TENSORS:
        return path
    found = sorted(path.glob("*.safetensors")) or sorted((*path.glob("*.pt"), *path.glob("*.pth")))
    if not found:
        raise InputError(
            f"no weights at {str(path)!r}: give a file of the kind {', '.join(TENSORS)}, or the folder with it"
        )
    if len(found) > 1:
        names = ", ".join(repr(file.name) for file in found)
        raise InputError(f"{str(path)!r} holds more than one file of weights ({names}): give the one that is meant")
    return found[0]


def is_hub_id(name: str) -> bool:
    """True for `owner/name` where no folder `owner` exists here: a mistyped local path must not become a download."""
    owner, _, model = name.partition("/")
    return bool(owner and model) and "/" not in model and owner[0] not in ".~" and not Path(owner).exists()


def _hashed(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:12]
