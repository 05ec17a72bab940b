"""The arithmetic of diffusion training: latents, text embeddings, noise predictions and their errors.

Knows UNet pipelines that predict epsilon or v. Does not know LoRA, optimizers, datasets or preferences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from prompts.errors import InputError
from trainers.attach import quiet
from trainers.base_model import BaseModel

Predict = Callable[[Tensor, Tensor], Tensor]
"""(noisy latents (N, C, H, W), timesteps (N,)) -> what the model predicts (N, C, H, W)."""

_AT_ONCE = 8


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is told besides latent and timestep. `embeds`: (N, tokens, width); `added`: SDXL's extras."""

    embeds: Tensor
    added: dict[str, Tensor]

    def __getitem__(self, rows: Any) -> Conditions:
        return Conditions(self.embeds[rows], {key: value[rows] for key, value in self.added.items()})

    def twice(self) -> Conditions:
        return Conditions(torch.cat([self.embeds] * 2), {key: torch.cat([v] * 2) for key, v in self.added.items()})


def check_trainable(model: BaseModel) -> None:
    """Raises InputError unless `model` is a UNet pipeline of SD's or SDXL's kind, in a dtype that can be trained."""
    kind = getattr(model.pipe.scheduler.config, "prediction_type", None)
    if getattr(model.pipe, "unet", None) is None or kind not in ("epsilon", "v_prediction"):
        raise InputError(
            f"{model.name!r} cannot be trained yet: we train UNet models that predict 'epsilon' or 'v_prediction', "
            f"this one is a {type(model.pipe).__name__} predicting {kind!r}"
        )
    if model.dtype == torch.float16:
        raise InputError(
            f"{model.name!r} is loaded in float16, whose gradients underflow: load it in bfloat16 or float32"
        )


def noise_scheduler(model: BaseModel) -> Any:
    """The forward process that the model was trained with, whatever sampler it paints with."""
    from diffusers import DDPMScheduler

    with quiet():
        return DDPMScheduler.from_config(model.pipe.scheduler.config)


@torch.no_grad()
def encode_images(images: Sequence[Image.Image], model: BaseModel, size: int) -> Tensor:
    """Means of the VAE's posterior, scaled as the denoiser expects: (N, C, size / multiple, ..), float32."""
    vae, fitted = model.pipe.vae, []
    for at in range(0, len(images), _AT_ONCE):
        square = [
            ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
            for image in images[at : at + _AT_ONCE]
        ]
        pixels = model.pipe.image_processor.preprocess(square).to(model.device, vae.dtype)
        fitted.append(vae.encode(pixels).latent_dist.mode().float())
    return torch.cat(fitted) * vae.config.scaling_factor


@torch.no_grad()
def encode_prompts(prompts: Sequence[str], model: BaseModel, size: int) -> Conditions:
    """Text embeddings for each prompt (each distinct prompt is encoded once)."""
    distinct = list(dict.fromkeys(prompts))
    rows = torch.tensor([distinct.index(prompt) for prompt in prompts], device=model.device)
    with quiet():
        parts = [_encode(distinct[at : at + _AT_ONCE], model) for at in range(0, len(distinct), _AT_ONCE)]
    embeds = torch.cat([part[0] for part in parts])
    pooled = torch.cat([part[1] for part in parts]) if parts[0][1] is not None else None
    added: dict[str, Tensor] = {}
    if pooled is not None:
        times = torch.tensor([[size, size, 0, 0, size, size]] * len(distinct), device=model.device, dtype=pooled.dtype)
        added = {"text_embeds": pooled, "time_ids": times}
    return Conditions(embeds, added)[rows]


def _encode(prompts: list[str], model: BaseModel) -> tuple[Tensor, Any]:
    encoded = model.pipe.encode_prompt(
        prompt=prompts, device=model.device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    return encoded[0], encoded[2] if len(encoded) == 4 else None


def predictor(model: BaseModel, conditions: Conditions) -> Predict:
    """The denoiser as it is now (whichever adapters act), told `conditions`, answering in float32."""

    def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
        with torch.autocast(model.device.type, dtype=model.dtype, enabled=model.dtype != torch.float32):
            answer = model.pipe.unet(
                noisy, timesteps, encoder_hidden_states=conditions.embeds, added_cond_kwargs=conditions.added
            )
        return answer.sample.float()

    return predict


def training_target(scheduler: Any, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """What the model should predict: the noise (epsilon), or v = sqrt(a) noise - sqrt(1 - a) latents (v_prediction)."""
    if scheduler.config.prediction_type == "v_prediction":
        return scheduler.get_velocity(latents, noise, timesteps)
    return noise


def noise_prediction_loss(
    predict: Predict, scheduler: Any, latents: Tensor, noise: Tensor, timesteps: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """DDPM's simple loss (Ho et al. 2020, Eq. 14) per sample: (errors (N,), prediction, noisy latents).

    Each error is the mean over C, H, W of (prediction - target)^2."""
    noisy = scheduler.add_noise(latents, noise, timesteps)
    predicted = predict(noisy, timesteps)
    target = training_target(scheduler, latents, noise, timesteps)
    return (predicted - target).square().mean(dim=(1, 2, 3)), predicted, noisy


def split_prediction(scheduler: Any, noisy: Tensor, predicted: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """The clean latents and the noise that a prediction means, for epsilon and v_prediction: x_t = sqrt(a) x_0 +
    sqrt(1 - a) noise (Salimans & Ho 2022, appendix D for v)."""
    signal, spread = _scales(scheduler, timesteps)
    if scheduler.config.prediction_type == "v_prediction":
        return signal * noisy - spread * predicted, spread * noisy + signal * predicted
    return (noisy - spread * predicted) / signal, predicted


def denoise_once(scheduler: Any, noisy: Tensor, predicted: Tensor, timesteps: Tensor, stride: int) -> Tensor:
    """One deterministic sampler step from t to t - stride (DDIM, Song et al. 2021, Eq. 12 with sigma 0)."""
    clean, noise = split_prediction(scheduler, noisy, predicted, timesteps)
    signal, spread = _scales(scheduler, timesteps - stride)
    return signal * clean + spread * noise


def _scales(scheduler: Any, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(a_t) and sqrt(1 - a_t), shaped (N, 1, 1, 1); before the first timestep nothing is noise (a = 1)."""
    kept = scheduler.alphas_cumprod.to(timesteps.device)[timesteps.clamp(min=0)]
    kept = torch.where(timesteps < 0, torch.ones_like(kept), kept)[:, None, None, None]
    return kept.sqrt(), (1 - kept).sqrt()
