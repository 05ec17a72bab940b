import numpy as np
import pytest

from evaluators.preference.held_out import held_out_agreement
from evaluators.preference.kinds import head as preference_head
from evaluators.preference.kinds import knn as preference_knn
from evaluators.preference.model import FLAT_STD, KINDS, fit, load
from prompts.errors import InputError

# Those that can learn from one person alone.
ALONE = [kind for kind in KINDS if kind != "maml"]


def person(seed=0, n=40, dimension=32, noise=0.5):
    """Unit features that cluster as CLIP's do, and ratings that follow a hidden linear taste."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, dimension)) * np.linspace(1, 0.2, dimension) + 1.0
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    liking = features @ np.random.default_rng(99).normal(size=dimension)
    liking = (liking - liking.mean()) / (liking.std() or 1.0)
    return features, 5 + 1.5 * (liking + noise * rng.normal(size=n))


@pytest.mark.parametrize("kind", ALONE)
def test_every_kind_learns_a_taste_it_was_not_shown(kind):
    features, ratings = person(n=100, noise=0.2)
    mean, std = fit(features[:70], ratings[:70], kind).predict(features[70:])
    assert mean.shape == std.shape == (30,)
    assert np.corrcoef(mean, ratings[70:])[0, 1] > 0.45
    assert (std > 0).all() and np.isfinite(std).all()


@pytest.mark.parametrize("kind", ALONE)
def test_saving_and_loading_changes_no_prediction(kind, tmp_path):
    features, ratings = person()
    crowd = fit(*person(seed=5), "head")
    model = fit(features, ratings, kind, population=crowd)
    model.save(tmp_path / "taste.npz")
    again = load(tmp_path / "taste.npz")
    assert again.kind == kind
    for first, second in zip(model.predict(features), again.predict(features), strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("kind", ALONE)
@pytest.mark.parametrize("ratings", [[7.0], [4.0, 4.0, 4.0]])
def test_nothing_to_tell_apart_gives_the_mean_and_admits_it(kind, ratings, tmp_path):
    features, _ = person(n=len(ratings))
    model = fit(features, ratings, kind)
    mean, std = model.predict(person(seed=3, n=6)[0])
    assert model.kind == "flat" and np.all(mean == ratings[0]) and np.all(std == FLAT_STD)
    model.save(tmp_path / "flat.npz")
    assert load(tmp_path / "flat.npz").kind == "flat"


@pytest.mark.parametrize("kind", ALONE)
def test_two_to_eight_ratings_never_break_it(kind):
    features, ratings = person()
    for n in (2, 3, 5, 8):
        mean, std = fit(features[:n], ratings[:n], kind).predict(features)
        assert np.isfinite(mean).all() and (std > 0).all()
        assert mean.min() > -5 and mean.max() < 15


@pytest.mark.parametrize("kind", ALONE)
def test_pictures_that_are_all_the_same_are_no_accident(kind):
    mean, std = fit(np.ones((6, 4)), [1, 2, 3, 4, 5, 6], kind).predict(np.ones((2, 4)))
    assert mean == pytest.approx([3.5, 3.5], abs=0.6) and np.isfinite(std).all()


@pytest.mark.parametrize(
    ("features", "ratings", "words"),
    [
        (np.ones((0, 4)), [], "at least 1"),
        (np.ones((2, 4)), [1.0], "one rating for each"),
        (np.ones((2, 4)), [[1.0], [2.0]], "one rating for each"),
        (np.ones((2, 4)), [1.0, float("inf")], "not all finite"),
        (np.ones((2, 4)), [float("nan")] * 2, "at least 1"),
        (np.full((2, 4), np.nan), [1.0, 2.0], "finite"),
        (np.ones(4), [1.0], r"\(N, D\)"),
    ],
)
def test_what_cannot_be_learnt_is_refused_in_words(features, ratings, words):
    with pytest.raises(InputError, match=words):
        fit(features, ratings)


def test_an_unknown_kind_and_another_width_are_refused():
    features, ratings = person()
    with pytest.raises(InputError, match="'mlp'"):
        fit(features, ratings, "mlp")
    with pytest.raises(InputError, match="fitted on 32"):
        fit(features, ratings).predict(features[:, :5])


def test_a_file_that_is_no_preference_is_refused(tmp_path):
    with pytest.raises(InputError, match="no preference at"):
        load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match="no saved preference"):
        load(tmp_path / "text.npz")
    np.savez(tmp_path / "pickled.npz", kind=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="no saved preference"):
        load(tmp_path / "pickled.npz")


def test_the_head_is_surer_where_it_has_seen_more():
    features, ratings = person(n=60)
    few, many = fit(features[:8], ratings[:8]), fit(features[:50], ratings[:50])
    assert many.predict(features[50:])[1].mean() < few.predict(features[50:])[1].mean()
    assert many.predict(features[:50])[1].mean() < many.predict(features[50:])[1].mean()


def test_the_heads_std_is_honest():
    inside = []
    for seed in range(40):
        features, ratings = person(seed=seed, n=60, noise=0.5)
        liking = person(seed=seed, n=60, noise=0.0)[1]
        mean, std = fit(features[:20], ratings[:20]).predict(features[20:])
        inside.append(np.mean(np.abs(mean - liking[20:]) < 1.96 * std))
    assert 0.85 < np.mean(inside) <= 1.0


def test_the_heads_closed_form_is_ridge_regression():
    features, ratings = person(n=15, dimension=4)
    arrays = preference_head.fit(features, ratings, 0, own=0.0)
    arrays["belief"] = np.eye(13)[6]  # all belief on a ratio of signal to noise of 1
    rows = (features - arrays["centre"]) / arrays["scale"]
    weights = np.linalg.solve(rows.T @ rows + 4 * np.eye(4), rows.T @ (ratings - ratings.mean()))
    assert preference_head.predict(arrays, features)[0] == pytest.approx(ratings.mean() + rows @ weights)


def test_the_closed_forms_of_leaving_one_out_are_right():
    features, ratings = person(n=12, dimension=4)
    arrays = preference_head.fit(features, ratings, 0, own=0.0)
    arrays["belief"] = np.eye(13)[6]
    rows = (features - arrays["centre"]) / arrays["scale"]
    for i in range(3):
        rest = np.arange(12) != i
        x, y = np.column_stack([rows[rest], np.ones(11)]), ratings[rest]
        weights = np.linalg.solve(x.T @ x + np.diag([4.0, 4, 4, 4, 1e-3]), x.T @ (y - ratings.mean()))
        assert preference_head.left_out(arrays)[i] == pytest.approx(ratings.mean() + [*rows[i], 1] @ weights, abs=1e-3)
    neighbours = preference_knn.fit(features, ratings, 0)
    alone = preference_knn.fit(features[1:], ratings[1:], 0)
    expected = preference_knn.predict(alone, features[:1])[0]
    assert preference_knn.left_out(neighbours)[:1] == pytest.approx(expected)


def test_neighbours_decide_as_they_were_rated():
    features = np.eye(12)[[0] * 6 + [1] * 6]
    mean, _ = fit(features, [9.0] * 6 + [1.0] * 6, "knn").predict(np.eye(12)[:2])
    assert mean == pytest.approx([9.0, 1.0])


def test_the_population_helps_someone_who_rated_little():
    crowd = fit(*person(seed=1, n=200))
    gains = []
    for seed in range(10, 20):
        features, ratings = person(seed=seed, n=60)
        alone = fit(features[:6], ratings[:6]).predict(features[6:])[0]
        helped = fit(features[:6], ratings[:6], population=crowd).predict(features[6:])[0]
        gains.append(np.corrcoef(helped, ratings[6:])[0, 1] - np.corrcoef(alone, ratings[6:])[0, 1])
    assert np.mean(gains) > 0.1


def test_held_out_agreement_finds_a_taste_and_none_in_chance():
    features, ratings = person(n=60, noise=0.2)
    found = held_out_agreement(features, ratings)
    assert found.low > 0.3 and found.accuracy > 0.6 and found.n == 60
    chance = [held_out_agreement(features, np.random.default_rng(s).normal(size=60)).srocc for s in range(30)]
    assert abs(np.mean(chance)) < 0.1


def test_held_out_agreement_needs_four_ratings():
    with pytest.raises(InputError, match="at least 4"):
        held_out_agreement(np.ones((3, 2)), [1, 2, 3])
    assert held_out_agreement(*person(n=4)).n == 4


def test_finetuning_twice_from_a_seed_is_the_same_network():
    features, ratings = person()
    first, second = (fit(features, ratings, "finetune", seed=3).predict(features)[0] for _ in range(2))
    assert np.allclose(first, second)


@pytest.mark.parametrize(("rating", "std"), [(0.7, FLAT_STD), (9.5, FLAT_STD), (70.0, 25.0)])
def test_one_rating_on_a_long_scale_is_no_surer_than_on_a_short_one(rating, std):
    assert fit(np.ones((1, 4)), [rating]).predict(np.eye(4))[1] == pytest.approx([std] * 4)
