"""Train the pipeline's AutoencoderKL: pictures to latents of an eighth of their size, 12 channels deep, and back.

    python -m trainers.embedded.vae --recipe cpu

Two steps in three see crops of a quarter (cheap, sharp edges), the third whole pictures. The stock pipeline knows one `scaling_factor`
only, so latents are normalised channel by channel inside the 1x1 convolutions next to them (`normalise_latents`). Then the
encoder is frozen, and the decoder alone is polished on whole pictures, in which the pixels of objects count more.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from prompts.ground.quiet import quiet
from trainers.embedded import recipe
from trainers.embedded.world.dataset import held_out, load_dataset, to_tensor

CHANNELS, LATENTS = (12, 32, 48, 64), 12
KL_WEIGHT = 1e-5
BLUR = 0.3  # the decoder is polished on latents with noise of up to this deviation: a sampler's are never exact


def make_model(size: int) -> AutoencoderKL:
    """The untrained autoencoder of size x size pictures: factor 8, 12 latent channels."""
    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    return AutoencoderKL(
        down_block_types=down, up_block_types=up, block_out_channels=CHANNELS, latent_channels=LATENTS, layers_per_block=1,
        norm_num_groups=4, sample_size=size, scaling_factor=1.0, mid_block_add_attention=False,
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
    rows, half = np.sort(rng.integers(0, len(pictures), 2 * batch)), pictures.shape[1] // 2
    x, y = rng.integers(0, half // 8 + 1, 2) * 8  # on the latents' grid, as the fine textures are
    return to_tensor(pictures[rows, y : y + half, x : x + half])


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


class Decoding(torch.nn.Module):
    """The half of an autoencoder that turns latents into pictures."""

    def __init__(self, model: AutoencoderKL) -> None:
        super().__init__()
        self.post_quant_conv, self.decoder = model.post_quant_conv, model.decoder

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures (N, 3, 8 H, 8 W) of latents (N, 12, H, W)."""
        return self.decoder(self.post_quant_conv(latents))


def object_loss(painted: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """Absolute and squared error in which pixels that differ from the picture's ground weigh four times as much."""
    ground = pictures.flatten(2).median(dim=2).values[:, :, None, None]
    weight = 1 + 3 * ((pictures - ground).abs().amax(1, keepdim=True) > 0.25).float()
    wrong = painted - pictures
    return (weight * (wrong.abs() + 2 * wrong.square())).mean()


def polish(model: AutoencoderKL, pictures: np.ndarray, work: Path, how: dict[str, float], device: str) -> None:
    """Train the decoder alone; latents, and with them the UNet, stay as they are."""
    half, batch = Decoding(model), int(how["batch"])

    def loss_at(step: int) -> torch.Tensor:
        rows = np.sort(np.random.default_rng([1, step]).integers(0, len(pictures), batch))
        shown = to_tensor(pictures[rows]).to(device)
        with torch.no_grad():
            latents = model.encode(shown).latent_dist.mode()
        spread = BLUR * torch.rand(len(latents), 1, 1, 1, device=latents.device)
        return object_loss(half(latents + spread * torch.randn_like(latents)), shown)

    steps, rate = int(how["steps"]), how["rate"]
    half.load_state_dict(recipe.train("decoder", half, loss_at, work, steps=steps, rate=rate, decay=0.0))


def main() -> None:
    """Train and save `WORK/vae`, twice: before its decoder is polished, for whoever cannot wait, and after; prints the held-out PSNR."""
    chosen = recipe.arguments(__doc__ or "")
    how = recipe.RECIPES[chosen.recipe]
    size = int(how["data"]["size"])
    pictures, _ = load_dataset(chosen.work, int(how["data"]["count"]), size)
    torch.manual_seed(0)
    model = make_model(size).to(chosen.device)
    batch, steps, rate = int(how["vae"]["batch"]), int(how["vae"]["steps"]), how["vae"]["rate"]

    def loss_at(step: int) -> torch.Tensor:
        return reconstruction_loss(model, batch_at(step, pictures, batch).to(chosen.device))

    model.load_state_dict(recipe.train("vae", model, loss_at, chosen.work, steps=steps, rate=rate, decay=0.0))
    normalise_latents(model.eval(), to_tensor(pictures[:500]).to(chosen.device))
    with quiet():
        model.save_pretrained(chosen.work / "vae")
    polish(model, pictures, chosen.work, how["decoder"], chosen.device)
    with quiet():
        model.cpu().save_pretrained(chosen.work / "vae")
    found = psnr(model, to_tensor(held_out(200, size=size)[0]))
    print(json.dumps({"psnr": round(found, 2)}))
    assert math.isfinite(found), "the autoencoder diverged: lower its rate in recipe.py"


if __name__ == "__main__":
    main()
