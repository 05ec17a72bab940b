"""The world that the bundled models know: scenes of bold shapes, their exact captions, and the renderer that draws them.

A scene is a genome of the `bauhaus` vocabulary plus chance (places, a slight tilt). Captions vary in order and may leave the
size, the accent, the layout or the texture unsaid, so that a prompt has a distribution of images.
"""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image, ImageDraw

from prompts.vocabulary import Genome, load_vocabulary, with_articles

SIZE = 64  # pixels
OVERSAMPLE = 4  # drawn at 256 px, then averaged: smooth edges
PALETTE = {
    "red": (214, 40, 40), "orange": (247, 127, 0), "yellow": (252, 211, 77), "green": (46, 139, 87), "teal": (0, 160, 160),
    "blue": (29, 78, 216), "purple": (124, 58, 237), "pink": (244, 143, 177), "black": (26, 26, 26), "white": (245, 245, 240),
}  # fmt: skip
VOCABULARY = load_vocabulary("bauhaus")
RADIUS = {"small": 9.0, "large": 13.0}  # pixels, before crowding: bold shapes survive an autoencoder of 8x8 latents
ACCENT_RADIUS = 10.5
COUNTS = {"one": 1, "two": 2, "three": 3}
UNSAID = 0.25  # how often an optional part is left out of a caption


def sample_scene(rng: random.Random) -> Genome:
    """A random genome; one scene in four has no accent (`accent_shape` = "")."""
    genome = VOCABULARY.random(rng)
    return {**genome, "accent_shape": ""} if rng.random() < UNSAID else genome


def caption(genome: Genome, rng: random.Random, unsaid: float = UNSAID) -> str:
    """An exact caption of the scene; each optional attribute is left unsaid with probability `unsaid`."""
    said = {gene for gene in ("size", "layout", "texture") if rng.random() >= unsaid}
    noun = (
        VOCABULARY.plurals.get(genome["shape"], genome["shape"] + "s") if genome["count"] != "one" else genome["shape"]
    )
    things = " ".join(w for w in (genome["count"], genome["size"] * ("size" in said), genome["colour"], noun) if w)
    if genome["accent_shape"]:
        things += f" and a {genome['accent_colour']} {genome['accent_shape']}"
    ending = "".join(f", {genome[gene]}" for gene in ("layout", "texture") if gene in said)
    if rng.random() < 0.2:
        return with_articles(f"a {genome['background']} background with {things}{ending}")
    return with_articles(f"{things} on a {genome['background']} background{ending}")


def loose_caption(genome: Genome, rng: random.Random) -> str:
    """A true caption that leaves most of the scene open: what a prompt says when it wants to be surprised."""
    noun = VOCABULARY.plurals.get(genome["shape"], genome["shape"] + "s")
    things = rng.choice(["a composition", f"a composition of {noun}", f"a composition of {genome['colour']} {noun}"])
    ground = rng.choice(["", "", f" on a {genome['background']} background"])
    ending = rng.choice(["", "", f", {genome['layout']}", f", {genome['texture']}"])
    return with_articles(f"{things}{ground}{ending}")


def render(genome: Genome, rng: random.Random, size: int = SIZE) -> Image.Image:
    """Draw the scene as an RGB image of size x size pixels."""
    big = size * OVERSAMPLE
    image = Image.fromarray(_ground(genome, rng, big))
    draw = ImageDraw.Draw(image)
    unit = big / SIZE
    for (x, y, radius), colour, shape in _objects(genome, rng):
        _draw(draw, shape, x * unit, y * unit, radius * unit, rng.uniform(-0.1, 0.1), PALETTE[colour])
    return image.reduce(OVERSAMPLE)


def _ground(genome: Genome, rng: random.Random, big: int) -> np.ndarray:
    """The background (big, big, 3) uint8, brightness modulated by at most 12 %."""
    along = np.linspace(0.0, 1.0, big)
    light = np.zeros(big)
    if genome["texture"] == "striped":
        light = 0.12 * np.sign(np.sin(2 * math.pi * (along * 6 + rng.random())))
    elif genome["texture"] == "gradient":
        light = 0.24 * (0.5 - along)
    colour = np.array(PALETTE[genome["background"]], float)
    rows = colour + light[:, None] * np.where(light[:, None] > 0, 255 - colour, colour)  # towards white or black
    if genome["background"] == "black":
        rows = colour + (light[:, None] + 0.12) * 120
    return np.repeat(np.clip(rows, 0, 255).astype(np.uint8)[:, None, :], big, axis=1)


def _objects(genome: Genome, rng: random.Random) -> list[tuple[tuple[float, float, float], str, str]]:
    """Every object as ((x, y, radius) in pixels of a 64-px canvas, colour, shape), later ones on top."""
    things = [(RADIUS[genome["size"]], genome["colour"], genome["shape"])] * COUNTS[genome["count"]]
    if genome["accent_shape"]:
        things.append((ACCENT_RADIUS, genome["accent_colour"], genome["accent_shape"]))
    rng.shuffle(things)
    places = PLACES[genome["layout"]]([radius for radius, _, _ in things], rng)
    return [(place, colour, shape) for place, (_, colour, shape) in zip(places, things, strict=True)]


def _scattered(radii: list[float], rng: random.Random) -> list[tuple[float, float, float]]:
    """Objects anywhere in quarters of the canvas, one to a quarter: never touching, never in a line."""
    quarters = rng.sample([(17.0, 17.0), (47.0, 17.0), (17.0, 47.0), (47.0, 47.0)], len(radii))
    rooms = [max(0.0, 14.0 - radius) for radius in radii]
    return [
        (x + rng.uniform(-room, room), y + rng.uniform(-room, room), radius)
        for (x, y), room, radius in zip(quarters, rooms, radii, strict=True)
    ]


def _centred(radii: list[float], rng: random.Random) -> list[tuple[float, float, float]]:
    """One object in the middle, or a close ring of them around it, the first on top, below or beside."""
    if len(radii) == 1:
        return [(32.0, 32.0, radii[0] * 1.25)]
    radii = [min(r, 11.5) for r in radii]
    reach = (max(radii) + 1.0) / math.sin(math.pi / len(radii))
    turn = rng.choice([0, math.pi / 2])
    around = [turn + 2 * math.pi * i / len(radii) for i in range(len(radii))]
    return [(32 + reach * math.cos(a), 32 + reach * math.sin(a), r) for a, r in zip(around, radii, strict=True)]


def _along(
    radii: list[float], start: tuple[float, float], end: tuple[float, float]
) -> list[tuple[float, float, float]]:
    """Objects spread evenly from start to end, shrunk just enough not to touch."""
    room = math.dist(start, end) / len(radii)
    steps = [(i + 0.5) / len(radii) for i in range(len(radii))]
    return [
        (start[0] + s * (end[0] - start[0]), start[1] + s * (end[1] - start[1]), min(r, room / 2 - 0.7))
        for s, r in zip(steps, radii, strict=True)
    ]


def _row(radii: list[float], rng: random.Random) -> list[tuple[float, float, float]]:
    """Up to three objects side by side; a fourth sits above or below, so that none has to be small."""
    if len(radii) < 4:
        y = 32 + rng.uniform(-4, 4)
        return _along(radii, (1, y), (63, y))
    y = rng.choice([22.0, 42.0])
    return [*_along(radii[:3], (1, y), (63, y)), (32.0, 64 - y + math.copysign(3, 32 - y), min(radii[3], 10.0))]


def _diagonal(radii: list[float], rng: random.Random) -> list[tuple[float, float, float]]:
    return _along(radii, (5, 5), (59, 59)) if rng.random() < 0.5 else _along(radii, (5, 59), (59, 5))


PLACES = {"scattered": _scattered, "centred": _centred, "in a row": _row, "diagonal": _diagonal}


def _draw(
    draw: ImageDraw.ImageDraw, shape: str, x: float, y: float, r: float, tilt: float, colour: tuple[int, int, int]
) -> None:
    if shape == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif shape == "ring":
        draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=round(r * 0.5))
    else:
        draw.polygon([_turn(px * r, py * r, tilt, x, y) for px, py in OUTLINES[shape]], fill=colour)


def _turn(px: float, py: float, tilt: float, x: float, y: float) -> tuple[float, float]:
    cos, sin = math.cos(tilt), math.sin(tilt)
    return (x + px * cos - py * sin, y + px * sin + py * cos)


_ARM = 0.34  # half the width of a cross's arm: 5 px across at the smallest radius
OUTLINES: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "diamond": [(0, -1), (0.72, 0), (0, 1), (-0.72, 0)],
    "triangle": [(0, -1), (0.95, 0.75), (-0.95, 0.75)],
    "cross": [
        (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
        (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
    ],
}  # fmt: skip


def sample(seed: int) -> tuple[Image.Image, str]:
    """Picture and caption number `seed`: the same on every machine and in every process."""
    rng = random.Random(seed)
    genome = sample_scene(rng)
    return render(genome, rng), caption(genome, rng)


def loosely(seed: int) -> str:
    """A loose caption of picture number `seed`."""
    return loose_caption(sample_scene(random.Random(seed)), random.Random(f"loose {seed}"))
