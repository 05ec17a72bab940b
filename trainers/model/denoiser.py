"""What a denoiser is told and what it answers, for the pipelines of SD 1.5, SDXL, SD 3.5 and FLUX.

Knows latents, text embeddings and each class's way to be called. Does not know noise, LoRA, optimizers, datasets or losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from prompts.errors import InputError, PalateError
from prompts.ground.quiet import quiet
from trainers.model.attach import Adapters, attached
from trainers.model.base_model import BaseModel
from trainers.model.memory import enough_memory, present
from trainers.model.paint import tell_cuts
from trainers.model.process import Predict, Process, process_of

_AT_ONCE = 8
_PIXELS_AT_ONCE = _AT_ONCE * 512 * 512
_NO_GUIDANCE = 1.0  # a guidance-distilled model that is told 1 predicts the data, not what guidance makes of it


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is told besides latent and timestep, a row per sample: `embeds` (N, tokens, width) and the class's extras."""

    embeds: Tensor
    extras: dict[str, Tensor]

    def __getitem__(self, rows: Any) -> Conditions:
        return Conditions(self.embeds[rows], {key: value[rows] for key, value in self.extras.items()})

    def joined(self, other: Conditions) -> Conditions:
        """These rows, then the other's."""
        extras = {key: torch.cat([value, other.extras[key]]) for key, value in self.extras.items()}
        return Conditions(torch.cat([self.embeds, other.embeds]), extras)


@dataclass(frozen=True)
class Prompts:
    """What the denoiser is told of N prompts: a row of `distinct` for each different one, and `places` (N,) of all of them."""

    distinct: Conditions
    places: Tensor

    def __getitem__(self, rows: Any) -> Conditions:
        return self.distinct[self.places[rows]]


@dataclass(frozen=True)
class Spoken:
    """Prompts that are read anew whenever rows of them are asked for, with the gradient: a word in them is being learned."""

    prompts: Sequence[str]
    model: BaseModel
    size: int

    def __getitem__(self, rows: Sequence[int]) -> Conditions:
        family = FAMILIES[type(self.model.pipe).__name__]
        with quiet():
            return family.encode(self.model.pipe, [self.prompts[row] for row in rows], self.size)


@dataclass(frozen=True)
class Family:
    """How a class of pipelines is trained. `encode(pipe, prompts, size)`: their conditions; `predict(denoiser, noisy, times, conditions, guidance)`;
    `patch`: latents a side that one token reads."""

    encode: Callable[[Any, list[str], int], Conditions]
    predict: Callable[[Any, Tensor, Tensor, Conditions, float], Tensor]
    patch: int = 1


def trainable(model: BaseModel, size: int) -> Process:
    """The process that `model` is trained with. Raises InputError for a class, scheduler, dtype or size that cannot be trained."""
    kind = type(model.pipe).__name__
    if kind not in FAMILIES:
        raise InputError(f"{model.name!r} is a {kind}, which we cannot train: we train {', '.join(FAMILIES)}")
    multiple = model.multiple * FAMILIES[kind].patch
    if size % multiple:
        raise InputError(f"size = {size!r} does not fit {model.name!r}: give a multiple of {multiple}")
    return process_of(model.pipe.scheduler, model.name)


@torch.no_grad()
def encode_images(images: Sequence[Image.Image], model: BaseModel, size: int) -> Tensor:
    """Means of the VAE's posterior, scaled as the denoiser expects: (N, C, size / multiple, ..), computed in float32 whatever the
    model's dtype: latents are learned from again and again, and SDXL's VAE overflows in half precision."""
    vae, fitted, few = model.pipe.vae, [], images_at_once(size)
    with enough_memory(f"encoding images of {size} pixels", "lower size"), present(model), quiet(), _in_float32(vae):
        for at in range(0, len(images), few):
            batch = images[at : at + few]
            _check_pictures(batch, at)
            square = [ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS) for image in batch]
            pixels = model.pipe.image_processor.preprocess(square).to(model.device, torch.float32)
            fitted.append(vae.encode(pixels).latent_dist.mode())
            _check_finite(fitted[-1], [f"picture {at + i + 1} of {len(images)}" for i in range(len(batch))], model)
            model.on_encoded("images", at + len(batch), len(images))
    return (torch.cat(fitted) - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor


def _check_pictures(images: Sequence[Image.Image], at: int) -> None:
    """Pictures of floating point numbers, as TIFF has them, may hold some that are none."""
    for number, image in enumerate(images, start=at + 1):
        if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
            raise InputError(
                f"picture {number} of the data holds numbers that are not finite: leave it out, or save it again"
            )


def _check_finite(rows: Tensor, names: Sequence[str], model: BaseModel) -> None:
    """Raises PalateError naming the first of the rows that is not finite: nothing can be learned from it."""
    bad = (~rows.isfinite().flatten(1).all(dim=1)).nonzero()
    if len(bad):
        raise PalateError(
            f"{model.name!r} encodes {names[int(bad[0])]} to numbers that are not finite: leave it out, or load the model in float32 "
            f"(it computes in {str(model.dtype).removeprefix('torch.')})"
        )


def images_at_once(size: int) -> int:
    """How many images of `size` pixels a side the VAE reads at once: 8 up to 512 pixels."""
    return max(1, min(_AT_ONCE, _PIXELS_AT_ONCE // size**2))


@contextmanager
def _in_float32(module: torch.nn.Module) -> Iterator[None]:
    """Compute in float32 for a while."""
    before = next(module.parameters()).dtype
    module.to(torch.float32)
    try:
        yield
    finally:
        module.to(before)


def decode_latents(latents: Tensor, model: BaseModel) -> Tensor:
    """The images (N, 3, H, W) in 0..1 that latents decode to, with their gradient."""
    vae = model.pipe.vae
    unscaled = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    pixels: Tensor = vae.decode(unscaled.to(vae.dtype)).sample
    return (pixels.float() / 2 + 0.5).clamp(0, 1)


def latent_shape(model: BaseModel, count: int, size: int) -> tuple[int, int, int, int]:
    """Of the latents of `count` images of `size` pixels a side."""
    side = size // model.multiple
    return count, model.pipe.vae.config.latent_channels, side, side


@torch.no_grad()
def encode_prompts(prompts: Sequence[str], model: BaseModel, size: int, adapters: Adapters = ()) -> Prompts:
    """What the model is told of each prompt, each distinct one encoded once, with `adapters`: they may reach the text encoders."""
    family, numbers = (
        FAMILIES[type(model.pipe).__name__],
        {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))},
    )
    distinct, parts = list(numbers), []
    doing, lower = f"encoding {len(distinct)} prompts", "close what else uses the memory, or train a smaller model"
    with enough_memory(doing, lower), model.lock, present(model), attached(model, adapters), quiet():
        tell_cuts(distinct, model)
        for at in range(0, len(distinct), _AT_ONCE):
            parts.append(family.encode(model.pipe, distinct[at : at + _AT_ONCE], size))
            _check_finite(parts[-1].embeds, [f"prompt {one!r:.80}" for one in distinct[at : at + _AT_ONCE]], model)
            model.on_encoded("prompts", min(at + _AT_ONCE, len(distinct)), len(distinct))
    extras = {key: torch.cat([part.extras[key] for part in parts]) for key in parts[0].extras}
    told = Conditions(torch.cat([part.embeds for part in parts]), extras)
    return Prompts(told, torch.tensor([numbers[prompt] for prompt in prompts], device=model.device))


def predictor(model: BaseModel, conditions: Conditions, guidance: float = _NO_GUIDANCE) -> Predict:
    """The denoiser as it is now (whichever adapters act), told `conditions`, answering in float32. `guidance`: what a
    guidance-distilled model is told besides."""
    family = FAMILIES[type(model.pipe).__name__]

    def predict(noisy: Tensor, times: Tensor) -> Tensor:
        with torch.autocast(model.device.type, dtype=model.dtype, enabled=model.dtype != torch.float32):
            return family.predict(model.denoiser, noisy, times, conditions, guidance).float()

    return predict


def _encode_sd(pipe: Any, prompts: list[str], size: int) -> Conditions:
    embeds = pipe.encode_prompt(prompts, pipe.device, num_images_per_prompt=1, do_classifier_free_guidance=False)[0]
    return Conditions(embeds, {})


def _encode_sdxl(pipe: Any, prompts: list[str], size: int) -> Conditions:
    embeds, _, pooled, _ = pipe.encode_prompt(
        prompts, device=pipe.device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    sizes = torch.tensor([[size, size, 0, 0, size, size]] * len(prompts), device=pipe.device, dtype=pooled.dtype)
    return Conditions(embeds, {"text_embeds": pooled, "time_ids": sizes})


def _encode_sd3(pipe: Any, prompts: list[str], size: int) -> Conditions:
    embeds, _, pooled, _ = pipe.encode_prompt(
        prompts, None, None, device=pipe.device, do_classifier_free_guidance=False
    )
    return Conditions(embeds, {"pooled_projections": pooled})


def _encode_flux(pipe: Any, prompts: list[str], size: int) -> Conditions:
    embeds, pooled, _ = pipe.encode_prompt(prompts, None, device=pipe.device)
    return Conditions(embeds, {"pooled_projections": pooled})


def _predict_unet(unet: Any, noisy: Tensor, times: Tensor, told: Conditions, guidance: float) -> Tensor:
    answer: Tensor = unet(noisy, times, encoder_hidden_states=told.embeds, added_cond_kwargs=told.extras).sample
    return answer


def _predict_sd3(transformer: Any, noisy: Tensor, times: Tensor, told: Conditions, guidance: float) -> Tensor:
    answer: Tensor = transformer(noisy, timestep=times, encoder_hidden_states=told.embeds, **told.extras).sample
    return answer


def _predict_flux(transformer: Any, noisy: Tensor, times: Tensor, told: Conditions, guidance: float) -> Tensor:
    """FLUX reads 2 x 2 latents as one token, times from 0 to 1, and the place of each token."""
    height, width = noisy.shape[2] // 2, noisy.shape[3] // 2
    places = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), dim=-1)
    ids = torch.nn.functional.pad(places, (1, 0)).reshape(-1, 3).to(noisy)
    strength = torch.full_like(times, guidance) if transformer.config.guidance_embeds else None
    answer = transformer(
        hidden_states=packed(noisy), timestep=times / 1000, guidance=strength, encoder_hidden_states=told.embeds, img_ids=ids,
        txt_ids=ids.new_zeros(told.embeds.shape[1], 3), **told.extras,
    ).sample  # fmt: skip
    return unpacked(answer, height)


def packed(latents: Tensor) -> Tensor:
    """(N, C, H, W) as FLUX's tokens (N, H/2 * W/2, 4C)."""
    return pixel_unshuffle(latents, 2).flatten(2).transpose(1, 2)


def unpacked(tokens: Tensor, height: int) -> Tensor:
    """FLUX's tokens (N, height * width, 4C) as latents (N, C, 2 * height, 2 * width)."""
    return pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (height, -1)), 2)


FAMILIES = {
    "StableDiffusionPipeline": Family(_encode_sd, _predict_unet),
    "StableDiffusionXLPipeline": Family(_encode_sdxl, _predict_unet),
    "StableDiffusion3Pipeline": Family(_encode_sd3, _predict_sd3, patch=2),
    "FluxPipeline": Family(_encode_flux, _predict_flux, patch=2),
}
