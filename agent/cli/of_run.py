"""What a run knows of an adapter that it made: the job that `palate gate` asks for, found without a flag.

Knows where a run keeps its config, its tastes and its adapters, also where the adapter was copied elsewhere. Loads no model.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from agent.config import MODELS, Config, bundled, kept_config, read_keys, run_folder
from prompts.errors import InputError
from trainers.files.stock import card_of

ADAPTERS, TASTES = "adapters", "preferences"  # folders of a run
GUIDE = "preference"  # what a run's trainings are guided by


def known(path: Path, home: Path) -> dict[str, Any]:
    """A job's values for the adapter at `path`, as far as its run and its card tell them; `base_model` None where neither does.

    The held-out prompts, their painting and the rules are the run's own, the taste its newest, and who acted beneath acts again."""
    folder, card = path if path.is_dir() else path.parent, card_of(path if path.is_dir() else path.parent)
    values: dict[str, Any] = {"kind": "sft", "out": str(path), "base_model": _there(card.get("base_model"))}
    run = _run_of(path, home)
    if run is None:
        return values
    read = read_keys(run / "config.yaml", ours=True)
    config, taste = kept_config(read.values, read), _newest_taste(run)
    beneath = _beneath(card, run, folder)
    found = {
        "base_model": bundled(config.model), "clip": bundled(config.clip), "pickscore": bundled(config.pickscore),
        "device": config.device, "adapters": beneath, "gate": _gate(config, judged=taste is not None),
    }  # fmt: skip
    return values | found | ({GUIDE: str(taste)} if taste else {})


def _gate(config: Config, *, judged: bool) -> dict[str, Any]:
    """`judged`: whether the run has learned a taste, which then must prefer it."""
    how = {"steps": config.steps, "guidance_scale": config.guidance_scale, "size": config.size}
    rules = {"count": config.evaluate_prompts, "rules": config.gate.model_dump(mode="json")}
    return {"prompts": config.vocabulary, "guides": [GUIDE] if judged else ["pickscore"], **how, **rules}


def _run_of(path: Path, home: Path) -> Path | None:
    """The folder of the run that made an adapter: the one it lies in, or the one whose record has its hash."""
    for folder in path.parents:
        if folder.name == ADAPTERS and (folder.parent / "config.yaml").is_file():
            return folder.parent
    if not (home / "palate.sqlite").is_file():
        return None
    from agent.store.home import open_store

    with open_store(home, reading=True) as store:
        made = store.adapter_runs(_hash(path))
    return next((folder for run in made if ((folder := run_folder(home, run)) / "config.yaml").is_file()), None)


def _hash(path: Path) -> str:
    from trainers.files.adapter_file import find, sha256

    try:
        return sha256(find(path))
    except InputError:  # whoever judges it will say why it cannot be read
        return ""


def _newest_taste(run: Path) -> Path | None:
    numbered = {
        int(match[1]): file
        for file in (run / TASTES).glob("*.npz")
        if (match := re.fullmatch(r"step-(\d+)\.npz", file.name))
    }
    return numbered[max(numbered)] if numbered else None


def _beneath(card: dict[str, Any], run: Path, mine: Path) -> list[dict[str, Any]]:
    """The adapters that its training stood on, by their hashes. Raises InputError when one is gone."""
    wanted: dict[str, float] = dict(card.get("job", {}).get("adapters") or {})
    there = {card_of(folder).get("sha256"): folder for folder in sorted((run / ADAPTERS).glob("*")) if folder != mine}
    gone = [name for name in wanted if name not in there]
    if gone:
        raise InputError(
            f"the adapter was trained on another one, with sha256 {gone[0]}, which {str(run / ADAPTERS)!r} has no more"
        )
    return [{"path": str(there[name]), "weight": weight} for name, weight in wanted.items()]


def _there(model: Any) -> str | None:
    """A card's base model; one of the bundle's is looked for in this bundle, wherever it lay when the adapter was made."""
    if not isinstance(model, str) or Path(model).exists():
        return model if isinstance(model, str) else None
    mine = MODELS / Path(model).name
    return str(mine) if Path(model).is_absolute() and mine.is_dir() else model
