"""tools/jobs/taken.py: what a record took for another kind of value is found, whatever the record."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tools.jobs.taken import mistaken, named


class Inner(BaseModel):
    low: float = Field(0.0, alias="from")
    words: tuple[str, ...] = ()


class Outer(BaseModel):
    count: int = 1
    rate: float = 1.0
    sure: bool = False
    name: str = ""
    file: Path = Path()
    either: int | bool | str = 0
    inner: Inner = Inner()
    several: list[Inner] = []
    weights: dict[str, float] = {}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"count": True}, [("count", True)]), ({"count": "3"}, [("count", "3")]), ({"count": 3.0}, [("count", 3.0)]),
        ({"rate": True}, [("rate", True)]), ({"rate": "1e-4"}, [("rate", "1e-4")]), ({"rate": 3}, []),
        ({"sure": 1}, [("sure", 1)]), ({"sure": "yes"}, [("sure", "yes")]), ({"sure": True}, []),
        ({"name": "3", "file": "a/b", "either": True}, []), ({"either": "x"}, []),
        ({"inner": {"from": True}}, [("inner.from", True)]), ({"several": [{}, {"from": "2"}]}, [("several.1.from", "2")]),
        ({"weights": {"a": 1, "b": "2"}}, [("weights.b", "2")]), ({"rate": math.inf}, [("rate", math.inf)]),
        ({"count": True, "inner": {"from": "1", "words": ["a"]}}, [("count", True), ("inner.from", "1")]),
    ],
)  # fmt: skip
def test_a_value_that_was_converted_is_found_with_its_path(given: dict[str, Any], found: list[tuple[str, Any]]) -> None:
    told = sorted((named(path), value) for path, value, _ in mistaken(given, Outer.model_validate(given)))
    assert told == sorted(found) and [type(value) for _, value in told] == [type(value) for _, value in sorted(found)]


def test_a_number_that_is_none_is_found_wherever_it_stands() -> None:
    assert [named(path) for path, _, _ in mistaken({"a": [1, {"b": math.nan}]}, {"a": [1, {"b": math.nan}]})] == [
        "a.1.b"
    ]


def test_a_path_is_short_and_harmless() -> None:
    assert named(("a", 0, "b\x1b[31m" + "x" * 500)).startswith("a.0.b [31mx") and len(named(("x" * 500,))) == 80
