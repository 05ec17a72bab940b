"""prompts/ground/clean.py: nothing from outside steers a terminal or turns a line round."""

import pytest

from prompts.ground.clean import clean, harmless


@pytest.mark.parametrize("mark", ["\x1b", "\x07", "\x9b", "\x85", "\u2028", "\n", "\ud800"])
def test_what_steers_becomes_a_blank(mark: str) -> None:
    assert harmless(f"a{mark}b") == "a b"


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\u061c"])
def test_marks_of_direction_are_dropped(mark: str) -> None:
    assert harmless(f"a{mark}b") == "ab"


def test_the_words_of_a_clean_line_are_one_blank_apart_and_its_end_is_said_to_be_missing() -> None:
    assert clean("a \x1b[31m  red\n\nline") == "a [31m red line"
    assert clean("a long sentence", 8) == "a long…"
    assert harmless("two  blanks stay") == "two  blanks stay"
