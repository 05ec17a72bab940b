"""Whether a run is as it was written: its rows by the chain, its files by the hashes that the rows hold.

Asked by `replay --mode verify`, by `doctor`, and before a run goes on. It does not know where a run's folder is, and mends nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from agent.store.views import Views
from prompts.errors import StoreError
from prompts.ground.console import typed

OLD = "It was made before Palate chained its records: only files and what is made again can be compared"


def damage(store: Views, run_id: str, folder: Path) -> list[str]:
    """What is not as it was written, row by row and file by file; empty for a run that is whole. Raises InputError, StoreError."""
    rows = store.altered(run_id) if store.chained(run_id) else unreadable(store, run_id)
    return rows or changed_files(store, run_id, folder)


def check_whole(store: Views, run_id: str, folder: Path) -> None:
    """Before a run goes on. Raises StoreError for one that was altered: what came next would stand on what nobody wrote."""
    found = damage(store, run_id, folder)
    if found:
        more = f" (and {len(found) - 1} more)" if found[1:] else ""
        raise StoreError(
            f"The run {run_id!r} is not as it was written: {found[0]}{more}. Nothing was continued: put back what was changed, from a copy "
            f"of the home, or start a new run. `{typed('replay', run_id, '--mode', 'verify')}` tells all of it."
        )


def check_read(store: Views, run_id: str) -> None:
    """Before a run is handed on, as a profile say. Raises StoreError where a row has to be left out: it would be less than it says."""
    for told in unreadable(store, run_id):
        raise StoreError(f"{told}, and nothing is made of the rest: put back a copy of {str(store.path)!r}.")


def unreadable(store: Views, run_id: str) -> list[str]:
    """The rows of this run that cannot be read, all of them looked at; what was met of other runs is theirs."""
    reads: Iterable[Callable[..., object]] = (
        store.steps, store.images, store.scores, store.pairs, store.preferences, store.adapters, store.llm_calls, store.jobs,
        store.comparisons,
    )  # fmt: skip
    for read in reads:
        read(run_id)
    store.ratings(run_id, superseded=True), store.answers(run_id, superseded=True)
    return [f"{name} cannot be read: {why}" for name, why in store.unreadable.items() if name.endswith(f"run {run_id}")]


def changed_files(store: Views, run_id: str, folder: Path) -> list[str]:
    """The recorded images, learned tastes and adapters whose files are gone or no longer what was recorded."""
    return [told for told in _files(store, run_id, folder) if told]


def _files(store: Views, run_id: str, folder: Path) -> Iterator[str]:
    for image in store.images(run_id):
        yield _told(f"the file of image {image.id}", folder / image.path, image.sha256)
    for taste in store.preferences(run_id):
        yield _told(f"the file of the taste learned in step {taste.step}", folder / taste.path, taste.sha256)
    for adapter in store.adapters(run_id):
        place = folder / adapter.path
        files = sorted(place.rglob("*.safetensors")) if place.is_dir() else [place]
        same = [
            file for file in files if not _told("", file, adapter.sha256)
        ]  # which of its files was hashed depends on its kind
        yield (
            ""
            if same
            else _told(f"the file of adapter {adapter.sha256[:16]}", next(iter(files), place), adapter.sha256)
        )


def _told(what: str, file: Path, sha256: str) -> str:
    """What is wrong with a file, "" when nothing is."""
    try:
        with file.open("rb") as stream:
            same = hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return f"{what} is missing: {str(file)!r}"
    except OSError as error:
        return f"{what} cannot be read ({error.strerror}): {str(file)!r}"
    return "" if same else f"{what} was changed: {str(file)!r}"
