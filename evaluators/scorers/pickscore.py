"""PickScore (Kirstain et al. 2023, Pick-a-Pic, sec. 4): how much people would pick an image for a prompt.

score = exp(logit_scale) * cosine(image, text), row by row: each image against its own prompt, never all against all.
About 18..24 for PickScore_v1; differences matter only between images of one prompt. Any CLIPModel folder in that
layout is loaded the same way. Knows nothing of who is asking: this is the taste of a population.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from evaluators.looks.colour import flatten
from evaluators.scorers.score import Score, check_one_each
from evaluators.scorers.texts import remembered
from evaluators.scorers.weights import is_hub_id, version_of
from prompts.errors import InputError
from prompts.ground.quiet import quiet

# PickScore_v1 was trained with the processor of the model that it started from.
PROCESSORS = {"yuvalkirstain/PickScore_v1": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"}
BATCH = 64

log = logging.getLogger(__name__)


class PickScore:
    """A scorer on a folder (or hub id) with a transformers CLIPModel and CLIPProcessor, in float32.

    Raises: InputError if the folder is missing or does not hold such a model.
    """

    name = "pickscore"

    def __init__(self, folder_or_id: str | Path, device: str = "cpu", *, processor: str | Path | None = None) -> None:
        source = str(folder_or_id)
        local = None if is_hub_id(source) else version_of(Path(source))
        self.model, self.processor = _load(source, str(processor or PROCESSORS.get(source, source)))
        self.model = self.model.eval().requires_grad_(False).to(device)
        self.device = device
        self.version = local or str(self.model.config._commit_hash)[:12]
        limits = (self.processor.tokenizer.model_max_length, self.model.config.text_config.max_position_embeddings)
        self.token_limit = int(min(limits))
        self._texts: dict[str, torch.Tensor] = {}

    def __call__(
        self, images: Sequence[Image.Image], prompts: Sequence[str], references: Sequence[Image.Image] = ()
    ) -> Score:
        """Score each image (N) for its own prompt (N); `references` are not used. Prompts longer than the tokenizer's
        limit are cut there, and the log says so (`truncated` tells which)."""
        check_one_each(images, prompts)
        if not images:
            return Score(self.name, self.version, ())
        with torch.inference_mode():
            cosine = (self.image_features(images) * self.text_features(prompts)).sum(dim=-1)
            values = self.model.logit_scale.exp() * cosine
        return Score(self.name, self.version, tuple(float(value) for value in values))

    def truncated(self, prompts: Iterable[str]) -> list[str]:
        """The prompts whose end the model does not read."""
        tokenize = self.processor.tokenizer
        return [p for p in prompts if len(tokenize(p, truncation=False, verbose=False).input_ids) > self.token_limit]

    @torch.inference_mode()
    def image_features(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """(N, D) unit rows."""
        parts = []
        for start in range(0, len(images), BATCH):
            batch = [flatten(image) for image in images[start : start + BATCH]]
            pixels = self.processor.image_processor(images=batch, return_tensors="pt")["pixel_values"]
            parts.append(_unit(self.model.get_image_features(pixel_values=pixels.to(self.device, torch.float32))))
        return torch.cat(parts)

    def of_pixels(self, pixels: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
        """Scores (N,) of images (N, 3, H, W) in 0..1, differentiable in them: what a trainer can push up.

        Resized without the rounding to whole numbers that files go through, so equal to a call within a few hundredths."""
        how = self.processor.image_processor
        side = how.crop_size["height"]
        fitted = torch.nn.functional.interpolate(
            pixels.to(self.device), size=(side, side), mode="bicubic", antialias=True
        )
        mean, spread = (torch.tensor(one, device=self.device).view(3, 1, 1) for one in (how.image_mean, how.image_std))
        features = _unit(self.model.get_image_features(pixel_values=(fitted.clamp(0, 1) - mean) / spread))
        texts = self.text_features(prompts).clone()  # made without gradients in mind
        scores: torch.Tensor = self.model.logit_scale.exp() * (features * texts).sum(dim=-1)
        return scores

    def text_features(self, prompts: Sequence[str]) -> torch.Tensor:
        """(N, D) unit rows; each distinct prompt is encoded once and remembered."""
        return torch.stack(remembered(prompts, self._texts, self._encode))

    @torch.inference_mode()
    def _encode(self, prompts: list[str]) -> torch.Tensor:
        for prompt in self.truncated(prompts):
            log.warning("%s reads only the first %d tokens of %r", self.name, self.token_limit, prompt)
        tokens = self.processor.tokenizer(
            prompts, padding=True, truncation=True, max_length=self.token_limit, return_tensors="pt"
        ).to(self.device)
        return _unit(self.model.get_text_features(tokens["input_ids"], tokens["attention_mask"]))


def _load(source: str, processor: str) -> tuple[Any, Any]:
    from transformers import CLIPModel, CLIPProcessor

    # transformers would build a default CLIP from a folder without config.json, and only print what it had to make up.
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise InputError(f"no config.json in {source!r}: check the folder")
    try:
        options: dict[str, Any] = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
        with quiet():
            loaded: Any = CLIPModel.from_pretrained(source, **options)
            processing = CLIPProcessor.from_pretrained(processor)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{source!r} is no CLIPModel with a CLIPProcessor ({error}): check folder or id") from error
    model, report = loaded
    made_up = sorted(str(key) for key in (*report["missing_keys"], *report["mismatched_keys"]))
    if made_up:
        raise InputError(f"{source!r} lacks weights such as {made_up[0]!r}: check the folder or id")
    return model, processing


def _unit(features: Any) -> torch.Tensor:
    # transformers 5 returns a ModelOutput whose pooler_output is the projected feature; 4 returned the tensor itself.
    tensor: torch.Tensor = features if isinstance(features, torch.Tensor) else features.pooler_output
    return torch.nn.functional.normalize(tensor, dim=-1)
