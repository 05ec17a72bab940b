"""README.md is short, and what it promises is there: a picture, two commands, three ways in, ten numbers, the house.

Its commands, paths and links are checked with those of all other pages, in tests/test_docs.py.
"""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.places import ROOT

README = (ROOT / "README.md").read_text()
HOUSES = ("agent", "tools", "trainers", "evaluators")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
ESTIMATE = re.compile(rf"({NUMBER.pattern})(?: SD| %)? (\[[^\]]+\])")  # a number and its interval


def section(page: str, title: str) -> str:
    """What stands under a heading of the second order."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


ROWS = [
    row.strip("|").split(" | ") for row in re.findall(r"^\|.+\|$", section(README, "Ten numbers"), re.MULTILINE)[2:]
]


def test_it_is_read_in_five_minutes() -> None:
    assert len(README.splitlines()) <= 90
    assert len(README.split()) < 1200


def test_its_picture_is_there_and_not_large() -> None:
    [picture] = re.findall(r"^!\[.+\]\((.+)\)$", README, re.MULTILINE)
    assert (ROOT / picture).stat().st_size < 300_000
    with Image.open(ROOT / picture) as found:
        assert found.format == "PNG"


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^ {4}make (\w+)", README, re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target} is not in the Makefile"


def test_it_says_where_the_command_is() -> None:
    script = re.search(r"^palate = ", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert script and "`.venv/bin/palate`" in README


def test_there_are_three_ways_in() -> None:
    assert re.findall(r"^ {4}palate (\w+)", README, re.MULTILINE) == ["chat", "run", "replay"]


def test_there_are_ten_numbers_with_a_command_each() -> None:
    assert len(ROWS) == 10
    for what, measured, by in ROWS:
        assert what.strip() and NUMBER.search(measured)
        assert re.fullmatch(r"`(python -m|palate) [^`]+`", by.strip()), by


@pytest.mark.parametrize(("what", "measured", "by"), ROWS, ids=lambda cell: cell.strip())
def test_each_number_is_among_all_numbers_beside_the_same_command(what: str, measured: str, by: str) -> None:
    page = (ROOT / "docs" / "numbers.md").read_text()
    parts = [" ".join(part.split()) for part in page.split("\n## ")]
    there = " ".join(part for part in parts if by.strip() in part)
    assert not set(ESTIMATE.findall(measured)) - set(ESTIMATE.findall(there))
    assert not set(NUMBER.findall(measured)) - set(NUMBER.findall(there))


def test_the_tree_names_every_room_and_nothing_else() -> None:
    named, house = set[str](), ""
    for line in section(README, "The house").split("```")[1].strip().splitlines():
        names = re.findall(r"(?:(?<=\s)|^)(\w+)/(?=\s)", line)
        house = house if line.startswith("  ") else names[0]
        named |= {f"{house}/{name}" for name in names} if line.startswith("  ") else set(names)
    rooms = {f"{house}/{door.parent.name}" for house in HOUSES for door in (ROOT / house).glob("*/__init__.py")}
    assert not [name for name in named if not (ROOT / name).is_dir()]
    assert {name for name in named if "/" in name} == rooms
