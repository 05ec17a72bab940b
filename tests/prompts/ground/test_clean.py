"""prompts/ground/clean.py: nothing from outside steers a terminal or turns a line round."""

import os
from pathlib import Path

import pytest

from prompts.errors import InputError
from prompts.ground.clean import clean, harmless
from prompts.ground.reading import lines_in, read_text


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


def test_a_mark_of_byte_order_is_no_letter(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa dog\r\n\xc3\xa9\rthree")
    assert read_text(tmp_path / "a.txt", "it") == "a dog\r\né\rthree"
    assert list(lines_in(tmp_path / "a.txt", "it")) == [(1, "a dog"), (2, "é"), (3, "three")]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("ein großer Hund".encode("utf-16"), "is UTF-16, and UTF-8 is read: save it"),
        ("ein großer Hund".encode("utf-16-be"), "is UTF-16"),
        ("ein Hund".encode("utf-32"), "is UTF-32"),
        ("a\nb\ngroß".encode("latin-1"), "is not UTF-8: line 3 holds the byte 0xDF, in Latin-1 'ß'"),
        ("“a”".encode("cp1252"), "is not UTF-8: line 1 holds the byte 0x93"),
        (b"a dog\nand \0 more", r"is no text \(line 2 holds a zero byte\)"),
    ],
)
def test_another_encoding_is_told_by_its_name(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    for read in (read_text, lambda *given: list(lines_in(*given))):
        with pytest.raises(InputError, match=f"it .*a.txt' {told}"):
            read(tmp_path / "a.txt", "it")


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, told in ((tmp_path / "pipe", "a pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device"), (Path("a\0b"), "null"), (Path("n" * 999), "too long")):  # fmt: skip
        with pytest.raises(InputError, match=told):
            read_text(path, "it")


def test_a_limit_is_named_with_its_number_and_raised_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("a dog and a cat")
    monkeypatch.setenv("PALATE_MOST_TEXT", "10")
    for read in (read_text, lambda *given: list(lines_in(*given))):
        with pytest.raises(InputError, match=r"holds more than 10 bytes: .*PALATE_MOST_TEXT"):
            read(tmp_path / "a.txt", "it")
    monkeypatch.setenv("PALATE_MOST_TEXT", "20")
    assert read_text(tmp_path / "a.txt", "it") == "a dog and a cat"
    monkeypatch.setenv("PALATE_MOST_TEXT", "much")
    with pytest.raises(InputError, match="PALATE_MOST_TEXT = 'much' is no limit"):
        read_text(tmp_path / "a.txt", "it")
