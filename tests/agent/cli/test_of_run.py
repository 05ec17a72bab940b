"""agent/cli/of_run.py: `palate gate` of an adapter that a run made needs no flags, wherever the home or the adapter was moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.cli.of_run import known
from prompts.errors import InputError
from tests.agent.fast import Started
from trainers.files.adapter_file import sha256


@pytest.fixture
def home(finished: Started, tmp_path: Path) -> Path:
    """The finished run's home, moved."""
    return Path(shutil.copytree(finished.home, tmp_path / "moved"))


@pytest.fixture
def made(home: Path) -> Path:
    """The adapter that its run made."""
    (folder,) = home.glob("runs/*/adapters/*")
    return folder


@pytest.mark.parametrize("which", ["its folder", "its file", "a copy", "a copy of the file"])
def test_an_adapter_that_a_run_made_is_judged_without_a_flag(
    which: str, home: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = "pytorch_lora_weights.safetensors"
    copy = shutil.copytree(made, tmp_path / "elsewhere")
    alone = shutil.copy(made / file, tmp_path / "alone.safetensors")
    path = {"its folder": made, "its file": made / file, "a copy": copy, "a copy of the file": alone}[which]
    assert main(["--home", str(home), "gate", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    told = json.loads(Path(found["report"]).with_name("gate.json").read_text())
    assert told["adapter"]["sha256"] == sha256(made / file)
    assert {"clip", "pickscore", "preference"} <= told["versions"].keys() and len(told["pairs"]) == 4
    assert "preference, which guided the training" in found["reasons"][0]


def test_a_run_that_learned_no_taste_is_judged_by_pickscore(home: Path, made: Path) -> None:
    shutil.rmtree(made.parents[1] / "preferences")
    values = known(made, home)
    assert values["gate"]["guides"] == ["pickscore"] and "preference" not in values


def test_the_newest_taste_judges_and_not_the_last_by_name(home: Path, made: Path) -> None:
    tastes = made.parents[1] / "preferences"
    for number in (9, 10, 100):
        (tastes / f"step-{number}.npz").touch()
    assert known(made, home)["preference"] == str(tastes / "step-100.npz")


def card(folder: Path, **values: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter.json").write_text(json.dumps({"sha256": folder.name, **values}))
    return folder


def test_what_it_was_trained_on_top_of_acts_beneath(home: Path, made: Path) -> None:
    under = card(made.with_name("step-2"))
    over = card(made.with_name("step-40"), job={"adapters": {"step-2": 0.5}})
    assert known(over, home)["adapters"] == [{"path": str(under), "weight": 0.5}]
    shutil.rmtree(under)
    with pytest.raises(InputError, match="step-2, which"):
        known(over, home)


def test_an_adapter_of_no_run_knows_its_base_from_its_card(tmp_path: Path, studio: Path) -> None:
    assert known(card(tmp_path / "a", base_model="owner/name"), tmp_path)["base_model"] == "owner/name"
    assert known(card(tmp_path / "b", base_model=str(studio)), tmp_path)["base_model"] == str(studio)
    elsewhere = known(card(tmp_path / "c", base_model="/another/machine/models/bauhaus"), tmp_path)["base_model"]
    assert Path(elsewhere).is_dir() and Path(elsewhere).name == "bauhaus"
    assert known(tmp_path / "d", tmp_path)["base_model"] is None
