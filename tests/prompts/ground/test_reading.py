"""prompts/ground/reading.py: a person's files are ordinary, of a size and UTF-8, or refused by name."""

import os
from pathlib import Path

import pytest

from prompts.errors import InputError
from prompts.ground.reading import lines_in, read_text


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
        with pytest.raises(InputError, match=rf"it .*a\.txt' cannot be read, it {told}"):
            read(tmp_path / "a.txt", "it")


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, told in ((tmp_path / "pipe", "a named pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device"), (Path("a\0b"), "null"), (Path("n" * 999), "too long")):  # fmt: skip
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
