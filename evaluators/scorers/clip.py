"""CLIP through open_clip: features, and the scores made of their cosines (CLIP-T, CLIP-I, tags).

Loads a local folder: `open_clip_config.json` (the factory's JSON), `open_clip_model.safetensors`, and the tokenizer's
files, where `text_cfg.hf_tokenizer_name` in the JSON says that there are some. Nothing is ever downloaded.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from evaluators.looks.colour import flatten
from evaluators.scorers.score import Score, check_one_each
from evaluators.scorers.texts import remembered
from evaluators.scorers.weights import version_of
from prompts.errors import InputError
from prompts.ground.quiet import quiet

BATCH = 64
log = logging.getLogger(__name__)


class Tag(NamedTuple):
    """A word found in an image, and its cosine (-1..1)."""

    word: str
    cosine: float


class Clip:
    """An open_clip model in float32 on `device`. `width`: of its features, D; `patch`: of its vision transformer, None for others.

    Raises: InputError if the folder is missing, or is no open_clip folder with safetensors.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        self.version = version_of(Path(folder))
        config = _config(Path(folder))
        self.width, self.patch = config["embed_dim"], config.get("vision_cfg", {}).get("patch_size")
        self.model, self._preprocess, self._tokenize = _load(Path(folder))
        self.model = self.model.eval().requires_grad_(False).to(device)
        self.device = device
        self._texts: dict[str, np.ndarray] = {}

    @torch.inference_mode()
    def image_features(self, images: Sequence[Image.Image]) -> np.ndarray:
        """(N, D) float32 unit rows, N >= 1."""
        parts = []
        for start in range(0, len(images), BATCH):
            batch = torch.stack([self._preprocess(flatten(image)) for image in images[start : start + BATCH]])
            parts.append(self.model.encode_image(batch.to(self.device), normalize=True).float().cpu().numpy())
        if not parts:
            raise InputError("no images to take features of: give at least one")
        return np.concatenate(parts)

    def text_features(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32 unit rows, N >= 1; each distinct text is encoded once and remembered."""
        if not texts:
            raise InputError("no texts to take features of: give at least one")
        rows = remembered(texts, self._texts, self._encode)
        return np.stack(rows)

    def clip_t(
        self, images: Sequence[Image.Image], prompts: Sequence[str], references: Sequence[Image.Image] = ()
    ) -> Score:
        """CLIP-T, prompt fidelity: cosine of each image with its own prompt, -1..1."""
        check_one_each(images, prompts)
        if not images:
            return Score("clip_t", self.version, ())
        return self._score("clip_t", (self.image_features(images) * self.text_features(prompts)).sum(axis=1))

    def clip_i(self, images: Sequence[Image.Image], prompts: Sequence[str], references: Sequence[Image.Image]) -> Score:
        """CLIP-I, subject fidelity: mean cosine of each image with all the references, -1..1."""
        if not references:
            raise InputError("clip_i compares with references: give at least one reference image")
        if not images:
            return Score("clip_i", self.version, ())
        return self._score("clip_i", (self.image_features(images) @ self.image_features(references).T).mean(axis=1))

    def tags(
        self, images: Sequence[Image.Image], words: Sequence[str], *, top: int = 5, template: str = "{}"
    ) -> list[list[Tag]]:
        """For each image the `top` words of a vocabulary by cosine with `template` around the word, best first."""
        text = self.text_features([template.format(word) for word in words])
        cosine = self.image_features(images) @ text.T
        best = np.argsort(-cosine, axis=1, kind="stable")[:, :top]
        return [[Tag(words[i], float(row[i])) for i in order] for row, order in zip(cosine, best, strict=True)]

    def _score(self, name: str, values: np.ndarray) -> Score:
        return Score(name, self.version, tuple(float(value) for value in values))

    @torch.inference_mode()
    def truncated(self, texts: Sequence[str]) -> list[str]:
        """The texts whose end the model does not read."""
        room = int(getattr(self._tokenize, "context_length", 0) or 0)
        if not room or not texts:
            return []
        ids = self._tokenize(["", *texts], context_length=room + 1)  # one more than there is room for
        filler = ids[0, -1]
        # Where texts end with what they are filled up with, the last place says nothing; the one before it does.
        at = -1 if int((ids[0] != filler).sum()) > 1 else -2
        return [text for text, row in zip(texts, ids[1:], strict=True) if row[at] != filler]

    def _encode(self, texts: list[str]) -> np.ndarray:
        for text in self.truncated(texts):
            log.warning("CLIP reads only the first %d tokens of %r", self._tokenize.context_length, text)
        encoded: torch.Tensor = self.model.encode_text(self._tokenize(texts).to(self.device), normalize=True)
        return encoded.float().cpu().numpy()


def _load(folder: Path) -> tuple[Any, Any, Any]:
    import open_clip

    try:
        with quiet():
            model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}", precision="fp32")
            return model, preprocess, open_clip.get_tokenizer(f"local-dir:{folder}")
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise InputError(f"open_clip cannot load {str(folder)!r} ({error}): check its config and weights") from error


def _config(folder: Path) -> dict[str, Any]:
    """The model's configuration, checked."""
    # open_clip only warns when it finds no weights, and then returns a random model; and it would look for the name of
    # a missing tokenizer elsewhere.
    if not (folder / "open_clip_model.safetensors").is_file():
        raise InputError(f"no open_clip_model.safetensors in {str(folder)!r}: only safetensors weights are loaded")
    config = folder / "open_clip_config.json"
    try:
        found: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))["model_cfg"]
        found["embed_dim"], text = int(found["embed_dim"]), found.get("text_cfg", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{str(config)!r} is no open_clip configuration ({error!r}): check the folder") from error
    if text.get("hf_tokenizer_name") and not (folder / "tokenizer_config.json").is_file():
        raise InputError(f"no tokenizer_config.json in {str(folder)!r}: its configuration asks for a tokenizer there")
    return found
