"""evaluators/subject.py: likeness of a subject, before and after something was stacked on its adapter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluators.scorers.clip import Clip
from evaluators.subject import kept, subject_similarity


def test_similarity_is_the_mean_cosine_with_all_instances_whatever_their_lengths() -> None:
    images, instances = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]), np.array([[5.0, 0.0], [0.0, 1.0]])
    assert subject_similarity(images, instances) == pytest.approx([0.5, 0.5, 2**-0.5])
    assert subject_similarity(-images[:1], instances[:1]) == pytest.approx([-1.0])


def test_it_is_clip_i_of_the_same_pictures(studio_clip: Path) -> None:
    clip = Clip(studio_clip)
    shades = [Image.new("RGB", (64, 64), (shade, 40, 90)) for shade in (20, 120, 220)]
    found = subject_similarity(clip.image_features(shades[:2]), clip.image_features(shades[1:]))
    assert found == pytest.approx(clip.clip_i(shades[:2], [], shades[1:]).values, abs=1e-5)


def test_what_a_stacked_adapter_took_from_the_subject_is_told_pair_by_pair() -> None:
    instances, before = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert kept(before, before, instances).change.mean == 0
    found = kept(before, np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), instances)
    assert (found.before, found.after) == (1.0, pytest.approx(1 / 3))
    assert found.change.mean == pytest.approx(-2 / 3) and found.change.low < -2 / 3 < found.change.high


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2, 3), (0, 3)), ((3,), (2, 3))])
def test_shapes_that_do_not_belong_together_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(AssertionError, match="features"):
        subject_similarity(np.ones(shapes[0]), np.ones(shapes[1]))
