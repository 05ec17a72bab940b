"""benchmarks/subject.py: references show the subject, new scenes are new, and hits are counted together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.subject import SHOWN_ON, SUBJECTS, TOKEN, found, new_scene, reference, save_grid, shares, together
from evaluators.looks.colour import background, has_colour
from evaluators.scorers.scene_judge import Seen
from trainers.embedded.world.shapes import HELD_OUT_SHAPES


def test_every_held_out_shape_is_a_subject() -> None:
    assert set(SUBJECTS) == set(HELD_OUT_SHAPES)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_references_show_one_identity_on_different_grounds(subject: str) -> None:
    shown = [reference(subject, ground, texture, 64) for ground, texture in SHOWN_ON]
    for (image, prompt), (ground, _) in zip(shown, SHOWN_ON, strict=True):
        assert background(image) == ground and has_colour(image, SUBJECTS[subject])
        assert f"{SUBJECTS[subject]} {TOKEN} on" in prompt and f"{ground} background" in prompt
    assert len({prompt for _, prompt in shown}) == len(shown)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_new_scenes_are_no_references_and_the_subject_can_be_seen_on_their_grounds(subject: str) -> None:
    learned = {reference(subject, ground, texture, 64)[1] for ground, texture in SHOWN_ON}
    scenes = [new_scene(subject, number) for number in range(32)]
    assert not learned & {prompt for prompt, _ in scenes} and "centred" not in " ".join(prompt for prompt, _ in scenes)
    assert all(ground != SUBJECTS[subject] and f"{ground} background" in prompt for prompt, ground in scenes)
    assert sum(" and a" in prompt for prompt, _ in scenes) == 16 and len({ground for _, ground in scenes}) > 5


def test_hits_of_all_subjects_make_one_share() -> None:
    one, other = ({"found": hits, "training_seconds": 3.0} for hits in ([True, False], [True, True]))
    assert together([one, other]) == {"found": [True, False, True, True]}
    assert shares(together([one, other]))["found"]["share"] == 0.75 and shares(one)["training_seconds"] == 3.0
    assert found([Seen(frozenset({"star", "bar"}), 2), Seen(frozenset({"bar"}), 1)], "star") == [True, False]


def test_a_sheet_holds_every_picture(tmp_path: Path) -> None:
    images = [Image.new("RGB", (8, 8), (20 * i, 0, 0)) for i in range(10)]
    save_grid(images, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as made:
        assert made.size == (80, 20) and np.asarray(made)[15, 15].tolist() == [180, 0, 0]
