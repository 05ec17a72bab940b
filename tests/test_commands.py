"""Every command that the house prints for a person to type is one: understood by the parser, and for the home that is in force."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.main import main, make_parser
from prompts.ground.console import USUAL_HOME, at_home, typed
from tests.house import modules
from tests.places import ROOT

ANY = settings(deadline=None, derandomize=True, database=None, max_examples=300)
NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda name: name[0] != "-"
)
IN_BACKTICKS = re.compile(r"`(palate .*?)`")


def calls() -> Iterator[tuple[str, list[str]]]:
    """Each command that the source has typed, with a word for each value that is known only when it runs."""
    nodes = [(file.name, node) for file in modules().values() for node in ast.walk(ast.parse(file.read_text()))]
    for name, node in nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "typed" and _is_plain(node):
            yield name, [str(word.value) if isinstance(word, ast.Constant) else "some-run" for word in node.args]


def _is_plain(call: ast.Call) -> bool:
    return bool(call.args) and not any(isinstance(word, ast.Starred) for word in call.args)


@pytest.mark.parametrize(("file", "words"), list(calls()))
def test_each_command_in_the_source_is_understood(file: str, words: list[str]) -> None:
    assert make_parser().parse_args(shlex.split(typed(*words))[1:]).command


def test_no_command_is_written_by_hand() -> None:
    by_hand = []
    for file in modules().values():
        tree = ast.parse(file.read_text())
        told = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node)}  # type: ignore[attr-defined]
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        by_hand += [(file.name, node.value) for node in texts if "`palate " in node.value and id(node) not in told]
    assert by_hand == []


def _has_docstring(node: ast.AST) -> bool:
    wanted = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    return wanted and isinstance(node.body[0], ast.Expr)  # type: ignore[attr-defined]


@ANY
@given(home=NAMES.map(Path), run=NAMES)
def test_whatever_a_home_and_a_run_are_called_the_command_finds_both(home: Path, run: str) -> None:
    with at_home(home):
        found = make_parser().parse_args(shlex.split(typed("resume", run))[1:])
        lasting = make_parser().parse_args(shlex.split(typed("resume", run, lasting=True))[1:])
    assert (found.home, found.run) == (home, run) and (lasting.home, lasting.run) == (home.absolute(), run)


def test_a_shell_reads_the_words_as_they_were_meant() -> None:
    with at_home(Path("it's $HOME; `id`")):
        said = typed("resume", "a b")
    done = subprocess.run(
        ["/bin/sh", "-c", f'palate() {{ printf "%s\\n" "$@"; }}; {said}'], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["--home", "it's $HOME; `id`", "resume", "a b"]


def test_a_bare_command_is_printed_only_where_it_finds_the_same_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PALATE_HOME")
    with at_home(USUAL_HOME):
        assert typed("doctor") == "palate doctor"
        assert typed("doctor", lasting=True) == f"palate --home {Path.cwd() / USUAL_HOME} doctor"
    monkeypatch.setenv("PALATE_HOME", "elsewhere")
    for home in (USUAL_HOME, Path("elsewhere")):  # the variable may be set for that one command alone
        with at_home(home):
            assert typed("doctor") == f"palate --home {home} doctor"
    assert typed("doctor") == "palate doctor"


@pytest.mark.parametrize(
    "words", [["resume", "last"], ["logs", "show", "no-such-run"], ["chat", "--resume", "x"], ["replay", "last"]]
)
def test_what_an_error_says_to_type_is_for_the_home_that_was_given(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "my home"
    assert main(["--home", str(home), *words]) == 1
    said = IN_BACKTICKS.findall(capsys.readouterr().err)
    assert said and all(make_parser().parse_args(shlex.split(one)[1:]).home == home for one in said)


def test_the_home_in_force_is_told_by_a_process_of_its_own_too(tmp_path: Path) -> None:
    home = tmp_path / "o'home"
    command = [sys.executable, "-m", "agent.cli.main", "--home", str(home), "logs", "list"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (found,) = IN_BACKTICKS.findall(said)
    assert make_parser().parse_args(shlex.split(found)[1:]).home == home
