"""benchmarks/studio.py: what a caption promises is read from its words, and a promise is checked only where it was made."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from benchmarks.studio import Said, promises_kept, retrieval, said
from evaluators.scorers.scene_judge import Seen
from trainers.embedded.world.captions import caption
from trainers.embedded.world.dataset import HELD_OUT, scene_of
from trainers.embedded.world.world import COUNTS, TINTED


def test_a_caption_promises_what_its_scene_shows() -> None:
    for number in range(HELD_OUT, HELD_OUT + 300):
        scene = scene_of(number)
        genome, tinted = scene.genome, scene.palette in TINTED
        accent, promised = bool(genome["accent_shape"]), said(caption(scene, random.Random(f"caption {number}")))
        assert promised.shapes == {genome["shape"], genome["accent_shape"]} - {""}
        assert (promised.main, promised.objects) == (COUNTS[genome["count"]], COUNTS[genome["count"]] + accent)
        assert promised.background == (None if tinted else genome["background"])
        colours = {genome["background"], genome["colour"], genome["accent_colour"] if accent else genome["colour"]}
        assert set(promised.colours) == (set() if tinted else colours)


@pytest.mark.parametrize(
    ("text", "promised"),
    [
        ("a composition of rings, in pastel colours", Said(None, (), frozenset(), 0, 0)),
        ("an orange background with five small crosses", Said("orange", ("orange",), frozenset({"cross"}), 5, 5)),
        ("a ring, in a row, no lines", Said(None, (), frozenset({"ring"}), 0, 1)),
        ("two bars and an arc on a teal background", Said("teal", ("teal",), frozenset({"bar", "arc"}), 2, 3)),
    ],
)
def test_what_a_caption_leaves_open_is_no_promise(text: str, promised: Said) -> None:
    assert said(text) == promised


CAPTIONS = ["one red bar on a blue background", "four red bars on a blue background", "two rings, in pastel colours"]


def field(*colours: str) -> Image.Image:
    image = Image.new("RGB", (64, 64), colours[0])
    for colour in colours[1:]:
        image.paste(colour, (20, 20, 44, 44))
    return image


def test_only_promises_are_counted() -> None:
    images = [field("#1d4ed8", "#d62828"), field("#1d4ed8"), field("#f48fb1")]
    seen = [Seen(frozenset({"bar", "arc"}), 1), Seen(frozenset(), 4), Seen(frozenset({"ring"}), 3)]
    kept = promises_kept(images, CAPTIONS, seen)
    assert {name: (one["share"], one["n"]) for name, one in kept.items()} == {
        "background_right": (1.0, 2), "colours_present": (0.5, 2), "shapes_right": (0.6667, 3), "shapes_exactly": (0.3333, 3),
        "count_right": (0.5, 2),
    }  # fmt: skip


class Named:
    """A CLIP for which the i-th picture belongs to the i-th caption, but for the pictures in `lost`."""

    def __init__(self, lost: set[int]) -> None:
        self.lost = lost

    def image_features(self, images: list[int]) -> np.ndarray:
        return np.stack([np.eye(10)[(i + (i in self.lost)) % 10] for i in images])

    def text_features(self, captions: list[str]) -> np.ndarray:
        return np.eye(10)


def test_retrieval_counts_pictures_whose_own_caption_is_the_nearest_of_its_group() -> None:
    right = retrieval(Named({2, 7}), list(range(10)), ["x"] * 10, 5)  # type: ignore[arg-type]
    assert right["share"] == 0.8 and right["n"] == 10
