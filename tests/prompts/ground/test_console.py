"""prompts/ground/console.py: what stands in a pipe and what on a terminal, whoever prints it, and that nobody prints by another way."""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator

import pytest
from rich.cells import cell_len
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from prompts.ground.console import bars, counted, is_terminal, make_console
from tests.terminals import LONG, ROOT, SAYS_HOW, Terminal, piped, screen, watched

HOUSES = ("agent", "tools", "trainers", "evaluators", "prompts", "benchmarks")
OURS_ALONE = {
    "Console",
    "Live",
    "Progress",
    "Status",
    "get_console",
    "inspect",
    "print",
    "print_json",
    "progress",
    "track",
}
SENTENCE = "a sentence of a person, longer than a screen is wide, with [bold]brackets[/bold], :smile: and 3.5 'numbers'"
BARS = """
import sys
from prompts.ground.console import bars
with bars() as shown:
    task = shown.add_task("painting", total=8)
    for done in range(9):
        shown.update(task, completed=done, refresh=True)
        if done == 4:
            print("half of it is done")
print("all of it is done")
"""


@pytest.fixture(autouse=True)
def nobody_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SAYS_HOW:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")


def table() -> Table:
    shown = Table("what", "where", title="Found")
    shown.add_row("a path", LONG)
    shown.add_row(Text("a sentence", "red"), SENTENCE)
    return shown


def everything() -> Group:
    return Group(SENTENCE, Text(LONG, "bold"), table(), Panel(Group(SENTENCE, LONG), title="a panel"))


def printed(stream: io.StringIO) -> str:
    console = make_console(file=stream)
    console.print(everything())
    console.rule("round 1")
    console.print(LONG, SENTENCE, style="red")
    return stream.getvalue()


def test_off_a_terminal_a_path_and_a_sentence_are_never_broken() -> None:
    text = printed(io.StringIO())
    assert text.count(LONG) == 4 and text.count(SENTENCE) == 4
    assert "\x1b" not in text and "…" not in text and "─" not in text
    assert text.splitlines() == [line.rstrip() for line in text.splitlines()] and "round 1\n" in text


def test_on_a_terminal_lines_end_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (40, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = screen(printed(Terminal()))
        assert max(map(cell_len, lines)) == width and any("╭" in line and "a panel" in line for line in lines)


def test_what_is_printed_is_no_markup_on_a_terminal_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for stream in (io.StringIO(), Terminal()):
        make_console(file=stream).print(SENTENCE)
        assert stream.getvalue() == SENTENCE + "\n"


def test_colours_are_for_terminals_and_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31m" in printed(Terminal())
    monkeypatch.setenv("FORCE_COLOR", "1")
    forced = printed(io.StringIO())
    assert "\x1b[31m" in forced and LONG in forced and "─" not in forced  # colours, and no terminal's width or frames
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(io.StringIO()) and "\x1b[31m" not in printed(Terminal())
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.setenv(name, "")  # set and empty is not set
    assert "\x1b" not in printed(io.StringIO()) and "\x1b[31m" in printed(Terminal())


def test_a_dumb_terminal_gets_its_width_and_no_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    text = printed(Terminal())
    assert "\x1b" not in text and max(map(cell_len, text.splitlines())) == 40
    monkeypatch.setattr(sys, "stderr", Terminal())
    list(counted("abc", "counting", 3))
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]  # what it cannot erase it does not get


def test_a_terminal_that_is_said_to_be_none_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    assert not is_terminal(Terminal()) and LONG in printed(Terminal())


def test_no_columns_at_all_are_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    assert make_console(file=Terminal()).width == 80


def test_a_stream_that_is_closed_or_missing_is_no_terminal() -> None:
    closed = Terminal()
    closed.close()
    assert not is_terminal(None) and not is_terminal(io.BytesIO())
    assert not make_console(file=io.StringIO()).is_terminal and make_console(file=Terminal()).is_terminal


def test_bars_are_drawn_on_standard_error_and_erased() -> None:
    heard = watched("-c", BARS)
    assert "painting" in heard.err and "8/8" in heard.err and "━" in heard.err
    assert not any(screen(heard.err.replace("half of it is done", "")))
    seen = screen(heard.out) + screen(heard.err)
    assert [line for line in seen if line] == ["all of it is done", "half of it is done"]


def test_a_file_gets_its_lines_while_a_terminal_shows_the_bars() -> None:
    heard = watched("-c", BARS, out_is_a_file=True)
    assert heard.out == "half of it is done\nall of it is done\n"
    assert "8/8" in heard.err and not any(screen(heard.err))


def test_nothing_of_a_bar_is_printed_off_a_terminal() -> None:
    for more in ({}, {"FORCE_COLOR": "1"}, {"TTY_INTERACTIVE": "1"}, {"TTY_COMPATIBLE": "1"}):
        heard = piped("-c", BARS, **more)
        assert heard == ("half of it is done\nall of it is done\n", "", 0), more


def test_who_wants_no_moving_terminal_gets_no_bars() -> None:
    assert watched("-c", BARS, TTY_INTERACTIVE="0").err == ""
    assert watched("-c", BARS, TERM="dumb").err == ""


def test_in_a_narrow_terminal_the_numbers_of_a_bar_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with bars("loss {task.fields[loss]:.2f}", left=True) as shown:
        shown.add_task("encoding", total=4000, completed=123, loss=0.5)
        shown.refresh()
    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "123/4000" in text and "0:00:00" in text and "loss 0.50" in text


def test_counting_gives_each_item_once() -> None:
    assert list(counted(iter("abc"), "counting", 3)) == ["a", "b", "c"]


def runtime(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run: not what is imported for its type alone."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield child
            yield from runtime(child)


def other_ways(source: str) -> list[str]:
    """What a file prints by that is not ours: rich's consoles and bars, and those of tqdm."""
    found = []
    for node in runtime(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.partition(".")[0] in ("rich", "tqdm")]
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module.startswith("tqdm")
            names = [one.name for one in node.names if whole or one.name in OURS_ALONE]
            found += [f"{node.module}.{name}" for name in names if whole or node.module.partition(".")[0] == "rich"]
    return found


def test_every_console_and_bar_is_made_in_one_place() -> None:
    files = [file for house in HOUSES for file in sorted((ROOT / house).rglob("*.py"))]
    found = {str(file.relative_to(ROOT)): other_ways(file.read_text()) for file in files}
    found = {file: ways for file, ways in found.items() if ways}
    assert list(found) == ["prompts/ground/console.py"], found


@pytest.mark.parametrize(
    "line",
    [
        "from rich.console import Console, Group", "from rich import print", "import rich", "import rich.progress as p",
        "from rich.progress import BarColumn, track", "def f():\n    from rich.live import Live", "from tqdm import tqdm",
        "from tqdm.auto import tqdm", "from rich import progress",
    ],
)  # fmt: skip
def test_another_way_would_be_found(line: str) -> None:
    assert len(other_ways(line)) == 1


def test_what_is_only_a_type_or_a_shape_is_free() -> None:
    kept = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rich.console import Console\n"
    assert other_ways(kept + "from rich.table import Table\nfrom rich.console import Group") == []


def test_asking_for_help_loads_no_rich() -> None:
    code = "import sys, prompts.ground.console, agent.cli.main; agent.cli.main.make_parser(); sys.exit('rich' in sys.modules)"
    assert piped("-c", code).status == 0
