"""prompts/ground/plain.py: tables, panels and rules as lines."""

from __future__ import annotations

import io

import pytest
from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from prompts.ground.console import make_console


def told(*parts: object) -> list[str]:
    console = make_console(file=io.StringIO())
    console.print(*parts)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


def table() -> Table:
    shown = Table("what", "n", title="Found", caption="a note")
    shown.columns[1].justify = "right"
    shown.add_row("one", "3")
    shown.add_row("another", "1,200")
    return shown


def test_a_table_is_its_title_a_line_a_row_and_its_note() -> None:
    assert told(table()) == ["Found", "what         n", "one          3", "another  1,200", "a note"]


def test_a_table_without_heads_has_no_line_for_them() -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("a", "b")
    grid.add_row("longer", "")
    assert told(grid) == ["a       b", "longer"]
    unnamed = Table("", "")
    unnamed.add_row("a", "b")
    assert told(unnamed) == ["a  b"]


def test_wide_letters_stand_under_each_other() -> None:
    grid = Table.grid()
    grid.add_row("花火", "x")
    grid.add_row("abcd", "y")
    assert told(grid) == ["花火  x", "abcd  y"]


def test_a_row_is_one_line_whatever_its_cells_hold() -> None:
    grid = Table.grid()
    grid.add_row(Text("two\nlines"), Text("and more"))
    assert told(grid) == ["two lines  and more"]


def test_a_table_without_rows_or_columns_is_what_is_left_of_it() -> None:
    assert told(Table("what", "n")) == ["what  n"]
    assert told(Table(title="Nothing")) == ["Nothing"]


def test_a_panel_is_its_title_with_its_lines_indented() -> None:
    assert told(Panel(Group("first\nsecond", table()), title="step 1")) == [
        "step 1", "  first", "  second", "  Found", "  what         n", "  one          3", "  another  1,200", "  a note",
    ]  # fmt: skip
    assert told(Panel("alone")) == ["  alone"]


def test_a_rule_is_its_words() -> None:
    assert told(Rule("round 1", align="left")) == ["round 1"]


def test_what_has_lines_of_its_own_keeps_them() -> None:
    centred = Text("a\nb " + "c " * 100, justify="center")
    assert told(centred) == ["a", "b " + ("c " * 100)]


@pytest.mark.parametrize("end", ["\n", ""])
def test_the_end_that_was_asked_for_is_kept(end: str) -> None:
    console = make_console(file=io.StringIO())
    console.print("a", "b", end=end)
    assert console.file.getvalue() == f"a b{end}"  # type: ignore[attr-defined]


def test_what_is_none_of_these_is_left_to_rich() -> None:
    assert told(Columns(["a", "b"])) == ["a b"]
