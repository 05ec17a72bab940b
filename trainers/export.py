"""Save a trained LoRA as others load it: a diffusers file, a kohya file, adapter.json and a model card.

Knows the two layouts and proves both by loading them back. Does not know how the adapter was trained.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from prompts.errors import PalateError
from trainers.adapter_file import DIFFUSERS_FILE, Adapter, denoiser_of, sha256, write_atomically
from trainers.attach import lora_layers, quiet, remove
from trainers.base_model import BaseModel
from trainers.kohya import from_kohya, has_names_for, kohya_names

_CHECKED = "checked_adapter"


def save_adapter(
    out: Path,
    model: BaseModel,
    trained: str,
    *,
    rank: int,
    alpha: float,
    about: dict[str, Any],
    history: list[dict[str, float]],
    name: str,
    found: Mapping[str, float] | None = None,
) -> Adapter:
    """Write the LoRA called `trained` inside `model` into `out`, read both files back, then add the card.

    `about`: the job (kind, base_model, config, ...); `history`: its losses, step by step; `found`: more numbers for the
    metrics. Raises PalateError when a file does not load back as what was trained."""
    from peft import get_peft_model_state_dict

    config, part, kohya = about["config"], out / f".final.{os.getpid()}", f"{name}_kohya.safetensors"
    state = get_peft_model_state_dict(model.denoiser, adapter_name=trained)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    file = write_diffusers(part, model.pipe, state, alpha / rank)
    named = kohya_names(state, alpha, model.denoiser)
    write_kohya(part / kohya, named, rank=rank, alpha=alpha, base_model=model.name)
    checked = _smoke_load(model, trained, file, part / kohya, named)
    adapter = Adapter(out, sha256(file), about["kind"], config, last(history) | dict(found or {}))
    for made in part.iterdir():
        os.replace(made, out / made.name)
    part.rmdir()
    use = (
        f'    pipe.load_lora_weights("this folder")      # diffusers: {DIFFUSERS_FILE}\n\n'
        f"ComfyUI, A1111 and sd-scripts read `{kohya}`."
    )
    files = {"files": [DIFFUSERS_FILE, kohya], "kohya_check": checked}
    write_card(adapter, name=name, job=about, history=history, what="A LoRA", use=use, files=files)
    return adapter


def write_diffusers(folder: Path, pipe: Any, state: Mapping[str, Tensor], scale: float) -> Path:
    """Write `state` (PEFT names) so that `pipe.load_lora_weights(folder)` works. `scale` = alpha / rank is folded into
    the up weights, because most readers of this layout know no alpha."""
    folded = {key: (value * scale if ".lora_B." in key else value).contiguous().cpu() for key, value in state.items()}
    part = "unet" if denoiser_of(pipe) is getattr(pipe, "unet", None) else "transformer"
    pipe.save_lora_weights(folder, **{f"{part}_lora_layers": folded}, safe_serialization=True)
    return folder / DIFFUSERS_FILE


def write_kohya(file: Path, named: Mapping[str, Tensor], *, rank: int, alpha: float, base_model: str) -> Path:
    """Write weights under kohya's names for ComfyUI, A1111 and sd-scripts."""
    about = {"ss_network_module": "networks.lora", "ss_network_dim": str(rank), "ss_network_alpha": str(alpha)}
    save_file(dict(named), file, metadata={**about, "ss_sd_model_name": base_model, "format": "pt"})
    return file


def write_card(
    adapter: Adapter,
    *,
    name: str,
    job: Mapping[str, Any],
    history: list[dict[str, float]],
    what: str,
    use: str,
    files: Mapping[str, Any],
) -> None:
    """losses.jsonl, README.md (for people: `what` it is and its `use`) and, last, adapter.json (everything): its presence means complete."""
    base_model, folder = job["base_model"], adapter.path
    about = {key: value for key, value in asdict(adapter).items() if key != "path"}
    about |= {"name": name, "base_model": base_model, "job": dict(job)}
    about |= {"steps": adapter.config.get("steps"), "seed": adapter.config.get("seed"), **files}
    rows = [f"| {key} | {value} |" for key, value in adapter.config.items()]
    losses = ", ".join(f"{key} {value:.4g}" for key, value in adapter.metrics.items())
    write_atomically(folder / "losses.jsonl", "".join(json.dumps(row) + "\n" for row in history))
    (folder / "README.md").write_text(
        f"---\nbase_model: {base_model}\nlibrary_name: diffusers\ntags: [text-to-image, {what.split()[-1].lower()}, {adapter.kind}]\n---\n"
        f"# {name}\n\n{what} for `{base_model}`, trained with {adapter.kind} by Palate.\n\n{use}\n"
        f"Last steps: {losses}.\nsha256: `{adapter.sha256}`\n\n| setting | value |\n| --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )
    write_atomically(folder / "adapter.json", json.dumps(about, indent=2, default=str) + "\n")


def _smoke_load(model: BaseModel, trained: str, file: Path, kohya: Path, wanted: dict[str, Tensor]) -> str:
    """Load both files back and compare them, layer by layer, with what was trained. "loaded", or "names" when diffusers
    cannot read kohya's names for this UNet and only names and values were compared. Raises PalateError."""
    _compare(model, trained, file)
    try:
        if not has_names_for(wanted, model.denoiser):
            raise KeyError("a layer that kohya has no name for")
        _compare(model, trained, kohya)
    except (ValueError, KeyError, AttributeError, IndexError) as error:
        written = load_file(kohya)
        if written.keys() != wanted.keys() or not all(torch.equal(written[key], wanted[key]) for key in wanted):
            raise PalateError(f"{kohya.name} does not hold what was trained: the disk may be failing") from error
        return "names"
    return "loaded"


def _compare(model: BaseModel, trained: str, file: Path) -> None:
    try:
        with quiet():
            theirs = from_kohya(file, model.denoiser)
            given = str(file.parent) if theirs is None else theirs
            model.pipe.load_lora_weights(given, weight_name=file.name, adapter_name=_CHECKED)
        for layer in lora_layers(model):
            found, wanted = _change(layer, _CHECKED), _change(layer, trained)
            if (found - wanted).norm() > 0.02 * wanted.norm() + 1e-6:  # a base in bfloat16 rounds what it loads
                raise PalateError(f"{file.name} loads back as other weights: this is a bug, please report it")
    finally:
        remove(model, _CHECKED)


def _change(layer: Any, name: str) -> Tensor:
    """What the adapter adds to its layer's weight; nothing where it has no part."""
    if name not in layer.lora_A:
        return torch.zeros(())
    up, down = (weights[name].weight.detach().float().flatten(1) for weights in (layer.lora_B, layer.lora_A))
    return layer.scaling[name] * (up @ down)


def last(history: list[dict[str, float]]) -> dict[str, float]:
    """Each loss, averaged over the last ten steps of `history`."""
    rows = history[-10:]
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[-1] if key != "step"}
