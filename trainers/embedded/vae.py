"""Train the pipeline's AutoencoderKL: 64x64x3 pictures to 8x8x8 latents and back.

    python -m trainers.embedded.vae --recipe cpu

Two steps in three see 32-px crops (cheap, sharp edges), the third whole pictures. The stock pipeline knows one `scaling_factor`
only, so latents are normalised channel by channel inside the 1x1 convolutions next to them (`normalise_latents`).
"""

from __future__ import annotations

import json
import math

import numpy as np
import torch
from diffusers import AutoencoderKL

from trainers.embedded import recipe
from trainers.embedded.dataset import held_out, load_dataset, to_tensor

CHANNELS, LATENTS, CROP = (12, 32, 48, 64), 8, 32
KL_WEIGHT = 1e-6


def make_model() -> AutoencoderKL:
    """The untrained autoencoder: factor 8, 8 latent channels."""
    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    return AutoencoderKL(
        down_block_types=down, up_block_types=up, block_out_channels=CHANNELS, latent_channels=LATENTS, layers_per_block=1,
        norm_num_groups=4, sample_size=64, scaling_factor=1.0, mid_block_add_attention=False,
    )  # fmt: skip


def reconstruction_loss(model: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """Absolute and squared error together (edges and flats), plus a faint pull of the latents towards a standard normal."""
    posterior = model.encode(pictures).latent_dist
    wrong = model.decode(posterior.sample()).sample - pictures
    return wrong.abs().mean() + 2 * wrong.square().mean() + KL_WEIGHT * posterior.kl().mean()


def batch_at(step: int, pictures: np.ndarray, batch: int) -> torch.Tensor:
    """The pictures of a step: crops of twice as many scenes, or whole scenes."""
    rng = np.random.default_rng(step)
    if step % 3 == 2:
        return to_tensor(pictures[np.sort(rng.integers(0, len(pictures), batch))])
    rows = np.sort(rng.integers(0, len(pictures), 2 * batch))
    x, y = rng.integers(0, 64 - CROP + 1, 2)
    return to_tensor(pictures[rows, y : y + CROP, x : x + CROP])


@torch.no_grad()
def normalise_latents(model: AutoencoderKL, pictures: torch.Tensor) -> None:
    """Give each latent channel mean 0 and standard deviation 1 by folding the change into quant_conv and post_quant_conv."""
    means = model.encode(pictures).latent_dist.mean
    centre, spread = means.mean((0, 2, 3)), means.std((0, 2, 3))
    before, after = model.quant_conv, model.post_quant_conv
    before.weight[:LATENTS] /= spread[:, None, None, None]
    before.bias[:LATENTS] = (before.bias[:LATENTS] - centre) / spread
    before.bias[LATENTS:] -= 2 * spread.log()  # log-variances shrink with the square
    after.bias += (after.weight[:, :, 0, 0] * centre).sum(1)
    after.weight *= spread[None, :, None, None]


@torch.no_grad()
def psnr(model: AutoencoderKL, pictures: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio of reconstructions, dB, over pictures in -1..1."""
    wrong = model.decode(model.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1) - pictures
    return float((10 * torch.log10(4 / wrong.square().mean((1, 2, 3)))).mean())


def main() -> None:
    """Train and save `WORK/vae`; prints the held-out PSNR."""
    chosen = recipe.arguments(__doc__ or "")
    how = recipe.RECIPES[chosen.recipe]
    pictures, _ = load_dataset(chosen.work, int(how["data"]["count"]))
    torch.manual_seed(0)
    model = make_model().to(chosen.device)
    batch = int(how["vae"]["batch"])

    def loss_at(step: int) -> torch.Tensor:
        return reconstruction_loss(model, batch_at(step, pictures, batch).to(chosen.device))

    weights = recipe.train(
        "vae", model, loss_at, chosen.work, steps=int(how["vae"]["steps"]), rate=how["vae"]["rate"], decay=0.0
    )
    model.load_state_dict(weights)
    model.eval().cpu()
    normalise_latents(model, to_tensor(pictures[:500]))
    model.save_pretrained(chosen.work / "vae")
    print(json.dumps({"psnr": round(psnr(model, to_tensor(held_out(200)[0])), 2)}))
    assert math.isfinite(psnr(model, to_tensor(pictures[:8]))), "the autoencoder diverged: lower its rate in recipe.py"


if __name__ == "__main__":
    main()
