"""tools/jobs/spec.py: a mistake in a job file is named, before anything is trained."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tools.jobs import job
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
