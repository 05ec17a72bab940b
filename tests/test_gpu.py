"""The same on a GPU: it paints, judges, trains and verifies as a CPU does. `pytest -m gpu`.

PALATE_TEST_DEVICE=cpu tries these tests themselves where there is no GPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.loop.crew import make_settings
from agent.loop.people import simulated_person
from agent.replay.verify import verify
from evaluators.looks.colour import background
from evaluators.scorers.clip import Clip
from evaluators.scorers.pickscore import PickScore
from tests.agent import fast
from tools.context import Studio
from trainers.embedded.world.dataset import held_out
from trainers.model.load import load
from trainers.model.paint import Painted, paint

DEVICE = os.environ.get("PALATE_TEST_DEVICE", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="no CUDA device"),
]
COUNT = 16


@pytest.fixture(scope="module")
def captions() -> list[str]:
    return held_out(COUNT)[1]


@pytest.fixture(scope="module")
def painted(studio: Path, captions: list[str]) -> list[Painted]:
    return paint(captions, model=load(str(studio), device=DEVICE), seed=0)


def test_pictures_look_as_they_do_on_a_cpu(studio: Path, captions: list[str], painted: list[Painted]) -> None:
    on_cpu = paint(captions, model=load(str(studio), device="cpu"), seed=0)
    pairs = list(zip([one.image for one in painted], [one.image for one in on_cpu], strict=True))
    apart = [np.abs(np.asarray(here, float) - np.asarray(there, float)).mean() for here, there in pairs]
    assert np.median(apart) < 12  # of 255: bfloat16 moves edges a little, and seldom an object
    assert sum(background(here) == background(there) for here, there in pairs) >= COUNT - 1


def test_judges_agree_with_themselves_on_a_cpu(
    studio_clip: Path, studio_pickscore: Path, captions: list[str], painted: list[Painted]
) -> None:
    images = [one.image for one in painted]
    for judge, folder in ((Clip, studio_clip), (PickScore, studio_pickscore)):
        here, there = (np.asarray(judge(folder, device).image_features(images)) for device in (DEVICE, "cpu"))
        cosine = (here * there).sum(1) / np.linalg.norm(here, axis=1) / np.linalg.norm(there, axis=1)
        assert cosine.min() > 0.999


@pytest.fixture(scope="module")
def whole_run(
    studio: Path, studio_clip: Path, studio_pickscore: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[fast.Started]:
    """A run by the rules on the device, with a training in its child process."""
    bundle = {"model": str(studio), "clip": str(studio_clip), "pickscore": str(studio_pickscore)}
    config = fast.config_of(bundle, device=DEVICE, finetune={"pool_prompts": 4, "pool_size": 4, "steps": 4})
    started = fast.start(config, tmp_path_factory.mktemp("gpu"), Studio(make_settings(config)))
    started.person = simulated_person(started.crew, started.run_id)
    yield started.drive()
    started.store.close()


def test_a_whole_run_trains_an_adapter_and_judges_it(whole_run: fast.Started) -> None:
    (adapter,) = whole_run.store.adapters(whole_run.run_id)
    assert adapter.promoted is not None and (whole_run.folder / adapter.path).is_dir()
    assert [job.state for job in whole_run.store.jobs(whole_run.run_id)] == ["done"]
    assert whole_run.tools[-1] == "finish" and not [step for step in whole_run.steps if step.error]


def test_its_verification_finds_the_same_images_by_hash(whole_run: fast.Started) -> None:
    verdict = verify(whole_run.store, whole_run.home, whole_run.run_id)
    assert verdict.same, verdict.differences
    assert not verdict.elsewhere and verdict.images == len(whole_run.rows())
