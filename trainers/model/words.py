"""New words for the text encoders of a pipeline: rows beside those that they know.

Knows tokenizers and embeddings. Does not know files, nor how a vector is learned; textual_inversion does that.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prompts.errors import InputError
from trainers.files.word_file import FIRST, SECOND, Word
from trainers.model.base_model import BaseModel


class Place(NamedTuple):
    """Where a pipeline reads words: the key of this text encoder in a file of several, and the pipeline's parts."""

    key: str
    tokenizer: str
    encoder: str


_FIRST, _SECOND = Place(FIRST, "tokenizer", "text_encoder"), Place(SECOND, "tokenizer_2", "text_encoder_2")
PLACES = {
    "StableDiffusionPipeline": (_FIRST,),
    "StableDiffusionXLPipeline": (_FIRST, _SECOND),
    "FluxPipeline": (_FIRST,),  # its T5 reads the letters of the word
}


class Longer(torch.nn.Module):
    """An embedding with more rows at its end, from id `first` on. The rows before are the model's own, and never move."""

    def __init__(self, own: Any, rows: Tensor, first: int) -> None:
        super().__init__()
        self.own, self.first = own, first
        rows = rows if isinstance(rows, torch.nn.Parameter) else torch.nn.Parameter(rows, requires_grad=False)
        self.more = torch.nn.ParameterList([rows])  # after `own`: the encoder's dtype is that of its first parameter

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (N, tokens) to vectors (N, tokens, width)."""
        new = ids >= self.first
        known = self.own(ids.masked_fill(new, 0))
        rows = self.more[0].to(known)
        return torch.where(new[..., None], rows[(ids - self.first).clamp(0, len(rows) - 1)], known)


def places(pipe: Any, name: str) -> tuple[Place, ...]:
    """Where the pipeline of the model called `name` reads words. Raises InputError for a class that cannot take new ones."""
    kind = type(pipe).__name__
    if kind not in PLACES:
        raise InputError(
            f"{name!r} is a {kind}, for which diffusers has no loader of new words (load_textual_inversion): use one of "
            f"{', '.join(PLACES)}, or train a LoRA"
        )
    return PLACES[kind]


def readers(pipe: Any) -> dict[str, Any]:
    """The tokenizers and embeddings that the pipeline reads with now, by the name of the part."""
    found: dict[str, Any] = {}
    for place in PLACES.get(type(pipe).__name__, ()):
        found[place.tokenizer] = getattr(pipe, place.tokenizer)
        found[place.encoder] = getattr(pipe, place.encoder).get_input_embeddings()
    return found


def own(model: BaseModel) -> dict[str, Any]:
    """What `model` reads with as it was loaded, whatever was added since."""
    if not model.readers:
        model.readers.update(readers(model.pipe))
    return model.readers


def put(pipe: Any, found: Mapping[str, Any]) -> None:
    """Make the pipeline read with what `readers` found."""
    for part, value in found.items():
        if part.startswith("tokenizer"):
            setattr(pipe, part, value)
        else:
            getattr(pipe, part).set_input_embeddings(value)


@contextmanager
def reading_with(pipe: Any, found: Mapping[str, Any]) -> Iterator[None]:
    """`put` for a while."""
    before = readers(pipe)
    put(pipe, found)
    try:
        yield
    finally:
        put(pipe, before)


def speak(pipe: Any, word: Word, name: str) -> None:
    """Make the pipeline know one more word; `put` what `readers` found before takes it away without a trace.

    It is read as by diffusers' load_textual_inversion, but what the model was loaded with is not touched. CLIP encoders
    whose config has the old eos_token_id 2 (SDXL's second) pool at the highest id, which is the word's, there as here.
    Raises InputError when the word does not fit the model called `name`."""
    check(pipe, word, name)
    for place in places(pipe, name):
        tokenizer, encoder, rows = getattr(pipe, place.tokenizer), getattr(pipe, place.encoder), word.vectors[place.key]
        longer = copy.deepcopy(tokenizer)
        longer.add_tokens(_tokens(word.token, len(rows)))
        embedding = Longer(encoder.get_input_embeddings(), rows, len(tokenizer)).to(encoder.device)
        encoder.set_input_embeddings(embedding)
        setattr(pipe, place.tokenizer, longer)


def check(pipe: Any, word: Word, name: str) -> None:
    """Raises InputError when the model called `name` cannot read with this word, or knows it already. Touches nothing."""
    here = places(pipe, name)
    if word.vectors.keys() != {place.key for place in here}:
        raise InputError(
            f"the word {word.token!r} has vectors for {', '.join(word.vectors)}, and {name!r} reads with "
            f"{', '.join(place.key for place in here)}: use it with the kind of model that it was made for"
        )
    for place in here:
        width, has = getattr(pipe, place.encoder).config.hidden_size, word.vectors[place.key].shape[1]
        if has != width:
            raise InputError(
                f"the word {word.token!r} has vectors of {has} numbers, and {place.encoder} of {name!r} reads {width}: use it "
                "with the model that it was made for"
            )
        if not word.vectors[place.key].isfinite().all():
            raise InputError(f"the word {word.token!r} holds numbers that are not finite: train it again")
        if word.token in getattr(pipe, place.tokenizer).get_vocab():
            raise InputError(f"{name!r} knows the word {word.token!r} already: give the new one another name")


def vectors_of(text: str, pipe: Any, place: Place) -> Tensor:
    """The vectors (N, width), float32, of a text that the pipeline can read."""
    ids = getattr(pipe, place.tokenizer)(text, add_special_tokens=False).input_ids
    encoder = getattr(pipe, place.encoder)
    with torch.no_grad():
        found: Tensor = encoder.get_input_embeddings()(torch.tensor([ids], dtype=torch.long, device=encoder.device))[0]
    return found.float()


def _tokens(token: str, count: int) -> list[str]:
    """The names of a word's vectors, as diffusers spells a prompt out with them."""
    return [token, *(f"{token}_{i}" for i in range(1, count))]
