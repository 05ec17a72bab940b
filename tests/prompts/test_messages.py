"""prompts/messages.py and prompts/evidence.py: what a language model is told, stable first, short, and true."""

from __future__ import annotations

import random

import pytest

from prompts.evidence import effects, feedback_sentence
from prompts.facts import Facts
from prompts.messages import (
    BEST,
    WORST,
    feedback_messages,
    guess_lines,
    history_lines,
    plan_messages,
    state_text,
    wish_messages,
)
from prompts.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("bauhaus")


def rated(count: int, seed: int = 0) -> tuple[tuple[float, str], ...]:
    rng = random.Random(seed)
    return tuple((rng.randint(0, 20) / 2, VOCABULARY.phrase(VOCABULARY.random(rng))) for _ in range(count))


def test_the_first_message_is_the_same_whatever_the_facts() -> None:
    first, second = (
        plan_messages(facts, VOCABULARY) for facts in (Facts(), Facts(round=3, rated=rated(40), error="no"))
    )
    assert first[0] == second[0] and first[0]["role"] == "system" and first[1] != second[1]
    assert all(word in first[0]["content"] for word in VOCABULARY.words) and VOCABULARY.template in first[0]["content"]


def test_absent_facts_are_left_out() -> None:
    assert state_text(Facts()).splitlines() == [
        "round 0 of 4",
        "images 8, left 10000, trainings 1, method dpo 60",
        "done: nothing",
    ]


def test_present_facts_are_lines_of_their_own() -> None:
    facts = Facts(
        brief="calm", wishes=("+teal", "-red"), evolved=8, adapter="trained", feedback="You like red.", error="too few",
        done=("score_images", "ask_person"), images_left=3,
    )  # fmt: skip
    lines = state_text(facts).splitlines()
    for line in (
        "brief: calm", "wishes: +teal -red", "evolved: 8", "adapter: trained", "feedback: You like red.", "error: too few",
        "done: score_images ask_person", "images 8, left 3, trainings 1, method dpo 60",
    ):  # fmt: skip
        assert line in lines


def test_guesses_hold_the_best_values_of_every_gene_the_better_one_last() -> None:
    base = VOCABULARY.random(random.Random(0)) | {"size": "small", "texture": "flat", "layout": "centred"}
    seen = [(9.0, base), (7.0, base | {"texture": "gradient"}), (1.0, base | {"texture": "hatched", "size": "large"})]
    rows = [(score, VOCABULARY.phrase(genome)) for score, genome in seen]
    head, second, best = guess_lines(rows, VOCABULARY)
    assert head == "guesses:" and best == VOCABULARY.phrase(base)
    assert VOCABULARY.parse(second) == base | {"texture": "gradient"}
    assert plan_messages(Facts(rated=tuple(rows)), VOCABULARY)[1]["content"].endswith(best)
    assert guess_lines([], VOCABULARY) == guess_lines([(5.0, "a cat")], VOCABULARY) == []


def test_history_shows_the_best_and_the_worst_as_digits_best_first() -> None:
    lines = history_lines(rated(40))
    assert lines[0] == "rated:" and len(lines) == 1 + BEST + WORST
    digits = [int(line.split(" ", 1)[0]) for line in lines[1:]]
    assert digits == sorted(digits, reverse=True) and digits[0] == 9 and digits[-1] == 0


@pytest.mark.parametrize("count", [0, 1, BEST + WORST])
def test_a_short_history_is_shown_whole(count: int) -> None:
    assert len(history_lines(rated(count))) == (1 + count if count else 0)


def test_equal_ratings_are_neither_good_nor_bad() -> None:
    assert history_lines([(7.0, "a"), (7.0, "b")]) == ["rated:", "5 a", "5 b"]


def test_a_long_session_still_fits_a_small_models_context() -> None:
    facts = Facts(brief="x" * 500, rated=rated(400), feedback="y" * 240, error="z" * 200, round=50, rounds=100)
    assert len(plan_messages(facts, VOCABULARY)[1]["content"]) < 3000


def test_evidence_is_the_difference_that_a_word_makes_shrunk_by_its_count() -> None:
    base = VOCABULARY.random(random.Random(0)) | {"size": "small", "texture": "flat"}
    large, small = base | {"size": "large"}, base
    found = dict(effects([(8.0, VOCABULARY.phrase(large)), (4.0, VOCABULARY.phrase(small))], VOCABULARY))
    assert found["size large"] == pytest.approx(1.0) and found["size small"] == pytest.approx(-1.0)
    assert found["texture flat"] == pytest.approx(0.0) and "texture hatched" not in found
    assert effects([(5.0, "a cat")], VOCABULARY) == []


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        ([("size large", 1.0), ("colour red", -1.0)], "You like size large. You do not care for colour red."),
        ([("size large", 1.0)], "You like size large."),
        ([("colour red", -1.0)], "You do not care for colour red."),
    ],
)
def test_the_plain_sentence_says_both_sides(evidence: list[tuple[str, float]], sentence: str) -> None:
    assert feedback_sentence(evidence) == sentence


def test_feedback_and_wishes_are_asked_for_in_two_messages() -> None:
    asked = feedback_messages([("size large", 1.25), ("colour red", -0.5)])
    assert [message["role"] for message in asked] == ["system", "user"]
    assert asked[1]["content"] == "evidence:\nraised: size large\nlowered: colour red"
    assert wish_messages("calmer", VOCABULARY)[1]["content"] == "wish: calmer"
