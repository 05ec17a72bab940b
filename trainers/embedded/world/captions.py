"""A scene in words: exact captions in several wordings and orders, and loose ones that leave most of it open."""

from __future__ import annotations

import random
import re

from prompts.vocabulary import with_articles
from trainers.embedded.world.world import COUNTS, TINTED, VOCABULARY, Scene

OPTIONAL = ("size", "layout", "overlap", "lines", "texture")  # what an exact caption may leave unsaid
ENDINGS = ("layout", "overlap", "lines", "texture")
UNSAID = 0.3  # how often an optional part is left out
CANONICAL = 0.45  # share of exact captions with every part in the vocabulary's own order: what the agent writes


def caption(scene: Scene, rng: random.Random) -> str:
    """An exact caption: count, shapes, colours and ground are always said, the rest sometimes, in one of several orders."""
    whole = rng.random() < CANONICAL
    said = {"count", "shape", "colour", "accent", "background"} | {
        g for g in OPTIONAL if whole or rng.random() >= UNSAID
    }
    bundled = scene.style or scene.palette
    if bundled and (scene.palette in TINTED or rng.random() < 0.5):
        said.add("bundle")
    return in_words(scene, said, "plain" if whole else rng.choice(ORDERS), rng, shuffled=not whole)


def loose_caption(scene: Scene, rng: random.Random) -> str:
    """A true caption that leaves most of the scene open: what a prompt says when it wants to be surprised."""
    chances = {
        "count": 0.2,
        "shape": 0.45,
        "colour": 0.3,
        "accent": 0.15,
        "background": 0.35,
        "bundle": 0.7,
    } | dict.fromkeys(OPTIONAL, 0.15)
    said = {part for part, chance in chances.items() if rng.random() < chance}
    return in_words(scene, said, rng.choice(ORDERS), rng, shuffled=True)


ORDERS = ("plain", "plain", "ground first", "on the ground", "accent first", "style first")


def in_words(scene: Scene, said: set[str], order: str, rng: random.Random, *, shuffled: bool) -> str:
    """The caption that says the parts in `said` (genes, "accent", "bundle" for style or palette), arranged by `order`."""
    if scene.palette in TINTED:
        said = (said - {"colour", "background"}) | {"bundle"}
    if "shape" not in said and order in ("ground first", "accent first"):
        order = "plain"  # no background "with a composition", and nothing "and a composition"
    frame, bundle = _bundle(scene, said, order)
    endings = [scene.genome[part] for part in ENDINGS if part in said and _matters(scene, part)]
    endings = rng.sample(endings, len(endings)) if shuffled else endings
    things = frame.format(_things(scene, said, order))
    text = ", ".join([_grounded(things, scene, said, order), *endings, *bundle])
    return with_articles(re.sub("composition (of|with) a composition", "composition", text))


def _bundle(scene: Scene, said: set[str], order: str) -> tuple[str, list[str]]:
    """What style or palette put around the things, and what they add at the end."""
    if "bundle" not in said or not (scene.style or scene.palette):
        return "{}", []
    if scene.style and order == "style first":
        several = "count" in said or COUNTS[scene.genome["count"]] > 1
        return f"a {scene.style} composition {'of' if several else 'with'} {{}}", []
    if scene.palette and order == "style first" and "shape" not in said:
        return f"{{}} in {scene.palette} colours", []
    return "{}", [f"{scene.style} style" if scene.style else f"in {scene.palette} colours"]


def _things(scene: Scene, said: set[str], order: str) -> str:
    main, accent = _main(scene, said), _accent(scene, said)
    if accent and order == "accent first":
        return f"{accent} and {main}"
    return f"{main} {'and' if 'shape' in said else 'with'} {accent}" if accent else main


def _matters(scene: Scene, part: str) -> bool:
    """One lonely object neither overlaps nor stands apart."""
    return part != "overlap" or COUNTS[scene.genome["count"]] > 1 or bool(scene.genome["accent_shape"])


def _main(scene: Scene, said: set[str]) -> str:
    genome, many = scene.genome, COUNTS[scene.genome["count"]] > 1
    if "shape" not in said:
        return f"a composition of {genome['colour']} shapes" if "colour" in said and many else "a composition"
    noun = VOCABULARY.plurals.get(genome["shape"], genome["shape"] + "s") if many else genome["shape"]
    number = genome["count"] if "count" in said else "" if many else "a"
    return " ".join(
        word for word in (number, *(genome[part] for part in ("size", "colour") if part in said), noun) if word
    )


def _accent(scene: Scene, said: set[str]) -> str:
    if "accent" not in said or not scene.genome["accent_shape"]:
        return ""
    colour = [scene.genome["accent_colour"]] if "colour" in said else []
    return " ".join(["a", *colour, scene.genome["accent_shape"]])


def _grounded(things: str, scene: Scene, said: set[str], order: str) -> str:
    if "background" not in said:
        return things
    ground = f"a {scene.genome['background']} background"
    return {"ground first": f"{ground} with {things}", "on the ground": f"on {ground}, {things}"}.get(
        order, f"{things} on {ground}"
    )
