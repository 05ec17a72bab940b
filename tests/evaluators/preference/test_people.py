"""Real people: 60 raters of 55 pictures, with MobileNet embeddings (not CLIP). Skipped where the data is absent."""

import csv
from collections import defaultdict

import numpy as np
import pytest

from evaluators.numbers.win_rate import mean_interval
from evaluators.preference.held_out import held_out_agreement
from evaluators.preference.model import fit
from tests.places import SHARED_DATA


@pytest.fixture(scope="module")
def people():
    folder = SHARED_DATA / "ratings_dogmorph"
    if not folder.is_dir():
        pytest.skip(f"no real ratings at {folder}: set PALATE_SHARED_DATA")
    with np.load(folder / "mobilenet_embeddings.npz", allow_pickle=False) as stored:
        features = stored["X"].astype(float)
        names = [str(file).rsplit("/", 1)[-1] for file in stored["files"]]
    given = defaultdict(lambda: defaultdict(list))
    with (folder / "ratings.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            given[row["rater"]][row["image"]].append(float(row["rating"]))
    ratings = [np.array([10 * np.mean(mine[name]) for name in names]) for mine in given.values()]
    return features / np.linalg.norm(features, axis=1, keepdims=True), ratings


def test_the_head_foretells_real_people(people):
    features, ratings = people
    found = [held_out_agreement(features, mine, "head") for mine in ratings]
    srocc = mean_interval([each.srocc for each in found])
    pairs = np.mean([each.accuracy for each in found])
    print(f"\nhead, {srocc.n} people: SROCC {srocc.mean:.3f} [{srocc.low:.3f}, {srocc.high:.3f}], pairs {pairs:.3f}")
    assert srocc.n == 60 and srocc.low > 0.3


def test_shuffled_ratings_are_not_foretold(people):
    features, ratings = people
    rng = np.random.default_rng(0)
    srocc = mean_interval([held_out_agreement(features, rng.permutation(mine)).srocc for mine in ratings])
    assert srocc.low < 0.05 and srocc.high > -0.05


def test_other_people_help_with_few_ratings(people):
    features, ratings = people
    gains = []
    for number, mine in enumerate(ratings[::4]):
        others = np.mean([other for other in ratings if other is not mine], axis=0)
        crowd = fit(features, others)
        order = np.random.default_rng(number).permutation(len(mine))
        shown, held = order[:6], order[6:]
        alone = fit(features[shown], mine[shown]).predict(features[held])[0]
        helped = fit(features[shown], mine[shown], population=crowd).predict(features[held])[0]
        gains.append(np.corrcoef(helped, mine[held])[0, 1] - np.corrcoef(alone, mine[held])[0, 1])
    assert mean_interval(gains).mean > 0.0
