"""Train the pipeline's UNet on latents of the world, then save `models/bauhaus` as a StableDiffusionPipeline folder.

    python -m trainers.embedded.unet --recipe cpu        (after clip and vae)

One caption in five is a loose one ("a composition of rings"), so that some prompts leave room for taste.

v-prediction (Salimans & Ho 2022, section 4) with a cosine schedule; one caption in ten is replaced by the empty one for
classifier-free guidance (Ho & Salimans 2022). The text tower starts as CLIP's and learns on with the UNet; it conditions the
cross-attention, and, through `addition_embed_type="text"`, the time embedding as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer

from prompts.ground.quiet import quiet
from trainers.embedded import recipe
from trainers.embedded.clip import encode, text_tower
from trainers.embedded.vae import LATENTS
from trainers.embedded.world.dataset import load_dataset, loosely, to_tensor
from trainers.files.stock import in_one_dtype

CONTEXT_WIDTH = 128
UNCONDITIONAL, LOOSE = 0.1, 0.2  # shares of a batch that see the empty caption, and a loose one


def make_model(size: int, head: int) -> UNet2DConditionModel:
    """The untrained UNet for size x size pictures: two resolutions of 3 and 5 heads, `head` channels each, cross-attention in both."""
    return UNet2DConditionModel(
        sample_size=size // 8, in_channels=LATENTS, out_channels=LATENTS, layers_per_block=1, block_out_channels=(3 * head, 5 * head),
        down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=CONTEXT_WIDTH, attention_head_dim=(3, 5), norm_num_groups=8,
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
        steps_offset=1,  # without effect on trailing steps, but the pipeline insists
    )


def make_sampler() -> DPMSolverMultistepScheduler:
    """The scheduler that paints: at 20 steps it keeps a few more colours than DDIM does (benchmarks/LOG.md)."""
    return DPMSolverMultistepScheduler.from_config(make_scheduler().config, algorithm_type="dpmsolver++")


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: np.ndarray, path: Path, device: str) -> torch.Tensor:
    """Latents (N, 12, H / 8, W / 8) of all pictures, computed once and kept in `path`."""
    if not path.exists():
        parts = [
            vae.encode(to_tensor(pictures[i : i + 250]).to(device)).latent_dist.mode().cpu()
            for i in range(0, len(pictures), 250)
        ]
        np.save(path.with_suffix(".part.npy"), torch.cat(parts).half().numpy())
        path.with_suffix(".part.npy").replace(path)
    return torch.from_numpy(np.load(path))


class Painter(torch.nn.Module):
    """The UNet and the text tower that it listens to, trained together.

    CLIP's loss reads one token of a caption, so that its frozen states say little of which colour goes with which shape;
    a tower that learns on with the UNet binds them (as GLIDE's did, Nichol et al. 2021).
    """

    def __init__(self, unet: UNet2DConditionModel, tower: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.tower = unet, tower

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Predicted velocity (N, 12, H, W) of noisy latents at times (N,), told captions as token ids (N, tokens)."""
        return self.unet(noisy, times, encoder_hidden_states=self.tower(ids).last_hidden_state).sample


def caption_rows(rows: torch.Tensor, count: int, chance: torch.Tensor) -> torch.Tensor:
    """Rows of the captions: the exact caption, the loose one (`count` further on) or the empty one (the last)."""
    loosened = torch.where(chance < UNCONDITIONAL + LOOSE, rows + count, rows)
    return torch.where(chance < UNCONDITIONAL, 2 * count, loosened)


def velocity_loss(
    model: Painter, scheduler: DDIMScheduler, latents: torch.Tensor, ids: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Mean squared error of the predicted velocity, at late timesteps more often: there a picture's content is decided."""
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    along = torch.rand(len(latents), generator=generator).sqrt()
    times = (along * scheduler.config.num_train_timesteps).long().to(latents.device)
    predicted = model(scheduler.add_noise(latents, noise, times), times, ids)
    return torch.nn.functional.mse_loss(predicted, scheduler.get_velocity(latents, noise, times))


def save_pipeline(
    model: UNet2DConditionModel, vae: AutoencoderKL, tower: CLIPTextModel, tokenizer: CLIPTokenizer, folder: Path
) -> None:
    """Half-precision weights in the folder that `StableDiffusionPipeline.from_pretrained` loads."""
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=tower, tokenizer=tokenizer, unet=model, scheduler=make_sampler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    with quiet():
        pipeline.to(dtype=torch.float16).save_pretrained(folder, safe_serialization=True)
    in_one_dtype(folder)


def autoencoder(work: Path) -> AutoencoderKL:
    """The trained autoencoder."""
    with quiet():
        return AutoencoderKL.from_pretrained(work / "vae").eval().requires_grad_(False)


def main() -> None:
    """Train and save `OUT/bauhaus`."""
    chosen = recipe.arguments(__doc__ or "")
    how = recipe.RECIPES[chosen.recipe]
    size = int(how["data"]["size"])
    pictures, captions = load_dataset(chosen.work, int(how["data"]["count"]), size)
    tower, tokenizer = text_tower(chosen.work)
    vae = autoencoder(chosen.work)
    latents = encode_pictures(vae.to(chosen.device), pictures, chosen.work / "latents.npy", chosen.device)
    ids = encode(tokenizer, [*captions, *map(loosely, range(len(captions))), ""])
    torch.manual_seed(0)
    model = Painter(make_model(size, int(how["unet"]["head"])), tower).to(chosen.device)
    scheduler, batch = make_scheduler(), int(how["unet"]["batch"])

    def loss_at(step: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(step)
        rows = torch.randint(0, len(latents), (batch,), generator=generator)
        told = ids[caption_rows(rows, len(captions), torch.rand(batch, generator=generator))].to(chosen.device)
        with recipe.half_precision(chosen.device):
            return velocity_loss(model, scheduler, latents[rows].float().to(chosen.device), told, generator)

    weights = recipe.train(
        "unet", model, loss_at, chosen.work, steps=int(how["unet"]["steps"]), rate=how["unet"]["rate"]
    )
    model.load_state_dict(weights)
    model.eval().cpu()
    vae = autoencoder(chosen.work)  # again: its decoder may have been polished meanwhile
    save_pipeline(model.unet, vae, model.tower, tokenizer, chosen.out / "bauhaus")


if __name__ == "__main__":
    main()
