"""Load a text-to-image pipeline by folder or hub id, attach adapters to it, paint with it.

Knows diffusers and PEFT. Does not know scores, runs, the store, or what the images are for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from prompts.errors import InputError, PalateError
from prompts.quiet import quiet
from trainers.files.adapter_file import AdapterRef, denoiser_of
from trainers.model import words
from trainers.model.attach import Adapters, attached
from trainers.model.ip_adapter import Shown, looking
from trainers.model.lan import Statistics, normalized, statistics
from trainers.model.memory import enough_memory, present

__all__ = ["AdapterRef", "BaseModel", "Painted", "Shown", "attached", "cut_off", "load", "paint"]

MAX_IMAGES = 64
OnEncoded = Callable[[str, int, int], object]  # ("images" or "prompts", done, in all)
OnSampled = Callable[[int, int, Tensor], None]  # (steps in all, the step just made, its latents)
_PIXELS_AT_ONCE = 8 * 512 * 512
_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")
_HOLDS = "a model folder holds model_index.json and the folders it names (unet or transformer, vae, text_encoder, ...)"


@dataclass(eq=False)
class BaseModel:
    """A loaded pipeline. `loaded`: sha256 of an adapter file to its name inside the pipeline, oldest first; `active`:
    the adapters that act now, with their weights, and which of them learns; `parked`: parts that are away from the device;
    `on_encoded`: told how far the encoding of data is."""

    name: str
    pipe: Any
    device: torch.device
    dtype: torch.dtype
    loaded: dict[str, str] = field(default_factory=dict)
    active: tuple[dict[str, float], str | None] = field(default_factory=lambda: ({}, None))
    parked: tuple[str, ...] = ()
    on_encoded: OnEncoded = field(default=lambda what, done, total: None, repr=False)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    @property
    def denoiser(self) -> Any:
        return denoiser_of(self.pipe)

    @cached_property
    def readers(self) -> dict[str, Any]:
        """The tokenizers and embeddings that it was loaded with; see trainers.model.words."""
        return words.readers(self.pipe)

    @property
    def size(self) -> int:
        """The side in pixels that the model was made for."""
        sides = getattr(self.pipe, "default_sample_size", None) or self.denoiser.config.sample_size
        return int(sides * self.multiple)

    @property
    def multiple(self) -> int:
        return int(self.pipe.vae_scale_factor)


@dataclass(frozen=True)
class Painted:
    """One image. `cut`: the end of the prompt that the text encoder never saw (CLIP reads 77 tokens)."""

    image: Image.Image
    seed: int
    prompt: str
    cut: str = ""


def load(model: str, *, device: str = "auto", dtype: torch.dtype | None = None) -> BaseModel:
    """Load any diffusers text-to-image pipeline. CPU computes in float32, accelerators in bfloat16 unless told.

    Raises InputError when the folder or hub id is not a model, or the device or dtype cannot be used."""
    from diffusers import AutoPipelineForText2Image

    where = device_of(device)
    if where.type == "cpu" and dtype not in (None, torch.float32):
        raise InputError(f"dtype {dtype!r} is not for the CPU: leave dtype out, the CPU computes in float32")
    kind = dtype or (torch.float32 if where.type == "cpu" else torch.bfloat16)
    with _model_errors(model), quiet():
        variant = _variant(_folder(model))
        pipe = AutoPipelineForText2Image.from_pretrained(model, dtype=kind, use_safetensors=True, variant=variant)
        pipe.to(where)
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval()
    return BaseModel(model, pipe, where, kind)


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
                images += _sample(model, told, seed + chunk[0], count, seen).images
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
        images: list[Image.Image] = _sample(model, told, seed, _counter(None, 0, 1), None).images
    return images


def _sample(
    model: BaseModel, told: dict[str, Any], seed: int, count: OnSampled, wanted: list[Statistics] | None, **more: Any
) -> Any:
    """One call of the pipeline, whose latents get the wanted statistics after each step."""

    def ended(pipe: Any, step: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
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
    """The end of the prompt beyond CLIP's 77 tokens; "" when all is read or when another text encoder reads on."""
    readers = [part for key, part in model.pipe.components.items() if key.startswith("tokenizer") and part is not None]
    if not readers or any("CLIP" not in type(reader).__name__ for reader in readers):
        return ""
    limit, spelled_out = readers[0].model_max_length, getattr(model.pipe, "maybe_convert_prompt", None)
    prompt = spelled_out(prompt, readers[0]) if spelled_out else prompt
    ids = readers[0](prompt, truncation=False, verbose=False).input_ids
    return str(readers[0].decode(ids[limit - 1 : -1])) if len(ids) > limit else ""


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


def device_of(device: str) -> torch.device:
    """The device that `device` names; `auto` is the first GPU, or the CPU. Raises InputError for one that is not here."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {device!r} is not available here: use 'cpu' or 'auto'")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device {device!r} is not one we know: use 'auto', 'cpu', 'cuda' or 'mps'") from error


def _folder(model: str) -> Path | None:
    """The local folder meant by `model`, None for a hub id."""
    folder = Path(model).expanduser()
    if (folder / "model_index.json").is_file():
        return folder
    if folder.exists() or (folder.parent.name and folder.parent.is_dir()) or not _HUB_ID.match(model):
        missing = "no model_index.json in it" if folder.exists() else "no such folder"
        raise InputError(f"{model!r} is not a model: {missing}; {_HOLDS}")
    return None


def _variant(folder: Path | None) -> str | None:
    """The variant "fp16" when a local folder has its weights under such file names only."""
    weights = list(folder.glob("*/*.safetensors")) if folder else []
    return "fp16" if weights and all(".fp16." in file.name for file in weights) else None


@contextmanager
def _model_errors(model: str) -> Iterator[None]:
    import httpx
    from safetensors import SafetensorError

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise PalateError(f"{model!r} does not fit in GPU memory: free some or load it on 'cpu'") from error
    except (OSError, ValueError, KeyError, ImportError, httpx.HTTPError, SafetensorError, RuntimeError) as error:
        where = "" if Path(model).exists() else "there is no such folder, and the hub did not give it (offline?): "
        why = f"{type(error).__name__}: {str(error)[:300]}"
        raise InputError(f"model {model!r} cannot be loaded: {where}{_HOLDS} [{why}]") from error
