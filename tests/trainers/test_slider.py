"""A slider moves what its pairs differ in, both ways, and is one adapter like any other."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompts.errors import InputError
from tests.trainers.subject import cut_short
from trainers.embedded.world.world import Scene, render
from trainers.files.adapter_file import Adapter, AdapterRef
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.model.paint import paint
from trainers.slider import Pair, SliderConfig, train

Tiny = Callable[[str], BaseModel]
DARK, BRIGHT = (Image.new("RGB", (32, 32), (shade, shade, shade)) for shade in (20, 235))
SHORT = SliderConfig(steps=2, batch_size=2, learning_rate=1e-2, size=32, rank=2, checkpoint_every=1)
PAIRS = [Pair("a photo of the dog", DARK, BRIGHT), Pair("a red field", DARK, BRIGHT)]


def drawn(colour: str, shape: str, ground: str) -> Image.Image:
    """The same scene on any ground."""
    genome = {
        "background": ground, "count": "one", "size": "large", "colour": colour, "shape": shape, "accent_colour": "red",
        "accent_shape": "", "layout": "centred", "overlap": "apart", "lines": "no lines", "texture": "flat",
    }  # fmt: skip
    return render(Scene(genome), random.Random(shape))


def test_a_slider_of_dark_and_white_grounds_moves_the_brightness_with_its_weight(studio: Path, tmp_path: Path) -> None:
    """Pictures of other prompts than it was trained on, darker at -1 and brighter at 1 than they were."""
    model = load(str(studio), device="cpu")
    pairs = [
        Pair("one large red circle, centred, flat", drawn("red", "circle", "black"), drawn("red", "circle", "white"))
    ]
    config = SliderConfig(steps=8, batch_size=4, learning_rate=4e-3, rank=4)
    slider = train(config, pairs, base_model=model, out=tmp_path)
    prompts = ["two small blue squares", "a green triangle"]
    seen = []
    for weight in (-1.0, 0.0, 1.0):
        painted = paint(prompts, model=model, seed=5, steps=4, adapters=[AdapterRef(slider.path, weight)])
        seen.append(np.mean([np.asarray(one.image.convert("L")) for one in painted]))
    assert seen[0] < seen[1] - 5 and seen[1] + 5 < seen[2], seen


def test_a_slider_is_the_mean_of_its_pairs_in_one_adapter(tiny: Tiny, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    made = train(SHORT, PAIRS, base_model=tiny("sd15"), out=tmp_path, on_step=lambda i, n, row: steps.append((i, n)))
    assert steps == [(i, 8) for i in range(1, 9)]
    card = json.loads((tmp_path / "adapter.json").read_text())
    assert made.kind == "slider" and 0 < made.metrics["lost_share"] < 1 and card["config"]["rank"] == 2
    assert [one["weight"] for one in card["parents"]] == [0.5, 0.5]
    assert {one["sha256"] for one in card["parents"]} == {
        Adapter.read(tmp_path / f"pair-{i}" / "high").sha256 for i in (0, 1)
    }
    assert "trained with slider" in (tmp_path / "README.md").read_text()
    below = json.loads((tmp_path / "pair-0" / "high" / "adapter.json").read_text())["job"]["adapters"]
    assert list(below) == [f"adapter_{Adapter.read(tmp_path / 'pair-0' / 'low').sha256[:16]}"]


def test_an_interrupted_slider_ends_as_if_it_had_not_been(tiny: Tiny, tmp_path: Path) -> None:
    whole = train(SHORT, PAIRS[:1], base_model=tiny("sd15"), out=tmp_path / "whole")
    for stop in (1, 2):
        cut_short(partial(train, SHORT, PAIRS[:1], base_model=tiny("sd15")), tmp_path / "cut", stop)
    again = train(SHORT, PAIRS[:1], base_model=tiny("sd15"), out=tmp_path / "cut")
    assert again.sha256 == whole.sha256
    assert train(SHORT, PAIRS[:1], base_model=tiny("sd15"), out=tmp_path / "cut") == again


def test_another_job_and_no_pairs_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pairs"):
        train(SHORT, [], base_model=tiny("sd15"), out=tmp_path)
    with pytest.raises(InputError, match=r"pair 0 .* has one picture as low and high"):
        train(SHORT, [Pair("a dog", DARK, DARK)], base_model=tiny("sd15"), out=tmp_path)
    with pytest.raises(InputError, match=r"pairs 0 and 1 .* are the same"):
        train(SHORT, [PAIRS[0], PAIRS[0]], base_model=tiny("sd15"), out=tmp_path)
    train(SHORT, PAIRS[:1], base_model=tiny("sd15"), out=tmp_path)
    with pytest.raises(InputError, match="another job: its data"):
        train(SHORT, PAIRS[1:], base_model=tiny("sd15"), out=tmp_path)
