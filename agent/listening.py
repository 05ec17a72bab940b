"""A person's words: ratings such as `3:8 5:2`, and wishes such as "calmer, more teal", turned into vocabulary."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agent.telling import clean
from prompts.errors import InputError, LlmError
from prompts.messages import wish_messages
from prompts.vocabulary import Vocabulary

RATING = re.compile(r"^\s*(\d+)\s*[:=]\s*(\S+?)\s*$")
AGAINST = re.compile(r"\b(no|not|don't|without|less|fewer|avoid|hate|drop|enough of|tired of|too much)\b")
LONGEST_REPLY = 240
Word = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Wish(BaseModel):
    """What a wish means in the vocabulary."""

    model_config = ConfigDict(extra="forbid")

    like: Annotated[list[Word], Field(max_length=6)]
    avoid: Annotated[list[Word], Field(max_length=6)]
    reply: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_REPLY)]


def looks_like_ratings(text: str) -> bool:
    """Whether a line is meant as ratings: its first word has a number before a colon."""
    return bool(re.match(r"^\s*\d+\s*[:=]", text))


def read_ratings(text: str, images: Sequence[str]) -> list[tuple[str, float]]:
    """`3:8 5:2` as (image id, rating); numbers count the images shown, from 1. All or nothing.

    Raises InputError naming what is wrong: an unknown number, a rating that is no number from 0 to 10, one image twice.
    """
    found: dict[str, float] = {}
    for part in re.sub(r"\s*([:=])\s*", r"\1", text).replace(",", " ").split():
        number, value = _one_rating(part)
        if not 1 <= number <= len(images):
            raise InputError(f"There is no image {number} here: the images are numbered 1 to {len(images)}.")
        if images[number - 1] in found:
            raise InputError(f"Image {number} is rated twice in {text!r}: give one rating an image.")
        found[images[number - 1]] = value
    if not found:
        raise InputError("No ratings were given: write them as 3:8 5:2, image number and 0 to 10.")
    return list(found.items())


def _one_rating(part: str) -> tuple[int, float]:
    match = RATING.match(part)
    if match is None:
        raise InputError(f"{part!r} is no rating: write image number, colon, 0 to 10, like 3:8.")
    try:
        value = float(match[2])
    except ValueError as error:
        raise InputError(f"The rating {match[2]!r} of image {match[1]} is not a number: give 0 to 10.") from error
    if not math.isfinite(value) or not 0 <= value <= 10:
        raise InputError(f"The rating {match[2]!r} of image {match[1]} is not from 0 to 10.")
    return int(match[1]), value


def understand(llm: Any, wish: str, vocabulary: Vocabulary) -> Wish:
    """The wish in words of the vocabulary: by the language model when there is one, and by looking words up when it fails.

    It has failed, too, when it likes what the person said no to. Words that are not of the vocabulary are dropped.
    """
    known = set(vocabulary.words)
    heard = said = look_up(wish, vocabulary)
    if llm is not None:
        try:
            heard = llm.write(wish_messages(wish, vocabulary), Wish, purpose="wish", temperature=0.0)
        except LlmError:
            told = f"(The language model did not answer; I looked the words up.) {said.reply}"
            heard = said.model_copy(update={"reply": clean(told, LONGEST_REPLY)})
    if set(heard.like) & set(said.avoid):
        heard = said
    like = [word for word in dict.fromkeys(heard.like) if word in known]
    return Wish(
        like=like,
        avoid=[word for word in dict.fromkeys(heard.avoid) if word in known and word not in like],
        reply=heard.reply,
    )


def look_up(wish: str, vocabulary: Vocabulary) -> Wish:
    """Vocabulary words that occur in the wish; those of a clause with no, without, less, avoid, tired of ... are unwanted."""
    like: list[str] = []
    avoid: list[str] = []
    for clause in re.split(r"[,.;!]| and | but ", wish.lower()):
        against = AGAINST.search(clause) is not None
        words = [word for word in vocabulary.words if re.search(rf"\b{re.escape(word)}(s|es)?\b", clause)]
        (avoid if against else like).extend(words)
    like, avoid = list(dict.fromkeys(like))[:6], list(dict.fromkeys(avoid))[:6]
    told = ", ".join([f"more {word}" for word in like] + [f"less {word}" for word in avoid])
    reply = f"I will try {told}." if told else "I know no word of that wish; name a colour, a shape or a layout."
    return Wish(like=like, avoid=avoid, reply=clean(reply, LONGEST_REPLY))
