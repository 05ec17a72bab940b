"""Ratings and wishes as people type them."""

import re
from typing import Any

import pytest

from agent.llm.answers import InvalidPlan
from agent.llm.scripted import ScriptedLlm
from agent.loop.listening import (
    MOST,
    Wish,
    look_up,
    looks_like_ratings,
    read_keys,
    read_more_like,
    read_ratings,
    understand,
)
from prompts.errors import InputError
from prompts.vocabulary import Vocabulary, load_vocabulary

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


@pytest.mark.parametrize(
    ("wish", "read"),
    [
        ("I love teal circles, no red and less hatched", "+teal +circle -red -hatched"),
        ("no lines and flat, please", "+no lines +flat"),  # the value "no lines" holds a no and is none
        ("no thin lines, no bold lines", "-thin lines -bold lines"),
        ("I don't want no lines", "-no lines"),
        ("dont use red or blue", "-red -blue"),
        ("no red, blue or green", "-red -blue -green"),
        ("no red and a blue background", "-red +blue"),
        ("I don't really like red but I love blue", "-red +blue"),
        ("blue instead of green", "+blue -green"),
        ("rather circles than squares", "+circle -square"),
        ("swap the red for teal", "-red +teal"),
        ("I prefer pink to orange", "+pink -orange"),
        ("neither arcs nor bars", "-arc -bar"),
        ("anything but purple", "-purple"),
        ("the red is too much, more teal", "-red +teal"),
        ("circles? no thanks", "-circle"),
        ("I like the blue, the rest is boring", "+blue"),
        ("nothing but black", "+black"),
        ("I can't get enough of rings, and don't drop the teal", "+ring +teal"),
        ("why is there never any red?", "+red"),
        ("never enough yellow", "+yellow"),
        ("no red. well, more red after all", "+red"),  # what was said last
        ("the yellow one, not the big ones", "+yellow"),  # no numbers
        ("one ring", "+one +ring"),
        ("cross-hatching, on a barstool", ""),
    ],
)
def test_a_word_looked_up_is_on_the_side_where_english_puts_it(wish: str, read: str) -> None:
    heard = look_up(wish, WORDS)
    expected = re.findall(r"([+-])([^+-]+?)(?= [+-]|$)", read)
    assert [heard.like, heard.avoid] == [[word for sign, word in expected if sign == side] for side in "+-"]


def test_a_wish_outside_the_world_is_said_to_be_so() -> None:
    heard = look_up("paint my cat", WORDS)
    assert (heard.like, heard.avoid) == ([], [])
    assert heard.reply == "I know no word of that wish: name a background, a colour or a shape."
    assert look_up("could you paint a red cat, please", WORDS).reply == "I will try more red. I do not know cat."


def test_the_reply_names_the_genes_of_the_vocabulary_at_hand() -> None:
    reply = look_up("paint my cat", load_vocabulary("painting")).reply
    assert reply == "I know no word of that wish: name a subject, a medium or a palette."
    alone = Vocabulary(name="v", template="{animal}", genes={"animal": ["cat", "dog"]})
    assert look_up("calmer", alone).reply.endswith(": name an animal.")


def test_words_that_the_model_invents_are_dropped_from_its_reply_too() -> None:
    llm = ScriptedLlm([Wish(like=["teal", "mauve"], avoid=["teal", "red"], reply="Mauve it is.")])
    heard = understand(llm, "calmer", WORDS)
    assert (heard.like, heard.avoid, heard.reply) == (["teal"], ["red"], "I will try more teal, less red.")


def test_a_word_that_the_model_has_on_both_sides_is_where_the_person_said_it() -> None:
    llm = ScriptedLlm([Wish(like=["red", "pink"], avoid=["pink"], reply="Warm!")])
    heard = understand(llm, "warm colours but no pink", WORDS)
    assert (heard.like, heard.avoid, heard.reply) == (["red"], ["pink"], "I will try more red, less pink.")


@pytest.mark.parametrize(
    ("like", "avoid"), [(["red"], []), (["teal", "red"], []), ([], ["teal"]), ([], []), (["mauve"], [])]
)
def test_a_model_that_is_against_what_the_person_said_is_not_believed(like: list[str], avoid: list[str]) -> None:
    heard = understand(ScriptedLlm([Wish(like=like, avoid=avoid, reply="More red!")]), "I love teal, no red", WORDS)
    assert (heard.like, heard.avoid, heard.reply) == (["teal"], ["red"], "I will try more teal, less red.")


def test_a_model_that_reads_more_than_words_is_believed() -> None:
    read = Wish(like=["blue", "flat"], avoid=["red", "scattered"], reply="Calm, then.")
    assert understand(ScriptedLlm([read]), "calmer, and no red", WORDS) == read


def test_a_model_that_fails_costs_no_wish() -> None:
    llm = ScriptedLlm([InvalidPlan("prose", "well")])
    heard = understand(llm, "more teal", WORDS)
    assert heard.like == ["teal"]
    assert "did not answer" in heard.reply


def test_a_wish_of_many_words_is_read_up_to_the_most_and_told_so() -> None:
    heard = look_up(" ".join([*WORDS.words, *WORDS.words]), WORDS)
    assert len(heard.like) == len(set(heard.like)) == MOST
    assert heard.reply == f"I will try {', '.join(f'more {word}' for word in heard.like)}."


def test_a_long_wish_survives_a_model_that_fails() -> None:
    words = [word for word in sorted(WORDS.words, key=len) if " " not in word][-12:]
    wish = f"{' '.join(words[:6])}, no {' '.join(words[6:])}"
    heard = understand(ScriptedLlm([InvalidPlan("prose", "well")]), wish, WORDS)
    assert len(heard.like) == len(heard.avoid) == 6 and "did not answer" in heard.reply


@pytest.mark.parametrize(
    ("text", "kind", "keys"),
    [
        ("a", "ab", ["a"]), ("A b=", "ab", ["a", "b", "="]), ("0, s u", "ab", ["0", "s", "u"]), ("1", "ab", None), ("4 0", "best", ["4", "0"]),
        ("=", "best", None), ("", "ab", None), ("calmer", "ab", None), ("u", "worst", ["u"]),
    ],
)  # fmt: skip
def test_keys_answer_and_everything_else_is_words(text: str, kind: str, keys: list[str] | None) -> None:
    assert read_keys(text, kind) == keys


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("more like 3", (3, None)), ("More like picture 12.", (12, None)), ("more like 2b", (2, 1)), ("more like 2.3", (2, 2)),
        ("more like teal", None), ("3:8", None), ("more like 3 and 4", None), ("more like 2e", None),
    ],
)  # fmt: skip
def test_more_like_names_a_picture_or_is_a_wish(text: str, found: Any) -> None:
    assert read_more_like(text) == found
