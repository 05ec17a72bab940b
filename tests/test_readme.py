"""The README's commands and tables are true."""

import re

import pytest

from agent.cli.main import make_parser
from tests.places import ROOT
from tools.actions.catalogue import TOOLS

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^ {4}palate (.+?)(?: {2,}#.*)?$", README, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_readme_is_understood(command: str) -> None:
    assert callable(make_parser().parse_args(command.split()).command)


def test_the_readme_has_commands_to_check() -> None:
    assert len(COMMANDS) >= 3


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^ {4}make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target} is not in the Makefile"


def test_the_table_of_tools_names_every_tool_once() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == sorted(TOOLS)


def test_there_are_at_most_ten_tools() -> None:
    assert len(TOOLS) <= 10


def test_every_benchmark_that_the_readme_names_is_there() -> None:
    for name in re.findall(r"python -m benchmarks\.(\w+)", README):
        assert (ROOT / "benchmarks" / f"{name}.py").is_file()
