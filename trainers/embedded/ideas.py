"""What people say of pictures, and the words of the vocabulary that are meant: the ideas of which wishes are invented.

Things ("teal", "thin outlines"), qualities ("calm"), changes ("calmer"), acts ("spread them out"), and what is outside the world.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from trainers.embedded.world import PALETTES, STYLES, VOCABULARY

Words = tuple[str, ...]
Sides = tuple[Words, Words]  # words wanted, words unwanted


@dataclass(frozen=True)
class Idea:
    """Something said, and what it means when it is wanted (`yes`) and when it is not (`no`). `direct`: the words themselves."""

    said: str
    form: Literal["thing", "quality", "change", "amount", "act", "outside"]
    yes: Sides
    no: Sides = ((), ())
    direct: bool = True


def _once(words: Iterable[str]) -> Words:
    return tuple(dict.fromkeys(words))


def direct_words(idea: Idea) -> set[str]:
    """The words that an idea names, rather than implies."""
    return {word for side in (*idea.yes, *idea.no) for word in side} if idea.direct else set()


def _named(said: str, form: Literal["thing", "quality", "change", "act"], *words: str) -> Idea:
    """An idea that names words: not wanted, they are unwanted."""
    return Idea(said, form, (words, ()), ((), words))


COLOURS = VOCABULARY.genes["colour"]
OTHER_COLOURS = {
    "turquoise": "teal", "cyan": "teal", "aqua": "teal", "petrol": "teal", "aquamarine": "teal", "sea green": "teal",
    "navy": "blue", "azure": "blue", "sky blue": "blue", "dark blue": "blue", "light blue": "blue", "cobalt": "blue", "ultramarine": "blue",
    "violet": "purple", "lilac": "purple", "lavender": "purple", "mauve": "purple", "plum": "purple",
    "crimson": "red", "scarlet": "red", "ruby": "red", "cherry red": "red", "dark red": "red",
    "rose": "pink", "salmon": "pink", "magenta": "pink", "fuchsia": "pink", "hot pink": "pink",
    "gold": "yellow", "lemon": "yellow", "mustard": "yellow", "golden": "yellow",
    "lime": "green", "olive": "green", "emerald": "green", "mint": "green", "dark green": "green", "forest green": "green",
    "tangerine": "orange", "amber": "orange", "apricot": "orange",
    "ivory": "white", "cream": "white", "snow white": "white", "ebony": "black", "jet black": "black", "charcoal": "black",
}  # fmt: skip
SHAPES = {  # the first is the singular that takes a number, the others are said of many or of one
    "circle": ["circles", "a circle", "discs", "disks", "dots", "a dot", "balls", "round shapes"],
    "square": ["squares", "a square", "boxes", "cubes", "blocks"], "triangle": ["triangles", "a triangle", "pyramids"],
    "diamond": ["diamonds", "a diamond", "rhombs", "lozenges"], "ring": ["rings", "a ring", "hoops", "donuts"],
    "cross": ["crosses", "a cross", "plus signs", "pluses"], "semicircle": ["semicircles", "a semicircle", "half circles", "half moons", "domes"],
    "arc": ["arcs", "an arc", "arches", "curves", "rainbow shapes", "bows"], "bar": ["bars", "a bar", "beams", "sticks", "long rectangles"],
    "grid": ["grids", "a grid", "lattices", "window shapes", "nets"],
}  # fmt: skip
NOUNS = ["shapes", "things", "forms", "objects", "figures", "elements", "pieces"]
BACKGROUNDS = [
    "a {} background", "a {} backdrop", "{} backgrounds", "a {} ground", "the background {}", "a background in {}",
    "{} behind everything",
]  # fmt: skip

THINGS: dict[str, list[Idea]] = {
    "layout": [
        *(_named(f"{said} layouts", "thing", word) for word, said in (("centred", "centred"), ("scattered", "scattered"), ("diagonal", "diagonal"),
          ("tiled", "tiled"), ("radial", "radial"), ("symmetric", "symmetric"), ("symmetric", "symmetrical"))),
        *(_named(said, "thing", "diagonal") for said in ("diagonals", "a diagonal", "a diagonal layout", "slanted rows", "a slant")),
        *(_named(said, "thing", "tiled") for said in ("tiles", "tiling", "a tiled layout", "a repeating pattern", "a regular pattern", "a mosaic")),
        *(_named(said, "thing", "in a row") for said in ("a row", "rows", "things in a row", "shapes in a row", "things in a line", "a line-up", "one neat row")),
        *(_named(said, "thing", "radial") for said in ("a radial layout", "a star layout", "a wheel", "shapes around the middle", "a ring of shapes", "things in a circle")),
        *(_named(said, "thing", "symmetric") for said in ("symmetry", "a symmetric layout", "mirror images", "a mirrored layout", "both sides the same")),
        *(_named(said, "thing", "centred") for said in ("a centred layout", "everything in the middle", "things in the middle", "a centred composition", "centered shapes", "shapes in the centre", "everything in the center")),
        *(_named(said, "thing", "scattered") for said in ("a scattered layout", "things all over the place", "scattered shapes", "random places", "a loose layout", "confetti")),
    ],
    "overlap": [
        *(_named(said, "thing", "apart") for said in ("space between the shapes", "gaps between them", "separate shapes", "distance between things", "shapes apart")),
        *(_named(said, "thing", "overlapping") for said in ("overlaps", "overlapping shapes", "overlap", "shapes on top of each other", "layers", "layered shapes", "overlapping things")),
        *(_named(said, "thing", "translucent") for said in ("transparency", "see-through shapes", "translucent shapes", "transparent colours", "glassy shapes", "overprinting", "transparent layers")),
    ],
    "lines": [
        *(Idea(said, "thing", (("thin lines", "bold lines"), ()), (("no lines",), ())) for said in ("lines", "outlines", "contours", "borders around the shapes", "edges", "outlined shapes", "black outlines")),
        *(_named(said, "thing", "thin lines") for said in ("thin lines", "thin outlines", "fine lines", "fine outlines", "delicate lines", "hairlines", "a thin outline", "pencil lines")),
        *(_named(said, "thing", "bold lines") for said in ("bold lines", "bold outlines", "thick lines", "thick outlines", "heavy lines", "strong outlines", "a thick outline", "fat lines")),
        *(Idea(said, "thing", (("no lines",), ()), (("thin lines", "bold lines"), ())) for said in ("shapes without outlines", "shapes without lines")),
    ],
    "texture": [
        *(Idea(said, "thing", (("grainy", "hatched", "paper"), ()), (("flat",), ())) for said in ("texture", "textures", "a texture", "some structure")),
        *(_named(said, "thing", "flat") for said in ("flat colours", "plain colours", "a flat background", "a plain background", "flat surfaces", "solid colours", "a flat look")),
        *(_named(said, "thing", "gradient") for said in ("gradients", "a gradient", "smooth gradients", "colour fades", "a gradient background", "smooth transitions", "a fade")),
        *(_named(said, "thing", "grainy") for said in ("grain", "film grain", "a grainy texture", "noise", "a sandy texture", "speckles", "a grainy background")),
        *(_named(said, "thing", "hatched") for said in ("hatching", "stripes", "a hatched background", "a hatched texture", "a striped background", "cross-hatching", "a striped texture")),
        *(_named(said, "thing", "paper") for said in ("paper", "a paper texture", "paper texture", "the look of paper", "a papery feel", "cut paper", "handmade paper")),
    ],
    "count": [
        *(Idea(said, "thing", (("four", "five"), ("one",)), (("one", "two"), ("five",))) for said in ("many shapes", "lots of shapes", "many things", "a lot going on", "a crowd")),
        *(Idea(f"{size} {noun}", "thing", ((word,), ()), ((), (word,))) for noun in NOUNS for size, word in (("small", "small"), ("large", "large"), ("big", "large"), ("tiny", "small"))),
        *(Idea(said, "thing", (("small",), ("large",)), ((), ("small",))) for said in ("smaller shapes", "smaller things", "smaller forms")),
        *(Idea(said, "thing", (("large",), ("small",)), ((), ("large",))) for said in ("bigger shapes", "larger shapes", "bigger things", "larger forms")),
        *(Idea(said, "thing", (("one",), ("four", "five")), ((), ("one",))) for said in ("just one thing", "only one shape", "a single shape", "just one shape", "a single object")),
    ],
}  # fmt: skip

QUALITIES: dict[str, Sides] = {  # said: (words wanted, words unwanted)
    "calm": (("blue", "one", "flat"), ("scattered",)), "quiet": (("white", "one", "flat"), ()), "peaceful": (("green", "blue", "flat"), ()),
    "relaxing": (("green", "blue"), ()), "serene": (("teal", "blue", "flat"), ()), "dark": (("purple", "black"), ("white",)),
    "moody": (("purple", "black", "grainy"), ("yellow",)), "gloomy": (("black", "grainy"), ("yellow",)), "mysterious": (("purple", "black", "translucent"), ()),
    "bright": (("yellow", "white"), ("black",)), "light": (("white",), ("black",)), "sunny": (("orange", "yellow"), ("black",)),
    "cheerful": (("yellow", "pink"), ("black",)), "happy": (("orange", "yellow"), ("black",)), "fresh": (("green", "teal", "white"), ()),
    "minimal": (("white", "one", "no lines", "flat"), ("five",)), "minimalist": (("white", "one", "no lines", "flat"), ("five",)),
    "simple": (("one", "no lines", "flat"), ("five",)), "plain": (("flat",), ()), "clean": (("white", "flat"), ("grainy",)),
    "busy": (("four", "five", "scattered"), ("one",)), "crowded": (("four", "five", "overlapping"), ("one",)), "empty": (("one", "small"), ("four", "five")),
    "lively": (("four", "five", "scattered"), ("flat",)), "playful": (("yellow", "pink", "circle", "scattered"), ()), "chaotic": (("five", "scattered", "overlapping"), ("tiled",)),
    "wild": (("five", "scattered", "overlapping"), ("centred",)), "bold": (("red", "black", "large", "bold lines"), ()), "loud": (("red", "yellow", "large"), ()),
    "strong": (("large", "bold lines"), ()), "powerful": (("red", "black", "large"), ()), "delicate": (("pink", "small", "thin lines"), ("bold lines",)),
    "subtle": (("small", "thin lines"), ("bold lines",)), "elegant": (("black", "white", "thin lines"), ()), "tidy": (("tiled", "in a row"), ("scattered",)),
    "orderly": (("tiled", "in a row"), ("scattered",)), "neat": (("in a row", "symmetric"), ("scattered",)), "balanced": (("centred", "symmetric"), ()),
    "formal": (("symmetric",), ("scattered",)), "dynamic": (("diagonal", "overlapping"), ("centred",)), "energetic": (("red", "orange", "diagonal"), ()),
    "messy": (("scattered", "overlapping"), ("tiled",)), "random": (("scattered",), ("tiled",)), "round": (("circle", "ring", "semicircle"), ("square",)),
    "curvy": (("ring", "semicircle", "arc"), ("square",)), "soft": (("circle", "no lines", "gradient"), ("bold lines",)), "gentle": (("pink", "circle", "gradient"), ()),
    "dreamy": (("purple", "translucent", "gradient"), ()), "sharp": (("triangle", "diamond"), ("circle",)), "pointy": (("triangle", "diamond"), ("circle",)),
    "angular": (("square", "triangle", "diamond"), ("circle",)), "edgy": (("triangle", "bold lines"), ()), "blocky": (("square", "bar"), ()),
    "rough": (("grainy", "paper"), ("flat",)), "handmade": (("paper",), ()), "vintage": (("orange", "grainy", "paper"), ()), "old": (("grainy", "paper"), ()),
    "retro": (("orange", "teal", "grainy"), ()), "modern": (("no lines", "flat"), ("paper",)), "graphic": (("bold lines", "flat"), ()), "cartoonish": (("bold lines", "flat"), ()),
    "feminine": (("purple", "pink"), ()), "romantic": (("red", "pink"), ()), "natural": (("green", "paper"), ()), "earthy": (("orange", "green", "paper"), ()),
    "airy": (("white", "small", "apart"), ()), "spacious": (("one", "small", "apart"), ()), "transparent": (("translucent",), ()), "see-through": (("translucent",), ()),
    "glassy": (("translucent",), ()), "layered": (("overlapping",), ()), "mirrored": (("symmetric",), ()), "symmetrical": (("symmetric",), ()),
    "striped": (("hatched",), ()), "textured": (("grainy", "hatched", "paper"), ("flat",)), "outlined": (("thin lines", "bold lines"), ()), "big": (("large",), ()),
    "tiny": (("small",), ()), "huge": (("large",), ()), "icy": (("teal", "blue", "white"), ()), "fiery": (("red", "orange"), ("blue",)), "cosy": (("red", "orange", "paper"), ()),
    "sad": (("blue", "black"), ("yellow",)), "serious": (("black", "white", "symmetric"), ()), "colourful": (("red", "yellow", "blue"), ()), "neutral": (("black", "white", "flat"), ()),
}  # fmt: skip
DIRECT = (
    "plain",
    "transparent",
    "see-through",
    "glassy",
    "layered",
    "mirrored",
    "symmetrical",
    "striped",
    "big",
    "tiny",
    "huge",
)
CHANGES = {
    "calmer": "calm", "quieter": "quiet", "darker": "dark", "moodier": "moody", "brighter": "bright", "lighter": "light", "sunnier": "sunny", "happier": "happy",
    "fresher": "fresh", "simpler": "simple", "plainer": "plain", "cleaner": "clean", "busier": "busy", "emptier": "empty", "livelier": "lively", "wilder": "wild",
    "bolder": "bold", "louder": "loud", "stronger": "strong", "tidier": "tidy", "neater": "neat", "messier": "messy", "rounder": "round", "curvier": "curvy",
    "softer": "soft", "gentler": "gentle", "dreamier": "dreamy", "sharper": "sharp", "pointier": "pointy", "rougher": "rough", "older": "old", "bigger": "big",
    "larger": "huge", "smaller": "tiny", "warmer": "warm", "cooler": "cool", "colder": "cool", "edgier": "edgy", "gloomier": "gloomy", "airier": "airy",
}  # fmt: skip
MORE_OR_LESS: dict[str, Sides] = {
    "fewer shapes": (("one", "two"), ("four", "five")), "fewer things": (("one", "two"), ("four", "five")), "less stuff": (("one", "two"), ("four", "five")),
    "more shapes": (("four", "five"), ("one",)), "more things": (("four", "five"), ("one",)), "more stuff": (("four", "five"), ("one",)),
    "fewer objects": (("one", "two"), ("four", "five")), "more objects": (("four", "five"), ("one",)), "less clutter": (("one", "two"), ("five", "scattered")),
    "fewer forms": (("one", "two"), ("four", "five")), "fewer elements": (("one", "two"), ("four", "five")), "more elements": (("four", "five"), ("one",)),
    "less going on": (("one", "two"), ("four", "five")), "more going on": (("four", "five"), ("one",)), "more space": (("small", "apart"), ()),
    "more room between them": (("apart",), ("overlapping",)), "less overlap": (("apart",), ("overlapping",)), "more overlap": (("overlapping",), ("apart",)),
    "more order": (("tiled", "in a row"), ("scattered",)), "less order": (("scattered",), ("tiled",)), "less chaos": (("tiled", "in a row"), ("scattered",)),
    "more contrast": (("black", "white"), ()), "less contrast": (("gradient",), ()), "more colour": (("red", "yellow", "blue"), ()), "thicker lines": (("bold lines",), ("thin lines",)),
    "thinner lines": (("thin lines",), ("bold lines",)), "thicker outlines": (("bold lines",), ("thin lines",)), "finer lines": (("thin lines",), ("bold lines",)),
}  # fmt: skip
ACTS: dict[str, Words] = {
    "spread them out": ("scattered",), "scatter them": ("scattered",), "scatter everything": ("scattered",), "throw them around": ("scattered",),
    "line them up": ("in a row",), "put them in a row": ("in a row",), "put them in a line": ("in a row",), "set them side by side": ("in a row",),
    "put everything in the middle": ("centred",), "centre them": ("centred",), "center everything": ("centred",), "put them in the centre": ("centred",),
    "keep them apart": ("apart",), "separate them": ("apart",), "leave space between them": ("apart",), "keep things separate": ("apart",),
    "let them overlap": ("overlapping",), "stack them": ("overlapping",), "put them on top of each other": ("overlapping",), "let the shapes overlap": ("overlapping",),
    "make them transparent": ("translucent",), "let them shine through": ("translucent",), "make them see-through": ("translucent",), "make the shapes translucent": ("translucent",),
    "tile them": ("tiled",), "fill the picture with tiles": ("tiled",), "repeat them like tiles": ("tiled",), "arrange them like a star": ("radial",),
    "arrange them around the middle": ("radial",), "put them in a circle": ("radial",), "mirror them": ("symmetric",), "make it the same on both sides": ("symmetric",),
    "put them on a diagonal": ("diagonal",), "tilt the row": ("diagonal",), "arrange them diagonally": ("diagonal",), "outline everything": ("thin lines", "bold lines"),
    "outline the shapes": ("thin lines", "bold lines"), "make the lines thicker": ("bold lines",), "make the lines thinner": ("thin lines",), "drop the outlines": ("no lines",),
    "make them bigger": ("large",), "make them smaller": ("small",), "make the shapes bigger": ("large",), "make the shapes smaller": ("small",), "add some grain": ("grainy",),
    "use a gradient": ("gradient",), "print it on paper": ("paper",), "add stripes": ("hatched",), "keep it flat": ("flat",), "hatch the background": ("hatched",),
}  # fmt: skip
THEMES: dict[str, Words] = {  # places and times that have colours: paintable as colours only
    "the sea": ("teal", "blue"), "the ocean": ("teal", "blue"), "a sunset": ("orange", "purple", "pink"), "a forest": ("green",), "the night": ("blue", "black"),
    "autumn": ("red", "orange", "yellow"), "winter": ("blue", "white"), "spring": ("green", "pink"), "summer": ("yellow", "blue"), "fire": ("red", "orange"),
    "the desert": ("orange", "yellow"), "the sky": ("blue", "white"), "snow": ("white",), "candy": ("purple", "pink"), "a meadow": ("green", "yellow"),
}  # fmt: skip
_NOUNS = """cat dog horse cow sheep goat pig chicken duck goose swan eagle owl parrot pigeon fish shark whale dolphin octopus crab snail frog turtle snake lizard
crocodile dinosaur dragon unicorn tiger lion elephant giraffe zebra monkey gorilla panda bear wolf fox deer rabbit mouse hamster squirrel hedgehog bee butterfly spider ant
house castle church tower bridge lighthouse barn cottage palace temple skyscraper village city street market garden park farm harbour beach island mountain volcano valley
river lake waterfall cave glacier jungle tree flower sunflower tulip daisy cactus mushroom leaf apple banana cake pizza burger sandwich coffee teapot bottle glass
plate spoon table chair sofa bed lamp clock mirror book newspaper letter guitar piano violin drum trumpet computer phone camera robot spaceship rocket planet moon star
astronaut alien car bus train tram bicycle motorbike truck tractor boat ship submarine plane helicopter balloon kite umbrella hat shoe dress jacket shirt glove crown
sword shield knight king queen princess wizard witch ghost vampire zombie mermaid fairy angel clown pirate soldier doctor nurse teacher farmer chef dancer singer
footballer swimmer cyclist baby child boy girl man woman mother father grandmother grandfather sister brother friend family wedding party crowd face hand eye nose smile
portrait landscape skyline selfie logo poster map word sentence number alphabet name poem skeleton heart brain bone tooth candle lantern bell anchor compass key lock ladder
hammer axe bucket basket carpet curtain pillow blanket doll puppet teddy toy swing carousel circus tent campfire snowman snowflake cloud rainstorm lightning tornado"""
OUTSIDE = _NOUNS.split()
PROPER = ["van gogh", "the mona lisa", "the eiffel tower", "mickey mouse", "paris", "new york", "my name", "oil paint", "photorealism", "people dancing", "children playing",
          "abraham lincoln", "a photo", "anime", "a watercolour", "3d", "pixel art", "some text", "handwriting", "superman", "picasso", "a sculpture", "people", "animals"]  # fmt: skip
UNKNOWN = ["brown", "grey", "gray", "beige", "silver", "bronze", "khaki", "a rainbow", "neon colours", "glitter", "hexagons", "a hexagon", "stars", "spirals", "a spiral", "hearts",
           "ovals", "an oval", "pentagons", "octagons", "waves", "zigzags", "letters", "numbers", "shadows", "metallic colours", "arrows", "clouds", "droplets", "swirls"]  # fmt: skip
OWNERS = ["a", "a", "a", "the", "my", "our", "some", "your", "his", "that", "a big", "my own"]
KINDLY = [
    *[""] * 4,
    "old", "fluffy", "cute", "funny", "little", "giant", "sleeping", "wooden", "beautiful", "flying", "angry", "famous",
    "lonely", "realistic",
]  # fmt: skip
WHERE = [
    *[""] * 6,
    "in the rain", "at night", "on a hill", "with a hat", "from above", "by the window", "in the snow", "eating lunch",
    "under water", "on the moon",
]  # fmt: skip
TALK = """hello|hi|hi there|good morning|thanks|thank you|thanks a lot|ok|okay|yes|no|maybe|i don't know|no idea|what can you do|what can you paint|how are you|who are you|
surprise me|whatever you like|anything|you choose|go on|continue|next|nice|very nice|well done|cool, thanks|great job|i like these|i love them all|i like it|not bad|hmm|
these are fine|keep going|more like these|more of the same|try again|again|something else|something different|do your best|help|what now|how does this work|
i don't like any of them|i hate these|boring|paint something beautiful|make it better|make me happy|make them prettier|something for my wall|i have no wishes|tell me a joke""".replace(
    "\n", ""
).split("|")


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
        text = rng.choice(
            ["{}"] * 8
            + [
                *BACKGROUNDS,
                "{} tones",
                "{} shades",
                "the colour {}",
                "the color {}",
                "{} things",
                "{} shapes",
                "a {} one",
            ]
        ).format(said[0])
    else:
        text = ", ".join(said[:-1]) + rng.choice([" and ", " and ", " or ", " & ", " n "]) + said[-1]
    return _named(text, "thing", *found)


def shape_idea(rng: random.Random) -> Idea:
    """A shape, or two kinds of them."""
    words = rng.sample(list(SHAPES), rng.choices([1, 2], [4, 1])[0])
    return _named(
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
    return _named(_with_articles(text), "thing", *dict.fromkeys(words))


def _number(count: str, rng: random.Random) -> str:
    """A count as it is typed: "three", sometimes "3"."""
    return str(VOCABULARY.genes["count"].index(count) + 1) if rng.random() < 0.2 else count


def _with_articles(text: str) -> str:
    words = text.split()
    pairs = zip(words, [*words[1:], ""], strict=True)
    return " ".join("an" if word == "a" and after[:1] in set("aeiou") else word for word, after in pairs)


def count_idea(rng: random.Random) -> Idea:
    """A number or a size of things."""
    if rng.random() < 0.45:
        return rng.choice(THINGS["count"])
    word = rng.choice(VOCABULARY.genes["count"])
    noun = rng.choice(NOUNS)[:-1] if word == "one" else rng.choice([*NOUNS, "of them"])
    return _named(f"{rng.choice(['', '', 'just ', 'only ', 'exactly '])}{_number(word, rng)} {noun}", "thing", word)


def thing_idea(kind: str) -> Callable[[random.Random], Idea]:
    """Chooses among the things of a kind."""
    return lambda rng: rng.choice(THINGS[kind])


def word_idea(rng: random.Random) -> Idea:
    """A word of the vocabulary that is a quality of the whole: "translucent", "in a row"."""
    return _named(
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
    sides = [_once(one.yes[side] + other.yes[side]) for side in (0, 1)]
    text = one.said + rng.choice([" and ", " and ", ", ", " but "]) + other.said
    return Idea(text, "quality", (sides[0], sides[1]), ((), _once(one.no[1] + other.no[1])), False)


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
    return _named(said, "act", *words)


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
    return _once(several + first)


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
    return Idea(_with_articles(" ".join(part for part in parts if part)), "outside", ((colour,) if colour else (), ()))


def _plural(noun: str) -> str:
    ending = noun[-2:]
    if ending[-1] == "y" and ending[0] not in "aeo":
        return f"{noun[:-1]}ies"
    return noun + ("es" if ending in ("sh", "ch", "ss") or ending[-1] in "sx" else "s")


BEGINNINGS = [*"bcdfghklmnprstvwz", "br", "cl", "dr", "fl", "gr", "pl", "sh", "st", "th", "tr"]
VOWELS, ENDS = [*"aeiou", "ai", "ee", "oo", "ou"], ["", *"nrltmpd", "ck", "ng", "st"]


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
