"""tools/questions.py: what is believed of the pictures before the person said anything of them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.tools.given import Trail, context, image_row
from tests.tools.profiles.made import ANN, VOCABULARY, features_of, person
from tools.context import Context
from tools.profiles.taste import Start
from tools.questions import NOISE, _belief

GENOMES = [VOCABULARY.random(random.Random(seed)) for seed in range(30)]
ROWS = [image_row(VOCABULARY.phrase(genome), number) for number, genome in enumerate(GENOMES)]


def test_before_two_clicks_the_belief_is_the_profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Context, "features", lambda self, rows: features_of(GENOMES, 3))
    start, trail = Start(person("ann", ANN), 1.0), Trail(ROWS)
    alone, told = (_belief(ROWS, context(trail, tmp_path, start=one)) for one in (None, start))
    assert not alone.mean.any() and alone.noise == NOISE
    mean, std = start.prior().predict(features_of(GENOMES, 3))
    assert np.ptp(mean) > 0.5 and np.allclose(told.mean, mean / std) and np.allclose(told.covariance.diagonal(), 1.0)
    left = np.sqrt((std**2).mean())  # an answer is as noisy as ever: more so in the SDs of a belief that is narrow
    assert told.noise == pytest.approx(NOISE * np.hypot(left, mean.std()) / left)
