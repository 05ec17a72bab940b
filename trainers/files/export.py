"""Save a trained LoRA as others load it: a diffusers file, a kohya file, adapter.json and a model card.

Knows the two layouts and proves both by loading them back. Does not know how the adapter was trained.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from prompts.errors import PalateError
from prompts.ground.atomic import write_atomically
from prompts.ground.clean import legible
from trainers.files.adapter_file import DIFFUSERS_FILE, Adapter, sha256
from trainers.files.injected import inject
from trainers.files.kohya import has_names_for, kohya_names
from trainers.files.lora_layers import change_of, lora_layers, part_of, remove
from trainers.files.stock import loading, pasted
from trainers.files.third_party import translated

_CHECKED = "checked_adapter"
MADE = {"merge": "merged from its parents", "import": "converted from another program's file"}  # others were trained

Change = Callable[[Any], Tensor]
"""Of a LoRA layer of the model: what is added to its weight (flattened to two dimensions)."""


class Written(NamedTuple):
    """What goes into the two files: PEFT's weights of each part, kohya's, their rank and alpha, and the scale that is folded into the
    first."""

    parts: dict[str, dict[str, Tensor]]
    kohya: dict[str, Tensor]
    rank: int
    alpha: float
    scale: float = 1.0


class Beside(NamedTuple):
    """What lies beside a LoRA and acts with it: its file, and what the card says of it."""

    file: str
    told: dict[str, Any]


def save_adapter(
    out: Path, pipe: Any, trained: str, *, rank: int, alpha: float, about: dict[str, Any], metrics: dict[str, float],
    name: str, beside: Beside | None = None,
) -> Adapter:  # fmt: skip
    """Write the LoRA called `trained` inside `pipe` into `out`, read both files back, then add the card.

    `about`: the job (kind, base_model, config, ...). Raises PalateError when a file does not load back as what was trained."""
    from peft import get_peft_model_state_dict

    denoiser = getattr(pipe, part_of(pipe))
    state = get_peft_model_state_dict(denoiser, adapter_name=trained)
    named = kohya_names(state, alpha, denoiser)
    written = Written({part_of(pipe): state}, named, rank, alpha, alpha / rank)
    return save_layers(
        out,
        pipe,
        written,
        lambda layer: change_of(layer, trained),
        about=about,
        metrics=metrics,
        name=name,
        beside=beside,
    )


def save_layers(
    out: Path, pipe: Any, written: Written, wanted: Change, *, about: dict[str, Any], metrics: dict[str, float],
    name: str, beside: Beside | None = None,
) -> Adapter:  # fmt: skip
    """Write both files into `out`, read them back and compare each layer with what is `wanted` of it, then add the card.

    Raises PalateError as `save_adapter` does."""
    part, kohya = out / f".final.{os.getpid()}", f"{name}_kohya.safetensors"
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        file = write_diffusers(part, pipe, written.parts, written.scale)
        write_kohya(part / kohya, written.kohya, rank=written.rank, alpha=written.alpha, base_model=about["base_model"])
        checked = _smoke_load(pipe, wanted, file, part / kohya, written.kohya)
        adapter = Adapter(out, sha256(file), about["kind"], about["config"], metrics)
        for made in part.iterdir():
            os.replace(made, out / made.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    files: dict[str, Any] = {"files": [DIFFUSERS_FILE, kohya], "kohya_check": checked}
    if beside is not None:
        files |= {"files": [*files["files"], beside.file]} | beside.told
    use = f"{use_of(about, files)}\n\nComfyUI, A1111 and sd-scripts read `{kohya}`."
    write_card(adapter, name=name, job=about, what="A LoRA", use=use, files=files)
    return adapter


def write_diffusers(folder: Path, pipe: Any, parts: Mapping[str, Mapping[str, Tensor]], scale: float) -> Path:
    """Write the weights of each part (PEFT names) so that `pipe.load_lora_weights(folder)` works. `scale` = alpha / rank is
    folded into the up weights, because most readers of this layout know no alpha. Text encoders' get diffusers' own names: under
    PEFT's it reads no file in which only feed-forward layers learned."""
    folded = {
        f"{part}_lora_layers": {
            (_of_text(key) if part.startswith("text_encoder") else key): (value * scale if ".lora_B." in key else value)
            .contiguous()
            .cpu()
            for key, value in state.items()
        }
        for part, state in parts.items()
    }
    pipe.save_lora_weights(folder, **folded, safe_serialization=True)
    return folder / DIFFUSERS_FILE


def _of_text(key: str) -> str:
    return key.replace(".lora_A.", ".lora_linear_layer.down.").replace(".lora_B.", ".lora_linear_layer.up.")


def write_kohya(file: Path, named: Mapping[str, Tensor], *, rank: int, alpha: float, base_model: str) -> Path:
    """Write weights under kohya's names for ComfyUI, A1111 and sd-scripts."""
    about = {"ss_network_module": "networks.lora", "ss_network_dim": str(rank), "ss_network_alpha": str(alpha)}
    save_file(dict(named), file, metadata={**about, "ss_sd_model_name": base_model, "format": "pt"})
    return file


def use_of(job: Mapping[str, Any], files: Mapping[str, Any]) -> str:
    """How stock diffusers takes what a card tells of, to be pasted."""
    found = loading(job["base_model"], files["files"], word=files.get("word", ""), readers=files.get("readers", ()))
    return pasted(found)


def write_card(
    adapter: Adapter, *, name: str, job: Mapping[str, Any], what: str, use: str, files: Mapping[str, Any]
) -> None:
    """README.md (for people: `what` it is and its `use`) and, last, adapter.json (everything): its presence means complete."""
    base_model, folder = job["base_model"], adapter.path
    about = {key: value for key, value in asdict(adapter).items() if key != "path"}
    about |= {"name": name, "base_model": base_model, "job": {key: one for key, one in job.items() if key != "parents"}}
    about |= {"parents": job["parents"]} if "parents" in job else {}
    about |= {"steps": adapter.config.get("steps"), "seed": adapter.config.get("seed"), **files}
    rows = [f"| {key} | {value} |" for key, value in adapter.config.items()]
    numbers = ", ".join(f"{key} {value:.4g}" for key, value in adapter.metrics.items())
    card = (
        f"---\nbase_model: {base_model}\nlibrary_name: diffusers\ntags: [text-to-image, {what.split()[-1].lower()}, {adapter.kind}]\n---\n"
        f"# {name}\n\n{what} for `{base_model}`, {MADE.get(adapter.kind, f'trained with {adapter.kind}')} by Palate.\n\n{use}\n"
        f"{'' if adapter.kind in MADE else 'Last steps: '}{numbers}.\nsha256: `{adapter.sha256}`\n\n| setting | value |\n| --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )
    (folder / "README.md").write_text(legible(card))
    write_atomically(folder / "adapter.json", json.dumps(about, indent=2, default=str) + "\n")


def _smoke_load(pipe: Any, change: Change, file: Path, kohya: Path, wanted: dict[str, Tensor]) -> str:
    """Read both files back and compare them, layer by layer, with what was trained. "loaded", or "names" when kohya has no name for
    some of the layers, which only we read there. Raises PalateError."""
    _compare(pipe, change, file)
    _compare(pipe, change, kohya)
    written = load_file(kohya)
    if written.keys() != wanted.keys() or not all(torch.equal(written[key], wanted[key]) for key in wanted):
        raise PalateError(f"{kohya.name} does not hold what was trained: the disk may be failing")
    return "loaded" if has_names_for(wanted, getattr(pipe, part_of(pipe))) else "names"


def _compare(pipe: Any, change: Change, file: Path) -> None:
    try:
        inject(pipe, translated(file, pipe), _CHECKED, file)
        for layer in lora_layers(pipe):
            found, wanted = change_of(layer, _CHECKED), change(layer)
            if not (found - wanted).norm() <= 0.02 * wanted.norm() + 1e-6:  # a base in bfloat16 rounds what it loads
                raise PalateError(f"{file.name} loads back as other weights: this is a bug, please report it")
    finally:
        remove(pipe, _CHECKED)


def last(history: list[dict[str, float]]) -> dict[str, float]:
    """Each loss, averaged over the last ten steps of `history`."""
    rows = history[-10:]
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[-1] if key != "step"}
