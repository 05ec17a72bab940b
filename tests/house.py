"""The house as its source says: which modules there are, who imports what of whom, and what each room's door promises.

Read with `ast` alone: an import under TYPE_CHECKING or inside a function counts like any other.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.places import ROOT

HOUSES = ("agent", "tools", "trainers", "evaluators", "prompts")
NAMED = re.compile(r"(\w+)(?: \(([^)]*)\))?")


def modules(root: Path = ROOT, houses: tuple[str, ...] = HOUSES) -> dict[str, Path]:
    """Every module by its dotted name; a room's `__init__.py` by the room's."""
    files = [file for house in houses for file in sorted((root / house).rglob("*.py"))]
    dotted = {".".join(file.relative_to(root).with_suffix("").parts): file for file in files}
    return {name.removesuffix(".__init__"): file for name, file in dotted.items()}


def imported(file: Path, known: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """What a file imports of the house: (module, name in it), "" for a module as a whole."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in known:
                    yield whole, ""
                elif node.module in known:
                    yield node.module, alias.name


def circles(known: Mapping[str, Path]) -> list[list[str]]:
    """Modules that import each other, directly or around corners."""
    below = {name: {to for to, _ in imported(file, known)} - {name} for name, file in known.items()}
    found = [name for name in below if name in _reached(name, below)]
    return [sorted({name} | {other for other in found if _both(name, other, below)}) for name in found]


def _both(one: str, other: str, below: Mapping[str, set[str]]) -> bool:
    return other in _reached(one, below) and one in _reached(other, below)


def _reached(start: str, below: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    new = set(below[start])
    while new:
        seen |= new
        new = {to for name in new for to in below.get(name, ())} - seen
    return seen


def room_of(module: str, known: Mapping[str, Path]) -> str:
    """The room that a module stands in; a room's own door stands in the room."""
    return module if known[module].name == "__init__.py" else module.rpartition(".")[0]


def used_by_others(known: Mapping[str, Path]) -> dict[str, dict[str, set[str]]]:
    """By room: module to the names that other rooms import of it. Rooms inside a room are no others to it."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module, file in known.items():
        here = room_of(module, known)
        for to, name in imported(file, known):
            there = room_of(to, known)
            if to != there and here != there and not here.startswith(f"{there}."):
                found[there][to.rpartition(".")[2]].update({name} - {""})
    return found


def door(file: Path) -> dict[str, set[str]]:
    """What a room's docstring offers: module to names."""
    offered = (ast.get_docstring(ast.parse(file.read_text())) or "").rpartition("Others may use: ")[2]
    text = " ".join(offered.split()).removesuffix(".")
    pairs = NAMED.findall("" if text == "nothing" else text)
    return {module: {name.strip() for name in names.split(",") if name.strip()} for module, names in pairs}
