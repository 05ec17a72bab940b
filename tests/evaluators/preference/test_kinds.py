"""What came with comparisons and populations: learning from either, from both, and from bad input."""

import numpy as np
import pytest

from evaluators.preference.held_out import held_out_agreement
from evaluators.preference.kinds.comparison import Comparison
from evaluators.preference.kinds.likelihood import Told, condition
from evaluators.preference.kinds.scale import length_of, spread_of
from evaluators.preference.model import KINDS, fit, load
from evaluators.preference.population import Population
from prompts.errors import InputError

WIDTH = 12
RNG = np.random.default_rng(5)
PICTURES = RNG.normal(size=(90, WIDTH)) * np.linspace(1.5, 0.3, WIDTH)
SHARED = RNG.normal(size=WIDTH)
# Tastes differ in two directions only: a population can teach which.
WAYS = RNG.normal(size=(2, WIDTH))


def tastes(raters, noise=0.3, seed=1):
    """Likings (R, 90) and ratings of them on 0..10."""
    rng = np.random.default_rng(seed)
    weights = 0.7 * SHARED + rng.normal(size=(raters, 2)) @ WAYS
    likings = PICTURES @ weights.T
    likings = ((likings - likings.mean(axis=0)) / likings.std(axis=0)).T
    return likings, 5 + 1.5 * (likings + noise * rng.normal(size=likings.shape))


@pytest.fixture(scope="module")
def population():
    return Population.fit(PICTURES[:60], tastes(40)[1][:, :60], seed=3)


def asked(liking, pairs, seed=0, noise=0.3):
    """Comparisons of random pictures, answered with noise; close calls are ties."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(pairs):
        first, second = (int(one) for one in rng.choice(60, 2, replace=False))
        apart = liking[first] - liking[second] + noise * rng.normal()
        found.append(Comparison(first, second, "tie" if abs(apart) < 0.2 else "first" if apart > 0 else "second"))
    return found


def agreement(model, liking):
    return np.corrcoef(model.predict(PICTURES[60:])[0], liking[60:])[0, 1]


def test_a_population_teaches_how_tastes_differ(population):
    likings, ratings = tastes(20, seed=9)
    found = {name: [] for name in ("alone", "bayes", "maml", "mean")}
    for liking, mine in zip(likings, ratings, strict=True):
        shown = PICTURES[:8], mine[:8]
        found["alone"].append(agreement(fit(*shown, "head"), liking))
        found["bayes"].append(agreement(fit(*shown, "bayes", population=population), liking))
        found["maml"].append(agreement(fit(*shown, "maml", population=population), liking))
        found["mean"].append(np.corrcoef(population.mean(PICTURES[60:]), liking[60:])[0, 1])
    means = {name: np.mean(values) for name, values in found.items()}
    assert means["bayes"] > max(means["alone"], means["mean"]) + 0.1 and means["bayes"] > 0.8
    assert means["maml"] > means["alone"] + 0.1


def test_the_std_under_a_population_is_honest(population):
    likings, ratings = tastes(40, seed=11)
    inside = []
    for liking, mine in zip(likings, ratings, strict=True):
        mean, std = fit(PICTURES[:15], mine[:15], "bayes", population=population).predict(PICTURES[60:])
        inside.append(np.mean(np.abs(mean - (5 + 1.5 * liking[60:])) < 1.96 * std))
    assert 0.85 < np.mean(inside) < 1.0


# Every kind but "finetune", whose training of networks takes seconds a fit and whose input is that of "knn".
QUICK = [kind for kind in KINDS if kind != "finetune"]


@pytest.mark.parametrize("kind", QUICK)
def test_every_kind_learns_from_comparisons_alone_and_with_ratings(kind, population):
    liking, mine = (rows[0] for rows in tastes(1, seed=21))
    pairs, few = asked(liking, 60), np.where(np.arange(90) < 5, mine, np.nan)
    alone = fit(PICTURES, None, kind, comparisons=pairs, population=population)
    assert agreement(alone, liking) > 0.5 and 2 < alone.predict(PICTURES)[0].mean() < 8
    both = fit(PICTURES, few, kind, comparisons=pairs, population=population)
    mean, std = both.predict(PICTURES[60:])
    assert agreement(both, liking) > 0.5 and (std > 0).all() and np.isfinite(mean).all()


@pytest.mark.parametrize("kind", ["head", "bayes"])
def test_comparisons_alone_are_learnt_without_a_population(kind):
    liking = tastes(1, seed=22)[0][0]
    few, many = (fit(PICTURES, None, kind, comparisons=asked(liking, n)) for n in (10, 120))
    assert agreement(many, liking) > max(0.6, agreement(few, liking))
    assert many.predict(PICTURES[:60])[1].mean() < few.predict(PICTURES[:60])[1].mean()


@pytest.mark.parametrize("kind", ["head", "bayes", "knn"])
def test_a_cycle_of_comparisons_says_that_the_three_are_alike(kind, population):
    cycle = [Comparison(0, 1, "first"), Comparison(1, 2, "first"), Comparison(2, 0, "first")]
    pictures = np.eye(3)
    mean, std = fit(pictures, None, kind, comparisons=cycle).predict(pictures)
    assert np.ptp(mean) < 1e-6 and (std > 0).all() and mean == pytest.approx([5.0] * 3)


def test_a_tie_draws_two_pictures_together():
    pictures, ratings = np.eye(4), np.array([9.0, 1.0, np.nan, np.nan])
    ties = [Comparison(0, 1, "tie")] * 6
    apart, tied = (
        fit(pictures, ratings, "bayes", comparisons=c).predict(pictures)[0] for c in ([Comparison(2, 3, "tie")], ties)
    )
    assert abs(tied[0] - tied[1]) < abs(apart[0] - apart[1])


def test_ratings_alone_are_conditioned_on_exactly():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    covariance, prior, values = root @ root.T, rng.normal(size=6), rng.normal(size=4)
    rated, none = np.array([0, 2, 3, 5]), np.zeros(0, dtype=int)
    told = Told(rated, values, np.zeros((4, 4)), none, none, np.zeros(0), 1.0)
    found = condition(prior, covariance, told, gain=2.0, noise=0.5)
    inverse = np.linalg.inv(covariance[np.ix_(rated, rated)] + 0.5 * np.eye(4))
    apart = values / 2.0 - prior[rated]
    assert covariance @ found.alpha == pytest.approx(covariance[:, rated] @ inverse @ apart)
    assert covariance @ found.middle @ covariance == pytest.approx(covariance[:, rated] @ inverse @ covariance[rated])
    evidence = -0.5 * apart @ inverse @ apart + 0.5 * np.linalg.slogdet(inverse)[1] - 4 * np.log(2.0)
    assert found.evidence == pytest.approx(evidence)


def test_comparisons_are_conditioned_on_at_the_mode():
    covariance, prior = np.array([[1.0, 0.2], [0.2, 0.8]]), np.array([0.3, -0.1])
    none = np.zeros(0, dtype=int)
    told = Told(none, np.zeros(0), np.zeros((0, 0)), np.array([0, 0]), np.array([1, 1]), np.array([1.0, 0.5]), 0.8)
    found = condition(prior, covariance, told, gain=1.0, noise=0.5)
    steep = np.pi / np.sqrt(3.0)

    def belief(liking):
        d = steep * (liking[0] - liking[1])
        odds = np.exp(d) + 0.8 * np.exp(d / 2) + 1
        apart = liking - prior
        return (
            np.log(np.exp(d) / odds)
            + np.log(0.8 * np.exp(d / 2) / odds)
            - 0.5 * apart @ np.linalg.solve(covariance, apart)
        )

    mode = prior + covariance @ found.alpha
    around = [mode + 1e-3 * np.array(step) for step in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1))]
    assert all(belief(mode) > belief(one) for one in around)


@pytest.mark.parametrize("kind", QUICK)
def test_the_joint_agrees_with_the_prediction(kind, population):
    model = fit(PICTURES[:20], tastes(1)[1][0][:20], kind, population=population)
    mean, std = model.predict(PICTURES[60:70])
    joint, covariance = model.joint(PICTURES[60:70])
    assert joint == pytest.approx(mean) and np.diag(covariance) == pytest.approx(std**2)
    assert np.linalg.eigvalsh(covariance).min() > -1e-8


def test_the_heads_joint_agrees_with_its_prediction():
    model = fit(PICTURES[:20], tastes(1)[1][0][:20], "head")
    mean, std = model.predict(PICTURES[60:70])
    joint, covariance = model.joint(PICTURES[60:70])
    assert joint == pytest.approx(mean) and np.diag(covariance) == pytest.approx(std**2)
    assert np.abs(covariance - np.diag(std**2)).max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_one_rating_starts_from_the_population(kind, population):
    liking = tastes(1)[0][0]
    model = fit(PICTURES[:1], [7.0], kind, population=population)
    mean, std = model.predict(PICTURES[60:])
    assert np.corrcoef(mean, population.mean(PICTURES[60:]))[0, 1] > 0.8 and agreement(model, liking) > 0.3
    assert (std > 0.3).all() and 2 < mean.mean() < 10


@pytest.mark.parametrize("kind", ["bayes", "head", "blend", "maml"])
def test_equal_ratings_leave_the_population_and_a_wide_std(kind, population):
    mean, std = fit(PICTURES[:6], [8.0] * 6, kind, population=population).predict(PICTURES[60:])
    assert (std > 0.3).all() and np.isfinite(mean).all() and abs(mean.mean() - 8) < 1.5


@pytest.mark.parametrize("kind", ["bayes", "maml", "head"])
def test_another_scale_changes_nothing_but_the_scale(kind, population):
    mine = np.round(tastes(1, seed=4)[1][0][:30])
    mean, std = fit(PICTURES[:30], mine, kind, population=population).predict(PICTURES[60:])
    small, small_std = fit(PICTURES[:30], mine / 10, kind, population=population).predict(PICTURES[60:])
    assert 10 * small == pytest.approx(mean, abs=1e-6) and 10 * small_std == pytest.approx(std, abs=1e-6)


def test_scales_are_recognised():
    assert [length_of(np.array(r)) for r in ([0.2, 0.9], [1, 5, 3], [7.5], [60.0], [500.0])] == [1, 5, 10, 100, 500]
    assert spread_of(np.array([7.0])) == 2.0 and spread_of(np.array([0.4, 0.4])) == pytest.approx(0.2)


def test_a_drift_of_the_offset_is_learnt_where_an_order_is_given(population):
    gains = []
    for liking, mine in zip(*tastes(10, seed=6), strict=True):
        drifting = mine[:40] + np.linspace(-3, 3, 40)
        order = np.arange(40)
        still = fit(PICTURES[:40], drifting, "bayes", population=population)
        moving = fit(PICTURES[:40], drifting, "bayes", population=population, order=order)
        gains.append(agreement(moving, liking) - agreement(still, liking))
    assert np.mean(gains) > 0.01


def test_repeats_of_a_picture_tell_the_persons_noise(population):
    rows, steady = np.repeat(np.arange(10), 3), np.repeat(tastes(1, noise=0)[1][0][:10], 3)
    shaken = steady + np.tile([-1.5, 0.0, 1.5], 10)
    sure, unsure = (
        fit(PICTURES[rows], r, "bayes", population=population).predict(PICTURES[:10])[1] for r in (steady, shaken)
    )
    assert sure.mean() < unsure.mean()


@pytest.mark.parametrize("kind", QUICK)
def test_all_is_there_again_after_saving(kind, population, tmp_path):
    population.save(tmp_path / "people.npz")
    again = Population.load(tmp_path / "people.npz")
    mine = tastes(1)[1][0]
    model = fit(PICTURES[:20], mine[:20], kind, population=again, comparisons=[Comparison(0, 3, "first")])
    model.save(tmp_path / "taste.npz")
    for first, second in zip(model.predict(PICTURES), load(tmp_path / "taste.npz").predict(PICTURES), strict=True):
        assert np.array_equal(first, second)
    same = fit(PICTURES[:20], mine[:20], kind, population=population, comparisons=[Comparison(0, 3, "first")])
    assert same.predict(PICTURES)[0] == pytest.approx(model.predict(PICTURES)[0])


def test_stored_pictures_without_a_rating_cost_and_change_nothing(population):
    mine = tastes(1)[1][0]
    stored = np.vstack([PICTURES, np.full((5, WIDTH), np.nan)])  # not even looked at
    some = np.where(np.arange(95) % 3 == 0, np.append(mine, [np.nan] * 5), np.nan)
    some[90:] = np.nan
    for kind in ("head", "bayes"):
        mean = fit(stored, some, kind, population=population).predict(PICTURES)[0]
        assert np.array_equal(mean, fit(PICTURES[::3], mine[::3], kind, population=population).predict(PICTURES)[0])


def test_held_out_agreement_takes_a_population_and_comparisons(population):
    liking, mine = (rows[0] for rows in tastes(1, seed=8))
    some = np.where(np.arange(90) < 20, mine, np.nan)
    alone = held_out_agreement(PICTURES, some, "bayes")
    helped = held_out_agreement(PICTURES, some, "bayes", population=population, comparisons=asked(liking, 20))
    assert helped.n == alone.n == 20 and helped.srocc > alone.srocc


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"comparisons": [Comparison(0, 0, "first")]}, "two different pictures"),
        ({"comparisons": [Comparison(0, 99, "first")]}, r"0\.\.3"),
        ({"comparisons": [Comparison(0, 1, "skip")]}, "leave out a comparison that was skipped"),
        ({"order": np.arange(3)}, "one time for each"),
        ({"features": np.full((4, WIDTH), np.nan)}, "finite"),
        ({"features": np.ones((4, 3))}, "population was fitted on 12"),
        ({"kind": "maml", "population": None}, "give a Population"),
        ({"ratings": None}, "at least 1 rating, or a comparison"),
        ({"ratings": [1, 2, 3, np.inf]}, "not all finite"),
    ],
)
def test_bad_input_is_refused_in_words(change, words, population):
    given = {"features": PICTURES[:4], "ratings": [1.0, 2, 3, 4], "kind": "bayes", "population": population} | change
    with pytest.raises(InputError, match=words):
        fit(given.pop("features"), given.pop("ratings"), given.pop("kind"), **given)


def test_a_population_needs_people_who_differ(tmp_path):
    with pytest.raises(InputError, match="at least 3 who differ"):
        Population.fit(PICTURES, np.full((5, 90), 4.0))
    with pytest.raises(InputError, match=r"\(R, P\)"):
        Population.fit(PICTURES, np.ones((5, 3)))
    with pytest.raises(InputError, match="no population at"):
        Population.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    with pytest.raises(InputError, match="no saved population"):
        Population.load(tmp_path / "other.npz")


def test_a_population_learns_from_people_who_rated_different_pictures():
    ratings = tastes(60, seed=2)[1]
    rng = np.random.default_rng(0)
    sparse = np.where(rng.random(ratings.shape) < 0.4, ratings, np.nan)
    sparse[0] = np.nan  # one who rated nothing
    people = Population.fit(PICTURES[:60], sparse[:, :60], maml=False)
    found = [
        agreement(fit(PICTURES[:8], mine[:8], "bayes", population=people), liking)
        for liking, mine in zip(*tastes(10, seed=9), strict=True)
    ]
    assert people.raters == 59 and np.mean(found) > 0.75


@pytest.fixture(scope="module")
def taught():
    """A taste that is right about someone, and their likings (90,), in points around 5."""
    liking = 5 + 2 * tastes(1, seed=31)[0][0]
    return fit(PICTURES, liking, "head"), liking


@pytest.mark.parametrize("rated", [0, 5])
def test_comparisons_that_agree_with_the_taste_below_are_not_counted_twice(rated, taught):
    base, liking = taught
    ratings, spreads, middles = np.where(np.arange(90) < rated, liking, np.nan), [], []
    for seed in range(6):  # as noisy as two ratings are: with the base counted twice the spread is a third too large
        pairs = asked((liking - 5) / 2, 30, seed=seed, noise=1.1)
        mean = fit(PICTURES, ratings, "bayes", comparisons=pairs, population=base).predict(PICTURES)[0]
        spreads.append(mean.std() / base.predict(PICTURES)[0].std())
        middles.append(mean.mean())
    assert 0.9 < np.mean(spreads) < 1.08 and 4.5 < np.mean(middles) < 5.5


@pytest.mark.parametrize("kind", ["head", "bayes"])
def test_comparisons_against_the_taste_below_move_what_is_foretold(kind, taught):
    base, liking = taught
    better, worse = np.argsort(-liking[:60])[:6], np.argsort(liking[:60])[:6]
    against = [Comparison(int(a), int(b), "second") for a in better for b in worse]
    mean, before = (
        fit(PICTURES, None, kind, comparisons=against, population=base).predict(PICTURES)[0],
        base.predict(PICTURES)[0],
    )
    gap = [one[better].mean() - one[worse].mean() for one in (before, mean)]
    assert gap[0] > 4 and gap[1] < 0.5 * gap[0]
