"""Textual inversion (Gal et al. 2022): a new word for a subject or a style, and nothing else of the model moves.

Knows the word and the simple loss on images whose prompts have it. Does not know how a pipeline reads words; trainers.model.words does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

import torch
from pydantic import Field
from torch import Tensor

from prompts.errors import InputError, PalateError
from trainers.engine.checkpoint import fingerprint
from trainers.engine.fit import fit
from trainers.engine.training import How, Training, TrainingConfig
from trainers.files import word_file
from trainers.files.adapter_file import WORD_FILE, Adapter, sha256
from trainers.files.export import Beside, last, use_of, write_card
from trainers.files.word_file import Word
from trainers.model import words
from trainers.model.attach import Adapters
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import trainable
from trainers.sft import Example, errors, spoken, weights_of

READERS = ("text_encoder", "text_encoder_2", "text_encoder_3")  # what a word is learned through, at every step
SPELLING = r"^<[a-z0-9][a-z0-9_-]*>$"  # brackets, so that it is no part of another word; tokenizers read small letters


class TextualInversionConfig(TrainingConfig):
    """Settings of one textual inversion."""

    word: str = Field(pattern=SPELLING, max_length=40, description="the new word, as in 'a photo of <sks>'")
    initial: str = Field(min_length=1, max_length=80, description="a word that the model knows, to begin from: 'dog'")
    vectors: int = Field(1, ge=1, le=32, description="tokens that the word takes; more tell more, and overfit sooner")
    learning_rate: float = Field(5e-3, gt=0, le=0.1, description="AdamW's step size (Gal et al., section 4)")
    steps: int = Field(500, ge=1, le=100_000, description="optimizer steps; 3000 suit SD 1.5 and SDXL")


class NewWord:
    """A word that learns, in every text encoder that can take one. It begins as the vectors of `initial`, over and over."""

    def __init__(self, token: str, initial: str, vectors: int) -> None:
        self.token, self.initial, self.vectors = token, initial, vectors
        self.before_it: dict[str, Any] = {}
        self.rows: dict[str, torch.nn.Parameter] = {}

    def begin(self, training: Training) -> None:
        pipe, name = training.model.pipe, training.model.name
        self.rows = {place.key: self._first(pipe, place) for place in words.places(pipe, name)}
        self.before_it = words.readers(pipe)
        words.speak(pipe, Word(self.token, self.rows), name)

    def weights(self, model: BaseModel) -> dict[str, torch.nn.Parameter]:
        return {f"word.{key}": rows for key, rows in self.rows.items()}

    @contextmanager
    def before(self, training: Training) -> Iterator[None]:
        with words.reading_with(training.model.pipe, self.before_it):
            yield

    def write(self, out: Path) -> Path:
        """Write the word's file into `out`, in one move. Raises PalateError when it does not read back as it was learned."""
        file, part = out / WORD_FILE, out / f".{WORD_FILE}"
        out.mkdir(parents=True, exist_ok=True)
        word_file.write(Word(self.token, self.rows), part)
        found = word_file.read(part)
        same = found is not None and found.token == self.token
        if (
            found is None
            or not same
            or any(not torch.equal(found.vectors[key], rows.cpu()) for key, rows in self.rows.items())
        ):
            raise PalateError(f"{WORD_FILE} does not hold what was learned: the disk may be failing")
        return part.replace(file)

    def beside(self) -> Beside:
        """The word as the card of a LoRA tells of it."""
        return Beside(WORD_FILE, self._told())

    def save(self, training: Training, out: Path, about: dict[str, Any], name: str) -> Adapter:
        file = self.write(out)
        adapter = Adapter(out, sha256(file), about["kind"], about["config"], last(training.history))
        files = {"files": [file.name]} | self._told()
        write_card(adapter, name=name, job=about, what="A word", use=use_of(about, files), files=files)
        return adapter

    def end(self, training: Training) -> None:
        words.put(training.model.pipe, self.before_it)

    def _first(self, pipe: Any, place: words.Place) -> torch.nn.Parameter:
        known = words.vectors_of(self.initial, pipe, place)
        if not 1 <= len(known) <= self.vectors:
            raise InputError(
                f"initial = {self.initial!r} takes {len(known)} tokens of {place.tokenizer}, and the new word has {self.vectors}: give a "
                "simpler word, or more vectors"
            )
        return torch.nn.Parameter(known[[i % len(known) for i in range(self.vectors)]].clone())

    def _told(self) -> dict[str, Any]:
        return {"word": self.token, "readers": list(self.rows)}


def train(
    config: TextualInversionConfig,
    dataset: Sequence[Example],
    *,
    base_model: BaseModel,
    out: Path,
    adapters: Adapters = (),
    weights: Sequence[float] | None = None,
    **how: Unpack[How],
) -> Adapter:
    """Learn a word from (image, prompt) pairs whose prompts have it (Gal et al. 2022, Eq. 2), beside the frozen `adapters`.

    `weights`: one factor per item for its loss. Several prompts ('a photo of <x>', 'a close-up of <x>') teach the word better
    than one. Raises InputError for a pipeline that cannot take words, and as dreambooth.train does."""
    size = config.size or base_model.size
    process = trainable(base_model, size)
    scale = weights_of(dataset, weights, base_model)
    check_prompts(dataset, config.word)
    words.places(base_model.pipe, base_model.name)
    data = spoken(dataset, base_model, size)

    def losses(training: Training) -> tuple[Tensor, dict[str, float]]:
        rows = training.rows("images", len(dataset))
        loss = (errors(data, rows, training, process) * scale[rows]).mean()
        return loss, {"loss": loss.item()}

    return fit(
        config, losses, NewWord(config.word, config.initial, config.vectors), kind="textual_inversion", model=base_model,
        adapters=adapters, out=out, data=fingerprint(dataset, weights), **how,
        needed=READERS,
    )  # fmt: skip


def check_prompts(dataset: Sequence[Example], word: str) -> None:
    """Raises InputError for a prompt without the word: its image would teach nothing."""
    for _, prompt in dataset:
        if word not in prompt:
            raise InputError(
                f"prompt {prompt!r:.120} lacks the new word {word!r}: write it where the subject's name would be"
            )
