"""tools/profiles/taste.py, mix.py: what a profile likes, where a run starts from, how two differ, and a blend of both."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from evaluators.numbers.agreement import spearman
from evaluators.preference import model as preference
from prompts.errors import InputError
from tests.tools.profiles.made import ANN, BOB, VOCABULARY, features_of, liked, person
from tools.profiles.mix import blend, diff
from tools.profiles.profile import Profile, to_bytes
from tools.profiles.reading import from_bytes
from tools.profiles.records import Compared, Rated, Worth
from tools.profiles.taste import Start, best_words, liking, worths
from tools.search.screened import GeneBelief, screened
from tools.search.space import Space

SPACE = Space(VOCABULARY)
WORTH = Worth(worth=0.5, low=0.1, high=0.9, count=3)


@pytest.fixture(scope="module")
def ann() -> Profile:
    return from_bytes(to_bytes(person("ann", ANN)), "ann")


@pytest.fixture(scope="module")
def bob() -> Profile:
    return from_bytes(to_bytes(person("bob", BOB, seed=1)), "bob")


def test_the_words_worths_say_what_was_liked(ann: Profile) -> None:
    genes = ann.genome.genes
    assert genes["background"]["teal"].low > 0 > genes["texture"]["hatched"].high
    assert ann.genome.best["background"] == "teal" and ann.genome.best["texture"] != "hatched"
    assert sum(one.count for one in genes["shape"].values()) == 80


def test_prompts_in_free_words_leave_every_word_open() -> None:
    prompts = ["a cat on a roof", "something calm, in blue"]
    rated = [Rated(image="0" * 64, prompt=one, genome=VOCABULARY.parse(one), value=9.0, when="", run="run-1") for one in prompts]  # fmt: skip
    assert [one.genome for one in rated] == [None, None]
    found = worths([(one.value, one.genome) for one in rated if one.genome is not None], VOCABULARY)
    assert all(one.worth == 0 and one.low < 0 < one.high and one.count == 0 for one in found.genes["shape"].values())


def test_liking_is_the_preference_in_sds(ann: Profile) -> None:
    mean, std = liking(ann, ann.features)
    points, spread = ann.tastes[0].predict(ann.features)
    assert np.allclose(mean * ann.manifest.scale.sd + ann.manifest.scale.mean, points)
    assert np.allclose(std * ann.manifest.scale.sd, spread)


def test_features_of_another_clip_are_refused_by_dimension(ann: Profile) -> None:
    with pytest.raises(
        InputError, match=r"shape \(3, 512\) do not fit the profile 'ann'.*'bauhaus-clip' with 24 numbers"
    ):
        liking(ann, np.zeros((3, 512)))


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_strength_scales_what_the_prior_says(ann: Profile, strength: float) -> None:
    whole, part = (Start(ann, one).prior().predict(ann.features)[0] for one in (1.0, strength))
    assert np.allclose(part, strength * whole, atol=1e-9)


def test_the_prior_is_learned_from_comparisons_too_and_only_once(ann: Profile) -> None:
    best, worst = (pick([one.value for one in ann.ratings]) for pick in (np.argmax, np.argmin))
    turned = Compared(first=ann.images[worst], second=ann.images[best], answer="first", when="", run="run-1")
    start, told = Start(ann, 1.0), Start(replace(ann, comparisons=(turned,) * 20), 1.0)
    before, after = (one.prior().predict(ann.features[[worst, best]])[0] for one in (start, told))
    assert before[0] < before[1] and after[0] - after[1] > before[0] - before[1]
    assert start.prior() is start.prior()


def new_ratings(seed: int, count: int, taste: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    rng = random.Random(seed)
    genomes = [VOCABULARY.random(rng) for _ in range(count)]
    return features_of(genomes, seed), np.array([liked(genome, taste) for genome in genomes])


def test_a_profile_of_the_same_person_helps_where_ratings_are_few(ann: Profile) -> None:
    gains, prior = [], Start(ann, 1.0).prior()
    for seed in range(100, 112):
        features, values = new_ratings(seed, 66, ANN)
        alone = preference.fit(features[:6], values[:6])
        helped = preference.fit(features[:6], values[:6], population=prior)
        both = [spearman(one.predict(features[6:])[0], values[6:]) for one in (alone, helped)]
        gains.append(both[1] - both[0])
    assert np.mean(gains) > 0.05


def test_earlier_ratings_count_as_evidence_to_their_power(ann: Profile) -> None:
    rng = random.Random(5)
    now = [(liked(genome, {}) + rng.gauss(0, 1), genome) for genome in (VOCABULARY.random(rng) for _ in range(8))]
    teal = [
        GeneBelief(now, SPACE, earlier=earlier).mean[SPACE.columns["background", "teal"]]
        for earlier in ([], Start(ann, 0.3).earlier(VOCABULARY), Start(ann, 1.0).earlier(VOCABULARY))
    ]
    assert teal[0] < teal[1] < teal[2]
    plain, none = GeneBelief(now, SPACE), GeneBelief(now, SPACE, earlier=())
    assert np.array_equal(plain.mean, none.mean) and np.array_equal(plain.covariance, none.covariance)


def test_full_strength_is_as_if_the_ratings_were_given_now(ann: Profile) -> None:
    earlier = Start(ann, 1.0).earlier(VOCABULARY)
    rated = [(value, genome) for value, genome, _ in earlier]
    alone = GeneBelief(rated, SPACE)  # z-scores: the belief's own standardising changes nothing
    nothing_new = GeneBelief([(1.0, rated[0][1])], SPACE, earlier=earlier)
    assert np.corrcoef(alone.mean, nothing_new.mean)[0, 1] > 0.99


def test_children_of_a_started_search_have_the_profiles_words(ann: Profile) -> None:
    rng = random.Random(2)
    now = [(5.0 + rng.gauss(0, 1), VOCABULARY.random(rng)) for _ in range(8)]
    share = [
        np.mean(
            [child["background"] == "teal" for child in screened(now, [], 8, 0.5, SPACE, random.Random(3), earlier)]
        )
        for earlier in ((), Start(ann, 1.0).earlier(VOCABULARY))
    ]
    assert share[1] > share[0] + 0.3


def test_the_first_prompts_of_a_started_run_have_the_profiles_words(ann: Profile) -> None:
    rng = random.Random(4)
    drawn = [VOCABULARY.random(rng) for _ in range(200)]
    found = Start(ann, 1.0).chosen(drawn, 4, VOCABULARY, rng)
    assert len(found) == 4 and sum(genome["background"] == "teal" for genome in found) >= 3
    assert len({tuple(genome.items()) for genome in found}) == 4


def test_words_of_another_vocabulary_are_left_out(ann: Profile) -> None:
    other = VOCABULARY.model_copy(update={"genes": {**VOCABULARY.genes, "texture": ["smooth"]}})
    start = Start(ann, 1.0)
    assert (
        start.earlier(other) == []
        and start.chosen([VOCABULARY.random(random.Random(0))], 1, other, random.Random(0)) == []
    )


def test_a_taste_agrees_with_itself_and_not_with_another(ann: Profile, bob: Profile) -> None:
    same, other = diff(ann, ann), diff(ann, bob)
    assert same.liking and same.liking.srocc == pytest.approx(1.0) and same.correlation == pytest.approx(1.0)
    assert other.liking and other.liking.srocc < 0.5 and other.pictures == 160
    first = other.apart()[0]
    assert (first.gene, first.value) == ("background", "teal") and first.sure and first.a > 0 > first.b
    assert ("shape", "ring") in [(word.gene, word.value) for word in other.together(5)]


def test_tastes_seen_by_two_clips_are_compared_by_words_alone(ann: Profile) -> None:
    found = diff(ann, person("eve", BOB, seed=2, clip="d2" * 6))
    assert found.liking is None and "version c1c1c1c1c1c1" in found.why and len(found.words) > 50


def test_a_blend_lies_between_and_keeps_where_it_came_from(ann: Profile, bob: Profile) -> None:
    both = from_bytes(to_bytes(blend([ann, bob], [0.7, 0.3], "both")), "both")
    teal, a, b = (one.genome.genes["background"]["teal"].worth for one in (both, ann, bob))
    assert teal == pytest.approx(0.7 * a + 0.3 * b)
    mixed, first, second = (liking(one, ann.features)[0] for one in (both, ann, bob))
    assert np.allclose(mixed, 0.7 * first + 0.3 * second)
    assert [(one.weight, one.profile, one.name) for one in both.manifest.tastes] == [
        (0.7, ann.sha256, "ann"),
        (pytest.approx(0.3), bob.sha256, "bob"),
    ]
    assert both.manifest.ratings == 160 and sorted({one.weight for one in both.ratings}) == pytest.approx([0.3, 0.7])
    assert np.std(Start(both, 1.0).prior().predict(ann.features)[0]) > 0


def test_a_blend_of_a_blend_shares_out_its_share(ann: Profile, bob: Profile) -> None:
    half = from_bytes(to_bytes(blend([ann, bob], [1, 1], "half")), "half")
    found = from_bytes(to_bytes(blend([half, bob], [1, 1], "more")), "more")
    assert [one.weight for one in found.manifest.tastes] == [0.25, 0.25, 0.5]
    assert {one.source for one in found.ratings} == {0, 1, 2}


@pytest.mark.parametrize(
    ("weights", "told"),
    [([0.7], "for 2 profiles"), ([0.7, 0.0], "above 0"), ([0.7, float("nan")], "above 0"), ([1, -1], "above 0")],
)
def test_weights_that_are_no_shares_are_refused(ann: Profile, bob: Profile, weights: list[float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        blend([ann, bob], weights, "both")


def test_no_blend_is_of_more_tastes_or_smaller_shares_than_fit(ann: Profile, bob: Profile) -> None:
    with pytest.raises(InputError, match="33 tastes are more than the 32"):
        blend([ann, bob, *[ann] * 31], [1.0] * 33, "many")
    assert len(from_bytes(to_bytes(blend([ann] * 3, [1.0] * 3, "three")), "three").manifest.tastes) == 3
    with pytest.raises(InputError, match="'bob' would have a share of"):
        blend([ann, bob], [1.0, 1e-6], "both")


def test_the_best_words_of_a_gene_that_has_no_other_are_the_same() -> None:
    alone, other = {"red": WORTH}, {"red": WORTH, "blue": WORTH}
    assert best_words({"a": alone, "b": alone}, [("a", "b")]) == {"a": "red", "b": "red"}
    assert best_words({"a": alone, "b": other}, [("a", "b")]) == {"a": "red", "b": "blue"}


def test_what_cannot_be_blended_is_told(ann: Profile) -> None:
    with pytest.raises(InputError, match="seen by one CLIP"):
        blend([ann, person("eve", BOB, clip="d2" * 6)], [1, 1], "both")
    other = person("eve", BOB)
    words = replace(other, genome=other.genome.model_copy(update={"vocabulary": "painting"}))
    with pytest.raises(InputError, match="blend profiles of one vocabulary"):
        blend([ann, words], [1, 1], "both")


def test_ratings_all_alike_make_a_profile_that_says_nothing() -> None:
    flat = from_bytes(to_bytes(person("flat", {"shape nothing": 0.0}, count=2)), "flat")
    assert flat.tastes[0].kind in ("head", "flat") and np.isfinite(liking(flat, flat.features)[0]).all()
