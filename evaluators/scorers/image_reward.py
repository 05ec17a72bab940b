"""ImageReward (Xu et al. 2023, sec. 3): how much people would like an image for a prompt, by BLIP with a head on its first token.

score = (head(BLIP(image, prompt)) - 0.16717) / 1.03334, row by row; about -2.3 to 2 with mean 0 over its training data, higher is
better. The head's five linear layers have no activations between them, so they are one affine map. Reads 35 tokens of a prompt.
Every layer of its text encoder looks at the image, so what can be remembered of a prompt is its tokens.

Needs a folder with three files: ImageReward.pt and med_config.json, which people get from the page "THUDM/ImageReward" (now also
"zai-org/ImageReward") of the usual model hub, and vocab.txt of "bert-base-uncased" there. The weights may be .safetensors instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from evaluators.scorers.aesthetic import LAYERS
from evaluators.scorers.blip import Blip, settings_in
from evaluators.scorers.pixels import cropped
from evaluators.scorers.score import Score, check_one_each
from evaluators.scorers.texts import BATCH, remembered
from evaluators.scorers.weight_files import folded, read
from evaluators.scorers.weights import version_of_file, weight_file
from prompts.errors import InputError
from prompts.ground.quiet import quiet

TOKENS = 35
CENTRE, SCALE = 0.16717362830052426, 1.0333394966054072  # mean and spread of the head over ImageRewardDB

log = logging.getLogger(__name__)


class ImageReward:
    """A scorer on a folder, in float32.

    Raises: InputError if a file is missing or damaged, or if weights, configuration and vocabulary do not belong together."""

    name = "image_reward"

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        file = weight_file(Path(folder))
        self.version, self.device = version_of_file(file), device
        tensors = {
            key: one for key, one in read(file).items() if not key.startswith(("blip.vision_proj.", "blip.text_proj."))
        }
        settings = settings_in(file.parent / "med_config.json")
        self._tokenizer = _tokenizer(file.parent / "vocab.txt", settings["vocab_size"])
        self.blip = Blip({key.removeprefix("blip."): one for key, one in tensors.items()}, settings, file)
        self.blip = self.blip.eval().requires_grad_(False).to(device)
        weight, self._bias = folded(tensors, [f"mlp.{layer}" for layer in LAYERS], file)
        self._weight = torch.tensor(weight, device=device, dtype=torch.float64)
        self._tokens: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def __call__(
        self, images: Sequence[Image.Image], prompts: Sequence[str], references: Sequence[Image.Image] = ()
    ) -> Score:
        """Score each image (N) for its own prompt (N); `references` are not used. Prompts of more than 35 tokens are cut there,
        and the log says so (`truncated` tells which)."""
        check_one_each(images, prompts)
        tokens = remembered(prompts, self._tokens, self._encode)
        values: list[float] = []
        for start in range(0, len(images), BATCH):
            batch = slice(start, start + BATCH)
            values += self._scores(images[batch], tokens[batch]).tolist()
        return Score(self.name, self.version, tuple(values))

    def truncated(self, prompts: Iterable[str]) -> list[str]:
        """The prompts whose end the model does not read."""
        return [one for one in prompts if len(self._tokenizer(one, truncation=False, verbose=False).input_ids) > TOKENS]

    def _scores(self, images: Sequence[Image.Image], tokens: Sequence[torch.Tensor]) -> torch.Tensor:
        pixels = torch.stack([cropped(image, self.blip.side) for image in images]).to(self.device)
        padded = torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True, padding_value=-1)
        mask = padded >= 0
        read = self.blip(pixels, padded.clamp(min=0).to(self.device), mask.long().to(self.device))
        found: torch.Tensor = (read.double() @ self._weight + self._bias - CENTRE) / SCALE
        return found

    def _encode(self, prompts: list[str]) -> list[torch.Tensor]:
        for prompt in self.truncated(prompts):
            log.warning("%s reads only the first %d tokens of %r", self.name, TOKENS, prompt)
        return [torch.tensor(ids) for ids in self._tokenizer(prompts, truncation=True, max_length=TOKENS).input_ids]


def _tokenizer(file: Path, size: int) -> Any:
    from transformers import BertTokenizer

    if not file.is_file():
        raise InputError(f"no vocab.txt in {str(file.parent)!r}: put that of bert-base-uncased there")
    with quiet():
        found = BertTokenizer(vocab=str(file))
    # The model's two last tokens are BLIP's own marks, which no prompt holds.
    if len(found) + 2 != size:
        raise InputError(f"{str(file)!r} has {len(found)} tokens, and the model wants {size - 2}: put that of bert-base-uncased there")  # fmt: skip
    return found
