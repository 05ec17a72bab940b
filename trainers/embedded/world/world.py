"""The world that the bundled models know: scenes of bold shapes, and the renderer that draws them.

A scene is a genome of the `bauhaus` vocabulary, sometimes without accent, sometimes bundled by a style or held in a palette; the
rest is chance: places, a slight tilt. `trainers.embedded.world.captions` says a scene in words.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from PIL import Image, ImageChops

from prompts.vocabulary import Genome, load_vocabulary
from trainers.embedded.world.grounds import ground
from trainers.embedded.world.layouts import LAYOUTS, Place, crowd
from trainers.embedded.world.shapes import Colour, draw_lines, mask_of, overprint, placed

SIZE = 64  # pixels of a side, if nothing else is asked
OVERSAMPLE = 3  # drawn three times as large, then averaged: smooth edges
PALETTE: dict[str, Colour] = {
    "red": (214, 40, 40), "orange": (247, 127, 0), "yellow": (252, 211, 77), "green": (46, 139, 87), "teal": (0, 160, 160),
    "blue": (29, 78, 216), "purple": (124, 58, 237), "pink": (244, 143, 177), "black": (26, 26, 26), "white": (245, 245, 240),
}  # fmt: skip
VOCABULARY = load_vocabulary("bauhaus")
RADIUS = {"small": 9.0, "large": 13.0}  # units of a canvas of 64, before crowding: bold shapes survive 8x8 latents
ACCENT_RADIUS = 10.5
COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
LINE_WIDTH = {"no lines": 0.0, "thin lines": 1.4, "bold lines": 2.8}  # units of a canvas of 64
THICKEST = 0.16  # of a radius: a small shape keeps its colour inside a bold line
SEAM = 1.6  # units of ground left free around what overlaps without lines, as in a paper cut: shapes of one colour stay apart
SLIM = {"bar", "diamond", "semicircle", "arc"}  # shapes that must come nearer to overlap
CORNERS = {"square": 0.9, "grid": 0.86}  # of the radius: apart means that corners do not meet either
BARE, STYLED, PAINTED = 0.2, 0.25, 0.25  # shares of scenes without accent, in a style, and (of the others) in a palette

WARM, COOL = ["red", "orange", "yellow", "pink"], ["blue", "teal", "green", "purple"]
# A palette limits the colours of a scene; "pastel" and "monochrome" also tint them, so that their names no longer hold.
PALETTES: dict[str, list[str]] = {
    "warm": WARM, "cool": COOL, "primary": ["red", "yellow", "blue"],
    "pastel": ["pink", "yellow", "green", "teal", "blue", "purple"], "monochrome": ["red", "orange", "green", "teal", "blue", "purple", "black"],
}  # fmt: skip
TINTED = ("pastel", "monochrome")
# A style limits several genes at once. What it does not name is free.
STYLES: dict[str, dict[str, list[str]]] = {
    "bauhaus": {
        "colour": ["red", "blue", "yellow", "black"], "accent_colour": ["red", "blue", "yellow", "black"], "background": ["white", "yellow"],
        "shape": ["circle", "square", "triangle", "semicircle"], "accent_shape": ["circle", "square", "triangle", "semicircle"],
        "layout": ["centred", "tiled", "symmetric"], "overlap": ["apart"], "lines": ["no lines"], "texture": ["paper", "flat"],
    },
    "suprematist": {
        "colour": ["red", "black", "blue"], "accent_colour": ["red", "black", "yellow"], "background": ["white"],
        "shape": ["square", "bar", "cross"], "accent_shape": ["circle", "square", "bar"],
        "layout": ["diagonal", "scattered"], "overlap": ["overlapping"], "lines": ["no lines"], "texture": ["flat", "grainy"],
    },
    "de stijl": {
        "colour": ["red", "blue", "yellow"], "accent_colour": ["red", "blue", "yellow", "black"], "background": ["white"],
        "shape": ["square", "bar", "grid"], "accent_shape": ["square", "bar", "grid"],
        "layout": ["tiled", "in a row", "symmetric"], "overlap": ["apart"], "lines": ["bold lines"], "texture": ["flat"],
    },
    "memphis": {
        "colour": ["pink", "teal", "yellow", "purple"], "accent_colour": ["pink", "teal", "yellow", "orange"], "background": ["pink", "teal", "yellow", "white"],
        "shape": ["triangle", "ring", "arc", "circle", "cross"], "accent_shape": ["triangle", "ring", "arc", "cross"],
        "layout": ["scattered"], "overlap": ["apart"], "lines": ["bold lines", "thin lines"], "texture": ["hatched", "grainy"],
    },
    "mid-century": {
        "colour": ["orange", "teal", "green", "yellow"], "accent_colour": ["orange", "teal", "green", "black"], "background": ["white", "teal", "orange"],
        "shape": ["semicircle", "diamond", "arc", "ring"], "accent_shape": ["semicircle", "diamond", "circle"],
        "layout": ["radial", "in a row", "centred"], "overlap": ["translucent"], "lines": ["no lines", "thin lines"], "texture": ["paper", "grainy"],
    },
}  # fmt: skip
TILT = {"suprematist": 0.6}  # radians either way; 0.1 elsewhere


@dataclass(frozen=True)
class Scene:
    """What is in a picture. `genome["accent_shape"]` is "" where there is no accent; style and palette are "" if there is none."""

    genome: Genome
    style: str = ""
    palette: str = ""


def sample_scene(rng: random.Random) -> Scene:
    """A random scene of the training's distribution."""
    scene = _bundled(VOCABULARY.random(rng), rng)
    return replace(scene, genome=scene.genome | {"accent_shape": ""}) if rng.random() < BARE else scene


def _bundled(genome: Genome, rng: random.Random) -> Scene:
    if rng.random() < STYLED:
        style = rng.choice(list(STYLES))
        drawn = {gene: rng.choice(values) for gene, values in STYLES[style].items()}
        return Scene(
            _told_apart(genome | drawn, STYLES[style]["colour"], STYLES[style]["accent_colour"], rng), style=style
        )
    if rng.random() < PAINTED:
        palette = rng.choice(list(PALETTES))
        colours = PALETTES[palette]
        grounds = [*colours, "white", "black"] if palette in ("warm", "cool", "primary") else colours
        drawn = {"background": rng.choice(grounds), "colour": rng.choice(colours), "accent_colour": rng.choice(colours)}
        return Scene(_told_apart(genome | drawn, colours, colours, rng), palette=palette)
    return Scene(genome)


def _told_apart(genome: Genome, colours: list[str], accents: list[str], rng: random.Random) -> Genome:
    """The genome with colours drawn again that are their ground's."""
    ground_colour, mended = genome["background"], dict(genome)
    for gene, choice in (("colour", colours), ("accent_colour", accents)):
        if mended[gene] == ground_colour:
            mended[gene] = rng.choice([colour for colour in choice if colour != ground_colour])
    return mended


def colours_of(scene: Scene) -> tuple[Colour, Colour, Colour]:
    """RGB of the ground, the main objects and the accent, as the palette tints them."""
    names = [scene.genome[gene] for gene in ("background", "colour", "accent_colour")]
    if scene.palette == "pastel":
        return tuple(_mixed(PALETTE[name], (255, 255, 255), 0.55) for name in names)  # type: ignore[return-value]
    if scene.palette == "monochrome":
        hue = PALETTE[scene.genome["colour"]]
        return _mixed(hue, (255, 255, 255), 0.78), hue, _mixed(hue, (255, 255, 255), 0.4)
    return tuple(PALETTE[name] for name in names)  # type: ignore[return-value]


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    return tuple(round(a + share * (b - a)) for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


def render(scene: Scene, rng: random.Random, size: int = SIZE) -> Image.Image:
    """Draw the scene as an RGB image of size x size pixels."""
    side, unit = size * OVERSAMPLE, size * OVERSAMPLE / 64
    genome, (back, main, accent) = scene.genome, colours_of(scene)
    image, covered = ground(back, genome["texture"], side, rng), Image.new("L", (side, side))
    ink = PALETTE["white" if sum(back) < 150 else "black"]
    tilt = TILT.get(scene.style, 0.1)
    for number, (x, y, radius) in enumerate(places(genome, rng)):
        last = number == COUNTS[genome["count"]]  # only an accent comes after the main objects
        shape, colour = (genome["accent_shape"], accent) if last else (genome["shape"], main)
        outline = placed(shape, x * unit, y * unit, radius * unit, rng.uniform(-tilt, tilt))
        mask = mask_of(outline, side)
        width = min(LINE_WIDTH[genome["lines"]], THICKEST * radius) * unit
        if genome["overlap"] == "translucent":
            overprint(image, mask, covered, colour)
        else:
            draw_lines(image, outline, SEAM * unit * (genome["overlap"] == "overlapping" and not width), back)
            image.paste(colour, mask=mask)
        draw_lines(image, outline[:1] if shape == "grid" else outline, width, ink)  # a grid's bars are lines enough
        covered = ImageChops.lighter(covered, mask)
    return image.reduce(OVERSAMPLE)


def places(genome: Genome, rng: random.Random) -> list[Place]:
    """(x, y, radius) of every object on a canvas of 64 x 64 units, the accent last."""
    radii = [RADIUS[genome["size"]]] * COUNTS[genome["count"]] + [ACCENT_RADIUS] * bool(genome["accent_shape"])
    found = LAYOUTS[genome["layout"]](radii, rng)
    shapes = [genome["shape"]] * COUNTS[genome["count"]] + [genome["accent_shape"]]
    if genome["overlap"] != "apart":
        return crowd(found, 0.64 if set(shapes) & SLIM else 0.74)
    alone = len(found) == 1
    return [
        (x, y, r if alone else r * CORNERS.get(shape, 1.0)) for (x, y, r), shape in zip(found, shapes, strict=False)
    ]
