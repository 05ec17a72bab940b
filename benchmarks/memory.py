"""How much memory preference training needs at the sizes of SD 1.5 and SDXL, counted without weights (see trainers/engine/estimate.py).

    python -m benchmarks.memory

LoRA of rank 8, bfloat16, AdamW; a batch counts pairs. On a GPU with the parts beside the denoiser parked.
"""

from __future__ import annotations

import json
from typing import Any

from trainers.engine.estimate import Plan, estimate

GIB = 2**30
_UNET = {"_class_name": "UNet2DConditionModel", "in_channels": 4, "out_channels": 4, "layers_per_block": 2}
_VAE = {
    "_class_name": "AutoencoderKL", "block_out_channels": (128, 256, 512, 512), "latent_channels": 4, "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip
SD15: dict[str, Any] = {
    "denoiser": {
        **_UNET, "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768, "attention_head_dim": 8,
        "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    },
    "vae": {**_VAE, "sample_size": 512},
}  # fmt: skip
SDXL: dict[str, Any] = {
    "denoiser": {
        **_UNET, "sample_size": 128, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    },
    "vae": {**_VAE, "sample_size": 1024, "scaling_factor": 0.13025},
}  # fmt: skip
ENCODERS = {"sd15": 123_060_480 + 83_653_863, "sdxl": 123_060_480 + 694_659_840 + 83_653_863}  # numbers, VAE included
LIMITS = {"sd15": 12, "sdxl": 20}  # GiB


def plan(name: str, *, recompute: bool) -> Plan:
    """DPO as the project promises it: SD 1.5 at 512 pixels and 4 pairs, SDXL at 1024 and 1."""
    if name == "sd15":
        return Plan("StableDiffusionPipeline", SD15, 2 * ENCODERS[name], rows=2 * 4, size=512, recompute=recompute)
    return Plan("StableDiffusionXLPipeline", SDXL, 2 * ENCODERS[name], rows=2, size=1024, recompute=recompute)


def main() -> None:
    """Count and print a line each, and one JSON object."""
    found = {}
    for name in LIMITS:
        for recompute in (False, True):
            needs = estimate(plan(name, recompute=recompute))
            told = {key: round(value / GIB, 2) for key, value in vars(needs).items()}
            how = "recomputed" if recompute else "kept"
            print(f"{name}, activations {how}: {told} GiB, of {LIMITS[name]} allowed", flush=True)
            found[f"{name} {how}"] = told
    print(json.dumps(found))


if __name__ == "__main__":
    main()
