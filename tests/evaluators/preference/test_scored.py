"""A population scorer as the taste to start from: followed by whom it fits, left by whom it does not."""

import numpy as np
import pytest

from evaluators.looks.features import FEATURE_NAMES
from evaluators.looks.raters import Rater
from evaluators.preference.held_out import held_out_agreement
from evaluators.preference.kinds.comparison import Comparison
from evaluators.preference.model import fit, load
from evaluators.preference.scored import Scored
from evaluators.scorers.aesthetic import AestheticHead
from prompts.errors import InputError

SHOWN, SEEN = 8, 200
MEASURED = np.random.default_rng(7).random((300, len(FEATURE_NAMES)))
FEATURES = (MEASURED - MEASURED.mean(axis=0)) / MEASURED.std(axis=0)
# Other people's taste, in a unit of its own like PickScore's, and in nobody's features.
SCORES = 20.0 + 1.3 * Rater(990, reference=MEASURED).utility_of(MEASURED)


def person(number, follows):
    """The liking (300,) of someone who follows the scorer so far (-1..1), and their ratings on 0..10."""
    rater, rng = Rater(number, reference=MEASURED), np.random.default_rng(number)
    liking = follows * (SCORES - 20.0) / 1.3 + np.sqrt(1 - follows**2) * rater.utility_of(MEASURED)
    return liking, rater.offset + rater.scale * (liking + rater.noise * rng.standard_normal(len(liking)))


@pytest.fixture(scope="module")
def scorer():
    return Scored.distilled(FEATURES[:SEEN], SCORES[:SEEN])


def gained(follows, scorer, kind="head", people=16):
    """How much better from eight ratings with the scorer than without, in correlation with the liking, and without."""
    found = []
    for number in range(people):
        liking, ratings = person(number, follows)
        shown = np.random.default_rng([number, 1]).permutation(SEEN)[:SHOWN]
        both = [fit(FEATURES[shown], ratings[shown], kind, population=base) for base in (None, scorer)]
        found.append([np.corrcoef(one.predict(FEATURES[SEEN:])[0], liking[SEEN:])[0, 1] for one in both])
    alone, started = np.mean(found, axis=0)
    return started - alone, alone


@pytest.mark.parametrize("kind", ["head", "bayes", "knn"])
def test_a_scorer_helps_who_follows_it(kind, scorer):
    assert gained(0.8, scorer, kind)[0] > 0.15


def test_a_scorer_helps_who_opposes_it_and_hurts_little_who_does_not_care(scorer):
    assert gained(-0.8, scorer)[0] > 0.0 and gained(0.0, scorer)[0] > -0.15


def test_who_opposes_the_scorer_gets_its_opposite(scorer):
    ratings = person(3, -0.95)[1]
    gains = [float(fit(FEATURES[:n], ratings[:n], population=scorer).population.arrays["gain"]) for n in (1, 30)]
    assert gains[1] < -0.5 and gains[0] > 0


def test_the_unit_of_the_scores_changes_nothing():
    ratings = person(1, 0.8)[1]
    first, second = (Scored.distilled(FEATURES[:60], s[:60]) for s in (SCORES, 1000 + 50 * SCORES))
    told = [fit(FEATURES[:8], ratings[:8], population=one).predict(FEATURES)[0] for one in (first, second)]
    assert told[0] == pytest.approx(told[1]) and abs(told[0].mean() - ratings[:8].mean()) < 1.5


def test_comparisons_alone_tell_how_far_a_scorer_is_followed(scorer):
    for follows in (0.9, -0.9):
        liking = person(5, follows)[0]
        pairs = [Comparison(i, i + 1, "first" if liking[i] > liking[i + 1] else "second") for i in range(0, 60, 2)]
        mean = fit(FEATURES[:60], None, "bayes", comparisons=pairs, population=scorer).predict(FEATURES[SEEN:])[0]
        assert np.corrcoef(mean, liking[SEEN:])[0, 1] > 0.6 and 3 < mean.mean() < 7


def test_an_affine_scorer_is_taken_exactly():
    rows = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    weight = np.random.default_rng(1).normal(size=FEATURES.shape[1])
    head = AestheticHead("head.pth", "1", weight, 5.0, "a CLIP", None)
    scores, one = head.of_features(rows), Scored.of_affine(head.weight, head.bias, rows)
    assert one.mean(rows) == pytest.approx((scores - scores.mean()) / scores.std()) and one.explained == 1.0
    assert Scored.distilled(rows, scores).mean(rows) == pytest.approx(one.mean(rows), abs=0.05)


def test_what_is_explained_is_what_a_picture_left_out_would_have_shown(scorer):
    few = np.arange(40)
    found = Scored.distilled(FEATURES[few], SCORES[few])
    truth = (SCORES[SEEN:] - SCORES[few].mean()) / SCORES[few].std()
    reached = 1 - ((truth - found.mean(FEATURES[SEEN:])) ** 2).mean() / (truth**2).mean()
    assert found.explained == pytest.approx(reached, abs=0.25)
    noise = Scored.distilled(FEATURES[:60], np.random.default_rng(0).normal(size=60))
    assert noise.explained < 0.2 < 0.5 < scorer.explained < 1


def test_the_closed_form_leaves_one_out():
    from evaluators.preference import scored

    rows, values = FEATURES[:12, :3] - FEATURES[:12, :3].mean(axis=0), SCORES[:12] - SCORES[:12].mean()
    missed = {}
    for ratio in scored._RATIOS:
        left = []
        for i in range(12):
            rest = np.arange(12) != i
            x = np.column_stack([rows[rest], np.ones(11)])
            weight = np.linalg.solve(x.T @ x + np.diag([*[1 / ratio] * 3, 0.0]), x.T @ values[rest])
            left.append((values[i] - [*rows[i], 1.0] @ weight) ** 2)
        missed[ratio] = sum(left)
    best, alone = min(missed.values()), sum((values * 12 / 11) ** 2)
    assert scored._ridge(rows, values)[1] == pytest.approx(1 - best / alone)


def test_both_are_there_again_after_saving(scorer, tmp_path):
    scorer.save(tmp_path / "scorer.npz")
    again = Scored.load(tmp_path / "scorer.npz")
    assert np.array_equal(again.weight, scorer.weight) and (again.bias, again.explained) == (
        scorer.bias,
        scorer.explained,
    )
    ratings = person(2, 0.5)[1]
    for shown in (1, 8):
        model = fit(FEATURES[:shown], ratings[:shown], population=again)
        model.save(tmp_path / "taste.npz")
        for one, other in zip(model.predict(FEATURES), load(tmp_path / "taste.npz").predict(FEATURES), strict=True):
            assert np.array_equal(one, other)
    assert held_out_agreement(FEATURES[:20], ratings[:20], population=again).n == 20


def test_scores_that_are_all_alike_tell_nothing(scorer):
    flat = Scored.distilled(FEATURES[:9], np.full(9, 20.1))
    assert flat.explained == 0.0 and not flat.mean(FEATURES).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Scored.distilled(FEATURES[:3], SCORES[:3]), "at least 4"),
        (lambda: Scored.distilled(FEATURES, SCORES[:3]), "one finite score for each"),
        (lambda: Scored.of_affine(np.zeros(FEATURES.shape[1]), 1.0, FEATURES), "same"),
        (lambda: Scored.of_affine(np.ones(3), 1.0, FEATURES), "fitted on 3"),
        (lambda: fit(np.ones((4, 3)), [1, 2, 3, 4], population=Scored(np.ones(5), 0.0, 1.0)), "fitted on 5"),
        (lambda: fit(FEATURES[:4], [1, 2, 3, 4], "maml", population=Scored.distilled(FEATURES, SCORES)), "give a Population"),
        (lambda: Scored.load("nowhere.npz"), "no scorer at"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_words(make, words):
    with pytest.raises(InputError, match=words):
        make()
