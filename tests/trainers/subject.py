"""What the tests of personalisation share: pictures, a painting as numbers, a fixed batch's loss, a training that is cut short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainers.engine.training import TrainingStopped
from trainers.model.attach import Adapters, attached
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import encode_images, encode_prompts, predictor, trainable
from trainers.model.paint import paint

RED, BLUE = (Image.new("RGB", (40, 32), colour) for colour in ((220, 30, 30), (20, 40, 200)))
# Nothing that the bundled model was trained on: a bed of small squares in all colours.
STRANGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize(
    (64, 64), Image.Resampling.NEAREST
)
SHORT = {"steps": 3, "batch_size": 2, "learning_rate": 1e-2, "size": 32, "checkpoint_every": 1}


def painted(model: BaseModel, prompt: str, **more: Any) -> np.ndarray:
    return np.asarray(paint([prompt], model=model, seed=3, steps=3, size=32, **more)[0].image, dtype=int)


def theirs(stock: Any, prompt: str) -> np.ndarray:
    """The same painting by a pipeline that knows nothing of us."""
    stock.set_progress_bar_config(disable=True)
    draw = torch.Generator().manual_seed(3)
    images = stock(prompt, generator=draw, num_inference_steps=3, guidance_scale=3.0, height=32, width=32).images
    return np.asarray(images[0], dtype=int)


def fixed_loss(model: BaseModel, image: Image.Image, prompt: str, adapters: Adapters = ()) -> float:
    """The simple loss at 16 times from one noise: the same question before and after a training."""
    latents = encode_images([image], model, 64).repeat(16, 1, 1, 1)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))
    told = encode_prompts([prompt], model, 64, adapters)[[0] * 16]
    with attached(model, adapters), torch.no_grad():
        return float(
            trainable(model, 64).errors(predictor(model, told), latents, noise, torch.arange(16) * 60)[0].mean()
        )


def weights_of(model: BaseModel) -> dict[str, torch.Tensor]:
    """Every number of the model itself, as it is now; adapters that it keeps are not its own."""
    parts = {key: part for key, part in model.pipe.components.items() if isinstance(part, torch.nn.Module)}
    named = {f"{key}.{name}": value for key, part in parts.items() for name, value in part.state_dict().items()}
    return {name.replace(".base_layer", ""): value.clone() for name, value in named.items() if ".lora_" not in name}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[key]) for key, value in first.items())


def cut_short(train: Callable[..., Any], out: Path, after: int) -> None:
    """Begin `train` and stop it after so many steps."""
    done: list[int] = []
    with pytest.raises(TrainingStopped):
        train(out=out, on_step=lambda i, n, row: done.append(i), should_stop=lambda: len(done) >= after)
