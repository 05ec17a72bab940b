"""What people say of pictures, and the words of the vocabulary that are meant: lists, of which `trainers.embedded.lessons.ideas` draws.

Things ("teal", "thin outlines"), qualities ("calm"), changes ("calmer"), acts ("spread them out"), and what is outside the world.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from trainers.embedded.world.world import VOCABULARY

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


def once(words: Iterable[str]) -> Words:
    """The words in their order, each once."""
    return tuple(dict.fromkeys(words))


def direct_words(idea: Idea) -> set[str]:
    """The words that an idea names, rather than implies."""
    return {word for side in (*idea.yes, *idea.no) for word in side} if idea.direct else set()


def named(said: str, form: Literal["thing", "quality", "change", "act"], *words: str) -> Idea:
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
SHADES = ["{} tones", "{} shades", "the colour {}", "the color {}", "{} things", "{} shapes", "a {} one"]

THINGS: dict[str, list[Idea]] = {
    "layout": [
        *(named(f"{said} layouts", "thing", word) for word, said in (("centred", "centred"), ("scattered", "scattered"), ("diagonal", "diagonal"),
          ("tiled", "tiled"), ("radial", "radial"), ("symmetric", "symmetric"), ("symmetric", "symmetrical"))),
        *(named(said, "thing", "diagonal") for said in ("diagonals", "a diagonal", "a diagonal layout", "slanted rows", "a slant")),
        *(named(said, "thing", "tiled") for said in ("tiles", "tiling", "a tiled layout", "a repeating pattern", "a regular pattern", "a mosaic")),
        *(named(said, "thing", "in a row") for said in ("a row", "rows", "things in a row", "shapes in a row", "things in a line", "a line-up", "one neat row")),
        *(named(said, "thing", "radial") for said in ("a radial layout", "a star layout", "a wheel", "shapes around the middle", "a ring of shapes", "things in a circle")),
        *(named(said, "thing", "symmetric") for said in ("symmetry", "a symmetric layout", "mirror images", "a mirrored layout", "both sides the same")),
        *(named(said, "thing", "centred") for said in ("a centred layout", "everything in the middle", "things in the middle", "a centred composition", "centered shapes", "shapes in the centre", "everything in the center")),
        *(named(said, "thing", "scattered") for said in ("a scattered layout", "things all over the place", "scattered shapes", "random places", "a loose layout", "confetti")),
    ],
    "overlap": [
        *(named(said, "thing", "apart") for said in ("space between the shapes", "gaps between them", "separate shapes", "distance between things", "shapes apart")),
        *(named(said, "thing", "overlapping") for said in ("overlaps", "overlapping shapes", "overlap", "shapes on top of each other", "layers", "layered shapes", "overlapping things")),
        *(named(said, "thing", "translucent") for said in ("transparency", "see-through shapes", "translucent shapes", "transparent colours", "glassy shapes", "overprinting", "transparent layers")),
    ],
    "lines": [
        *(Idea(said, "thing", (("thin lines", "bold lines"), ()), (("no lines",), ())) for said in ("lines", "outlines", "contours", "borders around the shapes", "edges", "outlined shapes", "black outlines")),
        *(named(said, "thing", "thin lines") for said in ("thin lines", "thin outlines", "fine lines", "fine outlines", "delicate lines", "hairlines", "a thin outline", "pencil lines")),
        *(named(said, "thing", "bold lines") for said in ("bold lines", "bold outlines", "thick lines", "thick outlines", "heavy lines", "strong outlines", "a thick outline", "fat lines")),
        *(Idea(said, "thing", (("no lines",), ()), (("thin lines", "bold lines"), ())) for said in ("shapes without outlines", "shapes without lines")),
    ],
    "texture": [
        *(Idea(said, "thing", (("grainy", "hatched", "paper"), ()), (("flat",), ())) for said in ("texture", "textures", "a texture", "some structure")),
        *(named(said, "thing", "flat") for said in ("flat colours", "plain colours", "a flat background", "a plain background", "flat surfaces", "solid colours", "a flat look")),
        *(named(said, "thing", "gradient") for said in ("gradients", "a gradient", "smooth gradients", "colour fades", "a gradient background", "smooth transitions", "a fade")),
        *(named(said, "thing", "grainy") for said in ("grain", "film grain", "a grainy texture", "noise", "a sandy texture", "speckles", "a grainy background")),
        *(named(said, "thing", "hatched") for said in ("hatching", "stripes", "a hatched background", "a hatched texture", "a striped background", "cross-hatching", "a striped texture")),
        *(named(said, "thing", "paper") for said in ("paper", "a paper texture", "paper texture", "the look of paper", "a papery feel", "cut paper", "handmade paper")),
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
# The sounds of words that nobody knows.
BEGINNINGS = [*"bcdfghklmnprstvwz", "br", "cl", "dr", "fl", "gr", "pl", "sh", "st", "th", "tr"]
VOWELS, ENDS = [*"aeiou", "ai", "ee", "oo", "ou"], ["", *"nrltmpd", "ck", "ng", "st"]
