"""sqlite-utils' database, imported without the arrays and tables that it would look for: `palate logs` answers at once, and numpy alone would
take a fifth of that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNUSED = (
    "numpy",
    "pandas",
)  # sqlite-utils reads columns of their types where they are installed; we write plain values


@contextmanager
def _not_installed(names: tuple[str, ...]) -> Iterator[None]:
    """For the imports inside, those of the modules that nobody has imported yet are not there."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python's way to say so
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


with _not_installed(UNUSED):
    from sqlite_utils import Database

__all__ = ["Database"]
