"""tools/jobs/job.py: every kind of job reads its data, trains, and tells how far it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from prompts.errors import InputError, PalateError
from tools.jobs import job
from tools.jobs.spec import Job
from tools.jobs.watch import State, run_job


def test_a_missing_job_file_fails_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["nowhere.json"]):
        assert job.main(arguments) == 1
        assert json.loads(capsys.readouterr().out)["state"] == "failed"


def test_a_dreambooth_job_reads_its_images_and_trains(
    studio: Path, tmp_path: Path, pairs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    image = pairs[0]["win"]
    file = tmp_path / "job.json"
    values = {
        "kind": "dreambooth", "config": {"steps": 1, "batch_size": 1}, "base_model": str(studio), "device": "cpu",
        "dataset": [{"image": image, "prompt": "a sks field", "weight": 0.5}], "name": "sks",
        "prior": [{"image": image, "prompt": "a field"}], "out": str(tmp_path / "out"),
    }  # fmt: skip
    file.write_text(json.dumps(values))
    report = job.Reporter(tmp_path / "state.json")
    assert job.run(Job.model_validate(values), report)["state"] == "done"
    assert (tmp_path / "out" / "sks_kohya.safetensors").is_file()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["sft", "kto", "reward", "textual_inversion", "custom_diffusion"])
def test_every_kind_of_job_reads_its_data_and_trains(
    kind: str, tiny: Any, studio_pickscore: Path, tmp_path: Path, pairs: list[dict[str, Any]]
) -> None:
    data: dict[str, list[dict[str, Any]]] = {
        "sft": pairs,
        "kto": [{"prompt": "red", "image": pairs[0][side], "liked": side == "win"} for side in ("win", "lose")],
        "reward": [{"prompt": "a red field"}, {"prompt": "a blue field"}],
        "textual_inversion": [{"prompt": "a <x> field", "image": pairs[0]["win"], "weight": 0.5}],
        "custom_diffusion": [{"prompt": "a sks field", "image": pairs[0]["win"]}],
    }
    more: dict[str, dict[str, Any]] = {
        "textual_inversion": {"config": {"word": "<x>", "initial": "red"}},
        "custom_diffusion": {"prior": [{"prompt": "a field", "image": pairs[0]["lose"]}]},
    }
    values = {
        "kind": kind, "config": {"steps": 2, "batch_size": 2, "size": 32}, "base_model": tiny("sd15").name, "device": "cpu",
        "dataset": data[kind], "out": str(tmp_path / "out"), "pickscore": str(studio_pickscore) if kind == "reward" else None,
    }  # fmt: skip
    chosen = more.get(kind, {})
    values |= chosen | {"config": values["config"] | chosen.get("config", {})}  # type: ignore[operator]
    state = job.run(Job.model_validate(values), job.Reporter(tmp_path / "state.json"))
    assert state["state"] == "done" and state["adapter"]["kind"] == kind
    assert len((tmp_path / "out" / "losses.jsonl").read_text().splitlines()) == 2


def test_a_gal_job_waits_for_a_person_and_then_ends_with_its_last_round(
    tiny: Any, studio_clip: Path, tmp_path: Path, pairs: list[dict[str, Any]]
) -> None:
    anchors = [{"prompt": f"{{subject}} in {place}", "concept": f"in {place}"} for place in ("a row", "blue", "white")]
    values = {
        "kind": "gal", "config": {"steps": 1, "batch_size": 1, "size": 32}, "base_model": tiny("sd15").name, "device": "cpu",
        "dataset": [{"image": pairs[0]["win"], "prompt": "a photo of sks"}], "clip": str(studio_clip), "out": str(tmp_path / "out"),
        "prior": [{"image": pairs[0]["lose"], "prompt": "a photo"}],
        "gal": {
            "subject": "sks", "non_subject": "a photo", "anchors": anchors, "samples": 1, "k": 1, "rounds": 2, "steps": 1,
            "strategy": "human", "stop_early": False,
        },
    }  # fmt: skip
    file = tmp_path / "job.json"
    file.write_text(json.dumps(values))
    state = job._attempt(file, job.Reporter(tmp_path / "state.json"))
    assert state["state"] == "failed" and state["waiting"] and "waits for your choice" in state["error"]
    choice = tmp_path / "out" / "round-1" / "choose.json"
    choice.write_text(json.dumps({"chosen": [{"anchor": 2, "image": 0}]}))
    state = job._attempt(file, job.Reporter(tmp_path / "state.json"))
    assert state["state"] == "done" and state["step"] == state["total"] == 2 and state["losses"]["round"] == 2
    assert state["adapter"]["path"] == str(tmp_path / "out" / "round-2" / "adapter") and "prior_loss" in state["losses"]


def sft_of(model: Any, pairs: list[dict[str, Any]], out: Path, **changes: Any) -> dict[str, Any]:
    config = {"steps": 2, "batch_size": 2, "size": 32, "rank": 2}
    return {
        "kind": "sft",
        "config": config,
        "base_model": model.name,
        "device": "cpu",
        "dataset": pairs,
        "out": str(out),
        **changes,
    }


def test_the_encoding_of_data_is_reported_as_it_goes_on(
    tiny: Any, tmp_path: Path, pairs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []

    def listen(file: Path, state: State, *, durable: bool) -> None:
        encoding = state["encoding"]
        if encoding is not None and state["step"] == 0:
            seen.append((encoding["what"], encoding["done"], encoding["total"]))

    monkeypatch.setattr(job, "save_json", listen)
    values = sft_of(tiny("sd15"), [pairs[0] | {"prompt": f"a dog {i}"} for i in range(10)], tmp_path / "out")
    job.run(Job.model_validate(values), job.Reporter(tmp_path / "state.json"))
    assert list(dict.fromkeys(seen)) == [("images", 8, 10), ("images", 10, 10), ("prompts", 8, 10), ("prompts", 10, 10)]


def test_a_state_that_cannot_be_written_does_not_end_the_training(
    tiny: Any,
    tmp_path: Path,
    pairs: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise PalateError("no room to write it")

    monkeypatch.setattr(job, "save_json", full)
    values = sft_of(tiny("sd15"), pairs, tmp_path / "out")
    assert job.run(Job.model_validate(values), job.Reporter(tmp_path / "state.json"))["state"] == "done"
    assert "state.json' cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "passing"),
    [(OSError(28, "No space left on device"), True), (MemoryError(), True), (ValueError("a bug"), False)],
)
def test_a_job_says_whether_its_fault_may_pass(
    fault: Exception,
    passing: bool,
    tiny: Any,
    tmp_path: Path,
    pairs: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through all that explains it on its way: the checkpoint's words for a full disk, the step's for memory."""

    def struck(*_: Any) -> None:
        raise fault

    monkeypatch.setattr("trainers.engine.checkpoint._write", struck)
    file = tmp_path / "job.json"
    file.write_text(json.dumps(sft_of(tiny("sd15"), pairs, tmp_path / "out")))
    assert job.main([str(file)]) == (75 if passing else 1)
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["state"] == "failed" and state["passing"] is passing and state["beats"] > 1


def test_a_job_whose_log_is_on_a_full_disk_still_says_by_its_status_what_became_of_it(tmp_path: Path) -> None:
    """Python itself would leave with 120, which says nothing."""
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"kind": "sft", "base_model": "/nowhere", "out": str(tmp_path / "out"), "rank": 1}))
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "tools.jobs.job", str(file)], stdout=full, stderr=full, check=False
        )
    assert ended.returncode == 1 and "rank" in json.loads((tmp_path / "state.json").read_text())["error"]


def test_an_adapter_of_another_model_is_refused(
    tiny: Any, studio: Path, tmp_path: Path, pairs: list[dict[str, Any]]
) -> None:
    made = job.run(
        Job.model_validate(sft_of(tiny("sd15"), pairs, tmp_path / "made")), job.Reporter(tmp_path / "one.json")
    )
    other = sft_of(tiny("sdxl"), pairs, tmp_path / "other", adapters=[{"path": made["adapter"]["path"]}])
    with pytest.raises(InputError, match="does not fit this model"):
        job.run(Job.model_validate(other), job.Reporter(tmp_path / "two.json"))


@pytest.mark.parametrize(
    ("scheduler", "told"),
    [
        (
            {"_class_name": "DDIMScheduler", "prediction_type": "sample", "steps_offset": 1, "clip_sample": False},
            "prediction_type 'sample', and we know 'epsilon'",
        ),
        ({"_class_name": "EDMEulerScheduler"}, "EDMEulerScheduler.*correct scheduler_config.json"),
        ({"_class_name": "NoSuchScheduler"}, "cannot be loaded.*NoSuchScheduler"),
    ],
)
def test_a_scheduler_that_we_do_not_know_is_refused(
    scheduler: dict[str, Any], told: str, tiny: Any, tmp_path: Path, pairs: list[dict[str, Any]]
) -> None:
    shutil.copytree(tiny("sd15").name, tmp_path / "model")
    (tmp_path / "model" / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    index = tmp_path / "model" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"scheduler": ["diffusers", scheduler["_class_name"]]}))
    values = sft_of(tiny("sd15"), pairs, tmp_path / "out", base_model=str(tmp_path / "model"))
    with pytest.raises(InputError, match=told):
        job.run(Job.model_validate(values), job.Reporter(tmp_path / "state.json"))


@pytest.mark.slow
def test_two_processes_make_one_adapter(tiny: Any, tmp_path: Path, pairs: list[dict[str, Any]]) -> None:
    """Started as `palate train` starts them; see tests/trainers/engine/test_share.py for what they compute."""
    values = sft_of(tiny("sd15"), pairs * 2, tmp_path / "out")
    seen: list[State] = []
    state = run_job({**values, "processes": 2}, tmp_path / "two", on_state=seen.append, threads=1)
    assert state["state"] == "done" and state["step"] == 2, state["error"]
    alone = run_job({**values, "out": str(tmp_path / "alone")}, tmp_path / "one", threads=1)
    first, second = (
        load_file(Path(one["adapter"]["path"]) / "pytorch_lora_weights.safetensors") for one in (state, alone)
    )
    assert max((first[key] - second[key]).abs().max().item() for key in first) < 1e-6
    assert len((tmp_path / "out" / "losses.jsonl").read_text().splitlines()) == 2
    assert len({one["pid"] for one in seen if one["pid"]}) == 1
