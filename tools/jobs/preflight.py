"""Will a training job fit into memory? Asked before its model is loaded, and answered with numbers and what to lower.

Joins a job with trainers.engine.estimate, from the configs in the model's folder. Does not know how the counting is done.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from prompts.errors import InputError
from tools.jobs.spec import Job, dtype_of, kind_of, validated

if TYPE_CHECKING:
    from trainers.engine.estimate import Estimate, Plan

GIB = 2**30
TRIFLE = 100  # a model whose weights are a hundredth of what is free is trained without counting
ROWS = {
    "dpo": 2,
    "sft": 1,
    "kto": 1,
    "dreambooth": 1,
    "gal": 1,
    "slider": 1,
    "reward": 2,
}  # samples in the denoiser for one of batch_size


def preflight(job: Job) -> None:
    """Raises InputError when the job will not fit, with what it needs and what to lower."""
    plan = plan_of(job)
    if plan is None:
        return
    free, weights = (
        free_memory(_device(job.device)),
        _elements(Path(job.base_model), "*/*.safetensors") * plan.dtype.itemsize,
    )
    if free is None or weights * TRIFLE < free:
        return
    found = judged(job, plan, free)
    if not found["fits"]:
        raise InputError(told(found))


def check(job: Job) -> dict[str, Any]:
    """What the job needs, in GiB, what is free, whether it fits (None where there is no such device), and a lighter choice if not.

    Raises InputError for a kind of training or a model that cannot be counted."""
    plan = plan_of(job)
    if plan is None:
        raise InputError(
            f"kind {job.kind!r} of {job.base_model!r} cannot be counted: train it, and memory that runs out is told"
        )
    return judged(job, plan, free_memory(_device(job.device)))


def told(found: dict[str, Any]) -> str:
    """`check`'s answer in words."""
    needs = ", ".join(f"{value:.1f} GiB for {name}" for name, value in found["needs"].items() if value)
    free = "no such device is here" if found["free"] is None else f"{found['free']:.1f} GiB are free"
    said = f"the job needs about {needs} on {found['device']}, and {free}"
    if found["fits"] is not False:
        return said
    lighter = ", ".join(f"{key}: {value!r}" for key, value in (found["lighter"] or {}).items())
    return f"{said}: " + (f"set {lighter}" if lighter else "no batch_size and size would fit, so take a smaller model")


def judged(job: Job, plan: Plan, free: int | None) -> dict[str, Any]:
    """`plan` against `free` bytes."""
    from trainers.engine.estimate import estimate

    needs = estimate(plan)
    fits = None if free is None else _with_room(needs) <= free
    return {
        "needs": {name: round(value / GIB, 2) for name, value in asdict(needs).items()}, "device": plan.device,
        "free": None if free is None else round(free / GIB, 2), "fits": fits,
        "lighter": _lighter(job, plan, free) if free is not None and not fits else None,
    }  # fmt: skip


def _lighter(job: Job, plan: Plan, free: int) -> dict[str, Any] | None:
    """The first change that fits."""
    from trainers.engine.estimate import estimate, lighter

    batch = validated(kind_of(job).config, job.config, "config").batch_size
    choices = lighter(plan, batch)
    return next((changes for changes, then in choices if _with_room(estimate(then)) <= free), None)


def _with_room(needs: Estimate) -> float:
    from trainers.engine.estimate import SPARE

    return SPARE * needs.peak


def plan_of(job: Job) -> Plan | None:
    """What decides the job's memory; None for what cannot be counted: words, keys and values, a model that is not a folder here."""
    from trainers.engine.estimate import Plan
    from trainers.model.denoiser import FAMILIES

    config, folder = validated(kind_of(job).config, job.config, "config"), Path(job.base_model)
    index = _json(folder / "model_index.json")
    if job.kind not in ROWS or index.get("_class_name") not in FAMILIES:
        return None
    import torch

    name = "unet" if "unet" in index else "transformer"
    parts = {"denoiser": _json(folder / name / "config.json"), "vae": _json(folder / "vae" / "config.json")}
    device = _device(job.device).partition(":")[0]
    dtype = dtype_of(job) or (torch.float32 if device == "cpu" else torch.bfloat16)
    share = -(-config.batch_size // job.processes)
    rows = ROWS[job.kind] + (job.kind in ("dreambooth", "gal") and bool(job.prior))
    others = (_elements(folder, "*/*.safetensors") - _elements(folder / name, "*.safetensors")) * dtype.itemsize
    return Plan(
        index["_class_name"], parts, others, rows * share, config.size or _side(parts), config.rank, config.target_modules, dtype,
        device, config.gradient_checkpointing, 8 if config.optimizer == "adamw8bit" else 32, len(config.sample_prompts),
        getattr(config, "learns", "lora") == "denoiser",
    )  # fmt: skip


def free_memory(device: str) -> int | None:
    """Bytes that are free on "cuda", "cuda:N" or "cpu"; None where there is no such device."""
    import torch

    if device == "cpu":
        return int(psutil.virtual_memory().available)
    return int(torch.cuda.mem_get_info(device)[0]) if torch.cuda.is_available() else None


def _device(asked: str) -> str:
    """Where the job will be; one of several processes has the GPU of its own number."""
    from trainers.model.load import device_of

    found = str(device_of(asked)) if asked == "auto" else asked
    return f"cuda:{os.environ['LOCAL_RANK']}" if "LOCAL_RANK" in os.environ and found != "cpu" else found


def _side(parts: dict[str, Any]) -> int:
    """The model's own size in pixels: FLUX's config does not say."""
    latents = parts["denoiser"].get("sample_size") or 128
    return int(latents * 2 ** (len(parts["vae"]["block_out_channels"]) - 1))


def _elements(folder: Path, files: str) -> int:
    """Numbers in the weights there, as their files' headers say."""
    from safetensors import safe_open

    found, total = list(folder.glob(files)), 0
    for file in [one for one in found if ".fp16." not in one.name] or found:
        with safe_open(file, framework="pt") as opened:
            total += sum(int(math.prod(opened.get_slice(key).get_shape())) for key in opened.keys())  # noqa: SIM118  not a mapping
    return total


def _json(file: Path) -> dict[str, Any]:
    """Empty when it cannot be read: whoever loads the model says so."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    except (OSError, ValueError):
        return {}
