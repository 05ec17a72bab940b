"""trainers/embedded/judge.py: what the judge learns from, what it is told, and that its file answers as the trained model did."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.scorers.scene_judge import SceneJudge
from trainers.embedded import judge, recipe
from trainers.embedded.judge import FIRST, MOST, NAMES, drawn, judged_scene, loss_of, measure, targets, told, worn
from trainers.embedded.world.dataset import HELD_OUT, to_tensor
from trainers.embedded.world.shapes import HELD_OUT_SHAPES
from trainers.embedded.world.world import Scene, sample_scene

NUMBERS = range(FIRST, FIRST + 600)


class Says(torch.nn.Module):
    """A judge that says the same of every picture: `shapes`, and `count` objects."""

    def __init__(self, shapes: list[int], count: int) -> None:
        super().__init__()
        self.answer = torch.full((len(NAMES) + MOST,), -1.0)
        self.answer[[*shapes, len(NAMES) + count - 1]] = 1.0

    def forward(self, pictures: torch.Tensor) -> object:
        return type("Output", (), {"logits": self.answer.expand(len(pictures), -1)})


def test_no_scene_of_the_judge_trains_a_painter_or_measures_one() -> None:
    trained = max(how["data"]["count"] for how in recipe.RECIPES.values())
    judged = max(how["judge"]["count"] for how in recipe.RECIPES.values())
    assert trained < HELD_OUT < HELD_OUT + 1_000_000 < FIRST < FIRST + judged


def test_held_out_shapes_are_in_about_a_third_of_the_scenes_and_in_either_place() -> None:
    scenes = [judged_scene(number) for number in NUMBERS]
    places = {gene: [scene.genome[gene] in HELD_OUT_SHAPES for scene in scenes] for gene in ("shape", "accent_shape")}
    either = np.logical_or(places["shape"], places["accent_shape"]).mean()
    assert 0.25 < either < 0.4 and all(np.mean(there) > 0.12 for there in places.values())
    assert {scene.genome["shape"] for scene in scenes} == set(NAMES)


def test_a_scene_without_accent_gets_none() -> None:
    bare = [n for n in NUMBERS if not sample_scene(random.Random(n)).genome["accent_shape"]]
    assert bare and not any(judged_scene(number).genome["accent_shape"] for number in bare)


@pytest.mark.parametrize(
    ("changes", "shapes", "objects"),
    [
        ({"count": "three", "shape": "star", "accent_shape": "ring"}, ["ring", "star"], 4),
        ({"count": "three", "shape": "star", "accent_shape": "star"}, ["star"], 4),
        ({"count": "one", "shape": "bar", "accent_shape": ""}, ["bar"], 1),
        ({"count": "five", "shape": "bar", "accent_shape": "eye"}, ["bar", "eye"], 6),
    ],
)
def test_the_judge_is_told_which_shapes_there_are_and_how_many_objects(
    changes: dict[str, str], shapes: list[str], objects: int
) -> None:
    places, count = told(Scene(judged_scene(FIRST).genome | changes))
    assert sorted(NAMES[place] for place in places) == shapes and count == objects


def test_a_number_is_the_same_picture_every_time() -> None:
    (first, told_first), (second, told_second) = drawn(NUMBERS[:3]), drawn(NUMBERS[:3])
    assert first.shape == (3, 64, 64, 3) and (first == second).all() and told_first == told_second
    assert (first[0] != first[1]).any()


def test_worn_pictures_show_the_same_a_little_otherwise() -> None:
    pictures = to_tensor(drawn(NUMBERS[:16])[0])
    torch.manual_seed(0)
    once = worn(pictures)
    torch.manual_seed(0)
    assert torch.equal(once, worn(pictures)) and not torch.equal(once, worn(pictures))
    assert once.shape == pictures.shape and float(once.abs().max()) <= 1
    colours = (once.mean((2, 3)) - pictures.mean((2, 3))).abs()
    assert 0.02 < float(colours.mean()) < 0.15


def test_half_of_the_worn_pictures_are_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BEND", "TURN", "ZOOM", "SHIFT"):
        monkeypatch.setattr(judge, name, 0.0)
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 64).expand(40, 3, 64, 64)
    rising = judge._bent(ramp)[:, 0, 0, -1] > 0
    assert 10 < int(rising.sum()) < 30


def test_shares_count_what_is_missed_what_is_too_much_and_the_number() -> None:
    rows: list[judge.Told] = [([0, 3], 2), ([0], 2), ([3], 3), ([5], 1)]
    found = measure(Says([0, 3], 2), torch.zeros(4, 3, 64, 64), rows)
    assert found == {"shapes": 0.75, "exactly": 0.25, "count": 0.5}


def test_the_loss_falls_with_the_right_answer_and_rises_with_each_wrong_one() -> None:
    rows: list[judge.Told] = [([1, 4], 3)]
    right, shape, count = (Says(*said).answer[None] for said in (([1, 4], 3), ([1, 5], 3), ([1, 4], 2)))
    assert loss_of(right, rows) < loss_of(shape, rows) and loss_of(right, rows) < loss_of(count, rows)
    assert targets(rows)[0].sum() == 2 and targets(rows)[1].tolist() == [2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script writes after two steps."""
    folder = tmp_path_factory.mktemp("judge")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            recipe.RECIPES, "cpu", {"judge": {"count": 12, "steps": 2, "batch": 4, "rate": 1e-3}, "data": {"size": 64}}
        )
        patch.setattr(judge.held_out_shares, "__defaults__", (20,))
        words = ["judge", "--work", folder / "work", "--out", folder / "models", "--device", "cpu"]
        patch.setattr(sys, "argv", [str(word) for word in words])
        judge.main()
    return folder / "models" / "bauhaus-judge"


def test_the_saved_judge_is_small_says_what_it_knows_and_has_a_card(made: Path) -> None:
    config = json.loads((made / "config.json").read_text())
    assert list(config["id2label"].values())[: len(NAMES)] == NAMES and config["image_size"] == 64
    assert (made / "model.safetensors").stat().st_size < 2 * 500_000 + 20_000
    assert "12 renderings" in (made / "README.md").read_text() and "{" not in (made / "README.md").read_text()


def test_the_evaluator_sees_what_the_trainer_trained(made: Path) -> None:
    seen = SceneJudge(made)
    pictures, _ = drawn(range(HELD_OUT, HELD_OUT + 3))
    with torch.no_grad():
        wanted = judge.logits_of(seen.model, to_tensor(pictures)).numpy()
    found = seen.logits([Image.fromarray(picture) for picture in pictures])
    assert np.abs(found - wanted).max() < 1e-4 and np.ptp(wanted, axis=0).max() > 1e-3
    assert seen.shapes == NAMES and seen.counts == list(range(1, MOST + 1))
