"""`palate gate`, and the gate of a training: judged, said, remembered, and taken back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image

from agent.cli import main as cli
from agent.cli.gating import _job, _made, told
from agent.cli.job_file import load_job
from agent.cli.training import _keep
from prompts.errors import InputError
from tools.gate.promotions import Acting, Promotion, history, record

STRICT, MILD = {"minimum_win_rate": 0.99, "certain": True}, {"minimum_win_rate": 0.0, "unseen_may_lose": True}
FREE = {"minimum_clip_t_kept": 0.0, "minimum_diversity": None} | {f"maximum_{one}_shift": None for one in ("hue", "saturation", "value")}  # fmt: skip


@pytest.fixture
def written(tmp_path: Path, studio_clip: Path, studio_pickscore: Path) -> Callable[..., Path]:
    """A YAML of a job with a gate: `written(base_model, rules)`."""
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    (tmp_path / "held-out.txt").write_text("a red dog\na blue field\n")

    def write(model: str, rules: dict[str, Any]) -> Path:
        file = tmp_path / "mine.yaml"
        gate = {"prompts": "held-out.txt", "steps": 1, "size": 32, "guides": ["pickscore"], "rules": rules}
        values = {
            "kind": "sft", "base_model": model, "dataset": [{"image": "red.png", "prompt": "a red dog"}], "out": "out",
            "config": {"steps": 1, "batch_size": 1, "rank": 2, "size": 32, "learning_rate": 0.1}, "device": "cpu",
            "clip": str(studio_clip), "pickscore": str(studio_pickscore), "gate": gate,
        }  # fmt: skip
        file.write_text(yaml.safe_dump(values))
        return file

    return write


def test_a_rejection_is_a_result_and_a_later_verdict_replaces_it(
    written: Callable[..., Path], tiny: Callable[[str], Any], capsys: pytest.CaptureFixture[str], own_home: Path
) -> None:
    file = written(tiny("sd15").name, STRICT)
    out = file.parent / "out"
    capsys.readouterr()  # what was said while the tiny model was made
    assert cli.main(["train", str(file), "--json"]) == 0
    told = capsys.readouterr()
    state = json.loads(told.out)
    assert json.loads((out / "job.log").read_text())["state"] == "done" and told.err == ""  # of no library a word
    assert state["state"] == "done" and state["gate"]["promoted"] is False
    assert "pickscore, which guided the training" in state["gate"]["reasons"][0]
    assert [line.promoted for line in history(own_home)] == [False]
    pictures = {path: path.stat().st_mtime_ns for path in (out / "gate" / "images").iterdir()}

    written(tiny("sd15").name, MILD | FREE)  # milder rules are no other training
    assert cli.main(["gate", str(file), "--json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert told.err == ""
    assert found["promoted"] is (found["broken"] == 0) and found["report"] == str(out / "gate" / "gate.html")
    assert {path: path.stat().st_mtime_ns for path in (out / "gate" / "images").iterdir()} == pictures

    shutil.copytree(out, file.parent / "elsewhere", ignore=shutil.ignore_patterns("config.yaml"))
    alone = ["gate", str(file.parent / "elsewhere")]
    assert cli.main(alone) == 1 and "give --prompts" in capsys.readouterr().err  # its card knows its base
    (file.parent / "elsewhere" / "adapter.json").unlink()
    assert cli.main(alone) == 1 and "give --base-model" in capsys.readouterr().err
    assert cli.main([*alone, "--base-model", tiny("sd15").name]) == 1 and "give --prompts" in capsys.readouterr().err


def test_a_training_goes_on_where_its_home_its_data_and_its_file_were_moved(
    written: Callable[..., Path], tiny: Callable[[str], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, home = written(tiny("sd15").name, MILD | FREE), tmp_path / "home"
    values = {
        **yaml.safe_load(file.read_text()),
        "out": "home/mine",
        "config": yaml.safe_load(file.read_text())["config"] | {"steps": 2},
    }
    file.write_text(yaml.safe_dump(values))
    assert cli.main(["--home", str(home), "train", str(file), "--json"]) == 0
    made = json.loads(capsys.readouterr().out.splitlines()[-1])
    (home / "mine" / "adapter.json").unlink()  # as if it had been stopped: the checkpoints are there
    shutil.copytree(tmp_path, tmp_path.with_name("moved"))
    for path in (home, file, tmp_path / "red.png"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    moved = tmp_path.with_name("moved")
    assert cli.main(["--home", str(moved / "home"), "train", str(moved / file.name), "--json"]) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["adapter"]["sha256"] == made["adapter"]["sha256"]
    assert again["adapter"]["path"] == str(moved / "home" / "mine")
    shutil.rmtree(moved)


def test_another_picture_of_the_same_name_is_another_job(tmp_path: Path) -> None:
    (tmp_path / "adapter.json").write_text("{}")
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(name.encode())
    _keep(tmp_path, {"kind": "sft", "dataset": [{"image": str(tmp_path / "here" / "a.png")}]})
    with pytest.raises(InputError, match="its dataset was"):
        _keep(tmp_path, {"kind": "sft", "dataset": [{"image": str(tmp_path / "there" / "a.png")}]})
    (tmp_path / "here" / "a.png").unlink()
    _keep(tmp_path, {"kind": "sft", "dataset": [{"image": str(tmp_path / "there" / "a.png")}]})


def test_paths_of_a_gate_count_from_the_file_and_a_name_is_left_alone(written: Callable[..., Path]) -> None:
    file = written("bauhaus", {})
    values = yaml.safe_load(file.read_text())
    (file.parent / "dog").mkdir()
    file.write_text(yaml.safe_dump(values | {"gate": values["gate"] | {"instances": "dog"}}))
    gate = load_job(file, file.parent / "home").gate
    assert gate is not None and gate.prompts == str(file.parent / "held-out.txt")
    assert gate.instances == (file.parent / "dog",)
    file.write_text(yaml.safe_dump(values | {"gate": {"prompts": "bauhaus"}}))
    gate = load_job(file, file.parent / "home").gate
    assert gate is not None and gate.prompts == "bauhaus"
    file.write_text(yaml.safe_dump(values | {"gate": {"prompt": "bauhaus"}}))
    with pytest.raises(InputError, match=r"job\.gate\.prompt"):
        load_job(file, file.parent / "home")


def test_a_gate_may_change_where_an_adapter_was_trained(tmp_path: Path) -> None:
    (tmp_path / "adapter.json").write_text("{}")
    _keep(tmp_path, {"kind": "sft", "gate": {"prompts": "bauhaus"}})
    _keep(tmp_path, {"kind": "sft"})
    _keep(tmp_path, {"kind": "sft", "clip": "clip", "processes": 2})  # a judge that the training did not need
    with pytest.raises(InputError, match="its clip was 'clip'"):
        _keep(tmp_path, {"kind": "sft", "clip": "other"})
    with pytest.raises(InputError, match="its kind was 'sft'"):
        _keep(tmp_path, {"kind": "dpo", "clip": "clip"})


def test_what_makes_no_other_adapter_may_change_while_it_is_trained(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-1").mkdir()
    _keep(tmp_path, {"kind": "sft", "config": {"steps": 2}})
    _keep(tmp_path, {"kind": "sft", "config": {"steps": 2, "gradient_checkpointing": True}})
    with pytest.raises(InputError, match="its config was"):
        _keep(tmp_path, {"kind": "sft", "config": {"steps": 3}})


def test_the_adapter_of_a_gal_job_is_that_of_its_last_round(
    written: Callable[..., Path], tiny: Callable[[str], Any]
) -> None:
    file = written(tiny("sd15").name, {})
    gal = {"subject": "sks", "non_subject": "a photo", "anchors": "object"}
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"kind": "gal", "gal": gal}))
    job = load_job(file, file.parent / "home")
    with pytest.raises(InputError, match="holds no round of gal yet"):
        _made(job)
    job.out.mkdir()
    (job.out / "gal.json").write_text(json.dumps({"rounds": [{"adapter": {"path": f"round-{n}/adapter"}} for n in (1, 2)]}))  # fmt: skip
    assert _made(job) == job.out / "round-2" / "adapter"


def test_people_read_what_was_broken_first_and_what_acts_now(tmp_path: Path) -> None:
    def verdict(mark: str, promoted: bool) -> Promotion:
        adapter = Acting(path=f"train/{mark}", sha256=mark * 64)
        return Promotion(base_model="m", adapter=adapter, promoted=promoted, reasons=("It lost 1.", "It kept 2."))

    for one in (verdict("a", True), verdict("b", True), verdict("b", False)):
        record(tmp_path, one)
    gone = "train/a (moved or changed since: judge it again)"
    found = {"promoted": False, "broken": 1, "reasons": ["It lost 1.", "It kept 2."], "report": "r", "base_model": "m", "before": True}  # fmt: skip
    assert told(found, tmp_path) == [
        "rejected and withdrawn: it was promoted before", "  ! It lost 1.", "  - It kept 2.", "report: r", f"acts now: {gone}",
    ]  # fmt: skip
    assert told(found | {"base_model": "another"}, tmp_path)[-1] == "acts now: the base model alone"


def test_scorers_of_the_command_line_are_laid_over_the_job(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    file = written("bauhaus", {})
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr("agent.cli.gating.gate", lambda adapter, home, given: seen.append(given) or {"promoted": True})
    flags = [
        "--aesthetic",
        "head.pth",
        "--hpsv2",
        "hps.pt",
        "--image-reward",
        "ImageReward",
        "--guides",
        "image_reward",
    ]
    assert cli.main(["gate", str(file), *flags, "--json"]) == 0
    given = {key: value for key, value in seen[0].items() if value is not None}
    assert given == {
        "aesthetic": "head.pth",
        "hpsv2": "hps.pt",
        "image_reward": "ImageReward",
        "guides": ["image_reward"],
    }
    job, _ = _job(file, own_home, given)
    assert (job.aesthetic, job.hpsv2, job.image_reward) == ("head.pth", "hps.pt", "ImageReward")
    assert job.gate is not None and job.gate.guides == ("image_reward",) and job.pickscore == job.folders["pickscore"]
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"aesthetic": "head.pth"}))
    assert load_job(file, own_home).aesthetic == str(file.parent / "head.pth")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rounds": []}', '{"rounds": [1]}', "[" * 5000])
def test_rounds_of_gal_that_are_damaged_are_told_with_what_helps(text: str, tmp_path: Path) -> None:
    (tmp_path / "gal.json").write_text(text)
    job: Any = SimpleNamespace(kind="gal", out=tmp_path)
    with pytest.raises(InputError, match=r"gal\.json' is damaged or holds no round yet.*train it again"):
        _made(job)


def test_an_adapter_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no adapter at '.*nowhere'"):
        _job(tmp_path / "nowhere", tmp_path, {})
