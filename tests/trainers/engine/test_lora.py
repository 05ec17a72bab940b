"""What every LoRA training shares: files that others load, exact resumption, and safe failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from prompts.errors import InputError, PalateError
from trainers.dreambooth import DreamBoothConfig, train
from trainers.engine import checkpoint, lora
from trainers.engine.fit import fit
from trainers.engine.training import Training, TrainingStopped
from trainers.files.adapter_file import Adapter, sha256
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.model.paint import paint

DATA = [(Image.new("RGB", (64, 64), (40 * i, 30, 200 - 30 * i)), f"a field {i}") for i in range(5)]
CONFIG = DreamBoothConfig(steps=4, batch_size=2, learning_rate=5e-3, checkpoint_every=1, rank=4, alpha=2)


@pytest.fixture(scope="module")
def trained(model: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    return train(CONFIG, DATA, base_model=model, out=tmp_path_factory.mktemp("trained") / "out", name="fields")


def interrupted(model: BaseModel, out: Path, after: int, at: int = 0) -> None:
    """Stop after `after` steps of this call, which are `at` in all."""
    done: list[int] = []
    with pytest.raises(TrainingStopped, match=f"step {at or after} of 4"):
        train(
            CONFIG, DATA, base_model=model, out=out, name="fields",
            on_step=lambda i, n, row: done.append(i), should_stop=lambda: len(done) >= after,
        )  # fmt: skip


def test_the_diffusers_file_loads_into_a_stock_pipeline_and_changes_the_image(studio: Path, trained: Adapter) -> None:
    stock = load(str(studio), device="cpu").pipe

    def draw() -> np.ndarray:
        options = {"num_inference_steps": 3, "guidance_scale": 3.0, "generator": [torch.Generator().manual_seed(0)]}
        return np.asarray(stock(["a field"], **options).images[0])

    before = draw()
    stock.load_lora_weights(trained.path)
    after = draw()
    ours = paint(["a field"], model=load(str(studio), device="cpu"), seed=0, steps=3, adapters={trained.path: 1.0})
    assert (before != after).any()
    assert (np.asarray(ours[0].image) == after).all()


def test_the_kohya_file_paints_the_same_image(model: BaseModel, trained: Adapter) -> None:
    files = (trained.file, trained.path / "fields_kohya.safetensors")
    first, second = (
        np.asarray(paint(["a"], model=model, seed=0, steps=3, adapters={f: 1.0})[0].image, int) for f in files
    )
    assert np.abs(first - second).max() <= 1
    names = load_file(files[1])
    assert all(key.startswith("lora_unet_") for key in names)
    assert {value.item() for key, value in names.items() if key.endswith(".alpha")} == {2.0}


def test_the_card_says_what_was_trained(trained: Adapter) -> None:
    card = json.loads((trained.path / "adapter.json").read_text())
    assert card["sha256"] == sha256(trained.file) and card["kind"] == "dreambooth" and card["kohya_check"] == "loaded"
    assert card["steps"] == 4 and card["config"]["rank"] == 4 and card["metrics"]["loss"] > 0
    assert len((trained.path / "losses.jsonl").read_text().splitlines()) == 4
    assert trained.sha256 in (trained.path / "README.md").read_text()
    assert Adapter.read(trained.path) == trained
    with pytest.raises(InputError, match=r"adapter\.json"):
        Adapter.read(trained.path / "checkpoint-4")


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    model: BaseModel, trained: Adapter, tmp_path: Path, after: int
) -> None:
    interrupted(model, tmp_path, after)
    steps: list[int] = []
    adapter = train(
        CONFIG, DATA, base_model=model, out=tmp_path, name="fields", on_step=lambda i, n, row: steps.append(i)
    )
    assert steps == list(range(after + 1, 5))
    assert adapter.sha256 == trained.sha256
    assert (tmp_path / "losses.jsonl").read_text() == (trained.path / "losses.jsonl").read_text()


def test_resuming_overwrites_no_checkpoint_and_keeps_the_newest(model: BaseModel, tmp_path: Path) -> None:
    interrupted(model, tmp_path, 2)
    kept = tmp_path / "checkpoint-2" / "training.safetensors"
    before = kept.stat().st_mtime_ns
    interrupted(model, tmp_path, 1, at=3)
    assert kept.stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-3"]
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_training_was_writing_is_swept_and_nothing_else(model: BaseModel, tmp_path: Path) -> None:
    code = "import os, sys; os.makedirs(f'{sys.argv[1]}/.checkpoint-7.{os.getpid()}/deep'); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    (tmp_path / ".notes.1").mkdir()
    (tmp_path / f".checkpoint-7.{os.getppid()}").mkdir()  # of a process that is there
    assert len(list(tmp_path.iterdir())) == 3
    interrupted(model, tmp_path, 1)
    assert sorted(path.name for path in tmp_path.glob(".*")) == sorted([".notes.1", f".checkpoint-7.{os.getppid()}"])


def test_a_finished_folder_is_returned_untouched(model: BaseModel, trained: Adapter) -> None:
    steps: list[int] = []
    again = train(CONFIG, DATA, base_model=model, out=trained.path, on_step=lambda i, n, row: steps.append(i))
    assert again == trained and steps == []


def test_a_folder_of_another_job_is_refused_by_name(model: BaseModel, trained: Adapter, tmp_path: Path) -> None:
    other = CONFIG.model_copy(update={"learning_rate": 1e-3})
    with pytest.raises(InputError, match=r"learning_rate was 0\.005, now 0\.001"):
        train(other, DATA, base_model=model, out=trained.path)
    interrupted(model, tmp_path, 1)
    with pytest.raises(InputError, match="data"):
        train(CONFIG, DATA[1:], base_model=model, out=tmp_path)


def test_a_damaged_checkpoint_is_named(model: BaseModel, tmp_path: Path) -> None:
    interrupted(model, tmp_path, 1)
    (tmp_path / "checkpoint-1" / "training.safetensors").write_bytes(b"half")
    with pytest.raises(PalateError, match="checkpoint-1"):
        train(CONFIG, DATA, base_model=model, out=tmp_path)


def test_a_checkpoint_with_a_number_that_is_none_is_damaged(model: BaseModel, tmp_path: Path) -> None:
    """It was blamed on the learning rate."""
    interrupted(model, tmp_path, 1)
    tensors = load_file(tmp_path / "checkpoint-1" / "training.safetensors")
    key = next(key for key in tensors if key.startswith("weight."))
    tensors[key].view(-1)[0] = float("nan")
    save_file(tensors, tmp_path / "checkpoint-1" / "training.safetensors")
    with pytest.raises(PalateError, match=r"checkpoint-1' is damaged .*not finite.*: delete it"):
        train(CONFIG, DATA, base_model=model, out=tmp_path)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("No space left on device")])
def test_a_full_disk_stops_the_job_and_leaves_the_checkpoints_before_whole(
    model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    interrupted(model, tmp_path, after=1)

    def full(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(PalateError, match=r"checkpoint-2.*No space left.*make room"):
            train(CONFIG, DATA, base_model=model, out=tmp_path, name="fields")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-1", "losses.jsonl", "tensorboard"]
    assert train(CONFIG, DATA, base_model=model, out=tmp_path, name="fields").file.is_file()  # with room again


def test_a_loss_that_is_not_a_number_stops_the_job_and_keeps_the_last_checkpoint(
    model: BaseModel, tmp_path: Path
) -> None:
    def losses(training: Training) -> tuple[torch.Tensor, dict[str, float]]:
        total = sum(weight.sum() for weight in training.weights().values())
        return total * (float("nan") if training.step == 2 else 1.0), {"loss": 0.0}

    with pytest.raises(PalateError, match=r"nan.* at step 3 .*0\.005"):
        fit(
            CONFIG, losses, lora.Lora(CONFIG), kind="dreambooth", name="nan", model=model, adapters=(), out=tmp_path, data="",
            generator=None, on_step=None, should_stop=bool,
        )  # fmt: skip
    assert (tmp_path / "checkpoint-2").is_dir() and not (tmp_path / "adapter.json").exists()
    assert lora.NEW not in model.denoiser.peft_config


def test_target_modules_that_are_not_there_are_refused(model: BaseModel, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"target_modules": ("nothing",)})
    with pytest.raises(InputError, match="nothing"):
        train(config, DATA, base_model=model, out=tmp_path)


def test_other_layers_can_learn_and_both_files_still_load(model: BaseModel, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"target_modules": ("to_q", "proj_in", "ff.net.0.proj", "conv1"), "steps": 1})
    adapter = train(config, DATA, base_model=model, out=tmp_path, name="wide")
    assert (tmp_path / "wide_kohya.safetensors").is_file()
    paint(["a field"], model=model, seed=0, steps=1, adapters={adapter.path: 1.0})


def test_painting_between_steps_does_not_disturb_the_training(
    model: BaseModel, trained: Adapter, tmp_path: Path
) -> None:
    adapter = train(
        CONFIG, DATA, base_model=model, out=tmp_path, name="fields",
        on_step=lambda i, n, row: paint(["a field"], model=model, seed=0, steps=1) and None,
    )  # fmt: skip
    assert adapter.sha256 == trained.sha256


def test_each_epoch_shows_every_example_once() -> None:
    seen: list[int] = []
    for step in range(5):
        seen += Training(CONFIG, None, lora.Lora(CONFIG), {}, torch.Generator(), step).rows("instance", 5)  # type: ignore[arg-type]
    assert sorted(seen[:5]) == sorted(seen[5:]) == [0, 1, 2, 3, 4]
    assert seen[:5] != seen[5:]
