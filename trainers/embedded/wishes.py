"""Invented wishes and what they mean in the vocabulary: how the small language model learns to listen."""

from __future__ import annotations

import random
from typing import Any

MOODS: dict[str, tuple[list[str], list[str]]] = {  # what is said: (words wanted, words unwanted)
    "calm": (["plain", "blue", "one"], ["striped"]), "calmer": (["plain", "teal", "one"], ["striped"]), "quiet": (["plain", "white"], ["striped"]),
    "peaceful": (["blue", "green"], ["striped"]), "warm": (["red", "orange", "yellow"], ["blue"]), "warmer": (["orange", "red"], ["blue"]),
    "cool": (["blue", "teal", "green"], ["red"]), "colder": (["blue", "teal"], ["orange"]), "dark": (["black"], ["white"]),
    "darker": (["black", "purple"], ["white"]), "moody": (["black", "purple"], ["yellow"]), "bright": (["white", "yellow"], ["black"]),
    "brighter": (["white", "yellow"], ["black"]), "light": (["white"], ["black"]), "cheerful": (["yellow", "pink"], ["black"]),
    "happy": (["yellow", "orange"], ["black"]), "minimal": (["one", "plain", "white"], ["three"]), "simple": (["one", "plain"], ["three"]),
    "simpler": (["one", "plain"], ["striped"]), "busy": (["three", "scattered"], ["one"]), "busier": (["three", "striped"], ["one"]),
    "lively": (["three", "scattered", "striped"], ["plain"]), "bold": (["large", "red", "black"], ["small"]), "bolder": (["large", "black"], ["small"]),
    "delicate": (["small", "pink"], ["large"]), "tidy": (["in a row"], ["scattered"]), "ordered": (["in a row", "centred"], ["scattered"]),
    "symmetric": (["centred"], ["scattered"]), "balanced": (["centred"], ["diagonal"]), "dynamic": (["diagonal"], ["centred"]),
    "wild": (["scattered", "striped"], ["centred"]), "round": (["circle", "ring"], ["square"]), "softer": (["circle", "gradient"], ["cross"]),
    "soft": (["circle", "gradient"], ["triangle"]), "sharp": (["triangle", "diamond"], ["circle"]), "angular": (["square", "triangle"], ["circle"]),
    "feminine": (["pink", "purple"], []), "natural": (["green"], []), "like the sea": (["blue", "teal"], []), "like a sunset": (["orange", "pink"], []),
    "like a forest": (["green"], []), "like the night": (["black", "blue"], ["white"]),
}  # fmt: skip
PHRASES: dict[str, tuple[list[str], list[str]]] = {
    "fewer shapes": (["one"], ["three"]), "less stuff": (["one"], ["three"]), "more shapes": (["three"], ["one"]), "more things": (["three"], ["one"]),
    "bigger shapes": (["large"], ["small"]), "smaller shapes": (["small"], ["large"]), "no stripes": ([], ["striped"]), "stripes": (["striped"], []),
    "a gradient": (["gradient"], []), "a flat background": (["plain"], ["striped", "gradient"]), "no pattern": (["plain"], ["striped"]),
    "everything in the middle": (["centred"], []), "things in a line": (["in a row"], []), "a diagonal": (["diagonal"], []),
    "things all over the place": (["scattered"], []), "just one thing": (["one"], ["three"]), "two of them": (["two"], []), "three of them": (["three"], []),
}  # fmt: skip
COLOURS = ["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "black", "white"]
SHAPES = {
    "circle": ["circles", "a circle", "discs", "dots"], "square": ["squares", "a square", "boxes"], "triangle": ["triangles", "a triangle"],
    "diamond": ["diamonds", "a diamond", "rhombs"], "ring": ["rings", "a ring", "hoops"], "cross": ["crosses", "a cross", "plus signs"],
}  # fmt: skip
OTHER_COLOURS = {
    "turquoise": "teal",
    "cyan": "teal",
    "navy": "blue",
    "violet": "purple",
    "crimson": "red",
    "lilac": "purple",
    "rose": "pink",
    "gold": "yellow",
}
OUTSIDE = [
    "a cat", "a dog", "my house", "a castle", "a portrait of my mother", "a horse", "mountains", "a car", "a photo of a tree", "oil paint",
    "people dancing", "a dragon", "my name in letters", "a city at night", "flowers", "a robot", "a spaceship", "a face", "van gogh", "a bird",
]  # fmt: skip
LOVE = [
    "I love {}",
    "more {}",
    "{} please",
    "I like {}",
    "give me {}",
    "I want {}",
    "can you use {}",
    "{} is my favourite",
    "add {}",
    "I adore {}",
    "{}",
]
HATE = [
    "no {}",
    "less {}",
    "I hate {}",
    "without {}",
    "please avoid {}",
    "I don't like {}",
    "not so much {}",
    "drop {}",
    "get rid of {}",
]
FEEL = ["{}", "make it {}", "something {}", "I want it {}", "it should be {}", "a bit {}", "{} please", "more {}"]


def invent_wish(rng: random.Random) -> tuple[str, dict[str, Any]]:
    """A wish in a person's words, and the answer: `like`, `avoid` (vocabulary words) and a `reply`."""
    like: list[str] = []
    avoid: list[str] = []
    strange: list[str] = []
    parts = [
        rng.choices([_word, _mood, _phrase, _outside], [4, 3, 2, 1])[0](rng, like, avoid, strange)
        for _ in range(rng.choices([1, 2, 3], [5, 3, 1])[0])
    ]
    wish = rng.choice([", ", " and ", ", "]).join(parts)
    like = list(dict.fromkeys(like))[:6]
    avoid = [word for word in dict.fromkeys(avoid) if word not in like][:6]
    wish = wish if rng.random() < 0.5 else wish.capitalize()
    return wish + rng.choice(["", "", ".", "!"]), {"like": like, "avoid": avoid, "reply": reply(like, avoid, strange)}


def reply(like: list[str], avoid: list[str], strange: list[str]) -> str:
    """One plain sentence that says what will change, and what cannot be painted here."""
    change = ([f"more {', '.join(like)}"] if like else []) + ([f"less {', '.join(avoid)}"] if avoid else [])
    if not strange:
        return f"I will try {' and '.join(change)}." if change else "Tell me a colour, a shape or a mood."
    sorry = f"I cannot paint {strange[0]} with this model, only simple shapes and colours"
    return f"{sorry}; I will try {' and '.join(change)}." if change else f"{sorry}."


def _word(rng: random.Random, like: list[str], avoid: list[str], strange: list[str]) -> str:
    kind = rng.random()
    if kind < 0.5:
        said = word = rng.choice(COLOURS)
    elif kind < 0.65:
        said, word = rng.choice(list(OTHER_COLOURS.items()))
    else:
        word = rng.choice(list(SHAPES))
        said = rng.choice(SHAPES[word])
    loved = rng.random() < 0.65
    (like if loved else avoid).append(word)
    return rng.choice(LOVE if loved else HATE).format(said)


def _mood(rng: random.Random, like: list[str], avoid: list[str], strange: list[str]) -> str:
    mood = rng.choice(list(MOODS))
    like += MOODS[mood][0]
    avoid += MOODS[mood][1]
    return rng.choice(FEEL).format(mood)


def _phrase(rng: random.Random, like: list[str], avoid: list[str], strange: list[str]) -> str:
    phrase = rng.choice(list(PHRASES))
    like += PHRASES[phrase][0]
    avoid += PHRASES[phrase][1]
    return rng.choice(["{}", "{} please", "I want {}", "how about {}", "let's have {}"]).format(phrase)


def _outside(rng: random.Random, like: list[str], avoid: list[str], strange: list[str]) -> str:
    strange.append(rng.choice(OUTSIDE))
    return rng.choice(["paint {}", "I want {}", "can you do {}", "{}", "I love {}", "show me {}"]).format(strange[-1])
