"""Small models with random weights in the folders' layouts of SD 1.5, SDXL, SD 3.5 and FLUX.

Each is the real pipeline class with the real kinds of parts, only narrow, saved as a folder and loaded as any checkpoint is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

WORDS = ["a", "photo", "of", "the", "red", "blue", "field", "dog", "person", "on", "with", "in", "and"]
WIDTH = 16  # of the text encoders
PIPELINES = ("sd15", "sd15-v", "sdxl", "sd3", "flux")


def build(name: str, folder: Path) -> Path:
    """Save the tiny model called `name` in `folder`."""
    torch.manual_seed(0)
    makers: dict[str, Callable[[], Any]] = {
        "sd15": sd15, "sd15-v": lambda: sd15("v_prediction"), "sdxl": sdxl, "sd3": sd3, "flux": flux,
    }  # fmt: skip
    makers[name]().save_pretrained(folder)
    return folder


def clip_tokenizer() -> CLIPTokenizer:
    """Whole words, letters where none fits."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    merges: list[tuple[str, str]] = []
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    for word in WORDS:
        so_far = word[0]
        for at, letter in enumerate(word[1:], start=2):
            tail = f"{letter}</w>" if at == len(word) else letter
            if (so_far, tail) not in merges:
                merges.append((so_far, tail))
                pieces.append(so_far + tail)
            so_far += tail
    vocab = {piece: i for i, piece in enumerate(["<|startoftext|>", "<|endoftext|>", *dict.fromkeys(pieces)])}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def t5_tokenizer() -> T5Tokenizer:
    pieces = ["<pad>", "</s>", "<unk>", *(f"▁{word}" for word in WORDS)]
    return T5Tokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)], extra_ids=0, model_max_length=512)


def clip(kind: type, projection: int = WIDTH) -> Any:
    config = CLIPTextConfig(
        vocab_size=len(clip_tokenizer()), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=3, num_attention_heads=2,
        projection_dim=projection, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return kind(config).eval()


def t5() -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=len(t5_tokenizer()), d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    ).eval()


def vae(channels: int, **more: Any) -> AutoencoderKL:
    return AutoencoderKL(
        latent_channels=channels, block_out_channels=(8, 16), norm_num_groups=4, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **more,
    )  # fmt: skip


def unet(**more: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **more,
    )  # fmt: skip


def sd15(kind: str = "epsilon") -> StableDiffusionPipeline:
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, prediction_type=kind,
    )  # fmt: skip
    return StableDiffusionPipeline(
        vae(4), clip(CLIPTextModel), clip_tokenizer(), unet(cross_attention_dim=WIDTH, attention_head_dim=2), scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def sdxl() -> StableDiffusionXLPipeline:
    denoiser = unet(
        cross_attention_dim=2 * WIDTH, attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + WIDTH, transformer_layers_per_block=(1, 2),
    )  # fmt: skip
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    return StableDiffusionXLPipeline(
        vae(4), clip(CLIPTextModel), clip(CLIPTextModelWithProjection), clip_tokenizer(), clip_tokenizer(), denoiser, scheduler,
        add_watermarker=False,
    )  # fmt: skip


def sd3() -> StableDiffusion3Pipeline:
    denoiser = SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=4, joint_attention_dim=32,
        caption_projection_dim=32, pooled_projection_dim=2 * WIDTH, out_channels=16, pos_embed_max_size=32,
        dual_attention_layers=(0,), qk_norm="rms_norm",
    )  # fmt: skip
    encoders = [clip(CLIPTextModelWithProjection) for _ in range(2)]
    return StableDiffusion3Pipeline(
        denoiser, FlowMatchEulerDiscreteScheduler(shift=3.0), vae(16, shift_factor=0.0609, scaling_factor=1.5305), encoders[0],
        clip_tokenizer(), encoders[1], clip_tokenizer(), t5_for(32), t5_tokenizer(),
    )  # fmt: skip


def t5_for(width: int) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=len(t5_tokenizer()), d_model=width, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    ).eval()


def flux() -> FluxPipeline:
    denoiser = FluxTransformer2DModel(
        in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH, guidance_embeds=True, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(
        shift=3.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=256,
        max_image_seq_len=4096,
    )
    return FluxPipeline(
        scheduler, vae(16, shift_factor=0.1159, scaling_factor=0.3611), clip(CLIPTextModel), clip_tokenizer(), t5_for(WIDTH),
        t5_tokenizer(), denoiser,
    )  # fmt: skip


def ip_adapter(unet: Any, folder: Path) -> Path:
    """As published: image_proj.* and, for every other attention, ip_adapter.N.to_k_ip and to_v_ip; the encoder beside it."""
    draw = torch.Generator().manual_seed(0)
    wide = unet.config.cross_attention_dim
    tensors = {
        "image_proj.proj.weight": torch.randn(4 * wide, WIDTH, generator=draw),
        "image_proj.proj.bias": torch.zeros(4 * wide),
    }
    tensors |= {"image_proj.norm.weight": torch.ones(wide), "image_proj.norm.bias": torch.zeros(wide)}
    for number, name in enumerate(unet.attn_processors):
        if "attn2" in name:
            out = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
            tensors |= {
                f"ip_adapter.{number}.{one}.weight": torch.randn(out, wide, generator=draw)
                for one in ("to_k_ip", "to_v_ip")
            }
    folder.mkdir()
    save_file(tensors, folder / "ip-adapter.safetensors")
    torch.manual_seed(0)
    config = CLIPVisionConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8, projection_dim=WIDTH)  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    return folder / "ip-adapter.safetensors"
