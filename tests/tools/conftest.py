"""Four painted and rated images, and the models that painted them."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.given import PROMPTS, Trail, context
from tools.actions.generate import GenerateImages, generate_images
from tools.context import Context, Settings, Studio


@pytest.fixture(scope="session")
def atelier(studio: Path, studio_clip: Path, studio_pickscore: Path) -> Studio:
    """The bundled models, loaded once, set to paint fast."""
    return Studio(
        Settings(
            model=str(studio), clip=str(studio_clip), pickscore=str(studio_pickscore), seed=0, steps=1, images_per_round=4,
            pool_prompts=1, pool_size=2, device="cpu",
        )
    )  # fmt: skip


@pytest.fixture(scope="session")
def _painted(atelier: Studio, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trail]:
    folder, trail = tmp_path_factory.mktemp("run"), Trail()
    arguments = GenerateImages(prompts=PROMPTS, evolved=0)
    trail.record("generate_images", generate_images(arguments, context(trail, folder, atelier, step=1, round=0)))
    trail.rated = {row.id: rating for row, rating in zip(trail.rows, (9.0, 2.0, 6.0, 4.0), strict=True)}
    return folder, trail


@pytest.fixture
def at_hand(atelier: Studio, _painted: tuple[Path, Trail], tmp_path: Path) -> Callable[..., Context]:
    """A context with four rated images, of this test's own: `at_hand(**changes to the context)`."""
    folder, trail = tmp_path / "run", copy.deepcopy(_painted[1])
    shutil.copytree(_painted[0], folder)
    return lambda **changes: context(trail, folder, atelier, **changes)
