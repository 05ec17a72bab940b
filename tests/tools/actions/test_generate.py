"""tools/actions/generate.py and tools/actions/catalogue.py: which prompts are painted, and what the planner is told of tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prompts.errors import ToolError
from tests.tools.given import PROMPTS, Trail, context
from tools.actions.catalogue import TOOLS
from tools.actions.generate import GenerateImages, _chosen, _elsewhere, generate_images
from tools.context import Context
from tools.files import read_parameters
from tools.painting import _batches
from tools.records import StepRow


def evolved(tmp_path: Path, children: list[str], round: int = 1, **changes: Any) -> Context:
    step = StepRow(step=4, round=round, node="act", tool="evolve_prompts", result={"prompts": children})
    return context(Trail(steps=[step]), tmp_path, **changes)


def chosen(given: Context, prompts: list[str], evolved: int = 0) -> list[str]:
    return [prompt for prompt, *_ in _chosen(GenerateImages(prompts=prompts, evolved=evolved), given)]


def test_own_prompts_come_first_then_evolved_ones_then_the_same_again(tmp_path: Path) -> None:
    given = evolved(tmp_path, ["c", "d", "e"])
    assert chosen(given, ["a", "b"], 2) == ["a", "b", "c", "d", "a", "b", "c", "d"]
    assert chosen(given, ["c", "c"], 2) == ["c", "d", "e", "c", "d", "e", "c", "d"]


def test_no_more_than_a_round_and_than_are_left(tmp_path: Path) -> None:
    assert len(chosen(evolved(tmp_path, ["c"] * 8), list("abcdefgh"), 8)) == 8
    assert chosen(evolved(tmp_path, [], images_left=3), ["a"]) == ["a"] * 3
    with pytest.raises(ToolError, match="No images are left"):
        chosen(evolved(tmp_path, [], images_left=0), ["a"])


def test_children_of_an_earlier_round_are_not_painted_again(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no evolved ones wait"):
        chosen(evolved(tmp_path, ["c"], round=0), [], 8)


def test_a_painted_file_tells_how_it_was_made_and_names_no_folder(at_hand: Callable[..., Context]) -> None:
    import dataclasses

    given = at_hand()
    given = dataclasses.replace(given, settings=dataclasses.replace(given.settings, model_name="bauhaus"))
    found = generate_images(GenerateImages(prompts=PROMPTS[:1], evolved=0), given)
    row = found.images[0]
    told = read_parameters(given.folder / row.path)
    assert (told["prompt"], told["seed"], told["model"]) == (PROMPTS[0], row.seed, "bauhaus")
    assert row.model == "bauhaus" and [r.idx for r in found.images] == [0, 1, 2, 3]


def test_the_same_step_paints_the_same_files(at_hand: Callable[..., Context]) -> None:
    given = at_hand()
    call = GenerateImages(prompts=PROMPTS, evolved=0)
    assert generate_images(call, given).images == generate_images(call, given).images


def test_there_are_ten_tools_each_told_in_a_sentence_and_bounded() -> None:
    assert len(TOOLS) == 10
    for name, tool in TOOLS.items():
        assert tool.name == name and tool.description.endswith(".")
        bounded(tool.arguments.model_json_schema())  # not `as_tool`, which would add the bounds that are missing


def bounded(schema: dict[str, Any]) -> None:
    """Every string, list and number of a schema has an end (a number both), and every object is closed."""
    if "enum" in schema or "const" in schema:
        return
    kind = schema["type"]
    if kind == "object":
        assert schema["additionalProperties"] is False, schema
        for part in schema.get("properties", {}).values():
            bounded(part)
    elif kind == "array":
        assert "maxItems" in schema, schema
        bounded(schema["items"])
    elif kind == "string":
        assert "maxLength" in schema, schema
    else:
        assert kind in ("integer", "number") and {"minimum", "maximum"} <= set(schema), schema


def test_a_seed_of_its_own_is_painted_alone_and_once() -> None:
    given = [({}, {"seed": 5}), ({}, {"seed": 5}), ({}, {}), ({}, {})]
    assert _batches(given) == [range(1), range(1, 2), range(2, 4)]
    assert _elsewhere(("a", {}, {"seed": 5, "guidance_scale": 3.0})) == ("a", {}, {"guidance_scale": 3.0})
