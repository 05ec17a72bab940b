"""trainers/embedded/world.py: the same number is always the same picture, and its caption is true."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from prompts.vocabulary import Genome
from trainers.embedded.dataset import HELD_OUT, held_out, load_dataset, to_tensor
from trainers.embedded.world import (
    COUNTS,
    PALETTE,
    PLACES,
    SIZE,
    VOCABULARY,
    _objects,
    caption,
    loosely,
    render,
    sample,
    sample_scene,
)

ROOT = Path(__file__).parents[3]


def scenes(count: int) -> list[Genome]:
    return [sample_scene(random.Random(seed)) for seed in range(count)]


def near(pixels: np.ndarray, colour: str, within: float = 45.0) -> np.ndarray:
    """Which pixels are about as the palette's colour."""
    return np.linalg.norm(pixels.astype(float) - np.array(PALETTE[colour]), axis=-1) < within


def test_a_number_is_the_same_picture_and_caption_in_every_process() -> None:
    code = (
        "import hashlib; from trainers.embedded.world import sample, loosely\n"
        "for n in (0, 7, 10**7): i, c = sample(n); print(hashlib.sha256(i.tobytes()).hexdigest(), c, loosely(n))"
    )
    command = [sys.executable, "-c", code]
    first, second = (
        subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    )
    assert first == second and sample(7)[1] in first and loosely(7) in first


def test_pictures_are_small_rgb_and_differ() -> None:
    pictures = [sample(seed)[0] for seed in range(50)]
    assert all(picture.size == (SIZE, SIZE) and picture.mode == "RGB" for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 50


def test_named_colours_are_there_and_the_background_fills_the_corners() -> None:
    for seed, genome in enumerate(scenes(300)):
        pixels = np.asarray(render(genome | {"texture": "plain"}, random.Random(seed)))
        assert near(pixels, genome["colour"]).sum() > 15, genome
        if genome["accent_shape"]:
            assert near(pixels, genome["accent_colour"]).sum() > 8, genome
        assert sum(near(pixels[y, x], genome["background"]) for y in (0, -1) for x in (0, -1)) >= 3, genome


def test_objects_lie_inside_and_do_not_cover_one_another() -> None:
    for seed, genome in enumerate(scenes(500)):
        places = [place for place, _, _ in _objects(genome, random.Random(seed))]
        assert len(places) == COUNTS[genome["count"]] + bool(genome["accent_shape"])
        for x, y, radius in places:
            assert x - 0.8 * radius >= 0 and x + 0.8 * radius <= 64 and y - 0.8 * radius >= 0 and y + 0.8 * radius <= 64
        for (x, y, r), (u, v, s) in ((a, b) for i, a in enumerate(places) for b in places[i + 1 :]):
            assert np.hypot(x - u, y - v) > 0.75 * (r + s), genome


@pytest.mark.parametrize("layout", list(PLACES))
def test_layouts_are_what_they_are_called(layout: str) -> None:
    for seed in range(40):
        places = np.array(PLACES[layout]([7.0, 7.0, 7.0], random.Random(seed)))[:, :2]
        if layout == "in a row":
            assert np.ptp(places[:, 1]) == 0 and all(b > a for a, b in pairwise(places[:, 0]))
        if layout == "diagonal":
            assert abs(np.corrcoef(places.T)[0, 1]) > 0.99
        if layout == "centred":
            assert np.allclose(places.mean(axis=0), 32, atol=1.0)


def test_large_shapes_are_larger_and_more_shapes_cover_more() -> None:
    def covered(**changes: str) -> float:
        genome = VOCABULARY.random(random.Random(5)) | {
            "background": "white", "colour": "black", "accent_shape": "", "texture": "plain", "layout": "scattered", "shape": "square",
            "count": "one", "size": "small", **changes,
        }  # fmt: skip
        return float(
            np.mean([near(np.asarray(render(genome, random.Random(seed))), "black").mean() for seed in range(10)])
        )

    assert covered(size="large") > 1.8 * covered() and covered(count="three") > 2.0 * covered()


def test_textures_show_in_the_background() -> None:
    base = VOCABULARY.random(random.Random(1)) | {
        "background": "blue",
        "colour": "red",
        "accent_shape": "",
        "count": "one",
    }
    spread = {
        t: np.asarray(render(base | {"texture": t}, random.Random(0)))[:, 0].std() for t in VOCABULARY.genes["texture"]
    }
    assert spread["plain"] == pytest.approx(spread["plain"]) and spread["striped"] > 4 and spread["gradient"] > 4
    assert np.asarray(render(base | {"texture": "plain"}, random.Random(0)))[:, 0].std(axis=0).max() == 0


def test_a_full_caption_in_the_common_order_is_a_phrase_of_the_vocabulary() -> None:
    for seed in range(200):
        genome = VOCABULARY.random(random.Random(seed))
        said = {caption(genome, random.Random(n), unsaid=0.0) for n in range(8)}
        assert VOCABULARY.phrase(genome) in said and len(said) <= 2


def test_optional_parts_are_left_unsaid_now_and_then_and_the_rest_never() -> None:
    for seed, genome in enumerate(scenes(300)):
        text = caption(genome, random.Random(seed), unsaid=1.0)
        assert (
            not {genome["size"], genome["texture"]} & set(text.replace(",", "").split())
            and genome["layout"] not in text
        )
        assert genome["colour"] in text and genome["background"] in text and genome["count"] in text


def test_held_out_scenes_are_none_of_the_training(tmp_path: Path) -> None:
    pictures, captions = load_dataset(tmp_path, 4)
    again, _ = load_dataset(tmp_path, 4)
    assert pictures.shape == (4, SIZE, SIZE, 3) and np.array_equal(pictures, again) and captions[2] == sample(2)[1]
    held, texts = held_out(3)
    assert texts[1] == sample(HELD_OUT + 1)[1] and not any(np.array_equal(a, b) for a in held for b in pictures)
    assert (
        to_tensor(held).shape == (3, 3, SIZE, SIZE)
        and -1 <= float(to_tensor(held).min()) < float(to_tensor(held).max()) <= 1
    )
