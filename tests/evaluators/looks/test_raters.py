import numpy as np
import pytest
from PIL import Image, ImageDraw

from evaluators.looks.colour import HUES
from evaluators.looks.features import FEATURE_NAMES, features
from evaluators.looks.raters import Rater, load_reference, save_reference
from prompts.errors import InputError

COLOURS = ["#d62828", "#f77f00", "#fcd34d", "#2e8b57", "#00a0a0", "#1d4ed8", "#7c3aed", "#f48fb1", "#1a1a1a", "#f5f5f0"]


def prompt(number):
    """What words could ask for: ground, figure, count, size, shape, layout."""
    rng = np.random.default_rng(number)
    ground, figure = rng.choice(len(COLOURS), 2, replace=False)
    shape = str(rng.choice(["ellipse", "rectangle"]))
    return ground, figure, int(rng.integers(1, 4)), int(rng.choice([6, 11])), shape, bool(rng.random() < 0.5)


def paint(number, seed=0):
    ground, figure, count, radius, shape, row = prompt(number)
    rng = np.random.default_rng([number, seed])
    image = Image.new("RGB", (64, 64), COLOURS[ground])
    for place in range(count):
        x = 64 * (place + 0.5) / count if row else rng.uniform(radius, 64 - radius)
        y = 32 if row else rng.uniform(radius, 64 - radius)
        getattr(ImageDraw.Draw(image), shape)((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[figure])
    noisy = np.asarray(image, float) + rng.normal(0, 4, (64, 64, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def reference():
    return features([paint(number) for number in range(250)])


def test_utility_is_in_sds_over_random_prompts(reference):
    for seed in range(10):
        utility = Rater(seed, reference=reference).utility_of(reference)
        assert utility.mean() == pytest.approx(0.0, abs=1e-9) and utility.std() == pytest.approx(1.0)


def test_the_same_seed_is_the_same_person(reference):
    assert Rater(5, reference=reference).taste == Rater(5, reference=reference).taste
    assert Rater(5, reference=reference).taste != Rater(6, reference=reference).taste


def test_a_hundred_tastes_differ(reference):
    tastes = np.array([Rater(seed, reference=reference).utility_of(reference) for seed in range(100)])
    alike = np.corrcoef(tastes)[np.triu_indices(100, 1)]
    assert abs(alike.mean()) < 0.1 and np.abs(alike).mean() < 0.35 and alike.max() < 0.95
    assert {term.feature for s in range(100) for term in Rater(s, reference=reference).taste} > set(HUES)


def test_a_taste_is_sparse_and_has_a_liked_and_a_disliked_hue(reference):
    for seed in range(30):
        taste = Rater(seed, reference=reference).taste
        hues = [term.weight for term in taste if term.feature in HUES]
        assert 5 <= len(taste) <= 9 and max(hues) > 0 > min(hues)
        assert {term.feature for term in taste} <= set(FEATURE_NAMES)


def test_words_move_a_taste_more_than_chance_does(reference):
    pictures = np.stack([features([paint(n, seed) for n in range(1000, 1060)]) for seed in (1, 2, 3)])
    explained, best = [], []
    for seed in range(100):
        rater = Rater(seed, reference=reference)
        utility = np.stack([rater.utility_of(many) for many in pictures])
        explained.append(1.0 - utility.var(axis=0).mean() / utility.var())
        best.append(utility.mean(axis=0).max())
    assert np.mean(explained) > 0.8 and np.min(explained) > 0.6
    assert np.mean(best) > 1.5 and np.min(best) > 0.8


def test_ratings_are_half_points_from_nought_to_ten_and_follow_utility(reference):
    images = [paint(number) for number in range(500, 560)]
    rater = Rater(1, reference=reference)
    ratings = rater.rate(images, seed=0)
    assert all(0.0 <= r <= 10.0 and r * 2 == int(r * 2) for r in ratings)
    assert np.corrcoef(ratings, rater.utility(images))[0, 1] > 0.8


def test_a_rating_depends_on_the_picture_alone_not_on_order_or_company(reference):
    images = [paint(number) for number in range(300, 306)]
    rater = Rater(2, reference=reference)
    together = rater.rate(images, seed=7)
    assert rater.rate(images[::-1], seed=7) == together[::-1]
    assert [Rater(2, reference=reference).rate([image], seed=7)[0] for image in images] == together
    assert rater.rate(images * 4, seed=8)[:6] == rater.rate(images, seed=8) != together


def test_without_noise_the_scale_is_a_straight_line(reference):
    images = [paint(number) for number in range(300, 320)]
    rater = Rater(3, reference=reference, noise=0.0, scale=1.0)
    expected = np.round((rater.offset + rater.utility(images)) * 2) / 2
    assert rater.rate(images, seed=0) == list(expected.clip(0, 10))


def test_any_size_of_picture_can_be_rated(reference):
    assert len(Rater(0, reference=reference).rate([Image.new("RGB", (300, 200), "teal")], seed=0)) == 1


def test_the_reference_comes_back_from_its_folder(reference, tmp_path):
    save_reference(tmp_path, reference)
    assert load_reference(tmp_path) == pytest.approx(reference, abs=1e-5)


def test_a_missing_or_foreign_reference_is_refused(reference, tmp_path):
    with pytest.raises(InputError, match="no rater reference"):
        load_reference(tmp_path)
    np.savez(tmp_path / "rater_reference.npz", features=reference, names=np.array(["other"]))
    with pytest.raises(InputError, match="other features"):
        load_reference(tmp_path)
    with pytest.raises(InputError, match="no feature that varies"):
        Rater(0, reference=np.ones((20, len(FEATURE_NAMES))))
    with pytest.raises(InputError, match="shape"):
        Rater(0, reference=np.ones((20, 3)))
    with pytest.raises(InputError, match="noise"):
        Rater(0, reference=reference, noise=-1)


def test_features_that_are_known_need_not_be_measured_again(reference):
    pictures = [paint(number) for number in range(6)]
    rater = Rater(3, reference=reference)
    assert rater.rate(pictures, seed=1, measured=features(pictures)) == rater.rate(pictures, seed=1)


@pytest.fixture(scope="module")
def four():
    return [paint(number) for number in (3, 14, 15, 92)]


def test_answers_do_not_depend_on_the_side_and_are_the_same_again(reference, four):
    for seed in range(8):
        rater = Rater(seed, reference=reference)
        turned = {"first": "second", "second": "first"}[rater.prefer(*four[:2], seed=1)]
        assert rater.prefer(four[1], four[0], seed=1) == turned
        assert rater.best(four, seed=1) == 3 - rater.best(four[::-1], seed=1)
        assert rater.worst(four, seed=1) == 3 - rater.worst(four[::-1], seed=1) != 3 - rater.best(four[::-1], seed=1)


def test_without_noise_answers_follow_the_hidden_liking(reference, four):
    rater = Rater(5, reference=reference, noise=0.0)
    liking = rater.utility(four)
    assert (rater.best(four, seed=0), rater.worst(four, seed=0)) == (liking.argmax(), liking.argmin())
    assert rater.prefer(*four[:2], seed=0) == ("first" if liking[0] > liking[1] else "second")
    assert rater.prefer(*four[:2], seed=0, tie=abs(liking[0] - liking[1]) + 0.1) == "tie"


def test_noise_is_drawn_anew_in_each_company_so_that_answers_may_contradict_each_other(reference):
    pictures = [paint(number) for number in range(12)]
    rater = Rater(2, reference=reference, noise=1.5)
    wins = {
        (i, j): rater.prefer(pictures[i], pictures[j], seed=0) == "first"
        for i in range(12)
        for j in range(12)
        if i != j
    }
    cycles = sum(wins[i, j] == wins[j, k] == wins[k, i] for i in range(12) for j in range(i) for k in range(j))
    assert cycles > 0


def test_a_picture_is_not_compared_with_itself(reference, four):
    rater = Rater(0, reference=reference)
    for ask in (
        lambda: rater.prefer(four[0], four[0].copy(), seed=0),
        lambda: rater.best([*four[:3], four[0]], seed=0),
    ):
        with pytest.raises(InputError, match="compared with itself"):
            ask()
