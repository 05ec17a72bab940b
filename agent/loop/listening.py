"""A person's words: ratings such as `3:8 5:2`, and wishes such as "calmer, more teal", turned into vocabulary."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from prompts.errors import InputError, LlmError
from prompts.ground.clean import clean
from prompts.messages import wish_messages
from prompts.vocabulary import Vocabulary, with_articles

RATING = re.compile(r"^\s*(\d+)\s*[:=]\s*(\S+?)\s*$")
# How English says what is unwanted, read from left to right. AGAINST turns against the words that follow, until BACK turns for them
# again or a TURN ends the clause; AFTER is against the words before it, those of the last clause where it opens its own.
NOT = r"(?:(?:do|does|did|is|are|was|would|could|should|must|ca|wo)n't|not|never|cannot)"
DROP = "avoid|drop|skip|lose|remove|exclude|ditch|ban|hate|dislike|detest|loathe|stop|leave out|get rid of"
WANT = "like|love|want|need|adore|prefer|enjoy|use|using|try|add|give|show|paint|draw|have|see|include|keep|yes"
AGAINST = (
    rf"\b(?:not? (?:a |an )?(?:big |great )?fan of|{NOT}(?: (?:really|particularly|even|ever|actually))*(?: (?:{WANT}|stand|bear))?|{DROP}|no|none|neither|nor|nothing|less|fewer|without"
    r"|(?:tired|sick|bored) (?:of|with)|fed up with|enough(?= \w)|too(?= (?!and\b|please\b)\w)|except|(?:anything|everything|all) but"
    r"|(?:keep|stay) away from|take (?:out|away))(?: (?:so|too|any|of|with|the|using|me|us))*(?: (?:more|much|many))?\b"
)
BACK = rf"\b(?:{WANT}|fan of|more|rather|how about|what about|let's)\b"
TURN = r"[,.;:!?\n]+|\b(?:but|yet|though|although|and(?= an? ))\b| - "
AFTER = (
    r"\b(?:(?:no|never)(?: thanks?| thank you| way)?(?=\s*(?:[,.;!?]|$))|(?:too|a bit|bit) much(?=\s*(?:[,.;!?]|$|for\b|now|sorry|here))|hurts?"
    r"|ugly|awful|horrible|hideous|terrible|boring|annoying|leaves? me cold|do(?:es)? nothing for me|i (?:hate|dislike|don't like) (?:it|that|them|those)"
    r"|(?:is|are) bad|(?:must|has to|have to|should|can) go|(?:not|isn't|aren't) (?:for me|my thing|nice))\b"
)
PLAINER = (
    (r"\b(do|does|did|is|are|was|would|could|should|ca|wo)nt\b", r"\1n't"),
    (r"\bwhy (?:not|don't (?:you|we)|(?:is|are) there (?:no|never))\b(?: any)?|\b(?:can't|cannot) get enough of\b", "more"),
    (rf"\b{NOT} enough\b|\bnothing but\b|\b{NOT} (?:{DROP})\b", "more"),
    (rf"\b(?:can't|couldn't|won't) (?:you|we)\b|\b{NOT} (?:mind|bad|only|just)\b|\bno (?:doubt|idea|matter|problem with)\b", ""),
    (r"\bnothing (?:wrong with|else)\b|\bone (?=more\b|of th)|\bones\b", ""),  # "the big ones" are no number
    (r"\b(the|this|that|each|every|which|another|an?)( (?!time\b)\w+)? one\b", r"\1\2"),  # nor is "the yellow one"
    (r"\b(?:swap|replace|change|switch|exchange)\b(.+?)\b(?:for|with|to|by|into)\b", r"no\1 but"),
    (r"\bprefer (?!to\b)([\w ]+?) (?:to|over)\b", r"more \1 but no"),
    (r"\b(?:instead of|rather than|in place of|than)\b", "but no"),
    (r",(?= ?[\w ]+(?:, ?[\w ]+)* or\b)", " and"),  # "no red, blue or green"
)  # fmt: skip
# English that says nothing of a picture: what else was not read is told.
SMALL_WORDS = """
about again all already also and any are best bit both but can could did does done each else ever every everything fan for from get goes going
got had has her here him his how image images into its just kind least less like liked little look looked looking looks lot lots made make makes
making many maybe mine more most mostly much next now off one ones other our out over own painting paintings per perhaps picture pictures place
please pls quite rather really same shall should some something sort still stuff such than thank thanks that the their them then there these they
thing things this those time too until upon very was way well were what when where which while who why will with would you your yours it's i'd
i'm i've i'll that's they're there's we'd let's"""
ASIDE = {
    "find",
    "taste",
    "mine",
    "beautiful",
    "lovely",
    "nice",
    "good",
    "pretty",
    "brief",
}  # of a brief: they ask for no thing
LONGEST_REPLY, MOST = 240, 10  # characters of a reply; words wanted, and words unwanted
Word = Annotated[str, StringConstraints(min_length=1, max_length=40)]


# One key an answer: the place of a picture, or a word of tools.records.NO_PICTURE.
_FOUR: dict[str, int | str] = {"1": 0, "2": 1, "3": 2, "4": 3, "0": "both bad", "s": "skip"}
KEYS: dict[str, dict[str, int | str]] = {
    "ab": {"a": 0, "b": 1, "=": "tie", "0": "both bad", "s": "skip"}, "best": _FOUR, "worst": _FOUR,
}  # fmt: skip
MORE_LIKE = re.compile(
    r"^\s*more like (?:image |picture |number |question )?(\d+)\s*[.:]?\s*([a-d1-4])?\s*[.!]?\s*$", re.IGNORECASE
)


class Wish(BaseModel):
    """What a wish means in the vocabulary."""

    model_config = ConfigDict(extra="forbid")

    like: Annotated[list[Word], Field(max_length=MOST)]
    avoid: Annotated[list[Word], Field(max_length=MOST)]
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


def read_keys(text: str, kind: str) -> list[str] | None:
    """`a b =` or `ab=` as the keys that answer questions of `kind`, with u for undo; None where it is something else."""
    keys = [*text.lower().replace(",", " ").replace(" ", "")]
    return keys if keys and all(key in KEYS[kind] or key == "u" for key in keys) else None


def read_more_like(text: str) -> tuple[int, int | None] | None:
    """`more like 3`, `more like 2b`, `more like 2.3` as a number and a place from 0, if it has one; None where it is something else."""
    found = MORE_LIKE.match(text)
    if found is None:
        return None
    place = found[2].lower() if found[2] else None
    return int(found[1]), None if place is None else ("abcd" if place.isalpha() else "1234").index(place)


def understand(llm: Any, wish: str, vocabulary: Vocabulary) -> Wish:
    """The wish in words of the vocabulary: by the language model when there is one, and by looking words up when it fails.

    Words that are not of the vocabulary are dropped, and what the person plainly said counts: where the model has such a word on
    the wrong side, or found nothing where there are some, the look-up's reading is taken.
    """
    said = look_up(wish, vocabulary)
    if llm is None:
        return said
    try:
        heard = llm.write(wish_messages(wish, vocabulary), Wish, purpose="wish", temperature=0.0)
    except LlmError:
        told = f"(The language model did not answer; I looked the words up.) {said.reply}"
        return said.model_copy(update={"reply": clean(told, LONGEST_REPLY)})
    heard = _mended(heard, said, vocabulary)
    return _told(said.like, said.avoid) if _misheard(heard, said) else heard


def _mended(heard: Wish, said: Wish, vocabulary: Vocabulary) -> Wish:
    """Vocabulary words only, and none on both sides: there, what was said decides. Then the reply is ours, as the model's is wrong."""
    like = [word for word in dict.fromkeys(heard.like) if word in vocabulary.words]
    avoid = [word for word in dict.fromkeys(heard.avoid) if word in vocabulary.words]
    unwanted = set(avoid) & set(said.avoid)
    like = [word for word in like if word not in unwanted]
    avoid = [word for word in avoid if word not in like]
    return heard if (like, avoid) == (heard.like, heard.avoid) else _told(like, avoid)


def _misheard(heard: Wish, said: Wish) -> bool:
    if not (heard.like or heard.avoid):
        return bool(said.like or said.avoid)
    return bool(set(heard.like) & set(said.avoid) or set(heard.avoid) & set(said.like))


def look_up(wish: str, vocabulary: Vocabulary) -> Wish:
    """Vocabulary words that occur in the wish, wanted or unwanted by the English around them; what was not read is told."""
    text = plainer(wish)
    wanted = _sides(text, vocabulary)
    like = [word for word, loved in wanted.items() if loved]
    avoid = [word for word, loved in wanted.items() if not loved]
    if not wanted:
        return _told([], [], f"I know no word of that wish: name {_some_genes(vocabulary)}.")
    unknown = _unknown(text, vocabulary)[:3]
    return _told(like, avoid, f"I do not know {', '.join(unknown)}." if unknown else "")


def unwanted(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The vocabulary words of a text that the English around them is against; what was said last counts."""
    if not vocabulary.words:
        return ()
    return tuple(word for word, loved in _sides(plainer(text), vocabulary).items() if not loved)


def unsaid(text: str, vocabulary: Vocabulary) -> list[str]:
    """The words of a brief that the vocabulary has none for, small words aside."""
    return [word for word in _unknown(plainer(text), vocabulary) if word not in ASIDE] if vocabulary.words else []


def _told(like: Sequence[str], avoid: Sequence[str], rest: str = "") -> Wish:
    """A reading with a reply of our own: what changes, then the rest."""
    like, avoid = list(like[:MOST]), list(avoid[:MOST])
    changes = [f"more {_quoted(word)}" for word in like] + [f"less {_quoted(word)}" for word in avoid]
    told = f"I will try {', '.join(changes)}. {rest}" if changes else rest or "I know no word of that wish."
    return Wish(like=like, avoid=avoid, reply=clean(told, LONGEST_REPLY))


def _quoted(value: str) -> str:
    """A value of several words in quotes: "more 'no lines'" would puzzle without them."""
    return f"'{value}'" if " " in value else value


def plainer(wish: str) -> str:
    """The wish in lower case, with roundabout English ("swap red for blue", "can't get enough of") said with no, but and more."""
    text = " ".join(wish.lower().replace("\u2019", "'").split())
    for pattern, plain in PLAINER:
        text = re.sub(pattern, plain, text)
    return text


def _sides(text: str, vocabulary: Vocabulary) -> dict[str, bool]:
    """Each vocabulary word of a plain wish, and whether it is wanted; what was said last counts."""
    forms, pattern = _reader(tuple(vocabulary.words))
    sides: dict[str, bool] = {}
    clause, before, wanted, opened = list[str](), list[str](), True, 0
    for found in pattern.finditer(text):
        if found["word"]:
            clause.append(forms[found["word"]])
            sides.pop(clause[-1], None)
            sides[clause[-1]] = wanted
        elif found["after"]:
            alone = not text[opened : found.start()].strip()  # "circles? no thanks"
            sides |= dict.fromkeys(before if alone else clause, False)
        elif found["turn"]:
            clause, before, wanted, opened = [], clause, True, found.end()
        else:
            wanted = not found["against"]
    return sides


@lru_cache
def _reader(words: tuple[str, ...]) -> tuple[dict[str, str], re.Pattern[str]]:
    """Every form of a word with the word itself, and the pattern of all that is read; "no lines", if a word, is no negation."""
    forms = {
        f"{re.sub('^(?:an?|the) ', '', word.lower())}{ending}": word for ending in ("es", "s", "") for word in words
    }
    forms |= {f"{word.lower()}{ending}": word for ending in ("es", "s", "") for word in words}
    listed = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return forms, re.compile(
        rf"(?<![\w-])(?P<word>{listed})(?![\w-])|(?P<after>{AFTER})|(?P<against>{AGAINST})|(?P<back>{BACK})|(?P<turn>{TURN})"
    )


def _unknown(text: str, vocabulary: Vocabulary) -> list[str]:
    """The words of a plain wish that were not read, small words and the names of genes aside."""
    rest = _reader(tuple(vocabulary.words))[1].sub(" ", text)
    names = {part + ending for gene in vocabulary.genes for part in gene.split("_") for ending in ("", "s")}
    read = names.union(SMALL_WORDS.split())
    found = re.findall(r"[\w'-]{3,}|[^\W\x00-\x7f]+", rest)  # of other scripts one letter may be a word
    return [word for word in dict.fromkeys(found) if word not in read]


def _some_genes(vocabulary: Vocabulary) -> str:
    """The three genes with the most words, to name as examples: "a background, a colour or a shape"."""
    most = sorted(vocabulary.genes, key=lambda gene: -len(vocabulary.genes[gene]))[:3]
    *first, last = [with_articles(f"a {gene.replace('_', ' ')}") for gene in most]
    return f"{', '.join(first)} or {last}" if first else last
