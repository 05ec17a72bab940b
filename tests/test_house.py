"""The house keeps its order: every room has a door, nobody goes round in circles, and every contract can fail."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house import HOUSES, circles, door, imported, modules, room_of, used_by_others
from tests.places import ROOT

KNOWN = modules()
OTHERS = modules(houses=(*HOUSES, "benchmarks"))  # benchmarks use what the rooms offer, too
ROOMS = sorted(name for name, file in KNOWN.items() if file.name == "__init__.py")
FILES = [*KNOWN.values(), *(ROOT / "benchmarks").glob("*.py"), *(ROOT / "tests").rglob("*.py")]
LONGEST, MOST = 300, 16
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
# One import a contract that it forbids and no other need notice.
FORBIDDEN = {
    "Imports go one way": ("evaluators.overfit", "trainers.kto"),
    "The rooms of agent": ("agent.chat.terminal", "agent.bench.grid"),
    "The rooms of agent.store": ("agent.store.database.rows", "agent.store.trail"),
    "The rooms of tools": ("tools.gal.select", "tools.gate.promotions"),
    "The rooms of trainers": ("trainers.files.kohya", "trainers.model.lan"),
    "The rooms of trainers.embedded": ("trainers.embedded.world.grounds", "trainers.embedded.muon"),
    "The rooms of evaluators": ("evaluators.looks.colour", "evaluators.numbers.diversity"),
    "The rooms of evaluators.preference": ("evaluators.preference.kinds.scale", "evaluators.preference.checks"),
    "What every house stands on knows nobody": ("prompts.errors", "prompts.facts"),
    "Only the studio's own scripts know the world that it draws": ("tools.lock", "trainers.embedded.muon"),
}


def test_no_file_imports_itself_around_a_corner() -> None:
    assert circles(KNOWN) == []


def test_a_circle_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "a.py").write_text("from tools import b\n")
    (tmp_path / "tools" / "b.py").write_text("def late():\n    from tools.c import d\n")
    (tmp_path / "tools" / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tools.a\n"
    )
    assert circles(modules(tmp_path, ("tools",)))[0] == ["tools.a", "tools.b", "tools.c"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_says_what_the_room_is_for_and_what_it_must_not_know_and_does_nothing(room: str) -> None:
    body = ast.parse(KNOWN[room].read_text()).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    assert [part in str(body[0].value.value) for part in ("Must not know: ", "Others may use: ")] == [True, True]


@pytest.mark.parametrize("room", ROOMS)
def test_others_use_of_a_room_what_its_door_offers_and_no_more(room: str) -> None:
    assert door(KNOWN[room]) == used_by_others(OTHERS)[room]


@pytest.mark.parametrize("room", ROOMS)
def test_whatever_a_door_offers_is_there(room: str) -> None:
    for module, names in door(KNOWN[room]).items():
        tree = ast.parse(KNOWN[f"{room}.{module}"].read_text())
        there = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        there |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        there |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert names <= there, (module, names - there)


def test_no_folder_holds_more_modules_than_one_sees_at_a_glance() -> None:
    counts = {folder: len(list(folder.glob("*.py"))) for folder in {file.parent for file in FILES}}
    assert {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > MOST} == {}


def test_a_long_file_says_at_its_top_why_it_is_long() -> None:
    long = [file for file in FILES if file.read_text().count("\n") > LONGEST]
    silent = [file for file in long if "Long because" not in (ast.get_docstring(ast.parse(file.read_text())) or "")]
    assert [str(file.relative_to(ROOT)) for file in silent] == []


def test_the_contracts_leave_nothing_out_and_ignore_nothing() -> None:
    assert sorted(FORBIDDEN) == sorted(contract["name"] for contract in CONTRACTS)
    assert not [contract["name"] for contract in CONTRACTS if any("ignore" in key for key in contract)]
    assert all(contract.get("exhaustive") for contract in CONTRACTS if "containers" in contract)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(packages) == ROOMS


def test_each_contract_can_fail(tmp_path: Path) -> None:
    for house in HOUSES:
        shutil.copytree(ROOT / house, tmp_path / house, ignore=shutil.ignore_patterns("__pycache__", "*.yaml", "*.txt"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert set(_verdicts(tmp_path).values()) == {"KEPT"}
    for contract, (module, wrong) in FORBIDDEN.items():
        file = tmp_path / KNOWN[module].relative_to(ROOT)
        before = file.read_text()
        file.write_text(f"{before}\n\ndef late():\n    import {wrong}\n")
        assert _verdicts(tmp_path)[contract] == "BROKEN", contract
        file.write_text(before)


def _verdicts(folder: Path) -> dict[str, str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    said = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=120, check=False).stdout
    lines = [line.rsplit(maxsplit=1) for line in said.splitlines() if line.endswith((" KEPT", " BROKEN"))]
    assert len(lines) == len(CONTRACTS), said
    return dict(lines)


def test_a_room_knows_which_room_it_is() -> None:
    assert room_of("agent.loop", KNOWN) == room_of("agent.loop.graph", KNOWN) == "agent.loop"
    assert ("agent.loop.graph", "") not in set(imported(KNOWN["agent.loop.graph"], KNOWN))
