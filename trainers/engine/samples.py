"""Paintings on the way: the same prompts from the same seeds at step 0 and every so many steps, and a grid of all of them.

Knows pictures and files. Does not know what is trained, nor its losses.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from prompts.ground.atomic import write_atomically
from trainers.engine.journal import written
from trainers.engine.training import Training
from trainers.model.paint import paint_as_it_is

SEED = 1_000


def forget_samples(out: Path, step: int) -> None:
    """Drop what was painted after `step`, and at step 0 by a job that kept nothing: it may have been another."""
    for file in (out / "samples").glob("step-*.png"):
        if step == 0 or int(file.stem.removeprefix("step-")) > step:
            file.unlink()


def save_samples(training: Training, out: Path) -> Image.Image | None:
    """Paint the config's prompts with the model as it is now, if it is time to: OUT/samples/step-N.png, a prompt a column, and
    grid.png, a step a row. What is there already is not painted again: it would be the same. Returns the new row, if there is one.

    Raises PalateError on a full disk, OutOfMemory."""
    from diffusers.utils import make_image_grid

    config, folder = training.config, out / "samples"
    file = folder / f"step-{training.step:06d}.png"
    due = training.step % config.sample_every == 0 or training.step == config.steps
    if not config.sample_prompts or not due or file.is_file():
        return None
    images = paint_as_it_is(
        config.sample_prompts, model=training.model, seed=SEED, steps=config.sample_steps,
        guidance_scale=config.sample_guidance, size=config.size or training.model.size,
    )  # fmt: skip
    row = make_image_grid(images, rows=1, cols=len(images))
    with written(out):
        folder.mkdir(parents=True, exist_ok=True)
        _write(row, file)
        rows = [Image.open(row) for row in sorted(folder.glob("step-*.png"))]
        _write(make_image_grid(rows, rows=len(rows), cols=1), folder / "grid.png")
    return row


def _write(image: Image.Image, file: Path) -> None:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    write_atomically(file, buffer.getvalue())
