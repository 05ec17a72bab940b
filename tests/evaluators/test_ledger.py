"""evaluators/ledger.py: judges side by side, and an alarm that hears a deceived guide and not an honest search."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.ledger import FEWEST_ROUNDS, alarm, disagreements, slope, standardised
from evaluators.numbers.win_rate import wilson

ROUND = 8
# Reward back-propagation through PickScore on the bundled painter, 20 steps (benchmarks/LOG.md): PickScore preferred the new pictures
# in 84 % of pairs, CLIP-T fell to 56 per cent and the saturation left its range. A win rate of 84 % is a shift of 1.4 SD between two
# pictures of one prompt (normal, the difference's SD is sqrt 2), 44 % the other way about 0.2; the person's ratings follow the colours.
HACKED = {"preference": 0.0, "pickscore": 1.4, "clip_t": -1.2, "rating": -1.0}


def sequence(
    ends: dict[str, float], rounds: int, seed: int, *, wander: float = 0.15
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Judges whose mean goes in a straight line to `ends` (SDs), with pictures that differ and rounds that wander together."""
    rng = np.random.default_rng([seed, 0xA1A])
    places = np.repeat(np.arange(1.0, rounds + 1), ROUND)
    ramp = (places - 1) / (rounds - 1)
    columns = {
        name: end * ramp + rng.normal(size=len(places)) + np.repeat(wander * rng.normal(size=rounds), ROUND)
        for name, end in ends.items()
    }
    return columns, places


def raised(ends: dict[str, float], rounds: int, guide: str, count: int = 100) -> float:
    """The share of sequences that raise the alarm."""
    return float(np.mean([alarm(*sequence(ends, rounds, seed), guide).raised for seed in range(count)]))


def test_a_reward_that_is_hacked_raises_the_alarm() -> None:
    columns, rounds = sequence(HACKED, 20, 0)
    found = alarm(columns, rounds, "pickscore")
    assert found.raised and {one.judge for one in found.falling} == {"clip_t", "rating"}
    assert found.said.startswith("Alarm: pickscore (+") and "may be deceived" in found.said


def test_a_hacked_reward_is_nearly_always_heard_and_mostly_early() -> None:
    assert raised(HACKED, 20, "pickscore") >= 0.98
    assert raised({name: 2 * end for name, end in HACKED.items()}, 8, "pickscore") >= 0.9


def test_an_honest_search_is_seldom_accused() -> None:
    honest = {"preference": 1.5, "pickscore": 0.2, "clip_t": 0.0, "rating": 1.5}
    share = raised(honest, 8, "preference", 400)
    assert share <= 0.01, wilson(share, 400)


def test_a_guide_that_climbs_beside_judges_who_only_wander_is_seldom_accused() -> None:
    """No ratings at all, so that nobody vouches for the guide: the interval alone must hold."""
    still = {"preference": 1.5, "pickscore": 0.0, "clip_t": 0.0}
    assert raised(still, 8, "preference", 400) <= 0.08  # two judges, each 2.5 % on its side


def test_a_taste_of_its_own_is_no_hack() -> None:
    columns, rounds = sequence({"preference": 2.0, "pickscore": -2.0, "rating": 2.0}, 8, 1)
    found = alarm(columns, rounds, "preference")
    assert not found.raised and [one.judge for one in found.apart] == ["pickscore"]
    assert "this taste departs" in found.said


def test_the_persons_own_ratings_falling_raise_it_even_alone() -> None:
    columns, rounds = sequence({"preference": 2.5, "pickscore": 1.0, "rating": -2.5}, 8, 2)
    found = alarm(columns, rounds, "preference")
    assert found.raised and [one.judge for one in found.falling] == ["rating"]


def test_a_guide_that_does_not_climb_deceives_nobody() -> None:
    columns, rounds = sequence({"preference": -2.0, "rating": -2.0}, 8, 3)
    assert not alarm(columns, rounds, "preference").raised


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_too_few_rounds_say_nothing(rounds: int) -> None:
    columns, places = sequence(dict.fromkeys(HACKED, 3.0), max(rounds, 2), 0)
    kept = places <= rounds
    found = alarm({name: values[kept] for name, values in columns.items()}, places[kept], "pickscore")
    assert rounds < FEWEST_ROUNDS and found.guide is None and not found.raised and found.said == ""


def test_a_slopes_interval_holds_the_truth_as_often_as_it_says() -> None:
    hits = []
    for seed in range(400):
        columns, rounds = sequence({"one": 0.0}, 8, seed, wander=0.5)
        found = slope("one", columns["one"], rounds)
        assert found is not None
        hits.append(found.low <= 0 <= found.high)
    low, high = wilson(float(np.mean(hits)), len(hits))
    assert low <= 0.95 <= high, np.mean(hits)


def test_pictures_that_a_judge_did_not_see_are_left_out() -> None:
    columns, rounds = sequence(HACKED, 20, 0)
    columns["rating"][rounds < 10] = np.nan
    found = slope("rating", columns["rating"], rounds)
    assert found is not None and found.rounds == 11 and np.isfinite(found.slope)


def test_a_judge_without_any_order_has_no_slope() -> None:
    assert slope("flat", np.full(40, 3.0), np.repeat(np.arange(5.0), 8)) is None
    assert np.array_equal(standardised({"flat": np.array([3.0, 3.0, np.nan])})["flat"][:2], [0.0, 0.0])


def test_disagreements_are_told_least_agreement_first_with_their_pictures() -> None:
    rng = np.random.default_rng(0)
    person = rng.normal(size=30)
    other = -person + 0.2 * rng.normal(size=30)
    near = person + 0.2 * rng.normal(size=30)
    near[17] = -4.0
    person[17] = 3.0
    found = disagreements({"rating": person, "pickscore": other, "preference": near})
    assert [one.correlation for one in found] == sorted(one.correlation for one in found) and len(found) == 3
    assert found[0].high < 0 and "pickscore" in (found[0].first, found[0].second)
    mine = next(one for one in found if {one.first, one.second} == {"rating", "preference"})
    assert mine.biggest[0][0] == 17 and mine.biggest[0][1] > 3 and mine.low <= mine.correlation <= mine.high


def test_judges_that_share_few_pictures_are_not_compared() -> None:
    holes = np.full(20, np.nan)
    holes[:7] = np.arange(7.0)
    assert disagreements({"rating": np.arange(20.0), "feedback": holes}) == []


def test_a_judge_that_tells_nothing_apart_is_compared_with_nobody() -> None:
    assert disagreements({"rating": np.arange(20.0), "feedback": np.zeros(20)}) == []
