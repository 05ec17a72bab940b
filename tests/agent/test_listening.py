"""Ratings and wishes as people type them."""

import pytest

from agent.answers import InvalidPlan
from agent.listening import Wish, look_up, looks_like_ratings, read_ratings, understand
from agent.scripted_llm import ScriptedLlm
from prompts.errors import InputError
from prompts.vocabulary import load_vocabulary

IMAGES = ["aa", "bb", "cc", "dd", "ee"]
WORDS = load_vocabulary("bauhaus")


@pytest.mark.parametrize("text", ["3:8 5:2", "3: 8, 5 :2", " 3=8  5=2 "])
def test_ratings_may_be_spaced_as_people_do(text: str) -> None:
    assert read_ratings(text, IMAGES) == [("cc", 8.0), ("ee", 2.0)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("3:nan", "nan"), ("3:11", "11"), ("3:-1", "-1"), ("9:5", "image 9"), ("0:5", "image 0"), ("3:8 3:7", "Image 3"),
        ("3:8 five", "five"), ("3:", "3:"), ("3:inf", "inf"), ("3:1e999", "1e999"),
    ],
)  # fmt: skip
def test_a_wrong_rating_is_named_and_nothing_is_taken(text: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        read_ratings(text, IMAGES)


def test_a_wish_is_no_rating() -> None:
    assert looks_like_ratings("3:8 5:2")
    assert not looks_like_ratings("three circles, calmer")


def test_words_after_no_are_unwanted() -> None:
    heard = look_up("I love teal circles, no red and less striped", WORDS)
    assert heard.like == ["teal", "circle"]
    assert heard.avoid == ["red", "striped"]


def test_a_wish_outside_the_world_is_said_to_be_so() -> None:
    heard = look_up("paint my cat", WORDS)
    assert (heard.like, heard.avoid) == ([], [])
    assert "no word" in heard.reply


def test_words_that_the_model_invents_are_dropped() -> None:
    llm = ScriptedLlm([Wish(like=["teal", "mauve"], avoid=["teal", "red"], reply="yes")])
    heard = understand(llm, "calmer", WORDS)
    assert (heard.like, heard.avoid, heard.reply) == (["teal"], ["red"], "yes")


def test_a_model_that_likes_what_the_person_said_no_to_is_not_believed() -> None:
    llm = ScriptedLlm([Wish(like=["red"], avoid=[], reply="More red!")])
    heard = understand(llm, "I love teal, no red", WORDS)
    assert (heard.like, heard.avoid, heard.reply) == (["teal"], ["red"], "I will try more teal, less red.")


def test_a_model_that_fails_costs_no_wish() -> None:
    llm = ScriptedLlm([InvalidPlan("prose", "well")])
    heard = understand(llm, "more teal", WORDS)
    assert heard.like == ["teal"]
    assert "did not answer" in heard.reply


def test_a_wish_of_many_words_is_read_up_to_six_and_told_so() -> None:
    heard = look_up(" ".join([*WORDS.words, *WORDS.words]), WORDS)
    assert len(heard.like) == len(set(heard.like)) == 6
    assert heard.reply == f"I will try {', '.join(f'more {word}' for word in heard.like)}."


def test_a_long_wish_survives_a_model_that_fails() -> None:
    words = [word for word in sorted(WORDS.words, key=len) if " " not in word][-12:]
    wish = f"{' '.join(words[:6])}, no {' '.join(words[6:])}"
    heard = understand(ScriptedLlm([InvalidPlan("prose", "well")]), wish, WORDS)
    assert len(heard.like) == len(heard.avoid) == 6 and "did not answer" in heard.reply
