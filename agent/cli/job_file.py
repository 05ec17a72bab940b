"""The YAML file of a training job, read: its paths placed, its data listed, everything checked.

Knows the file that a person writes. Does not know torch, nor how a job is carried out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from agent.config import bundled, read_keys
from prompts.errors import InputError
from prompts.ground.yaml_files import Read
from prompts.lists import records_in
from tools.jobs.folder import examples
from tools.jobs.spec import Job, check_whole, checked
from tools.photos import told_together
from tools.scorers import PUBLISHED

MODELS, FILES = {"base_model", "pickscore", "clip"}, {"preference", "out", *PUBLISHED}  # keys of a job that name one
LARGEST = 2**30  # bytes of a dataset's lines


def whole_job(file: Path, home: Path, kind: str | None = None) -> Job:
    """As `load_job`, and checked as its trainer will check it, before anything is loaded or painted."""
    job, read = _read(file.resolve(), home, kind)
    check_whole(job, read.at)
    return job


def load_job(file: Path, home: Path, kind: str | None = None) -> Job:
    """The job that a YAML file describes; its paths count from the file. Raises InputError for anything wrong.

    `kind`: the file's, or in its place where it names none. `dataset` is a list, a .jsonl file of such lines, or a folder of
    pictures with captions in it or `prompt` beside it, one or a list of which each picture gets all; `prior` likewise, with `prior_prompt`. `out` is HOME/train/NAME unless given, NAME the file's."""
    return _read(file.resolve(), home, kind)[0]


def _read(file: Path, home: Path, kind: str | None) -> tuple[Job, Read]:
    read = read_keys(file)
    values = dict(read.values)
    if values.setdefault("kind", kind) != (kind or values["kind"]):
        raise InputError(
            f"{str(file)!r} is a job of kind {values['kind']!r:.80}, not {kind!r}: say that, or leave it out"
        )
    prompt, of_prior = values.pop("prompt", None), values.pop("prior_prompt", None)
    name = re.sub(r"[^\w.-]+", "-", file.stem)
    values = {"name": name, "out": str(home.resolve() / "train" / name), **_placed(values, file.parent)}
    with told_together():
        values["dataset"] = _dataset("dataset", values.get("dataset"), prompt, file)
        if isinstance(values.get("prior"), str):
            values["prior"] = _dataset("prior", values["prior"], of_prior, file)
    return checked(Job, values, "job", read.at), read


def _placed(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`values` with its paths below `folder`; names of bundled models and of the hub are no paths there."""
    found = {key: _model(one, folder) if key in MODELS else _below(one, folder) if key in FILES else one for key, one in values.items()}  # fmt: skip
    for key, inner in (("adapters", "path"), ("prior", "image")):
        if isinstance(found.get(key), list):
            found[key] = [_inside(one, {inner}, folder) for one in found[key]]
    for key, place in (("gate", _placed_gate), ("gal", _placed_gal), ("pool", _placed_pool)):
        if isinstance(found.get(key), dict):
            found[key] = place(found[key], folder)
    return found


def _inside(block: Any, keys: set[str], folder: Path) -> Any:
    """A block whose `keys` are below `folder`."""
    if not isinstance(block, dict):
        return block
    return block | {key: _below(block[key], folder) for key in keys & block.keys()}


def _placed_pool(pool: dict[str, Any], folder: Path) -> Any:
    return _inside(pool, {"prompts"}, folder)


def _placed_gal(gal: dict[str, Any], folder: Path) -> Any:
    """Anchors may also be a list, or the name of a bundled one."""
    given = {key for key in ("anchors", "test_prompts") if isinstance(gal.get(key), str)}
    return _inside(gal, {key for key in given if os.path.exists(folder / gal[key])}, folder)


def _placed_gate(gate: dict[str, Any], folder: Path) -> Any:
    """Prompts may also be a list, or the name of a vocabulary."""
    named = isinstance(gate.get("prompts"), str) and Path(gate["prompts"]).suffix
    found = _inside(gate, {"prompts"} if named else set(), folder)
    if isinstance(gate.get("instances"), str | list):
        given = [gate["instances"]] if isinstance(gate["instances"], str) else gate["instances"]
        found = found | {"instances": [_below(one, folder) for one in given]}
    return found


def _model(name: Any, folder: Path) -> Any:
    if not isinstance(name, str) or ("/" not in name and bundled(name) != name):
        return bundled(name) if isinstance(name, str) else name
    return str(folder / name) if os.path.exists(folder / name) else bundled(name)


def _below(path: Any, folder: Path) -> Any:
    """What is no text is left for the check of the whole job."""
    return str(folder / path) if isinstance(path, str) else path


def _dataset(what: str, given: Any, prompt: Any, file: Path) -> list[dict[str, Any]]:
    """The data as a list of records, paths absolute."""
    if given is None:
        return []
    if isinstance(given, str):
        path = file.parent / given
        given = examples(path, prompt) if os.path.isdir(path) else [one for _, one in records_in(path, what)]
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise InputError(
            f"{what} = {given!r:.80} in {str(file)!r}: give a list, a .jsonl file, or a folder of pictures with a prompt"
        )
    return [
        {
            key: _below(value, file.parent) if key in ("image", "win", "lose", "low", "high") else value
            for key, value in item.items()
        }
        for item in given
    ]
