"""HPSv2 and v2.1 (Wu et al. 2023, Human Preference Score v2, sec. 4): how much people would choose an image for a prompt.

score = cosine(image, text) of a fine-tuned CLIP ViT-H/14, row by row; about 0.2 to 0.35 (tables print it times 100), and
differences matter only between images of one prompt. Images keep their shape: the longer side becomes 224 pixels (bicubic on
floats, antialiased, as torchvision does since 0.17), black fills the rest. In float32, where the authors' program lets a GPU
choose, which moves scores in the fourth digit.

Needs one file, HPS_v2.1_compressed.pt (or HPS_v2_compressed.pt, the older scorer), which people get from the page "xswu/HPSv2"
of the usual model hub, or the same tensors as .safetensors. A file or a folder; the names and shapes are open_clip's of ViT-H-14,
or of the model that an open_clip_config.json beside the file describes. The tokenizer is CLIP's own, which open_clip brings.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from evaluators.scorers.pixels import padded
from evaluators.scorers.score import Score, check_one_each
from evaluators.scorers.texts import BATCH, remembered
from evaluators.scorers.weight_files import fill, read
from evaluators.scorers.weights import version_of_file, weight_file
from prompts.errors import InputError
from prompts.ground.quiet import quiet

ARCHITECTURE = "ViT-H-14"

log = logging.getLogger(__name__)


class HPSv2:
    """A scorer on a file, or a folder with it, in float32.

    Raises: InputError if the file is missing, damaged, or not of that architecture."""

    name = "hpsv2"

    def __init__(self, path: str | Path, device: str = "cpu") -> None:
        file = weight_file(Path(path))
        self.version, self.device = version_of_file(file), device
        self.model, self.tokenize = _load(file)
        self.model = self.model.eval().requires_grad_(False).to(device)
        self.side = int(self.model.visual.image_size[0])
        self._texts: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def __call__(
        self, images: Sequence[Image.Image], prompts: Sequence[str], references: Sequence[Image.Image] = ()
    ) -> Score:
        """Score each image (N) for its own prompt (N); `references` are not used. The end of a prompt that is too long for the
        model is cut off, and the log says so (`truncated` tells which)."""
        check_one_each(images, prompts)
        if not images:
            return Score(self.name, self.version, ())
        values = (self.image_features(images) * self.text_features(prompts)).sum(dim=-1)
        return Score(self.name, self.version, tuple(float(value) for value in values))

    @torch.inference_mode()
    def image_features(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """(N, D) unit rows, N >= 1."""
        parts = []
        for start in range(0, len(images), BATCH):
            batch = torch.stack([padded(image, self.side) for image in images[start : start + BATCH]])
            parts.append(self.model.encode_image(batch.to(self.device), normalize=True))
        return torch.cat(parts)

    def text_features(self, prompts: Sequence[str]) -> torch.Tensor:
        """(N, D) unit rows, N >= 1; each distinct prompt is encoded once and remembered."""
        return torch.stack(remembered(prompts, self._texts, self._encode))

    def truncated(self, prompts: Sequence[str]) -> list[str]:
        """The prompts whose end the model does not read: the limit counts a token before and one after."""
        return [one for one in prompts if len(self.tokenize.encode(one)) + 2 > self.tokenize.context_length]

    @torch.inference_mode()
    def _encode(self, prompts: list[str]) -> torch.Tensor:
        for prompt in self.truncated(prompts):
            log.warning("%s reads only the first %d tokens of %r", self.name, self.tokenize.context_length, prompt)
        found: torch.Tensor = self.model.encode_text(self.tokenize(prompts).to(self.device), normalize=True)
        return found


def _load(file: Path) -> tuple[Any, Any]:
    import open_clip

    config = _config(file.parent / "open_clip_config.json")
    try:
        with torch.device("meta"), quiet():  # a billion random numbers would be drawn only to be replaced
            model = open_clip.CLIP(**config)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{str(file.parent)!r} has no configuration of a CLIP ({error}): check its JSON") from error
    fill(model, read(file), file)
    length = int(model.context_length)
    model.attn_mask = torch.full((length, length), float("-inf")).triu(1)  # no weight, so it was not in the file
    return model, open_clip.SimpleTokenizer(context_length=length)


def _config(file: Path) -> dict[str, Any]:
    import open_clip

    if not file.is_file():
        found: dict[str, Any] = open_clip.get_model_config(ARCHITECTURE)
        return found
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))["model_cfg"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(file)!r} is no open_clip configuration ({error!r}): check the folder") from error
