"""benchmarks/stack.py: what a weight of the taste does to the subject, over pictures and over subjects."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.stack import compared, together, told
from evaluators.scorers.scene_judge import Seen
from evaluators.scorers.score import Score

IMAGES = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (0, 100, 200)]


def judges() -> SimpleNamespace:
    """They see how red a picture is: features turn with it, PickScore likes it, the star is in the dark ones."""

    def red(images: list[Image.Image]) -> np.ndarray:
        return np.array([np.asarray(image)[0, 0, 0] for image in images], float)

    return SimpleNamespace(
        clip=SimpleNamespace(image_features=lambda images: np.stack([np.cos(red(images) / 200), np.sin(red(images) / 200)], axis=1)),
        pickscore=lambda images, prompts: Score("pickscore", "0", tuple(red(images))),
        scene=lambda images: [Seen(frozenset({"star"}) if value < 150 else frozenset(), 1) for value in red(images)],
    )  # fmt: skip


def test_a_weight_is_compared_with_the_subject_alone_picture_by_picture() -> None:
    row = compared(IMAGES[1:], IMAGES[:2], ["a", "b"], "star", np.array([[1.0, 0.0]]), judges())  # type: ignore[arg-type]
    assert row["found"] == [True, False] and row["scores"] == [100, 200] and row["base"] == [0, 100]
    assert row["similarity"].before == pytest.approx((1 + np.cos(0.5)) / 2)
    assert row["similarity"].after == pytest.approx((np.cos(0.5) + np.cos(1.0)) / 2)


def test_the_subject_alone_beside_itself_changes_nothing_and_ties() -> None:
    row = together([compared(IMAGES, IMAGES, ["a"] * 3, "star", np.array([[1.0, 0.0]]), judges())])  # type: ignore[arg-type]
    assert (
        row["change"] == [0, 0, 0] and row["wins"][0] == 0.5 and row["found"]["share"] == pytest.approx(2 / 3, abs=1e-4)
    )


def test_several_subjects_make_one_line() -> None:
    rows = [compared(IMAGES[one:], IMAGES[: 3 - one], ["a"] * (3 - one), "star", np.array([[1.0, 0.0]]), judges()) for one in (1, 2)]  # type: ignore[arg-type]  # fmt: skip
    row = together(rows)
    assert row["wins"][0] == 1.0 and row["found"]["n"] == 3
    assert row["change"][0] == pytest.approx(np.mean([one["similarity"].change.mean for one in rows]))
    line = told("0.5", row)
    assert "taste at  0.5" in line and "prefers the stack in 100.0 %" in line and "found in 33.3 %" in line
