"""The YAML file of a training job, read: its paths placed, its data listed, everything checked.

Knows the file that a person writes. Does not know torch, nor how a job is carried out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from agent.config import bundled, read_yaml
from prompts.errors import InputError
from tools.jobs.spec import Job, validated
from tools.photos import pictures_in
from tools.scorers import PUBLISHED

MODELS, FILES = {"base_model", "pickscore", "clip"}, {"preference", "out", *PUBLISHED}  # keys of a job that name one


def load_job(file: Path, home: Path, kind: str | None = None) -> Job:
    """The job that a YAML file describes; its paths count from the file. Raises InputError for anything wrong.

    `kind`: the file's, or in its place where it names none. `dataset` is a list, a .jsonl file of such lines, or a folder of
    pictures with `prompt` beside it, one or a list of which each picture gets all; `prior` likewise, with `prior_prompt`. `out` is HOME/train/NAME unless given, NAME the file's."""
    file = file.resolve()
    values = read_yaml(file)
    if values.setdefault("kind", kind) != (kind or values["kind"]):
        raise InputError(f"{str(file)!r} is a job of kind {values['kind']!r}, not {kind!r}: say that, or leave it out")
    prompt, of_prior = values.pop("prompt", None), values.pop("prior_prompt", None)
    name = re.sub(r"[^\w.-]+", "-", file.stem)
    values = {"name": name, "out": str(home.resolve() / "train" / name), **_placed(values, file.parent)}
    values["dataset"] = _dataset(values.get("dataset"), prompt, file)
    if isinstance(values.get("prior"), str):
        values["prior"] = _dataset(values["prior"], of_prior, file)
    job: Job = validated(Job, values, "job")
    return job


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
    return _inside(gal, {key for key in given if (folder / gal[key]).is_file()}, folder)


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
    return str(folder / name) if (folder / name).exists() else bundled(name)


def _below(path: Any, folder: Path) -> Any:
    """What is no text is left for the check of the whole job."""
    return str(folder / path) if isinstance(path, str) else path


def _dataset(given: Any, prompt: Any, file: Path) -> list[dict[str, Any]]:
    """The data as a list of records, paths absolute."""
    if given is None:
        return []
    if isinstance(given, str):
        path = file.parent / given
        given = _pictures(path, prompt) if path.is_dir() else _lines(path)
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise InputError(
            f"dataset = {given!r:.80} in {str(file)!r}: give a list, a .jsonl file, or a folder of pictures with a prompt"
        )
    return [
        {
            key: _below(value, file.parent) if key in ("image", "win", "lose", "low", "high") else value
            for key, value in item.items()
        }
        for item in given
    ]


def _pictures(folder: Path, prompt: Any) -> list[dict[str, Any]]:
    prompts = prompt if isinstance(prompt, list) and prompt else [prompt]
    if not all(isinstance(one, str) and one.strip() for one in prompts):
        raise InputError(
            f"prompt = {prompt!r}: say what the pictures in {str(folder)!r} show, for example 'a photo of sks dog'"
        )
    return [{"image": str(path.resolve()), "prompt": one} for path in pictures_in(folder) for one in prompts]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"dataset {str(path)!r} cannot be read ({error}): give a .jsonl file or a folder") from error
