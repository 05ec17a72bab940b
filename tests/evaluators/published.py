"""Tiny random models in the exact layouts of the published files, and what they should say, written anew in float64.

The transcriptions follow the papers and the authors' description of their layers, tensor by tensor, and use none of the classes that
the code under test is built of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import functional

Tensors = dict[str, torch.Tensor]
MEAN, SPREAD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]

# fmt: off
CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
MED = {
    "architectures": ["BertModel"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 48,
    "initializer_range": 0.02, "intermediate_size": 64, "layer_norm_eps": 1e-12, "max_position_embeddings": 40, "model_type": "bert",
    "num_attention_heads": 3, "num_hidden_layers": 2, "pad_token_id": 0, "type_vocab_size": 2, "encoder_width": 768, "add_cross_attention": True,
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "red", "blue", "dog", "field", "circle", "on", "white"]
# fmt: on
VISION, BLOCKS, HEADS, PATCH, SIDE = 128, 2, 2, 8, 32  # of BLIP's vision transformer here; 64 a head, as published


class Draw:
    """Random tensors of a seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, scale: float | None = None) -> torch.Tensor:
        spread = shape[-1] ** -0.5 if scale is None else scale
        return torch.randn(*shape, generator=self.generator) * spread

    def norm(self, name: str, width: int) -> Tensors:
        return {f"{name}.weight": 1.0 + self(width, scale=0.1), f"{name}.bias": self(width, scale=0.1)}

    def linear(self, name: str, out: int, into: int) -> Tensors:
        return {f"{name}.weight": self(out, into), f"{name}.bias": self(out, scale=0.1)}


def hpsv2(folder: Path, seed: int = 0) -> Tensors:
    """Writes HPS_v2.1_compressed.pt (a checkpoint with float16 `state_dict`, as published) and the sizes; returns the tensors."""
    draw, vision, text = Draw(seed), CLIP["vision_cfg"], CLIP["text_cfg"]
    width, read = vision["width"], text["width"]
    tensors = {
        "positional_embedding": draw(77, read, scale=0.1), "text_projection": draw(read, CLIP["embed_dim"]), "logit_scale": torch.tensor(4.6),
        "visual.class_embedding": draw(width), "visual.positional_embedding": draw(17, width, scale=0.1),
        "visual.proj": draw(width, CLIP["embed_dim"]), "visual.conv1.weight": draw(width, 3, 8, 8, scale=0.1),
        **draw.norm("visual.ln_pre", width), **_resblocks(draw, "visual.transformer", vision["layers"], width), **draw.norm("visual.ln_post", width),
        **_resblocks(draw, "transformer", text["layers"], read), "token_embedding.weight": draw(49408, read, scale=0.3),
        **draw.norm("ln_final", read),
    }  # fmt: skip
    tensors = {key: one.half() for key, one in tensors.items()}
    torch.save({"epoch": 1, "name": "tiny", "state_dict": tensors}, folder / "HPS_v2.1_compressed.pt")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CLIP}))
    return tensors


def _resblocks(draw: Draw, prefix: str, layers: int, width: int) -> Tensors:
    found: Tensors = {}
    for number in range(layers):
        name = f"{prefix}.resblocks.{number}"
        projection = draw.linear(f"{name}.attn.in_proj", 3 * width, width)
        found |= {key.replace("in_proj.", "in_proj_"): one for key, one in projection.items()}
        found |= draw.norm(f"{name}.ln_1", width) | draw.linear(f"{name}.attn.out_proj", width, width)
        found |= draw.norm(f"{name}.ln_2", width) | draw.linear(f"{name}.mlp.c_fc", 4 * width, width)
        found |= draw.linear(f"{name}.mlp.c_proj", width, 4 * width)
    return found


def image_reward(folder: Path, seed: int = 0) -> Tensors:
    """Writes ImageReward.pt, med_config.json and vocab.txt; returns the tensors."""
    draw, read, inner = Draw(seed), MED["hidden_size"], MED["intermediate_size"]
    eye, pen = "blip.visual_encoder", "blip.text_encoder"
    tensors = {
        f"{eye}.cls_token": draw(1, 1, VISION, scale=0.3), f"{eye}.pos_embed": draw(1, 17, VISION, scale=0.3),
        f"{eye}.patch_embed.proj.weight": draw(VISION, 3, PATCH, PATCH, scale=0.1), f"{eye}.patch_embed.proj.bias": draw(VISION, scale=0.1),
        **draw.norm(f"{eye}.norm", VISION), f"{pen}.embeddings.position_ids": torch.arange(40).unsqueeze(0),
        f"{pen}.embeddings.word_embeddings.weight": draw(len(WORDS) + 2, read, scale=0.5),
        f"{pen}.embeddings.position_embeddings.weight": draw(40, read, scale=0.5), **draw.norm(f"{pen}.embeddings.LayerNorm", read),
        **draw.linear("blip.vision_proj", 8, VISION), **draw.linear("blip.text_proj", 8, read),
    }  # fmt: skip
    for number in range(BLOCKS):
        name = f"{eye}.blocks.{number}"
        tensors |= draw.norm(f"{name}.norm1", VISION) | draw.linear(f"{name}.attn.qkv", 3 * VISION, VISION)
        tensors |= draw.linear(f"{name}.attn.proj", VISION, VISION) | draw.norm(f"{name}.norm2", VISION)
        tensors |= draw.linear(f"{name}.mlp.fc1", 2 * VISION, VISION) | draw.linear(
            f"{name}.mlp.fc2", VISION, 2 * VISION
        )
    for number in range(MED["num_hidden_layers"]):
        for kind, seen in (("attention", read), ("crossattention", VISION)):
            name = f"{pen}.encoder.layer.{number}.{kind}"
            tensors |= draw.linear(f"{name}.self.query", read, read) | draw.linear(f"{name}.self.key", read, seen)
            tensors |= draw.linear(f"{name}.self.value", read, seen) | draw.linear(f"{name}.output.dense", read, read)
            tensors |= draw.norm(f"{name}.output.LayerNorm", read)
        name = f"{pen}.encoder.layer.{number}"
        tensors |= draw.linear(f"{name}.intermediate.dense", inner, read) | draw.linear(
            f"{name}.output.dense", read, inner
        )
        tensors |= draw.norm(f"{name}.output.LayerNorm", read)
    tensors |= five_layers("mlp.", read, draw)
    torch.save(tensors, folder / "ImageReward.pt")
    (folder / "med_config.json").write_text(json.dumps(MED | {"vocab_size": len(WORDS) + 2}))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return tensors


def five_layers(prefix: str, width: int, draw: Draw) -> Tensors:
    """The head of ImageReward and of LAION's second predictor: numbers 1, 3 and 5 are dropout."""
    sizes = {0: (1024, width), 2: (128, 1024), 4: (64, 128), 6: (16, 64), 7: (1, 16)}
    found: Tensors = {}
    for number, (out, into) in sizes.items():
        found |= draw.linear(f"{prefix}layers.{number}", out, into)
    return found


def hpsv2_scores(
    tensors: Mapping[str, torch.Tensor], images: Sequence[Image.Image], tokens: torch.Tensor
) -> list[float]:
    """Cosines (N,) of images and of token rows (N, 77)."""
    w = {key: one.double() for key, one in tensors.items()}
    seen, read = _clip_images(w, torch.stack([_framed(image) for image in images])), _clip_texts(w, tokens)
    unit = [one / one.norm(dim=1, keepdim=True) for one in (seen, read)]
    return [float(one) for one in (unit[0] * unit[1]).sum(dim=1)]


def _clip_images(w: Tensors, pixels: torch.Tensor) -> torch.Tensor:
    x = _patches(pixels, w["visual.conv1.weight"], None)
    x = torch.cat([w["visual.class_embedding"].expand(len(x), 1, -1), x], dim=1) + w["visual.positional_embedding"]
    x = _norm(x, w, "visual.ln_pre", 1e-5)
    for number in range(2):
        x = _resblock(x, w, f"visual.transformer.resblocks.{number}", 2, causal=False)
    return _norm(x[:, 0], w, "visual.ln_post", 1e-5) @ w["visual.proj"]


def _clip_texts(w: Tensors, tokens: torch.Tensor) -> torch.Tensor:
    x = w["token_embedding.weight"][tokens] + w["positional_embedding"]
    for number in range(2):
        x = _resblock(x, w, f"transformer.resblocks.{number}", 2, causal=True)
    x = _norm(x, w, "ln_final", 1e-5)
    return x[torch.arange(len(x)), tokens.argmax(dim=1)] @ w["text_projection"]  # the end mark is the largest number


def _resblock(x: torch.Tensor, w: Tensors, name: str, heads: int, *, causal: bool) -> torch.Tensor:
    y = _norm(x, w, f"{name}.ln_1", 1e-5) @ w[f"{name}.attn.in_proj_weight"].T + w[f"{name}.attn.in_proj_bias"]
    length = x.shape[1]
    hidden = (
        torch.triu(torch.ones(length, length, dtype=torch.bool), 1)
        if causal
        else torch.zeros(length, length, dtype=torch.bool)
    )
    x = x + _linear(_attend(*y.chunk(3, dim=-1), heads, hidden), w, f"{name}.attn.out_proj")
    y = _gelu(_linear(_norm(x, w, f"{name}.ln_2", 1e-5), w, f"{name}.mlp.c_fc"))
    return x + _linear(y, w, f"{name}.mlp.c_proj")


def image_reward_scores(
    tensors: Mapping[str, torch.Tensor], images: Sequence[Image.Image], prompts: Sequence[str]
) -> list[float]:
    """Scores (N,), each picture and prompt by themselves, prompts padded to 35 tokens as the authors do."""
    w = {key: one.double() for key, one in tensors.items()}
    return [_image_reward(w, image, prompt) for image, prompt in zip(images, prompts, strict=True)]


def _image_reward(w: Tensors, image: Image.Image, prompt: str) -> float:
    eye, pen = "blip.visual_encoder", "blip.text_encoder"
    seen = _patches(_cropped(image)[None], w[f"{eye}.patch_embed.proj.weight"], w[f"{eye}.patch_embed.proj.bias"])
    seen = torch.cat([w[f"{eye}.cls_token"], seen], dim=1) + w[f"{eye}.pos_embed"]
    for number in range(BLOCKS):
        name = f"{eye}.blocks.{number}"
        q, k, v = _linear(_norm(seen, w, f"{name}.norm1", 1e-6), w, f"{name}.attn.qkv").chunk(3, dim=-1)
        seen = seen + _linear(_attend(q, k, v, HEADS), w, f"{name}.attn.proj")
        y = _gelu(_linear(_norm(seen, w, f"{name}.norm2", 1e-6), w, f"{name}.mlp.fc1"))
        seen = seen + _linear(y, w, f"{name}.mlp.fc2")
    seen = _norm(seen, w, f"{eye}.norm", 1e-6)
    ids = [WORDS.index(word) for word in ["[CLS]", *prompt.split()[:33], "[SEP]"]]
    padding = torch.tensor([False] * len(ids) + [True] * (35 - len(ids)))
    tokens = torch.tensor(ids + [0] * (35 - len(ids)))
    x = w[f"{pen}.embeddings.word_embeddings.weight"][tokens] + w[f"{pen}.embeddings.position_embeddings.weight"][:35]
    x = _norm(x, w, f"{pen}.embeddings.LayerNorm", 1e-12)[None]
    for number in range(MED["num_hidden_layers"]):
        name = f"{pen}.encoder.layer.{number}"
        x = _bert_attention(x, x, w, f"{name}.attention", padding.expand(35, 35))
        x = _bert_attention(x, seen, w, f"{name}.crossattention", None)
        y = _linear(_gelu(_linear(x, w, f"{name}.intermediate.dense")), w, f"{name}.output.dense")
        x = _norm(x + y, w, f"{name}.output.LayerNorm", 1e-12)
    y = x[0, 0]
    for number in (0, 2, 4, 6, 7):
        y = _linear(y, w, f"mlp.layers.{number}")
    return (float(y) - 0.16717362830052426) / 1.0333394966054072


def _bert_attention(
    x: torch.Tensor, seen: torch.Tensor, w: Tensors, name: str, hidden: torch.Tensor | None
) -> torch.Tensor:
    q, k, v = (
        _linear(x, w, f"{name}.self.query"),
        _linear(seen, w, f"{name}.self.key"),
        _linear(seen, w, f"{name}.self.value"),
    )
    y = _linear(_attend(q, k, v, MED["num_attention_heads"], hidden), w, f"{name}.output.dense")
    return _norm(x + y, w, f"{name}.output.LayerNorm", 1e-12)


def _patches(pixels: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """(N, patches, width), rows of the picture first."""
    count, _, high, wide = pixels.shape
    size = weight.shape[-1]
    cut = pixels.reshape(count, 3, high // size, size, wide // size, size).permute(0, 2, 4, 1, 3, 5)
    found = cut.reshape(count, -1, 3 * size * size) @ weight.reshape(len(weight), -1).T
    return found if bias is None else found + bias


def _attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, hidden: torch.Tensor | None = None
) -> torch.Tensor:
    width = q.shape[-1] // heads
    parts = []
    for head in range(heads):
        at = slice(head * width, (head + 1) * width)
        weight = q[..., at] @ k[..., at].transpose(1, 2) / width**0.5
        if hidden is not None:
            weight = weight.masked_fill(hidden, float("-inf"))
        parts.append(weight.softmax(dim=-1) @ v[..., at])
    return torch.cat(parts, dim=-1)


def _linear(x: torch.Tensor, w: Tensors, name: str) -> torch.Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _norm(x: torch.Tensor, w: Tensors, name: str, epsilon: float) -> torch.Tensor:
    middle = x.mean(dim=-1, keepdim=True)
    spread = ((x - middle) ** 2).mean(dim=-1, keepdim=True)
    return (x - middle) / (spread + epsilon).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def _gelu(x: torch.Tensor) -> torch.Tensor:
    return x * (1.0 + torch.erf(x / 2.0**0.5)) / 2.0


def _framed(image: Image.Image) -> torch.Tensor:
    """As HPSv2's program: floats, the longer side fitted, zeros around, then mean and spread."""
    x = functional.to_tensor(image.convert("RGB")).double()
    scale = SIDE / max(x.shape[1:])
    high, wide = (round(length * scale) for length in x.shape[1:])
    x = functional.resize(x, [high, wide], interpolation=functional.InterpolationMode.BICUBIC, antialias=True)
    up, left = (SIDE - high) // 2, (SIDE - wide) // 2
    return functional.normalize(functional.pad(x, [left, up, SIDE - wide - left, SIDE - high - up]), MEAN, SPREAD)


def _cropped(image: Image.Image) -> torch.Tensor:
    """As ImageReward's program: Pillow's bicubic on the shorter side, the middle, then mean and spread."""
    x = functional.resize(image.convert("RGB"), SIDE, interpolation=functional.InterpolationMode.BICUBIC)
    return functional.normalize(functional.to_tensor(functional.center_crop(x, SIDE)).double(), MEAN, SPREAD)


def pictures(count: int = 5) -> list[Image.Image]:
    """Noise of different sizes and shapes."""
    sizes = [(48, 48), (64, 40), (30, 57), (32, 32), (20, 33)]
    found = []
    for number in range(count):
        wide, high = sizes[number % len(sizes)]
        noise = torch.randint(
            0, 256, (high, wide, 3), generator=torch.Generator().manual_seed(number), dtype=torch.uint8
        )
        found.append(Image.fromarray(noise.numpy()))
    return found
