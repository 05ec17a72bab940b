"""Where a scorer's weights are and what version they have. Loads nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from prompts.errors import InputError


def version_of(folder: Path) -> str:
    """First 12 hex digits of the sha256 over a folder's safetensors files, in the order of their names.

    Raises: InputError if there is no such folder or no weights in it.
    """
    if not folder.is_dir():
        raise InputError(f"no model folder {str(folder)!r}: check the path, or make the bundled models first")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"no *.safetensors in {str(folder)!r}: only safetensors weights are loaded")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:12]


def is_hub_id(name: str) -> bool:
    """True for `owner/name` where no folder `owner` exists here: a mistyped local path must not become a download."""
    owner, _, model = name.partition("/")
    return bool(owner and model) and "/" not in model and owner[0] not in ".~" and not Path(owner).exists()
