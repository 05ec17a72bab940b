"""A training job in a process of its own: it reports, it survives being killed, and it never outlives its parent."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file

from prompts.errors import InputError
from tests.places import ROOT
from tests.processes import lives
from tools.jobs import job
from tools.jobs.spec import Job
from tools.jobs.watch import State, alone, read_state, run_job


@pytest.fixture
def pairs(tmp_path: Path) -> list[dict[str, Any]]:
    for name, colour in (("win", (220, 30, 30)), ("lose", (20, 40, 200))):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{name}.png")
    return [{"prompt": "a red field", "win": str(tmp_path / "win.png"), "lose": str(tmp_path / "lose.png")}]


@pytest.fixture
def dpo(studio: Path, tmp_path: Path, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    config = {"steps": 20, "batch_size": 1, "rank": 2, "checkpoint_every": 2}
    out = str(tmp_path / "out")
    return {"kind": "dpo", "config": config, "base_model": str(studio), "dataset": pairs, "out": out, "device": "cpu"}


def killed(sign: signal.Signals, after: int) -> Any:
    """A watcher that sends `sign` to the job once `after` steps are done."""

    def on_state(state: State) -> None:
        if state["state"] == "running" and state["step"] >= after:
            os.kill(state["pid"], sign)

    return on_state


def wait_for(what: Any, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def test_a_killed_job_is_reported_and_continues_when_run_again(dpo: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "job"
    state = run_job(dpo, folder, on_state=killed(signal.SIGKILL, 3), threads=1, poll=0.02)
    assert state["state"] == "failed" and "SIGKILL" in state["error"] and "of 20" in state["error"]
    assert read_state(folder) == state
    assert not lives(state["pid"])
    saved = max(int(path.name.split("-")[1]) for path in (tmp_path / "out").glob("checkpoint-*"))

    seen: list[State] = []
    state = run_job(dpo, folder, on_state=seen.append, threads=1, poll=0.02)
    assert state["state"] == "done" and state["error"] is None and state["step"] == state["total"] == 20
    assert min(one["step"] for one in seen if one["step"]) > saved
    assert state["adapter"]["path"] == dpo["out"] and len(state["adapter"]["sha256"]) == 64
    assert state["loss"] > 0 and state["losses"]["accuracy"] >= 0
    assert len((tmp_path / "out" / "losses.jsonl").read_text().splitlines()) == 20


def test_a_job_stops_with_a_checkpoint_when_its_parent_dies(dpo: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "job"
    dpo["config"]["steps"] = 5000
    code = (
        "import json, sys; from tools.jobs.watch import run_job; run_job(json.load(sys.stdin), sys.argv[1], threads=1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    assert parent.stdin is not None
    try:
        parent.stdin.write(json.dumps(dpo))
        parent.stdin.close()
        wait_for(lambda: read_state(folder)["step"] >= 3)
        pid = read_state(folder)["pid"]
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not lives(pid))
    state = read_state(folder)
    assert state["state"] == "failed" and state["error"].startswith("stopped after step")
    assert (tmp_path / "out" / f"checkpoint-{state['step']}").is_dir()


def test_a_job_that_takes_too_long_is_ended(dpo: dict[str, Any], tmp_path: Path) -> None:
    state = run_job(dpo, tmp_path / "job", timeout=0.3)
    assert state["state"] == "failed" and "took longer than its 0.3 s" in state["error"]


def test_a_job_without_a_sign_of_life_is_ended(dpo: dict[str, Any], tmp_path: Path) -> None:
    state = run_job(dpo, tmp_path / "job", stale_after=0.0)
    assert state["state"] == "failed" and "no sign of life" in state["error"]


def test_two_jobs_never_share_a_folder(dpo: dict[str, Any], tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(InputError, match="another process"):
        run_job(dpo, tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kind": "magic"}, "job.kind = 'magic'"),
        ({"kidn": "dpo"}, "job.kidn"),
        ({"config": {"betta": 1}}, r"config.betta = 1.*known: .*beta"),
        ({"dataset": [{"prompt": "red", "win": "nowhere.png", "lose": "nowhere.png"}]}, "nowhere.png"),
        ({"dataset": [{"image": "red.png"}]}, r"dataset\[0\]"),
        ({"dataset": []}, "no pairs"),
        ({"dataset": [{"prompt": "red", "win": "win.png", "lose": "win.png"}]}, "'red'.*one image as winner and loser"),
        ({"dataset": [{"prompt": "red", "win": "win.png", "lose": "half.png"}]}, "half.png.*cannot be read"),
        ({"config": {"rank": 0}}, "config.rank = 0.*greater than or equal to 1"),
        ({"kind": "kto", "dataset": [{"prompt": "red", "image": "win.png", "liked": True}]}, "liked and disliked"),
        ({"kind": "reward"}, "give pickscore"),
        ({"kind": "sft", "pool": {"prompts": "p.txt"}}, "leave pool out of a 'sft' job"),
        ({"pool": {"prompts": "p.txt", "images": 1}}, "job.pool.images = 1"),
        ({"pool": {"prompts": "nowhere.txt"}, "pickscore": "bauhaus-pickscore"}, "nowhere.txt|bauhaus-pickscore"),
        ({"pool": {"prompts": "p.txt", "scorers": {"beauty": 1}}}, "scorer 'beauty'.*use pickscore"),
        ({"pool": {"prompts": "p.txt"}}, "pickscore is not given"),
        (
            {"prior": [{"prompt": "red", "image": "win.png"}]},
            "prior images are for kind 'dreambooth' or 'custom_diffusion' or 'gal'",
        ),
        ({"kind": "gal"}, "a block `gal`, and clip"),
        ({"gal": {"non_subject": "a field"}}, "leave it out of a 'dpo' job"),
        ({"gal": {"non_subject": "a field", "strategy": "taste"}}, "job.gal.strategy = 'taste'.*'uncertainty'"),
        ({"base_model": "/nowhere"}, "'/nowhere' is not a model"),
        ({"adapters": [{"path": "a.pt"}]}, "pickle"),
        ({"dtype": "int8"}, "job.dtype = 'int8'"),
        ({"dtype": "float16"}, "float16 is not for the CPU"),
        ({"processes": 0}, "job.processes = 0"),
        ({"config": {"optimizer": "adamw8bit"}}, "needs an NVIDIA GPU"),
        ({"config": {"optimizer": "sgd"}}, "config.optimizer = 'sgd'.*'adamw8bit'"),
    ],
)
def test_a_job_file_with_a_mistake_fails_and_says_which(
    dpo: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = Path("win.png").read_bytes()
    Path("half.png").write_bytes(whole[: len(whole) // 2])
    file = tmp_path / "job.json"
    file.write_text(json.dumps({**dpo, **changes}))
    handlers = [signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGINT)]
    try:
        assert job.main([str(file)]) == 1
    finally:
        for sign, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
            signal.signal(sign, handler)
    (line,) = capsys.readouterr().out.splitlines()
    state = json.loads(line)
    assert state["state"] == "failed" and state == read_state(tmp_path)
    assert re.search(told, state["error"]), state["error"]


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

    def listen(file: Path, state: State) -> None:
        encoding = state["encoding"]
        if encoding is not None and state["step"] == 0:
            seen.append((encoding["what"], encoding["done"], encoding["total"]))

    monkeypatch.setattr(job, "write_json", listen)
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
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job, "write_json", full)
    values = sft_of(tiny("sd15"), pairs, tmp_path / "out")
    assert job.run(Job.model_validate(values), job.Reporter(tmp_path / "state.json"))["state"] == "done"
    assert "state.json' cannot be written" in capsys.readouterr().err


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
