"""The record of a home folder. Imports no model and no graph: `palate logs` must not wait for them."""

from __future__ import annotations

from pathlib import Path

from agent.store.store import Store
from prompts.errors import InputError


def open_store(home: Path, *, reading: bool = False) -> Store:
    """The trajectory store of a home folder, made when missing; when only `reading`, the home need not be writable.

    Raises InputError when the folder cannot be made."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The home {str(home)!r} is no folder we can use ({error.strerror}): give another --home.") from error  # fmt: skip
    return Store(home / "palate.sqlite", reading=reading)
