"""The ideas of which wishes are invented: something that a person says, and the words of the vocabulary that are meant.

Each maker draws one idea of its kind from the lists in `trainers.embedded.lessons.sayings`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

from prompts.vocabulary import with_articles
from trainers.embedded.lessons.sayings import (
    ACTS,
    BACKGROUNDS,
    BEGINNINGS,
    CHANGES,
    COLOURS,
    DIRECT,
    ENDS,
    KINDLY,
    MORE_OR_LESS,
    NOUNS,
    OTHER_COLOURS,
    OUTSIDE,
    OWNERS,
    PROPER,
    QUALITIES,
    SHADES,
    SHAPES,
    TALK,
    THEMES,
    THINGS,
    UNKNOWN,
    VOWELS,
    WHERE,
    Idea,
    Sides,
    Words,
    named,
    once,
)
from trainers.embedded.world.world import PALETTES, STYLES, VOCABULARY


def small_talk(rng: random.Random) -> str:
    """Words that name no wish."""
    return rng.choice(TALK) + rng.choice(["", "", ".", "!", "?"])


def _colour(rng: random.Random) -> tuple[str, str]:
    return rng.choice(list(OTHER_COLOURS.items())) if rng.random() < 0.3 else (rng.choice(COLOURS),) * 2


def colour_idea(rng: random.Random) -> Idea:
    """One to three colours, or a ground of one."""
    found = {word: said for said, word in (_colour(rng) for _ in range(rng.choices([1, 2, 3], [6, 3, 1])[0]))}
    said = list(found.values())
    if len(said) == 1:
        text = rng.choice(["{}"] * 8 + [*BACKGROUNDS, *SHADES]).format(said[0])
    else:
        text = ", ".join(said[:-1]) + rng.choice([" and ", " and ", " or ", " & ", " n "]) + said[-1]
    return named(text, "thing", *found)


def shape_idea(rng: random.Random) -> Idea:
    """A shape, or two kinds of them."""
    words = rng.sample(list(SHAPES), rng.choices([1, 2], [4, 1])[0])
    return named(
        rng.choice([" and ", " and ", " or "]).join(rng.choice(SHAPES[word]) for word in words), "thing", *words
    )


def scene_idea(rng: random.Random) -> Idea:
    """A shape with number, size, colour and ground, or some of them: "two small red circles on a white background"."""
    shape, (count, size) = rng.choice(list(SHAPES)), (rng.choice(VOCABULARY.genes[gene]) for gene in ("count", "size"))
    (said_colour, colour), (said_ground, ground) = _colour(rng), _colour(rng)
    chosen = {
        part
        for part, chance in (("count", 0.4), ("size", 0.45), ("colour", 0.75), ("ground", 0.25))
        if rng.random() < chance
    }
    many = count != "one" if "count" in chosen else rng.random() < 0.6
    noun = SHAPES[shape][0] if many else shape
    said_size = {
        "large": rng.choice(["large", "large", "big", "huge"]),
        "small": rng.choice(["small", "small", "little", "tiny"]),
    }[size]
    parts = [
        _number(count, rng) if "count" in chosen else "" if many else "a",
        said_size if "size" in chosen else "",
        said_colour if "colour" in chosen else "",
        noun,
    ]
    text = " ".join(part for part in parts if part) + (
        f" on {rng.choice(['a ', ''])}{said_ground}{rng.choice(['', ' background'])}" if "ground" in chosen else ""
    )
    said = (("count", count), ("size", size), ("colour", colour), ("shape", shape), ("ground", ground))
    words = [word for part, word in said if part in chosen | {"shape"}]
    return named(with_articles(text), "thing", *dict.fromkeys(words))


def _number(count: str, rng: random.Random) -> str:
    """A count as it is typed: "three", sometimes "3"."""
    return str(VOCABULARY.genes["count"].index(count) + 1) if rng.random() < 0.2 else count


def count_idea(rng: random.Random) -> Idea:
    """A number or a size of things."""
    if rng.random() < 0.45:
        return rng.choice(THINGS["count"])
    word = rng.choice(VOCABULARY.genes["count"])
    noun = rng.choice(NOUNS)[:-1] if word == "one" else rng.choice([*NOUNS, "of them"])
    return named(f"{rng.choice(['', '', 'just ', 'only ', 'exactly '])}{_number(word, rng)} {noun}", "thing", word)


def thing_idea(kind: str) -> Callable[[random.Random], Idea]:
    """Chooses among the things of a kind."""
    return lambda rng: rng.choice(THINGS[kind])


def word_idea(rng: random.Random) -> Idea:
    """A word of the vocabulary that is a quality of the whole: "translucent", "in a row"."""
    return named(
        word := rng.choice([w for g in ("layout", "overlap", "texture") for w in VOCABULARY.genes[g]]), "quality", word
    )


def quality_idea(rng: random.Random) -> Idea:
    """A mood or another quality: not wanted, its words are unwanted and nothing is put in their place."""
    said, (like, avoid) = rng.choice(list(QUALITIES.items()))
    one = Idea(said, "quality", (like, avoid), ((), like[-2:]), said in DIRECT)
    return one if rng.random() > 0.12 else _both(one, quality_idea(rng), rng)


def _both(one: Idea, other: Idea, rng: random.Random) -> Idea:
    """Two qualities in one breath ("dark and moody"): what the first asks for, the second cannot take back."""
    if one.said == other.said or set(one.yes[0]) & set(other.yes[1]) or set(other.yes[0]) & set(one.yes[1]):
        return one
    sides = [once(one.yes[side] + other.yes[side]) for side in (0, 1)]
    text = one.said + rng.choice([" and ", " and ", ", ", " but "]) + other.said
    return Idea(text, "quality", (sides[0], sides[1]), ((), once(one.no[1] + other.no[1])), False)


def change_idea(rng: random.Random) -> Idea:
    """More of a quality, or more or less of something."""
    if rng.random() < 0.4:
        said, sides = rng.choice(list(MORE_OR_LESS.items()))
        return Idea(said, "amount", sides, direct=False)
    said, base = rng.choice(list(CHANGES.items()))
    return Idea(said, "change", QUALITIES.get(base) or palette_words(base), direct=False)


def act_idea(rng: random.Random) -> Idea:
    """Something to be done with the shapes."""
    said, words = rng.choice(list(ACTS.items()))
    return named(said, "act", *words)


def palette_words(name: str) -> Sides:
    """The colours of a palette: those of the world's; tints have no words, black is what they never have."""
    special: dict[str, Sides] = {
        "pastel": (tuple(PALETTES["pastel"][:4]), ("black",)),
        "monochrome": (("black", "white"), ()),
    }
    return special.get(name) or (tuple(PALETTES[name]), ())


def palette_idea(rng: random.Random) -> Idea:
    """A palette by name."""
    name = rng.choice(list(PALETTES))
    like, avoid = palette_words(name)
    said = (
        "black and white"
        if name == "monochrome" and rng.random() < 0.4
        else rng.choice([name] * 3 + [f"{name} colours", f"{name} tones", f"{name} colors", f"{name} ones"])
    )
    form: Literal["thing", "quality"] = "quality" if said == name else "thing"
    return Idea(said, form, (like, avoid), ((), like), said == "black and white")


def style_words(name: str) -> Words:
    """What a style is told by: the first of what it allows of each gene, and two of colours and shapes."""
    style = STYLES[name]
    several = [word for gene in ("colour", "shape") for word in style[gene][:2]]
    first = [style[gene][0] for gene in ("background", "layout", "overlap", "lines", "texture") if gene in style]
    return once(several + first)


def style_idea(rng: random.Random) -> Idea:
    """A style by name. Not wanted, only its shapes and its texture go: the rest is shared with other styles."""
    name = rng.choice(list(STYLES))
    unwanted = (*STYLES[name]["shape"][:2], STYLES[name]["texture"][0])
    said = rng.choice(
        ["{}"] * 3
        + ["{} style", "a {} look", "{} pictures", "a {} poster", "{} art", "a {} composition", "the {} style"]
    ).format(name)
    return Idea(said, "thing" if said != name else "quality", (style_words(name), ()), ((), unwanted), False)


def theme_idea(rng: random.Random) -> Idea:
    """Colours of a place or a time."""
    name, words = rng.choice(list(THEMES.items()))
    if rng.random() < 0.3:
        return Idea(f"like {name}", "quality", (words, ()), ((), words), False)
    text = rng.choice(
        ["the colours of {}", "colours like {}", "the colors of {}", "colours of {}", "the mood of {}"]
    ).format(name)
    return Idea(text, "thing", (words, ()), ((), words), False)


def outside_idea(rng: random.Random) -> Idea:
    """A thing that cannot be painted; of some, the colours can."""
    if rng.random() < 0.12:
        name, words = rng.choice(list(THEMES.items()))
        return Idea(name, "outside", (words, ()), direct=False)
    if rng.random() < 0.25:
        return Idea(rng.choice(PROPER if rng.random() < 0.4 else UNKNOWN), "outside", ((), ()))
    colour = rng.choice(COLOURS) if rng.random() < 0.1 else ""
    noun = invented_noun(rng) if rng.random() < 0.4 else rng.choice(OUTSIDE)
    owner = rng.choice(["", *OWNERS]) if not colour else "a"
    many = not owner or (owner != "a" and rng.random() < 0.2) or owner == "some"
    parts = [owner, colour or rng.choice(KINDLY), _plural(noun) if many else noun, rng.choice(WHERE)]
    return Idea(with_articles(" ".join(part for part in parts if part)), "outside", ((colour,) if colour else (), ()))


def _plural(noun: str) -> str:
    ending = noun[-2:]
    if ending[-1] == "y" and ending[0] not in "aeo":
        return f"{noun[:-1]}ies"
    return noun + ("es" if ending in ("sh", "ch", "ss") or ending[-1] in "sx" else "s")


def invented_noun(rng: random.Random) -> str:
    """A word that nobody knows: names must be copied, not remembered."""
    syllables = [rng.choice(BEGINNINGS) + rng.choice(VOWELS) for _ in range(rng.choice([1, 2, 2, 3]))]
    return "".join(syllables) + rng.choice(ENDS)


# What a wish is made of: (how often, one of them).
KINDS: dict[str, tuple[float, Callable[[random.Random], Idea]]] = {
    "colour": (5, colour_idea), "shape": (3, shape_idea), "scene": (3, scene_idea), "count": (2, count_idea), "layout": (2, thing_idea("layout")),
    "overlap": (1, thing_idea("overlap")), "lines": (2, thing_idea("lines")), "texture": (2, thing_idea("texture")), "word": (3, word_idea),
    "quality": (5, quality_idea), "change": (3.5, change_idea), "act": (1.5, act_idea), "palette": (1, palette_idea), "style": (1.2, style_idea),
    "theme": (0.7, theme_idea), "outside": (3.5, outside_idea),
}  # fmt: skip
