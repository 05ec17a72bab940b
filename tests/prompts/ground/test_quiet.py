"""prompts/ground/quiet.py: libraries say nothing while they load and work, and say afterwards what they said before; in real processes."""

from __future__ import annotations

import ast
import importlib
import logging

import pytest

from prompts.ground.quiet import BARRED, LIBRARIES, quiet
from tests.conftest import MODELS
from tests.terminals import ROOT, piped, watched

# Every bundled model is loaded and works for a moment, the language model as its benchmark loads it; with a prompt that is too long.
WORK = f"""
from pathlib import Path
from benchmarks.language import Writer
from evaluators.scorers.clip import Clip
from evaluators.scorers.pickscore import PickScore
from evaluators.scorers.scene_judge import SceneJudge
from trainers.model.load import load
from trainers.model.paint import paint
models = Path({str(MODELS)!r})
painted = paint(["two red circles " * 60], model=load(str(models / "bauhaus"), device="cpu"), seed=1, steps=1)
images = [one.image for one in painted]
Clip(models / "bauhaus-clip").clip_t(images, ["two red circles"])
PickScore(models / "bauhaus-pickscore")(images, ["two red circles"])
SceneJudge(models / "bauhaus-judge")(images)
Writer(models / "bauhaus-lm")
"""
LOADED = f"""
from evaluators.scorers.pickscore import PickScore
from trainers.model.load import load
load({str(MODELS / "bauhaus")!r}, device="cpu")
PickScore({str(MODELS / "bauhaus-pickscore")!r})
"""
# What our own code warns of, once before a library has loaded and once after.
WARNED = f"""
import logging, sys
from evaluators.scorers.clip import Clip
ours = logging.getLogger("evaluators.scorers.pickscore")
ours.warning("before")
Clip({str(MODELS / "bauhaus-clip")!r})
ours.warning("after")
from prompts.ground.quiet import quiet
with quiet():
    ours.warning("meanwhile")
    logging.warning("of a library")
sys.exit(len(logging.root.handlers))
"""
LOADS = ("from_pretrained", "create_model_and_transforms")


def state() -> list[object]:
    modules = {name: importlib.import_module(f"{name}.utils.logging") for name in LIBRARIES}
    bars = [modules[name].is_progress_bar_enabled() for name in BARRED]
    return [*(module.get_verbosity() for module in modules.values()), *bars, logging.root.handlers[:]]


def test_every_bundled_model_is_loaded_without_a_word() -> None:
    assert piped("-c", WORK) == ("", "", 0)


def test_a_terminal_sees_no_bar_of_a_library_neither() -> None:
    assert watched("-c", LOADED) == ("", "", 0)


def test_our_own_warnings_are_heard_and_look_the_same_after_a_library_has_loaded() -> None:
    assert piped("-c", WARNED) == ("", "before\nafter\nmeanwhile\n", 0)


def test_afterwards_all_is_as_it_was_also_after_an_error_and_one_within_another() -> None:
    before, seen = state(), list[object]()

    def fail_within() -> None:
        with quiet():
            seen.append(state())
            with quiet():
                seen.append(state())
            seen.append(state())  # the inner end is not the outer's
            raise KeyError

    with pytest.raises(KeyError):
        fail_within()
    assert state() == before and seen[0] == seen[1] == seen[2] != before


def test_what_was_still_before_stays_still() -> None:
    modules = [importlib.import_module(f"{name}.utils.logging") for name in BARRED]
    try:
        for module in modules:
            module.disable_progress_bar()
        with quiet():
            pass
        assert not any(module.is_progress_bar_enabled() for module in modules)
    finally:
        for module in modules:
            module.enable_progress_bar()


@pytest.mark.parametrize("said", ["0", "1"])
def test_who_has_decided_about_the_hubs_bars_hears_no_complaint(said: str) -> None:
    code = "from prompts.ground.quiet import quiet\nwith quiet():\n    pass"
    assert piped("-W", "error::UserWarning", "-c", code, HF_HUB_DISABLE_PROGRESS_BARS=said) == ("", "", 0)


def loud(source: str) -> list[int]:
    """The lines on which a model is loaded outside `with quiet()`."""

    def search(node: ast.AST, still: bool) -> list[int]:
        if isinstance(node, ast.With):
            still = still or any("quiet()" in ast.unparse(item.context_expr) for item in node.items)
        found = [line for child in ast.iter_child_nodes(node) for line in search(child, still)]
        named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOADS
        return [*([node.lineno] if named and not still else []), *found]  # type: ignore[attr-defined]

    return search(ast.parse(source), False)


@pytest.mark.parametrize("house", ["agent", "tools", "trainers", "evaluators", "benchmarks"])
def test_whoever_loads_a_model_does_it_quietly(house: str) -> None:
    found = {str(file.relative_to(ROOT)): loud(file.read_text()) for file in (ROOT / house).rglob("*.py")}
    assert {file: lines for file, lines in found.items() if lines} == {}


def test_a_loud_loading_would_be_found() -> None:
    assert loud("CLIPModel.from_pretrained('a')\nwith quiet():\n    CLIPModel.from_pretrained('b')") == [1]
