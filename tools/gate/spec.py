"""What a promotion gate is asked: the settings a person writes, and a plan in which everything they name is there.

Knows files and names. Does not paint or score; tools.gate.gate does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from evaluators.gate import Rules
from evaluators.scorers.weights import weight_file
from prompts.errors import InputError
from prompts.lists import load_list, prompts_in
from prompts.vocabulary import load_vocabulary
from tools.photos import pictures_in
from tools.scorers import PUBLISHED, SCORERS, Folders

_LOG = logging.getLogger(__name__)
NEEDS = {  # keys beside `gate`
    "pickscore": ("pickscore",), "clip_t": ("clip",), "preference": ("preference", "clip"), "aesthetic": ("aesthetic", "clip"),
    "hpsv2": ("hpsv2",), "image_reward": ("image_reward",),
}  # fmt: skip


class GateSpec(BaseModel):
    """How an adapter is judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: str | tuple[str, ...] = Field(
        description="held-out prompts: a .txt or .jsonl file, a list, or the name of a vocabulary that has such a list"
    )
    count: int = Field(32, ge=2, le=1000, description="how many of them, from the first")
    scorers: tuple[str, ...] = Field((), description="who judges, beside clip_t; none: all whose folders are given")
    guides: tuple[str, ...] = Field((), description="who must prefer it, beside the scorers that guided the training")
    instances: tuple[Path, ...] = Field((), description="pictures of the subject, or folders of them")
    weight: float = Field(1.0, ge=-10, le=10, description="the adapter's weight")
    steps: int = Field(20, ge=1, le=1000, description="sampling steps")
    guidance_scale: float = Field(3.0, ge=0, le=50)
    size: int | None = Field(None, ge=8, le=2048, multiple_of=8, description="pixels a side; none: the model's own")
    seed: int = Field(7_000_000, ge=0, lt=2**31, description="of the first picture; far from those that are trained on")
    rules: Rules = Rules()


@dataclass(frozen=True)
class Plan:
    """A gate whose prompts, scorers and pictures are known to be there."""

    spec: GateSpec
    prompts: tuple[str, ...]
    scorers: tuple[str, ...]
    guides: tuple[str, ...]
    folders: Folders
    instances: tuple[Path, ...]


def planned(spec: GateSpec, folders: Folders, *, guides: Sequence[str] = (), instances: Sequence[Path] = ()) -> Plan:
    """Look for everything before hours are spent. `guides`: those of the training, who must prefer the adapter whoever else the spec
    names: a scorer that guided must not come back as one that only looks on. `instances`: of the training, where the spec names none.

    Raises InputError for prompts, scorers and pictures that are missing."""
    names = tuple(dict.fromkeys((*(spec.scorers or _available(folders)), "clip_t")))
    led = tuple(dict.fromkeys((*spec.guides, *guides)))
    found = _subjects(spec.instances or instances)
    for name in (*names, *led):
        if name not in SCORERS:
            raise InputError(f"gate: scorer {name!r:.80} is not one we have: use {', '.join(SCORERS)}")
        missing = [key for key in NEEDS[name] if folders.get(key) is None]
        if missing:
            raise InputError(f"gate: scorer {name!r} needs {missing[0]}: name its folder or file beside `gate`")
        if name in PUBLISHED:
            weight_file(Path(str(folders[name])))  # raises for what is not there
    if not led and not found:
        raise InputError(
            f"gate.guides = {list(led)!r}: no scorer guided this training, so say which must prefer the adapter (of "
            f"{', '.join(names)}), or give instances, pictures of a subject"
        )
    if not set(names) - set(led) and not spec.rules.unseen_may_lose:
        raise InputError(
            f"gate: every scorer that is given ({', '.join(names)}) guided the training, so nobody else looks on: name another (of "
            f"{', '.join(SCORERS)}), or set rules.unseen_may_lose"
        )
    return Plan(spec, _prompts(spec), tuple(dict.fromkeys((*led, *names))), led, folders, found)


def _available(folders: Folders) -> list[str]:
    return [name for name, needs in NEEDS.items() if all(folders.get(key) is not None for key in needs)]


def _prompts(spec: GateSpec) -> tuple[str, ...]:
    """Raises InputError for fewer than two, or for one that comes twice: pairs are independent."""
    if not isinstance(spec.prompts, str):
        given = list(spec.prompts)
    elif Path(spec.prompts).suffix in (".txt", ".jsonl"):
        given = list(prompts_in(Path(spec.prompts)))
    else:
        given = load_list(load_vocabulary(spec.prompts), "held_out")
    different = tuple(dict.fromkeys(prompt.strip() for prompt in given if prompt.strip()))
    found = different[: spec.count]
    if len(different) > len(found) and "count" not in spec.model_fields_set:
        _LOG.warning("gate.prompts: the first %d of %d are asked; gate.count says how many", len(found), len(different))
    if len(different) < len(given):
        _LOG.warning(
            "gate.prompts: %d of %d are empty or come twice, and are left out", len(given) - len(different), len(given)
        )
    if len(found) < 2:
        raise InputError(f"gate.prompts = {spec.prompts!r:.200} holds {len(found)} different prompts: give two or more")
    return found


def _subjects(paths: Sequence[Path]) -> tuple[Path, ...]:
    found = [picture for path in paths for picture in (pictures_in(path) if os.path.isdir(path) else [path])]
    gone = [path for path in found if not os.path.isfile(path)]
    if gone:
        raise InputError(f"gate.instances: {str(gone[0])!r:.300} is no picture: give files or folders of them")
    return tuple(found)
