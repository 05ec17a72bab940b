"""How well the bundled models do what they promise, on 200 held-out captions; the checks read pixels, not the renderer's data.

    python -m benchmarks.studio            (about a minute on 2 cores)

Prints one JSON object: shares with Wilson 95 % intervals, seconds, machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluators.clip import Clip
from evaluators.colour import background, has_colour
from evaluators.win_rate import wilson
from prompts.vocabulary import load_vocabulary
from trainers.base_model import load, paint
from trainers.embedded.dataset import HELD_OUT, held_out
from trainers.embedded.world import sample_scene

MODELS = Path(__file__).parents[1] / "models"
COLOURS = load_vocabulary("bauhaus").genes["background"]


def share(hits: Sequence[bool]) -> dict[str, float]:
    """A share with its 95 % interval."""
    rate = float(np.mean(hits))
    low, high = wilson(rate, len(hits))
    return {"share": round(rate, 4), "low": round(low, 4), "high": round(high, 4), "n": len(hits)}


def retrieval(clip: Clip, images: Sequence[Image.Image], captions: Sequence[str], ways: int) -> dict[str, float]:
    """Each image against `ways` captions, its own among them: is its own the nearest?"""
    pictures, texts = clip.image_features(images), clip.text_features(captions)
    hits: list[bool] = []
    for start in range(0, len(images) - ways + 1, ways):
        cosine = pictures[start : start + ways] @ texts[start : start + ways].T
        hits += (cosine.argmax(axis=1) == np.arange(ways)).tolist()
    return share(hits)


def colours_said(caption: str) -> tuple[str, list[str]]:
    """The background's colour and every colour named, read from the caption's words."""
    words = caption.replace(",", "").split()
    ground = words[words.index("background") - 1]
    return ground, [colour for colour in COLOURS if colour in words]


def measure(count: int, steps: int, guidance_scale: float) -> dict[str, Any]:
    """Paint `count` held-out captions and check them."""
    pictures, captions = held_out(count)
    model, clip = load(str(MODELS / "bauhaus"), device="auto"), Clip(MODELS / "bauhaus-clip")
    began = time.perf_counter()
    images = [
        one.image
        for start in range(0, count, 8)
        for one in paint(
            captions[start : start + 8], model=model, seed=start, steps=steps, guidance_scale=guidance_scale
        )
    ]
    each = (time.perf_counter() - began) / count
    said = [colours_said(caption) for caption in captions]
    return {
        "background_right": share([background(image) == ground for image, (ground, _) in zip(images, said, strict=True)]),
        "colours_present": share([all(has_colour(image, c) for c in named) for image, (_, named) in zip(images, said, strict=True)]),
        "colours_present_in_renderings": share([all(has_colour(Image.fromarray(p), c) for c in named) for p, (_, named) in zip(pictures, said, strict=True)]),
        "retrieval_20_generated": retrieval(clip, images, captions, 20),
        "retrieval_20_renderings": retrieval(clip, [Image.fromarray(p) for p in pictures], captions, 20),
        "seconds_for_8_images": round(8 * each, 2), "steps": steps, "guidance_scale": guidance_scale,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {model.device}",
    }  # fmt: skip


def sheet(path: Path) -> None:
    """64 unpicked samples, for the model card."""
    captions = [
        load_vocabulary("bauhaus").phrase({**scene, "accent_shape": scene["accent_shape"] or "ring"})
        for scene in (sample_scene(random.Random(HELD_OUT + 5000 + i)) for i in range(64))
    ]
    model = load(str(MODELS / "bauhaus"), device="auto")
    images = [one.image for one in paint(captions, model=model, seed=0)]
    canvas = Image.new("RGB", (8 * 66, 8 * 66), "white")
    for i, image in enumerate(images):
        canvas.paste(image, (i % 8 * 66 + 1, i // 8 * 66 + 1))
    canvas.save(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance-scale", type=float, default=3.0)
    parser.add_argument("--sheet", type=Path, help="also write 64 unpicked samples here")
    chosen = parser.parse_args()
    if chosen.sheet:
        sheet(chosen.sheet)
    print(json.dumps(measure(chosen.count, chosen.steps, chosen.guidance_scale)))


if __name__ == "__main__":
    main()
