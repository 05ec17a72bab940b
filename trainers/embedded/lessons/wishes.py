"""Invented wishes and what they mean in the vocabulary: how the small language model learns to listen.

A wish is one to three clauses: an idea ("teal", "calmer", "spread them out"; `trainers.embedded.lessons.ideas`) in a carrier ("I love {}",
"not so {}"), joined, sometimes with an aside that asks for nothing (carriers.py). `held_out=True` words a wish with carriers and joins that are
never taught.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trainers.embedded.lessons.carriers import (
    ACT,
    AMOUNT,
    ASIDES,
    COOL_OFF,
    ENDINGS,
    FEEL,
    HATE,
    JOINS,
    LOVE,
    NEW_JOINS,
    NEW_OPENINGS,
    NEW_TURNS,
    OPENINGS,
    OUTSIDE,
    PLURAL,
    REFRAIN,
    SWAP,
    SWAP_FEEL,
    TURNS,
    carrier,
)
from trainers.embedded.lessons.ideas import KINDS, invented_noun, small_talk
from trainers.embedded.lessons.sayings import Idea, direct_words, once

MOST = 10  # words wanted, and words unwanted, of one wish: as many as an answer may hold
TYPO = 0.03  # share of ideas with a slip of the finger
ASIDE = 0.12  # share of wishes with words that ask for nothing


@dataclass
class Meaning:
    """What the clauses so far ask for, in the order it is said: words said themselves (`direct`) outweigh those that a mood implies."""

    like: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    direct: set[str] = field(default_factory=set)
    strange: str = ""

    def added(self, like: tuple[str, ...], avoid: tuple[str, ...], said: set[str]) -> Meaning | None:
        """The meaning with one more clause, or None where it contradicts what was said or is too long to answer."""
        more, less = set(like), set(avoid)
        against, torn = more & set(self.avoid), less & set(self.like)
        if (against & (self.direct | (more - said))) or (torn & (self.direct | (less - said))):
            return None
        liked = once(word for word in (*self.like, *like) if word not in less & said)
        unwanted = once(word for word in (*self.avoid, *avoid) if word not in liked)
        if len(liked) > MOST or len(unwanted) > MOST:
            return None
        return Meaning(liked, unwanted, self.direct | said, self.strange)


def invent_wish(rng: random.Random, held_out: bool = False) -> tuple[str, dict[str, Any]]:
    """A wish in a person's words, and the answer: `like`, `avoid` (vocabulary words) and a `reply`."""
    if rng.random() < 0.03:
        return small_talk(rng), answer(Meaning())
    text, meaning, denied = "", Meaning(), False
    for _ in range(rng.choices([1, 2, 3], [5, 4, 1])[0]):
        clause, grown, denies = _clause(meaning, rng, held_out)
        text += (_join(clause, denied, rng, held_out) if text else "") + clause
        meaning, denied = grown, denies
    text = rng.choice(NEW_OPENINGS if held_out else OPENINGS) + text
    if rng.random() < ASIDE:
        text = _with_aside(text, rng, held_out)
    text = _addressed(text + rng.choice(ENDINGS), rng)
    return (text if rng.random() < 0.7 else text.capitalize()), answer(meaning)


def _with_aside(text: str, rng: random.Random, held_out: bool) -> str:
    """The wish with words before or after it that ask for nothing."""
    aside = carrier(ASIDES, rng, held_out)
    return rng.choice(
        [f"{aside}, {text}", f"{aside}: {text}", f"{text}, {aside}", f"{text}. {aside}", f"{text} ({aside})"]
    )


def _addressed(text: str, rng: random.Random) -> str:
    """Names in their places: words that nobody knows, and that ask for nothing where they stand."""
    return text.replace("{name}", invented_noun(rng))


def _join(clause: str, denied: bool, rng: random.Random, held_out: bool) -> str:
    """A bare "blue" after "no red" needs a turn: "no red and blue" means neither."""
    if denied and (len(clause.split()) < 4 or not clause.startswith(("i ", "no ", "less ", "without "))):
        return rng.choice(NEW_TURNS if held_out else TURNS)
    return rng.choice(NEW_JOINS if held_out else JOINS)


def _clause(meaning: Meaning, rng: random.Random, held_out: bool) -> tuple[str, Meaning, bool]:
    """One more clause that does not contradict the others: its text, what is meant now, and whether it denies something."""
    while True:
        kind = rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
        idea = KINDS[kind][1](rng)
        if idea.form == "outside":
            if meaning.strange:
                continue
            text, grown, denied = _strange(idea, rng, held_out), meaning.added(*idea.yes, set()), False
            grown = grown and Meaning(grown.like, grown.avoid, grown.direct, idea.said)
        elif idea.form in ("thing", "quality") and rng.random() < 0.18:
            text, grown, denied = *_swap(idea, KINDS[kind][1](rng), meaning, rng, held_out), False
        else:
            denied = rng.random() < 0.32 and idea.form not in ("change", "amount")
            text, grown = _plain(idea, denied, meaning, rng, held_out)
        if grown is not None:
            return text, grown, denied


def _strange(idea: Idea, rng: random.Random, held_out: bool) -> str:
    return carrier(OUTSIDE, rng, held_out).replace("{}", idea.said)


def _plain(
    idea: Idea, denied: bool, meaning: Meaning, rng: random.Random, held_out: bool
) -> tuple[str, Meaning | None]:
    patterns = {
        "thing": (LOVE, HATE),
        "quality": (FEEL, COOL_OFF),
        "change": (FEEL, FEEL),
        "amount": (AMOUNT, AMOUNT),
        "act": (ACT, REFRAIN),
    }[idea.form][denied]
    text = _filled(carrier(patterns, rng, held_out), idea.said)
    like, avoid = idea.no if denied else idea.yes
    return _slipped(text, idea, rng), meaning.added(like, avoid, direct_words(idea))


def _filled(template: str, said: str) -> str:
    """The template with the idea in it, its verb in the plural for "circles"; "more calmer", "no a ring" and "the the sea" lose a word."""
    if said.endswith("s") and not said.endswith("ss") and template.startswith("{}"):
        for one, many in PLURAL.items():
            template = (template + " ").replace(one, many).strip()
    text = re.sub(
        r"\b(no|more|less|fewer|any|much|some|many|never|plenty of|lots of|the|all the|this|those) (?:an?|the) ",
        r"\1 ",
        template.replace("{}", said),
    )
    return re.sub(r"\b(more|really|very|quite|nice and|rather) (?=\w+er\b)", "", text) if said.endswith("er") else text


def _swap(
    wanted: Idea, other: Idea, meaning: Meaning, rng: random.Random, held_out: bool
) -> tuple[str, Meaning | None]:
    """A clause that wants one idea in place of another of its kind."""
    if wanted.form != other.form or set(wanted.yes[0]) & (set(other.yes[0]) | set(other.no[1])):
        return "", None
    text = carrier(SWAP if wanted.form == "thing" else SWAP_FEEL, rng, held_out)
    first = meaning.added(*wanted.yes, direct_words(wanted))
    return text.replace("{yes}", wanted.said).replace("{no}", other.said), first and first.added(
        *other.no, direct_words(other)
    )


def _slipped(text: str, idea: Idea, rng: random.Random) -> str:
    """Sometimes a slip of the finger in the idea's longest word."""
    word = max(idea.said.split(), key=len)
    if len(word) < 4 or rng.random() > TYPO:
        return text
    place = rng.randrange(1, len(word))
    left, right = word[:place], word[place:]
    slips = [left + right[1:], left + right[0] + right, left + right[1:2] + right[0] + right[2:]]
    return text.replace(word, rng.choice(slips))


def answer(meaning: Meaning) -> dict[str, Any]:
    """The answer to a wish, words in the order in which they were said: a list that need not be sorted is a list to copy."""
    said = reply(meaning.like, meaning.avoid, meaning.strange)
    return {"like": list(meaning.like), "avoid": list(meaning.avoid), "reply": said}


def reply(like: Sequence[str], avoid: Sequence[str], strange: str) -> str:
    """One plain sentence that says what will change, and what cannot be painted here."""
    change = ([f"go for {', '.join(like)}"] if like else []) + ([f"leave out {', '.join(avoid)}"] if avoid else [])
    if not strange:
        return f"I will {' and '.join(change)}." if change else "Tell me a colour, a shape or a mood."
    sorry = f"I cannot paint {strange}, only simple shapes and colours"
    return f"{sorry}; I will {' and '.join(change)}." if change else f"{sorry}."
