"""NAME.palate: one person's taste as a file that they own.

A zip of manifest.json, ratings.jsonl, comparisons.jsonl, features.npz (so that the taste can be learned anew), a preference-N.npz for
each taste in it, genome.json (what works), adapters.json, summary.md (in plain words). Its sha256 names it: a run that starts from a
profile keeps that. Does not know runs or stores (agent.loop.profiles does), how a stranger's file is read (tools.profiles.reading), nor
what tastes are for (tools.profiles.taste).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from evaluators.preference.model import Preference
from tools.profiles.archive import pack, pack_arrays
from tools.profiles.records import Compared, Genome, Manifest, Rated, Trained

PARTS = ("ratings.jsonl", "comparisons.jsonl", "features.npz", "genome.json", "adapters.json", "summary.md")


@dataclass(frozen=True, eq=False)
class Profile:
    """A profile in memory. `features` (N, D) float32 are those of `images` (sha256 of each picture), rated and compared alike.

    `sha256` is the file's; "" before there is one."""

    manifest: Manifest
    ratings: tuple[Rated, ...]
    comparisons: tuple[Compared, ...]
    images: tuple[str, ...]
    features: np.ndarray
    tastes: tuple[Preference, ...]
    genome: Genome
    adapters: tuple[Trained, ...]
    summary: str
    sha256: str = ""

    @property
    def name(self) -> str:
        return self.manifest.name

    @cached_property
    def row(self) -> dict[str, int]:
        """Image to its row of `features`."""
        return {image: number for number, image in enumerate(self.images)}

    def features_of(self, ratings: Sequence[Rated]) -> np.ndarray:
        """(N, D) of the pictures rated."""
        return self.features[[self.row[one.image] for one in ratings]]


def to_bytes(profile: Profile) -> bytes:
    """The file; the manifest's `members` are made anew. Equal content gives equal bytes."""
    parts = {
        "ratings.jsonl": _lines(profile.ratings), "comparisons.jsonl": _lines(profile.comparisons),
        "features.npz": pack_arrays({"features": profile.features.astype(np.float32), "images": np.array(profile.images, dtype="U64")}),
        "genome.json": _json(profile.genome.model_dump(mode="json")),
        "adapters.json": _json([one.model_dump(mode="json") for one in profile.adapters]), "summary.md": profile.summary.encode(),
    }  # fmt: skip
    for about, taste in zip(profile.manifest.tastes, profile.tastes, strict=True):
        parts[about.member] = _saved(taste)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    told = profile.manifest.model_copy(update={"members": hashes})
    return pack({"manifest.json": _json(told.model_dump(mode="json")), **parts})


def _lines(rows: Sequence[BaseModel]) -> bytes:
    return "".join(f"{json.dumps(row.model_dump(mode='json'), ensure_ascii=False)}\n" for row in rows).encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _saved(taste: Preference) -> bytes:
    """Its npz, packed as ours are: numpy compresses, and zlib's versions differ."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "preference.npz"
        taste.save(file)
        with np.load(file, allow_pickle=False) as stored:
            return pack_arrays({name: stored[name] for name in stored.files})
