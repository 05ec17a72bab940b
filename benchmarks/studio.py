"""How well the bundled models do what they promise, on held-out captions; the checks read pixels, or ask a judge that was trained
on renderings alone, never the renderer's own data. What a picture should show is read from its caption's words.

    python -m benchmarks.studio            (about two minutes on 2 cores)

Prints one JSON object: shares with Wilson 95 % intervals, decibels, seconds, machine. What ends in `_in_renderings` is the same
check on the renderer's own pictures of the same captions: the most that a perfect painter could reach by it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from evaluators.looks.colour import background, has_colour
from evaluators.numbers.win_rate import mean_interval, wilson
from evaluators.scorers.clip import Clip
from evaluators.scorers.pickscore import PickScore
from evaluators.scorers.scene_judge import SceneJudge, Seen
from prompts.vocabulary import load_vocabulary
from tools.painting import paint_in_batches
from trainers.embedded.pickscore import comparison
from trainers.embedded.vae import psnr
from trainers.embedded.world.dataset import HELD_OUT, held_out, to_tensor
from trainers.model.base_model import BaseModel
from trainers.model.load import load

MODELS = Path(__file__).parents[1] / "models"
VOCABULARY = load_vocabulary("bauhaus")
COLOURS = VOCABULARY.genes["background"]
NUMBERS = {word: number for number, word in enumerate(VOCABULARY.genes["count"], 1)}
SINGULAR = {VOCABULARY.plurals.get(shape, shape + "s"): shape for shape in VOCABULARY.genes["shape"]}
FEW = 3  # main objects, at most, of a picture whose number of objects is checked
THINGS = re.compile(
    rf"\b({'|'.join(NUMBERS)}|an?) (?:(?:{'|'.join(VOCABULARY.genes['size'])}) )?(?:({'|'.join(COLOURS)}) )?"
    rf"({'|'.join([*SINGULAR, *SINGULAR.values()])})\b"
)
GROUND = re.compile(rf"\b({'|'.join(COLOURS)}) background\b")


class Said(NamedTuple):
    """What a caption promises. `background`: None if unsaid; `main`, `objects`: how many of the first kind, and in all."""

    background: str | None
    colours: tuple[str, ...]
    shapes: frozenset[str]
    main: int
    objects: int


def said(caption: str) -> Said:
    """Read a caption: "two red bars and a teal ring on a blue background" names 3 objects, 2 of them main ones."""
    ground, things = GROUND.search(caption), THINGS.findall(caption)
    counts = [NUMBERS.get(number, 1) for number, _, _ in things]
    main = [NUMBERS[number] for number, _, _ in things if number in NUMBERS]
    return Said(
        ground[1] if ground else None,
        tuple(colour for colour in COLOURS if re.search(rf"\b{colour}\b", caption)),
        frozenset(SINGULAR.get(shape, shape) for _, _, shape in things),
        main[0] if main else 0,
        sum(counts),
    )


def machine() -> str:
    """What the numbers were measured on."""
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def share(hits: Sequence[bool]) -> dict[str, float]:
    """A share with its 95 % interval."""
    rate = float(np.mean(hits))
    low, high = wilson(rate, len(hits))
    return {"share": round(rate, 4), "low": round(low, 4), "high": round(high, 4), "n": len(hits)}


def average(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """A mean with its 95 % interval."""
    mean, low, high, n = astuple(mean_interval(values))
    return {"mean": round(mean, digits), "low": round(low, digits), "high": round(high, digits), "n": n}


def retrieval(clip: Clip, images: Sequence[Image.Image], captions: Sequence[str], ways: int) -> dict[str, float]:
    """Each image against `ways` captions, its own among them: is its own the nearest?"""
    pictures, texts = clip.image_features(images), clip.text_features(captions)
    hits: list[bool] = []
    for start in range(0, len(images) - ways + 1, ways):
        cosine = pictures[start : start + ways] @ texts[start : start + ways].T
        hits += (cosine.argmax(axis=1) == np.arange(ways)).tolist()
    return share(hits)


def promises_kept(images: Sequence[Image.Image], captions: Sequence[str], seen: Sequence[Seen]) -> dict[str, Any]:
    """Of the pictures whose caption makes a promise, the share that keeps it; `seen` is the judge's answer for each."""
    promised = [said(caption) for caption in captions]
    rows = list(zip(images, promised, seen, strict=True))
    return {
        "background_right": share([background(image) == it.background for image, it, _ in rows if it.background]),
        "colours_present": share([all(has_colour(image, c) for c in it.colours) for image, it, _ in rows if it.colours]),
        "shapes_right": share([it.shapes <= found.shapes for _, it, found in rows if it.shapes]),
        "shapes_exactly": share([it.shapes == found.shapes for _, it, found in rows if it.shapes]),
        "count_right": share([it.objects == found.objects for _, it, found in rows if 1 <= it.main <= FEW]),
    }  # fmt: skip


def painted(prompts: Sequence[str], model: BaseModel, seed: int = 0, **how: Any) -> list[Image.Image]:
    """A picture of each prompt, eight at a time; the batch that begins with prompt n has seed `seed` + n. `how`: what else `paint` takes."""
    return [image for batch in paint_in_batches(prompts, model=model, seed=seed, **how) for image in batch]


def timed(captions: Sequence[str], model: BaseModel, **how: Any) -> tuple[list[Image.Image], float]:
    """A picture of each caption, and the seconds that eight take."""
    painted(captions[:8], model, steps=1)  # what is made once only is no picture's time
    began = time.perf_counter()
    images = painted(captions, model, **how)
    return images, 8 * (time.perf_counter() - began) / len(images)


def comparisons_right(model: PickScore, count: int, size: int) -> dict[str, float]:
    """Of held-out comparisons by the invented population, the share that the model orders as it did."""
    rows = [comparison(number, size) for number in range(HELD_OUT, HELD_OUT + count)]
    prompts, preferred = [row[2] for row in rows], [row[3] > 0.5 for row in rows]
    scores = [model([Image.fromarray(row[place]) for row in rows], prompts).values for place in (0, 1)]
    return share([(one > other) == first for one, other, first in zip(*scores, preferred, strict=True)])


def measure(models: Path, count: int, steps: int, guidance_scale: float) -> dict[str, Any]:
    """Paint `count` held-out captions, check them, and check the checks on the renderings."""
    model = load(str(models / "bauhaus"), device="auto")
    device = str(model.device)
    clip, judge = Clip(models / "bauhaus-clip", device), SceneJudge(models / "bauhaus-judge", device)
    pictures, captions = held_out(count, size=model.size)
    drawn = [Image.fromarray(picture) for picture in pictures]
    images, seconds = timed(captions, model, steps=steps, guidance_scale=guidance_scale)
    ceilings = promises_kept(drawn, captions, judge(drawn))
    found: dict[str, Any] = promises_kept(images, captions, judge(images))
    found |= {f"{name}_in_renderings": value for name, value in ceilings.items()}
    for ways in [ways for ways in (20, 100) if ways <= count]:
        found[f"retrieval_{ways}_generated"] = retrieval(clip, images, captions, ways)
        found[f"retrieval_{ways}_renderings"] = retrieval(clip, drawn, captions, ways)
    vae = model.pipe.vae
    found["vae_psnr"] = average(
        [psnr(vae, to_tensor(one[None]).to(vae.device, vae.dtype)) for one in pictures[:200]], 2
    )
    found["comparisons_right"] = comparisons_right(PickScore(models / "bauhaus-pickscore", device), 1000, model.size)
    return found | {
        "seconds_for_8_images": round(seconds, 2),
        "steps": steps,
        "guidance_scale": guidance_scale,
        "machine": f"{machine()}, {device}",
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder of model folders")
    parser.add_argument("--count", type=int, default=400, help="captions, a multiple of 100")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance-scale", type=float, default=3.0)
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.models, chosen.count, chosen.steps, chosen.guidance_scale)))


if __name__ == "__main__":
    main()
