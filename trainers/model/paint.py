"""Paint with a loaded pipeline: prompts in, pictures out, the same ones for the same call.

Knows diffusers' way of sampling. Does not know scores, runs, the store, or what the pictures are for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from prompts.errors import InputError, PalateError
from prompts.ground.quiet import quiet
from trainers.files.halves import finite
from trainers.model.attach import Adapters, attached
from trainers.model.base_model import BaseModel
from trainers.model.ip_adapter import Shown, looking
from trainers.model.lan import Statistics, normalized, statistics
from trainers.model.memory import enough_memory, present

MAX_IMAGES = 64
OnSampled = Callable[[int, int, Tensor], None]  # (steps in all, the step just made, its latents)
_T5_READS = {"StableDiffusion3Pipeline": 256, "FluxPipeline": 512}  # tokens, diffusers' max_sequence_length
_LOG = logging.getLogger(__name__)
_PIXELS_AT_ONCE = 8 * 512 * 512


@dataclass(frozen=True)
class Painted:
    """One image. `cut`: the end of the prompt that the text encoder never saw (CLIP reads 77 tokens)."""

    image: Image.Image
    seed: int
    prompt: str
    cut: str = ""


def paint(
    prompts: Sequence[str],
    *,
    model: BaseModel,
    adapters: Adapters = (),
    seed: int,
    steps: int = 20,
    guidance_scale: float = 3.0,
    size: int | tuple[int, int] | None = None,
    like: Adapters | None = None,
    shown: Shown | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> list[Painted]:
    """Paint one image per prompt, 1 to 64 of them; image i starts from its own generator, seeded seed + i.

    `size`: pixels, a side or (width, height), None for the model's own. `like`: paint with the latent statistics that the
    model has with these adapters (LAN, HG-DPO Eq. 7; twice the time). `shown`: a picture to look at (IP-Adapter).
    `on_step(i, n)` after each denoising step. The same call gives the same images; a different number of prompts may
    change the last bits of a float. Raises InputError for arguments it cannot use and for adapters that do not fit."""
    width, height = _check_arguments(prompts, model, seed, steps, guidance_scale, size)
    batch = max(1, min(8, _PIXELS_AT_ONCE // (width * height)))
    chunks = [range(at, min(at + batch, len(prompts))) for at in range(0, len(prompts), batch)]
    passes = 2 if like is not None else 1
    how = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "width": width, "height": height}
    images: list[Image.Image] = []
    cuts: list[str] = []
    with model.lock, quiet(), looking(model, shown) as more:
        for number, chunk in enumerate(chunks):
            told = {**how, **more, "prompt": [prompts[i] for i in chunk]}
            count = _counter(on_step, passes * number, passes * len(chunks))
            seen: list[Statistics] | None = None
            if like is not None:
                seen = _statistics_of(model, like, told, seed + chunk[0], count)
                count = _counter(on_step, passes * number + 1, passes * len(chunks))
            with attached(model, adapters):
                cuts += [cut_off(prompts[i], model) for i in chunk]
                images += _pictures(model, told, seed + chunk[0], count, seen)
    return [Painted(image, seed + i, prompts[i], cuts[i]) for i, image in enumerate(images)]


def paint_as_it_is(
    prompts: Sequence[str], *, model: BaseModel, seed: int, steps: int, guidance_scale: float, size: int
) -> list[Image.Image]:
    """Paint 1 to 8 prompts with whatever acts in the model now, an adapter that is being trained included; otherwise as `paint`."""
    _check_arguments(prompts, model, seed, steps, guidance_scale, size)
    told = {
        "prompt": list(prompts),
        "num_inference_steps": steps,
        "guidance_scale": guidance_scale,
        "width": size,
        "height": size,
    }
    # What learns beside a bfloat16 model is in float32.
    mixed = torch.autocast(model.device.type, dtype=model.dtype, enabled=model.dtype != torch.float32)
    with model.lock, quiet(), mixed:
        return _pictures(model, told, seed, _counter(None, 0, 1), None)


def _pictures(
    model: BaseModel, told: dict[str, Any], seed: int, count: OnSampled, wanted: list[Statistics] | None
) -> list[Image.Image]:
    """What the pipeline paints. Raises PalateError where a value is not finite, which a picture would show as black."""
    values = _sample(model, told, seed, count, wanted, output_type="np").images
    for number, one in enumerate(values):
        if not np.isfinite(one).all():
            prompt = told["prompt"][number]
            raise PalateError(
                f"{model.name!r} decoded {prompt!r:.80} to values that are not finite: {_suspects(model)}"
            )
    made: list[Image.Image] = model.pipe.image_processor.numpy_to_pil(values)
    return made


def _suspects(model: BaseModel) -> str:
    """What to try where numbers break. The files were all finite when they came in: what is left is their size."""
    acting = {name: weight for name, weight in model.active[0].items() if weight}
    half = f"load the model in float32, {str(model.dtype).removeprefix('torch.')} may be too small for it"
    less = (
        f"lower the weights of the {len(acting)} adapters that act ({', '.join(f'{one:g}' for one in acting.values())})"
    )
    tries = [less] * bool(acting) + [half] * (model.dtype != torch.float32) + ["lower guidance_scale"]
    return "; or ".join(tries)


def _sample(
    model: BaseModel, told: dict[str, Any], seed: int, count: OnSampled, wanted: list[Statistics] | None, **more: Any
) -> Any:
    """One call of the pipeline, whose latents get the wanted statistics after each step."""

    def ended(pipe: Any, step: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
        if step == pipe.num_timesteps - 1 and not finite(values["latents"]):  # once: a look waits for the GPU
            raise PalateError(f"{model.name!r} painted latents that are not finite: {_suspects(model)}")
        count(pipe.num_timesteps, step, values["latents"])
        return values if wanted is None else {"latents": normalized(values["latents"], wanted[step])}

    draws = [torch.Generator("cpu").manual_seed(seed + i) for i in range(len(told["prompt"]))]
    lower = f"paint fewer than {len(draws)} at once, or smaller than {told['width']} x {told['height']} pixels"
    # inference_mode is not around the adapters: what is loaded here may be trained upon
    with enough_memory("painting", lower), present(model), torch.inference_mode():
        return model.pipe(**told, **more, generator=draws, callback_on_step_end=ended)


def _statistics_of(
    model: BaseModel, adapters: Adapters, told: dict[str, Any], seed: int, count: OnSampled
) -> list[Statistics]:
    """The latents' statistics after each step of a sampling with `adapters`."""
    seen: list[Statistics] = []

    def look(steps: int, step: int, latents: Tensor) -> None:
        seen.append(statistics(latents))
        count(steps, step, latents)

    with attached(model, adapters):
        _sample(model, told, seed, look, None, output_type="latent")
    return seen


def cut_off(prompt: str, model: BaseModel) -> str:
    """The end of the prompt that no text encoder reads: beyond CLIP's 77 tokens, or where T5 reads on, beyond what its pipeline gives
    it; "" when all is read."""
    reader, limit = _longest(model)
    if reader is None:
        return ""
    spelled_out = getattr(model.pipe, "maybe_convert_prompt", None)
    prompt = spelled_out(prompt, reader) if spelled_out else prompt
    ids = reader(prompt, truncation=False, verbose=False).input_ids
    return str(reader.decode(ids[limit - 1 : -1])) if len(ids) > limit else ""


def tell_cuts(prompts: Sequence[str], model: BaseModel) -> None:
    """Tell once how many of the prompts are longer than what is read of them."""
    cuts = [(prompt, cut) for prompt in prompts if (cut := cut_off(prompt, model))]
    if cuts:
        _LOG.warning(
            "%d of %d different prompts are longer than the %d tokens that %r reads, and are cut there: of %r.. it does not read %r. Say it shorter",
            len(cuts), len(prompts), _longest(model)[1], model.name, cuts[0][0][:60], cuts[0][1][:120],
        )  # fmt: skip


def _longest(model: BaseModel) -> tuple[Any, int]:
    """The tokenizer that reads furthest, and how far: CLIP's as it says, T5's as its pipeline asks it."""
    parts = model.pipe.components
    readers = [part for key, part in parts.items() if key.startswith("tokenizer") and part is not None]
    further = [reader for reader in readers if "CLIP" not in type(reader).__name__]
    if further:
        return further[-1], _T5_READS.get(type(model.pipe).__name__, 0) or further[-1].model_max_length
    return (readers[0], readers[0].model_max_length) if readers else (None, 0)


def _check_arguments(
    prompts: Sequence[str], model: BaseModel, seed: int, steps: int, guidance: float, size: int | tuple[int, int] | None
) -> tuple[int, int]:
    if isinstance(prompts, str) or not 1 <= len(prompts) <= MAX_IMAGES:
        raise InputError(
            f"prompts must be a list of 1 to {MAX_IMAGES}, not {prompts!r:.80}: split it into several calls"
        )
    for prompt in prompts:
        if not isinstance(prompt, str) or not prompt.strip():
            raise InputError(f"prompt {prompt!r} is not a text: describe the image in words")
    if not 0 <= seed < 2**63 - MAX_IMAGES:
        raise InputError(f"seed {seed!r} must be from 0 to {2**63 - MAX_IMAGES - 1}")
    if not 1 <= steps <= 1000 or not 0 <= guidance <= 50:
        raise InputError(f"steps {steps!r} must be from 1 to 1000 and guidance_scale {guidance!r} from 0 to 50")
    width, height = size if isinstance(size, tuple) else (size or model.size, size or model.size)
    if not all(0 < side <= 2048 and side % model.multiple == 0 for side in (width, height)):
        raise InputError(f"size {size!r} must be a multiple of {model.multiple}, up to 2048 pixels")
    return width, height


def _counter(on_step: Callable[[int, int], None] | None, done: int, passes: int) -> OnSampled:
    def count(steps: int, step: int, _latents: Tensor) -> None:
        if on_step is not None:
            on_step(done * steps + step + 1, passes * steps)

    return count
