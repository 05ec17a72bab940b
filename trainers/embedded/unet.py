"""Train the pipeline's UNet on latents of the world, then save `models/bauhaus` as a StableDiffusionPipeline folder.

    python -m trainers.embedded.unet --recipe cpu        (after clip and vae)

One caption in five is a loose one ("a composition of rings"), so that some prompts leave room for taste.

v-prediction (Salimans & Ho 2022, section 4) with a cosine schedule; one caption in ten is replaced by the empty one for
classifier-free guidance (Ho & Salimans 2022). The frozen CLIP text tower conditions the cross-attention, and, through
`addition_embed_type="text"`, the time embedding as well: colours bind early.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from trainers.embedded import recipe
from trainers.embedded.clip import encode, text_tower
from trainers.embedded.dataset import load_dataset, to_tensor
from trainers.embedded.vae import LATENTS
from trainers.embedded.world import loosely

CHANNELS, CONTEXT_WIDTH = (96, 160), 128
UNCONDITIONAL, LOOSE = 0.1, 0.2  # shares of a batch that see the empty caption, and a loose one


def make_model() -> UNet2DConditionModel:
    """The untrained UNet: 8x8 latents, two resolutions, cross-attention in both."""
    return UNet2DConditionModel(
        sample_size=8, in_channels=LATENTS, out_channels=LATENTS, layers_per_block=1, block_out_channels=CHANNELS,
        down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=CONTEXT_WIDTH, attention_head_dim=(3, 5), norm_num_groups=16,
        addition_embed_type="text", addition_embed_type_num_heads=4,
    )  # fmt: skip


def make_scheduler() -> DDIMScheduler:
    """Cosine, v-prediction, and no clipping: latents are not pixels (diffusers' default of clipping wrecks the colours)."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=False,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: np.ndarray, path: Path, device: str) -> torch.Tensor:
    """Latents (N, 8, 8, 8) of all pictures, computed once and kept in `path`."""
    if not path.exists():
        parts = [
            vae.encode(to_tensor(pictures[i : i + 250]).to(device)).latent_dist.mode().cpu()
            for i in range(0, len(pictures), 250)
        ]
        np.save(path, torch.cat(parts).half().numpy())
    return torch.from_numpy(np.load(path))


@torch.no_grad()
def encode_captions(
    tower: CLIPTextModel, tokenizer: CLIPTokenizer, captions: list[str], path: Path, device: str
) -> torch.Tensor:
    """Text states (N, tokens, width), float16; computed once and kept in `path`."""
    if not path.exists():
        ids = encode(tokenizer, captions)
        parts = [tower(ids[i : i + 500].to(device)).last_hidden_state.cpu().half() for i in range(0, len(ids), 500)]
        np.save(path, torch.cat(parts).numpy())
    return torch.from_numpy(np.load(path, mmap_mode="c"))


def caption_rows(rows: torch.Tensor, count: int, chance: torch.Tensor) -> torch.Tensor:
    """Rows of the context: the exact caption, the loose one (`count` further on) or the empty one (the last)."""
    loosened = torch.where(chance < UNCONDITIONAL + LOOSE, rows + count, rows)
    return torch.where(chance < UNCONDITIONAL, 2 * count, loosened)


def velocity_loss(
    model: UNet2DConditionModel,
    scheduler: DDIMScheduler,
    latents: torch.Tensor,
    context: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Mean squared error of the predicted velocity at uniformly drawn timesteps."""
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    times = torch.randint(0, scheduler.config.num_train_timesteps, (len(latents),), generator=generator).to(
        latents.device
    )
    noisy = scheduler.add_noise(latents, noise, times)
    predicted = model(noisy, times, encoder_hidden_states=context).sample
    return torch.nn.functional.mse_loss(predicted, scheduler.get_velocity(latents, noise, times))


def save_pipeline(
    model: UNet2DConditionModel, vae: AutoencoderKL, tower: CLIPTextModel, tokenizer: CLIPTokenizer, folder: Path
) -> None:
    """Half-precision weights in the folder that `StableDiffusionPipeline.from_pretrained` loads."""
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=tower, tokenizer=tokenizer, unet=model, scheduler=make_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.to(dtype=torch.float16).save_pretrained(folder, safe_serialization=True)


def main() -> None:
    """Train and save `OUT/bauhaus`."""
    chosen = recipe.arguments(__doc__ or "")
    how = recipe.RECIPES[chosen.recipe]
    pictures, captions = load_dataset(chosen.work, int(how["data"]["count"]))
    tower, tokenizer = text_tower(chosen.work)
    vae = AutoencoderKL.from_pretrained(chosen.work / "vae").eval().requires_grad_(False)
    latents = encode_pictures(vae.to(chosen.device), pictures, chosen.work / "latents.npy", chosen.device)
    said = [*captions, *map(loosely, range(len(captions))), ""]
    context = encode_captions(tower.to(chosen.device), tokenizer, said, chosen.work / "context.npy", chosen.device)
    torch.manual_seed(0)
    model, scheduler, batch = make_model().to(chosen.device), make_scheduler(), int(how["unet"]["batch"])

    def loss_at(step: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(step)
        rows = torch.randint(0, len(latents), (batch,), generator=generator)
        told = context[caption_rows(rows, len(captions), torch.rand(batch, generator=generator))]
        shown = latents[rows].float().to(chosen.device)
        with recipe.half_precision(chosen.device):
            return velocity_loss(model, scheduler, shown, told.float().to(chosen.device), generator)

    weights = recipe.train(
        "unet", model, loss_at, chosen.work, steps=int(how["unet"]["steps"]), rate=how["unet"]["rate"]
    )
    model.load_state_dict(weights)
    save_pipeline(model.eval().cpu(), vae.cpu(), tower.cpu(), tokenizer, chosen.out / "bauhaus")


if __name__ == "__main__":
    main()
