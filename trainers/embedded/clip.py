"""Train `bauhaus-clip`: a small CLIP that tells the world's pictures and captions apart, saved as an open_clip model.

    python -m trainers.embedded.clip --recipe cpu

It is trained in transformers' layout, because its text tower then goes on to condition the UNet and its whole body becomes the
PickScore-layout model; `open_clip_weights` says the same weights in open_clip's names. Loss: CLIP's symmetric cross-entropy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPConfig, CLIPModel, CLIPTextModel, CLIPTokenizer

from prompts.ground.quiet import quiet
from trainers.embedded import recipe
from trainers.embedded.world.dataset import held_out, load_dataset, loosely, to_tensor

WIDTH, CONTEXT, VISION_LAYERS, TEXT_LAYERS, HEADS, PATCHES = 128, 32, 4, 3, 4, 8
MEAN = STD = [0.5, 0.5, 0.5]


def make_tokenizer(captions: list[str], folder: Path) -> CLIPTokenizer:
    """A byte-level BPE in CLIP's layout, learned from the captions; the end token has the highest id, as open_clip expects."""
    learned = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [" ".join(text.replace(",", " , ").split()) for text in captions]
    learned.pre_tokenizer = pre_tokenizers.Whitespace()
    learned.train_from_iterator(
        words,
        trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False),
    )
    state = json.loads(learned.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in state["merges"]]
    units = alphabet + [f"{letter}</w>" for letter in alphabet] + ["".join(pair) for pair in merges]
    tokens = [*dict.fromkeys(units), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={t: i for i, t in enumerate(tokens)}, merges=merges, pad_token="<|endoftext|>", model_max_length=CONTEXT
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def encode(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids (N, CONTEXT), padded and cut as the pipeline does."""
    return tokenizer(texts, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt").input_ids


def make_model(tokenizer: CLIPTokenizer, size: int) -> CLIPModel:
    """The untrained model for pictures of size x size pixels, seen as 8x8 patches: 1.4 M parameters."""
    shared = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": HEADS, "hidden_act": "gelu"}
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
    }
    text = {
        **shared,
        **ids,
        "num_hidden_layers": TEXT_LAYERS,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": CONTEXT,
        "projection_dim": WIDTH,
    }
    vision = {
        **shared,
        "num_hidden_layers": VISION_LAYERS,
        "image_size": size,
        "patch_size": size // PATCHES,
        "projection_dim": WIDTH,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


def features(output: Any) -> torch.Tensor:
    """Unit-length features (N, D) from what transformers 5 returns."""
    pooled = getattr(output, "pooler_output", output)
    return torch.nn.functional.normalize(pooled, dim=-1)


def contrastive_loss(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """CLIP's loss: each picture should find its caption among the batch's, and each caption its picture."""
    logits = scale.clamp(max=4.6).exp() * images @ texts.T
    target = torch.arange(len(logits), device=logits.device)
    cross = torch.nn.functional.cross_entropy
    return (cross(logits, target) + cross(logits.T, target)) / 2


def open_clip_weights(model: CLIPModel) -> dict[str, torch.Tensor]:
    """The weights under open_clip's names, half precision."""
    theirs = model.state_dict()
    ours = {
        "logit_scale": theirs["logit_scale"], "positional_embedding": theirs["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": theirs["text_model.embeddings.token_embedding.weight"],
        "text_projection": theirs["text_projection.weight"].T, "visual.proj": theirs["visual_projection.weight"].T,
        "visual.class_embedding": theirs["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": theirs["vision_model.embeddings.position_embedding.weight"],
        "visual.conv1.weight": theirs["vision_model.embeddings.patch_embedding.weight"],
    }  # fmt: skip
    norms = {
        "ln_final": "text_model.final_layer_norm",
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
    }
    for name, source in norms.items():
        ours |= {f"{name}.{kind}": theirs[f"{source}.{kind}"] for kind in ("weight", "bias")}
    for tower, prefix, layers in (("text_model", "", TEXT_LAYERS), ("vision_model", "visual.", VISION_LAYERS)):
        for i in range(layers):
            ours |= _block(theirs, f"{tower}.encoder.layers.{i}", f"{prefix}transformer.resblocks.{i}")
    return {name: tensor.detach().half().contiguous().cpu() for name, tensor in ours.items()}


def _block(theirs: dict[str, torch.Tensor], source: str, name: str) -> dict[str, torch.Tensor]:
    names = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    block = {
        f"{name}.{ours}.{kind}": theirs[f"{source}.{their}.{kind}"]
        for ours, their in names.items()
        for kind in ("weight", "bias")
    }
    for kind in ("weight", "bias"):
        block[f"{name}.attn.in_proj_{kind}"] = torch.cat([theirs[f"{source}.self_attn.{x}_proj.{kind}"] for x in "qkv"])
    return block


def save_open_clip(model: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """The folder that `open_clip.create_model_from_pretrained("local-dir:FOLDER")` loads."""
    folder.mkdir(parents=True, exist_ok=True)
    vision = {
        "image_size": model.config.vision_config.image_size,
        "layers": VISION_LAYERS,
        "width": WIDTH,
        "head_width": WIDTH // HEADS,
        "patch_size": model.config.vision_config.patch_size,
    }
    text: dict[str, Any] = {
        "context_length": CONTEXT,
        "vocab_size": len(tokenizer),
        "width": WIDTH,
        "heads": HEADS,
        "layers": TEXT_LAYERS,
    }
    text |= {"hf_tokenizer_name": "bauhaus-clip", "tokenizer_kwargs": {"clean": "whitespace"}}
    config = {
        "model_cfg": {"embed_dim": WIDTH, "quick_gelu": False, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": MEAN, "std": STD},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(open_clip_weights(model), folder / "open_clip_model.safetensors")
    tokenizer.save_pretrained(folder)


@torch.no_grad()
def retrieval(model: CLIPModel, tokenizer: CLIPTokenizer, pictures: np.ndarray, texts: list[str], ways: int) -> float:
    """Share of pictures whose own caption wins among `ways` (groups of consecutive scenes)."""
    images = features(model.get_image_features(pixel_values=to_tensor(pictures)))
    words = features(model.get_text_features(input_ids=encode(tokenizer, texts)))
    hits = [
        (images[i : i + ways] @ words[i : i + ways].T).argmax(1) == torch.arange(ways)
        for i in range(0, len(texts) - ways + 1, ways)
    ]
    return float(torch.cat(hits).float().mean())


def main() -> None:
    """Train, save `WORK/clip` (transformers) and `OUT/bauhaus-clip` (open_clip), print the held-out retrieval."""
    chosen = recipe.arguments(__doc__ or "")
    how = recipe.RECIPES[chosen.recipe]
    size = int(how["data"]["size"])
    pictures, captions = load_dataset(chosen.work, int(how["data"]["count"]), size)
    tokenizer = make_tokenizer([*captions, *map(loosely, range(5000))], chosen.work / "clip")
    ids = encode(tokenizer, captions).to(chosen.device)
    torch.manual_seed(0)
    model = make_model(tokenizer, size).to(chosen.device)
    batch = int(how["clip"]["batch"])

    def loss_at(step: int) -> torch.Tensor:
        rows = np.sort(np.random.default_rng(step).integers(0, len(captions), batch))
        with recipe.half_precision(chosen.device):
            images = features(model.get_image_features(pixel_values=to_tensor(pictures[rows]).to(chosen.device)))
            texts = features(model.get_text_features(input_ids=ids[rows]))
        return contrastive_loss(images.float(), texts.float(), model.logit_scale)

    steps, rate = int(how["clip"]["steps"]), how["clip"]["rate"]
    model.load_state_dict(recipe.train("clip", model, loss_at, chosen.work, steps=steps, rate=rate, decay=0.1))
    with quiet():
        model.eval().cpu().save_pretrained(chosen.work / "clip")
    save_open_clip(model, tokenizer, chosen.out / "bauhaus-clip")
    shown, texts = held_out(1000, size=size)
    print(json.dumps({f"retrieval_{ways}": retrieval(model, tokenizer, shown, texts, ways) for ways in (20, 100)}))


def text_tower(work: Path) -> tuple[CLIPTextModel, CLIPTokenizer]:
    """The trained text tower and its tokenizer, for the pipeline."""
    with quiet():
        tower = CLIPTextModel.from_pretrained(work / "clip").eval()
        return tower, CLIPTokenizer.from_pretrained(work / "clip")


if __name__ == "__main__":
    main()
