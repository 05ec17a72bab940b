"""The two logs of a training: a line and a point a step, live, and right after an interruption."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tensorboardX.proto import event_pb2

from prompts.errors import PalateError
from trainers.engine.journal import Journal
from trainers.model.base_model import BaseModel
from trainers.sft import SftConfig, train

CONFIG = SftConfig(
    steps=4, batch_size=1, size=32, rank=2, checkpoint_every=2, sample_prompts=("a red dog",), sample_every=4, sample_steps=1
)  # fmt: skip
DATA = [(Image.new("RGB", (32, 32), "red"), "a photo of the dog")]
Tiny = Callable[[str], BaseModel]


def events(out: Path) -> list[Any]:
    """What TensorBoard reads, oldest file first; a new start hides what came at its step or later."""
    found: list[Any] = []
    for file in sorted((out / "tensorboard").iterdir(), key=lambda file: file.stat().st_mtime_ns):
        content, at = file.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)  # then a checksum, the event, and its checksum
            event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            if event.HasField("session_log"):
                found = [one for one in found if one.step < event.step]
            found.append(event)
            at += 16 + length
    return [one for one in found if one.HasField("summary")]


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(text) for text in (out / "losses.jsonl").read_text().splitlines()]


def test_lines_and_points_are_there_while_the_training_goes_on(tiny: Tiny, tmp_path: Path) -> None:
    seen: list[int] = []

    def look(step: int, total: int, losses: dict[str, float]) -> None:
        assert lines(tmp_path)[-1] == losses and len(lines(tmp_path)) == step
        assert any(one.step == step for one in events(tmp_path))
        seen.append(step)

    train(CONFIG, DATA, base_model=tiny("sd15"), out=tmp_path, on_step=look)
    assert seen == [1, 2, 3, 4]
    points = [(one.step, value.tag) for one in events(tmp_path) for value in one.summary.value]
    assert points == [(0, "samples"), (1, "loss"), (2, "loss"), (3, "loss"), (4, "loss"), (4, "samples")]
    for one, row in zip(
        [e for e in events(tmp_path) if e.summary.value[0].tag == "loss"], lines(tmp_path), strict=True
    ):
        assert one.summary.value[0].simple_value == pytest.approx(row["loss"])


def test_after_a_crash_no_step_is_doubled_or_missing(tiny: Tiny, tmp_path: Path) -> None:
    def crash(step: int, total: int, losses: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt  # after the checkpoint of step 2

    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, DATA, base_model=tiny("sd15"), out=tmp_path, on_step=crash)
    assert [row["step"] for row in lines(tmp_path)] == [1, 2, 3]
    train(CONFIG, DATA, base_model=tiny("sd15"), out=tmp_path)
    assert [row["step"] for row in lines(tmp_path)] == [1, 2, 3, 4]
    assert [one.step for one in events(tmp_path) if one.summary.value[0].tag == "loss"] == [1, 2, 3, 4]


@pytest.mark.parametrize("where", ["losses.jsonl", "samples", "adapter"])
def test_a_full_disk_is_told_and_the_training_goes_on_once_there_is_room(
    where: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    places = {
        "losses.jsonl": "trainers.engine.journal.line",
        "samples": "trainers.engine.samples._write",
        "adapter": "trainers.files.export.save_file",
    }
    whole = train(CONFIG, DATA, base_model=tiny("sd15"), out=tmp_path / "whole")
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(places[where], no_room)
        with pytest.raises(PalateError, match=r"No space left.*make room and run it again"):
            train(CONFIG, DATA, base_model=tiny("sd15"), out=out)
    assert not (out / "adapter.json").exists() and not list(out.glob(".*"))
    assert train(CONFIG, DATA, base_model=tiny("sd15"), out=out).sha256 == whole.sha256
    assert lines(out) == lines(whole.path)


def test_a_real_full_device_is_told(tmp_path: Path) -> None:
    log = Journal(tmp_path, [])
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._lines.fileno())
    os.close(full)
    with pytest.raises(PalateError, match="No space left"):
        log.step({"step": 1, "loss": 1.0})
    with pytest.raises(PalateError, match="No space left"):
        log.close()
