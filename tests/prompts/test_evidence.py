"""prompts/evidence.py: what goes with ratings is counted, and what makes no difference is on neither side."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompts.evidence import effects, feedback_sentence, sides
from prompts.messages import feedback_messages
from prompts.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("bauhaus")
PROMPTS = [VOCABULARY.phrase(VOCABULARY.random(Random(number))) for number in range(9)]


@settings(deadline=None, derandomize=True, database=None)
@given(rating=st.floats(0, 10), count=st.integers(1, 9))
def test_equal_ratings_are_neither_liking_nor_dislike(rating: float, count: int) -> None:
    evidence = effects([(rating, prompt) for prompt in PROMPTS[:count]], VOCABULARY)
    assert evidence and {effect for _, effect in evidence} == {0.0} and sides(evidence) == ([], [])
    assert feedback_sentence(evidence) == "Your ratings do not tell one word from another yet."


def test_a_word_without_effect_is_on_no_side_of_what_is_said() -> None:
    evidence = [("shape ring", 1.2), ("background red", 0.0), ("colour teal", -0.5)]
    assert feedback_sentence(evidence) == "You like shape ring. You do not care for colour teal."
    assert "background red" not in feedback_messages(evidence)[1]["content"]
    assert feedback_sentence([("background red", 0.0), ("shape ring", 1.2)]) == "You like shape ring."


@pytest.mark.parametrize("ratings", [(8.0, 2.0), (2.0, 8.0)])
def test_ratings_that_differ_are_on_both_sides(ratings: tuple[float, float]) -> None:
    liked, disliked = sides(effects(list(zip(ratings, PROMPTS, strict=False)), VOCABULARY))
    assert liked and disliked and not {*liked} & {*disliked}
