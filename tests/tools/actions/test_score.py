"""tools/actions/score.py: a score an image, and no score where there is nothing to go by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prompts.errors import ToolError
from tests.tools.given import Trail, context
from tools.actions.learn import LearnTaste, learn_taste
from tools.actions.score import SCORERS, ScoreImages, score_images
from tools.context import Context

AtHand = Callable[..., Context]


def test_every_scorer_gives_one_finite_score_an_image(at_hand: AtHand) -> None:
    given = at_hand()
    given.trail.record("learn_taste", learn_taste(LearnTaste(kind="head"), given))  # type: ignore[attr-defined]
    found = score_images(ScoreImages(scorers=list(SCORERS)), given)  # type: ignore[arg-type]
    images = [row.id for row in given.trail.images()]
    for name in SCORERS:
        assert [row.image for row in found.scores if row.name == name] == images
        values = [row.value for row in found.scores if row.name == name]
        assert found.result["scores"][name] == pytest.approx(sum(values) / 4, abs=1e-3) and len(set(values)) > 1
    assert found.result["skipped"] == [] and given.seconds["score"] > 0


def test_scores_say_which_version_gave_them(at_hand: AtHand) -> None:
    given = at_hand()
    taste = given.trail.record("learn_taste", learn_taste(LearnTaste(kind="knn"), given))  # type: ignore[attr-defined]
    found = score_images(ScoreImages(scorers=["preference", "clip_t"]), given)
    versions = {row.name: row.version for row in found.scores}
    assert versions["preference"] == taste.preferences[0].sha256[:12] and versions["clip_t"]


def test_what_needs_ratings_is_skipped_without_and_said_so(at_hand: AtHand) -> None:
    given = at_hand()
    given.trail.rated = {}  # type: ignore[attr-defined]
    found = score_images(ScoreImages(scorers=["clip_i", "preference"]), given)
    assert found.result == {"scores": {}, "skipped": ["clip_i", "preference"]} and found.scores == ()


def test_a_scorer_named_twice_scores_once(at_hand: AtHand) -> None:
    assert len(score_images(ScoreImages(scorers=["clip_t", "clip_t"]), at_hand()).scores) == 4


def test_nothing_painted_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="call generate_images first"):
        score_images(ScoreImages(scorers=["clip_t"]), context(Trail(), tmp_path))
