"""BLIP (Li et al. 2022, sec. 3.1) as its authors saved it: a vision transformer, and a BERT that looks at the image in every layer.

Built of transformers' BlipVisionModel and BlipTextModel, whose mathematics is the same: what is ours is the map from the authors'
names, the sizes read from the weights, and the few values that transformers sets differently (epsilon 1e-6 in the vision
transformer, 12 heads in BERT as the configuration file says). The two projections and the buffer of positions that such files
also hold are not used. Knows no task; evaluators.scorers.image_reward puts a head on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from evaluators.scorers.weight_files import Tensors, fill
from prompts.errors import InputError
from prompts.ground.quiet import quiet

HEAD = 64  # width of an attention head of BLIP's vision transformers, base and large

_VISION = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^blocks\.(\d+)\.norm", r"encoder.layers.\1.layer_norm"),
    (r"^blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.\1.self_attn.qkv."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.projection."),
    (r"^blocks\.(\d+)\.mlp\.", r"encoder.layers.\1.mlp."),
    (r"^norm\.", "post_layernorm."),
)  # the authors' names and transformers'; those of the text encoder are the same


class Blip(torch.nn.Module):
    """Both encoders in float32, from the tensors `visual_encoder.*` and `text_encoder.*` of `file`, and med_config.json's values.

    `side`: pixels of an image. Raises: InputError for tensors that are missing or do not fit, and for a `settings` that is no BERT's."""

    def __init__(self, tensors: Tensors, settings: Mapping[str, Any], file: Path) -> None:
        super().__init__()
        vision = {_renamed(key): one for key, one in _below("visual_encoder.", tensors).items()}
        text = {key: one for key, one in _below("text_encoder.", tensors).items() if key != "embeddings.position_ids"}
        width, self.side, self.vision = _vision(vision, file)
        self.text = _text(settings, width, file)
        fill(self.vision, vision, file)
        fill(self.text, text, file)
        positions = self.text.embeddings.position_embeddings.num_embeddings
        self.text.embeddings.position_ids = torch.arange(positions).unsqueeze(
            0
        )  # no weight, so it was on the meta device

    def forward(self, pixels: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the text's first token has become after looking at its image: (N, width of BERT).

        `pixels` (N, 3, side, side), normalised; `tokens` (N, L) and their `mask` (N, L), 1 for a token and 0 for padding."""
        seen = self.vision(pixel_values=pixels).last_hidden_state
        read: torch.Tensor = self.text(tokens, attention_mask=mask, encoder_hidden_states=seen).last_hidden_state
        return read[:, 0]


def settings_in(file: Path) -> dict[str, Any]:
    """The values of a med_config.json. Raises InputError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {key: found[key] for key in _SETTINGS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(file)!r} is no BERT configuration of BLIP ({error!r}): get med_config.json again") from error  # fmt: skip


_SETTINGS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
    "hidden_act", "layer_norm_eps", "pad_token_id",
)  # fmt: skip


def _below(prefix: str, tensors: Tensors) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): one for key, one in tensors.items() if key.startswith(prefix)}


def _renamed(key: str) -> str:
    for pattern, name in _VISION:
        key, hit = re.subn(pattern, name, key)
        if hit:
            break
    return key


def _vision(tensors: Tensors, file: Path) -> tuple[int, int, Any]:
    """Width, pixels a side, and a vision transformer without weights, of the sizes that the tensors have."""
    from transformers import BlipVisionConfig, BlipVisionModel

    try:
        width, _, patch, _ = tensors["embeddings.patch_embedding.weight"].shape
        side = patch * round((tensors["embeddings.position_embedding"].shape[1] - 1) ** 0.5)
        inner = len(tensors["encoder.layers.0.mlp.fc1.bias"])
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{str(file)!r} holds no vision transformer of BLIP ({error!r}): check which model it is of") from error  # fmt: skip
    layers = {key.split(".")[2] for key in tensors if key.startswith("encoder.layers.")}
    with torch.device("meta"), quiet():
        config = BlipVisionConfig(
            hidden_size=width, intermediate_size=inner, num_hidden_layers=len(layers), num_attention_heads=max(1, width // HEAD),
            image_size=side, patch_size=patch, layer_norm_eps=1e-6,
        )  # fmt: skip
        return width, side, BlipVisionModel(config)


def _text(settings: Mapping[str, Any], encoder_width: int, file: Path) -> Any:
    from transformers import BlipTextConfig, BlipTextModel

    try:
        with torch.device("meta"), quiet():
            # What transformers calls a decoder has cross-attention; that its masks are not causal is said at each call.
            return BlipTextModel(BlipTextConfig(**settings, encoder_hidden_size=encoder_width, is_decoder=True), add_pooling_layer=False)  # fmt: skip
    except (TypeError, ValueError) as error:
        raise InputError(f"the configuration beside {str(file)!r} is not one of a BERT ({error}): get med_config.json again") from error  # fmt: skip
