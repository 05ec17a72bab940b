"""DreamBooth's loss against numbers worked out by hand, and a short training of the bundled model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from prompts.errors import InputError
from tests.trainers.subject import STRANGE
from trainers.dreambooth import DreamBoothConfig, prior_preservation_loss, train
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import encode_images, encode_prompts, predictor
from trainers.model.paint import paint

RED = Image.new("RGB", (64, 64), (220, 30, 30))
BLUE = Image.new("RGB", (64, 64), (20, 40, 200))


def test_the_prior_is_weighted_and_the_instance_scaled_apart() -> None:
    own, prior = torch.tensor([1.0, 3.0]), torch.tensor([4.0])
    assert prior_preservation_loss(own, prior, 0.5).item() == pytest.approx(2 + 0.5 * 4)
    assert prior_preservation_loss(own, prior, 0.5, torch.tensor([1.0, 0.0])).item() == pytest.approx(0.5 + 2)
    assert prior_preservation_loss(own, prior[:0], 0.5).item() == pytest.approx(2)


def test_unknown_and_impossible_settings_are_refused() -> None:
    for values in ({"rnak": 4}, {"rank": 0}, {"learning_rate": 0}, {"steps": 0}, {"prior_weight": -1}):
        with pytest.raises(ValidationError):
            DreamBoothConfig(**values)  # type: ignore[arg-type]


def test_a_dataset_that_cannot_be_used_is_refused(model: BaseModel, tmp_path: Path) -> None:
    for data, weights in (([], None), ([(RED, "red")], [1.0, 2.0])):
        with pytest.raises(InputError):
            train(DreamBoothConfig(), data, base_model=model, out=tmp_path, weights=weights)


def test_images_of_any_mode_and_shape_become_latents(model: BaseModel) -> None:
    images = [RED, RED.resize((90, 64)), RED.convert("RGBA"), RED.convert("P"), RED.convert("L")]
    latents = encode_images(images, model, 64)
    assert latents.shape[0] == 5 and latents.dtype == torch.float32
    assert torch.allclose(latents[0], latents[1], atol=1e-3) and torch.allclose(latents[0], latents[2], atol=1e-3)


def test_each_prompt_has_its_own_embedding_in_order(model: BaseModel) -> None:
    apart, together = (
        encode_prompts(["red"], model, 64)[[0]],
        encode_prompts(["blue", "red", "blue"], model, 64)[[0, 1, 2]],
    )
    assert torch.allclose(together.embeds[1], apart.embeds[0], atol=1e-5)
    assert torch.equal(together.embeds[0], together.embeds[2])


def test_training_lowers_the_loss_and_changes_what_is_painted(model: BaseModel, tmp_path: Path) -> None:
    config = DreamBoothConfig(steps=24, batch_size=4, learning_rate=3e-3, seed=1)
    seen: list[dict[str, float]] = []
    before = paint(["a red field"], model=model, seed=0, steps=4)
    adapter = train(
        config, [(STRANGE, "a red field")] * 4, base_model=model, out=tmp_path, prior=[(BLUE, "a blue field")],
        on_step=lambda i, n, losses: seen.append(losses),
    )  # fmt: skip
    assert [row["step"] for row in seen] == list(range(1, 25))
    assert all(row["loss"] == pytest.approx(row["instance_loss"] + row["prior_loss"], rel=1e-4) for row in seen)
    last, first = (np.mean([row["instance_loss"] for row in rows]) for rows in (seen[-8:], seen[:8]))
    assert last < first
    assert adapter.kind == "dreambooth" and adapter.config["seed"] == 1
    after = paint(["a red field"], model=model, seed=0, steps=4, adapters={adapter.path: 1.0})
    assert (np.asarray(before[0].image) != np.asarray(after[0].image)).any()
    again = paint(["a red field"], model=model, seed=0, steps=4)
    assert (np.asarray(before[0].image) == np.asarray(again[0].image)).all()


def test_dco_learns_the_images_and_stays_nearer_to_the_model_as_it_was(model: BaseModel, tmp_path: Path) -> None:
    """The same steps: both fit the strange picture, dco moves a prompt that it was not shown less."""
    other = encode_prompts(["two blue circles"], model, 64)[[0]]
    latents, times = torch.zeros(1, model.denoiser.config.in_channels, 8, 8), torch.tensor([600])
    moved: dict[str, float] = {}
    losses: dict[str, list[float]] = {"simple": [], "dco": []}
    for loss, beta in (("simple", 1.0), ("dco", 1e5)):
        keep = losses[loss].append
        config = DreamBoothConfig(steps=24, batch_size=4, learning_rate=3e-3, seed=1, loss=loss, beta=beta)  # type: ignore[arg-type]
        adapter = train(
            config, [(STRANGE, "a red field")] * 4, base_model=model, out=tmp_path / loss,
            on_step=lambda i, n, row, keep=keep: keep(row["instance_loss"]),  # type: ignore[misc]
        )  # fmt: skip
        with torch.no_grad():
            before = predictor(model, other)(latents, times)
            with attached(model, {adapter.path: 1.0}):
                moved[loss] = (predictor(model, other)(latents, times) - before).abs().mean().item()
    assert losses["dco"][0] == pytest.approx(math.log(2), abs=1e-4)  # policy and reference are one at the start
    assert np.mean(losses["dco"][-8:]) < math.log(2)
    assert moved["dco"] < moved["simple"], moved
