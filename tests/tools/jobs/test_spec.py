"""tools/jobs/spec.py: a mistake in a job file is named, before anything is trained."""

from __future__ import annotations

import json
import logging
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from prompts.errors import InputError
from tools.jobs import job
from tools.jobs.spec import Job, kind_of
from tools.jobs.watch import read_state


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


def test_every_row_whose_picture_cannot_be_read_is_named(dpo: dict[str, Any], tmp_path: Path) -> None:
    deep = tmp_path / "one" / "two"
    deep.mkdir(parents=True)
    (deep / "bad.png").write_bytes((tmp_path / "win.png").read_bytes()[:40])
    rows = [
        dpo["dataset"][0],
        {**dpo["dataset"][0], "lose": str(deep / "bad.png")},
        {**dpo["dataset"][0], "win": "gone.png"},
    ]
    asked = Job(**{**dpo, "dataset": rows})
    with pytest.raises(
        InputError,
        match=r"2 of 3 rows .* row 2 of dataset: image '.*one/two/bad\.png' cannot be read .*; row 3 of dataset: image 'gone",
    ):
        kind_of(asked).data(asked)


def test_what_was_converted_stands_in_the_jobs_state_and_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = job.Reporter(tmp_path / "state.json")
    with job._noted(report):
        for _ in range(2):
            logging.getLogger("tools.photos").warning("pictures of real numbers: %d", 3)
        logging.getLogger("somebody.else").warning("chatter")
    assert read_state(tmp_path)["notes"] == ["pictures of real numbers: 3"]
    assert capsys.readouterr().err.count("pictures of real numbers: 3") == 2
    logging.getLogger("tools.photos").warning("later")
    assert read_state(tmp_path)["notes"] == ["pictures of real numbers: 3"]
