"""agent/cli/runs.py: a run that was to have an adapter and has none says so last, and by its status; a fault that may pass ends it for now."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.cli.main import main
from agent.config import Config
from agent.store.store import Store
from agent.store.summary import without_adapter
from tests.agent.fast import SHORT, Begin
from tests.agent.store.written import simple_step

Told = tuple[int, list[str], list[str]]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[bool]]:
    """Trainings fail, with faults that may pass or not, in turn."""

    def make(*passing: bool) -> list[bool]:
        left = list(passing)

        def fail(*_: Any, **__: Any) -> dict[str, Any]:
            return {"state": "failed", "error": "no room on the disk.", "passing": left.pop(0)}

        monkeypatch.setattr("tools.actions.finetune.run_job", fail)
        return left

    return make


@pytest.fixture
def palate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    def run(*words: str | Path) -> Told:
        capfd.readouterr()
        code = main(["--home", str(tmp_path / "home"), *map(str, words)])
        out, err = capfd.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


@pytest.fixture
def file(configured: Callable[..., Config], tmp_path: Path) -> Path:
    """A run that wants an adapter."""
    path = tmp_path / "run.yaml"
    wanted = configured(**{**SHORT, "limits": {"trainings": 1}, "finetune": {"method": "dreambooth", "settings": {}}})
    path.write_text(yaml.safe_dump(wanted.model_dump(mode="json")))
    return path


def test_a_run_whose_training_failed_says_last_that_it_has_no_adapter(
    palate: Callable[..., Told], file: Path, failing: Callable[..., list[bool]], tmp_path: Path
) -> None:
    failing(False, False)
    code, out, err = palate("run", file)
    assert code == 1 and out[-1].startswith("palate: this run wanted an adapter and has none") and "no room" in out[-1]
    assert not any("Traceback" in line for line in out + err)
    code, out, err = palate("run", file, "--json")
    assert code == 1 and len(out) == 1 and "no room" in json.loads(out[0])["wanting"]
    assert err[-1].startswith("palate: this run wanted an adapter and has none")
    with Store(tmp_path / "home" / "palate.sqlite") as store:
        assert [run.state for run in store.runs()] == ["done", "done"]


def test_a_fault_that_may_pass_leaves_the_run_to_be_resumed_and_its_training_with_it(
    palate: Callable[..., Told], file: Path, failing: Callable[..., list[bool]], tmp_path: Path
) -> None:
    left = failing(True, True, False)
    code, out, err = palate("run", file, "--json")
    assert code == 1 and out == [] and "no adapter yet: resume it" in err[-1]
    with Store(tmp_path / "home" / "palate.sqlite") as store:
        (run,) = store.runs()
        assert run.state == "failed" and "finetune" not in [step.tool for step in store.steps(run.id)]
    code, out, err = palate("resume", "last", "--json")
    assert code == 1 and out == [] and "resume it" in err[-1]
    code, out, err = palate("resume", "last", "--json")
    assert code == 1 and json.loads(out[0])["run"] == run.id and not left
    with Store(tmp_path / "home" / "palate.sqlite") as store:
        assert [step.tool for step in store.steps(run.id)].count("finetune") == 1


def test_a_run_that_wants_no_adapter_wants_nothing(begin: Begin) -> None:
    run = begin()
    assert without_adapter(run.store, run.run_id) is None


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ({"tool": "learn_taste", "error": "All ratings are alike."}, "All ratings are alike"),
        ({"tool": "ask_person"}, "a budget ended the run after step 1"),
        ({"tool": "finish"}, "nobody planned a training"),
    ],
)
def test_why_there_is_no_adapter_is_told(last: dict[str, Any], why: str, begin: Begin) -> None:
    run = begin(limits={"trainings": 1})
    run.store.add_step(run.run_id, simple_step(1, **last))
    assert why in str(without_adapter(run.store, run.run_id))
