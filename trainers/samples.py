"""Paintings on the way: the same prompts from the same seeds at step 0 and every so many steps, and a grid of all of them.

Knows pictures and files. Does not know what is trained, nor its losses.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from trainers.base_model import paint_as_it_is

if TYPE_CHECKING:
    from trainers.lora import Training

SEED = 1_000


def save_samples(training: Training, out: Path) -> None:
    """Paint the config's prompts with the model as it is now, if it is time to: OUT/samples/step-N.png, a prompt a column, and
    grid.png, a step a row. What is there already is not painted again: it would be the same."""
    config, folder = training.config, out / "samples"
    file = folder / f"step-{training.step:06d}.png"
    due = training.step % config.sample_every == 0 or training.step == config.steps
    if not config.sample_prompts or not due or file.is_file():
        return
    images = paint_as_it_is(
        config.sample_prompts, model=training.model, seed=SEED, steps=config.sample_steps,
        guidance_scale=config.sample_guidance, size=config.size or training.model.size,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    _write(side_by_side(images), file)
    _write(stacked([Image.open(row) for row in sorted(folder.glob("step-*.png"))]), folder / "grid.png")


def side_by_side(images: list[Image.Image]) -> Image.Image:
    """A row of pictures of one size."""
    width, height = images[0].size
    row = Image.new("RGB", (width * len(images), height))
    for place, image in enumerate(images):
        row.paste(image, (place * width, 0))
    return row


def stacked(rows: list[Image.Image]) -> Image.Image:
    """Rows of one size below each other."""
    width, height = rows[0].size
    grid = Image.new("RGB", (width, height * len(rows)))
    for place, row in enumerate(rows):
        grid.paste(row, (0, place * height))
    return grid


def _write(image: Image.Image, file: Path) -> None:
    """In one move: a picture that is there is whole."""
    part = file.with_name(f".{file.name}")
    image.save(part, format="PNG")
    part.replace(file)
