"""How quickly preference training goes, against a plain transcription of how public scripts do it, with the same model, batch and dtype.

    python -m benchmarks.speed                       (the bundled painter; a minute on 2 cores)
    python -m benchmarks.speed --model FOLDER --size 512 --batch 4

Plain means: every step encodes the batch's images and prompts again, asks the reference in a pass of its own with all adapters off,
and updates with AdamW. Ours is `trainers.dpo.train` itself; the time before its first step (encoding everything once) is told apart
and counted into its images a second over 300 steps, the default. Each runs in a process of its own, so that peaks of memory are its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.studio import MODELS, machine
from trainers import dpo
from trainers.base_model import BaseModel, load
from trainers.denoiser import FAMILIES, encode_images, predictor, trainable

STEPS = 300  # of a default training: over so many the time before the first is spread


def pictures(count: int, size: int) -> list[dpo.Pair]:
    """Pairs of noise in large squares: what a picture shows costs no time."""
    draw = np.random.default_rng(0)
    made = [
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((size, size)) for _ in range(2 * count)
    ]
    return [dpo.Pair(f"a composition, number {i}", made[2 * i], made[2 * i + 1]) for i in range(count)]


def plain(model: BaseModel, pairs: list[dpo.Pair], how: argparse.Namespace) -> tuple[float, float]:
    """Seconds before the first step, and seconds a step."""
    from peft import LoraConfig

    process, denoiser = trainable(model, how.size), model.denoiser
    denoiser.add_adapter(LoraConfig(r=8, lora_alpha=8, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    weights = [one for one in denoiser.parameters() if one.requires_grad]
    optimizer, draw, times = torch.optim.AdamW(weights, lr=1e-5), torch.Generator().manual_seed(0), []
    for step in range(how.steps + 1):
        began = time.perf_counter()
        batch = [pairs[(step * how.batch + i) % len(pairs)] for i in range(how.batch)]
        images = [pair.win for pair in batch] + [pair.lose for pair in batch]
        latents = encode_images(images, model, how.size)
        with torch.no_grad():
            told = FAMILIES[type(model.pipe).__name__].encode(model.pipe, [pair.prompt for pair in batch] * 2, how.size)
        noise, at = process.draw(latents[: how.batch], draw)
        noise, at = torch.cat([noise, noise]), torch.cat([at, at])
        predict = predictor(model, told)
        with torch.no_grad():
            denoiser.disable_adapters()
            before = process.errors(predict, latents, noise, at)[0]
            denoiser.enable_adapters()
        for one in weights:
            one.requires_grad_(True)  # to turn them off has frozen them
        errors = process.errors(predict, latents, noise, at)[0]
        change = errors - before
        loss = -torch.nn.functional.logsigmoid(-2500 * (change[: how.batch] - change[how.batch :])).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _wait()
        times.append(time.perf_counter() - began)
    return 0.0, float(np.median(times[1:]))


def ours(model: BaseModel, pairs: list[dpo.Pair], how: argparse.Namespace) -> tuple[float, float]:
    """The same of the product's trainer, without statistic matching, which public scripts have not."""
    marks: list[float] = []

    def mark(*_: Any) -> None:
        _wait()
        marks.append(time.perf_counter())

    config = dpo.DpoConfig(steps=how.steps + 1, batch_size=how.batch, size=how.size, statistic_weight=0, checkpoint_every=10**5, learning_rate=1e-5)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        dpo.train(config, pairs, base_model=model, out=Path(folder), on_step=mark)
    steps = np.diff(marks)
    return marks[0] - began - float(np.median(steps)), float(np.median(steps))


WAYS: dict[str, Callable[..., tuple[float, float]]] = {"plain": plain, "ours": ours}


def measured(name: str, how: argparse.Namespace) -> dict[str, float]:
    """In a process of its own: load, train, and tell seconds and memory."""
    model = load(how.model, device=how.device)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before, step = WAYS[name](model, pictures(how.pairs, how.size), how)
    cuda = torch.cuda.is_available() and str(model.device).startswith("cuda")
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # fmt: skip
    return {
        "seconds_before": round(before, 3), "seconds_a_step": round(step, 4), "peak_mib": round(peak), "loaded_mib": round(start / 1024),
        "images_a_second": round(2 * how.batch * STEPS / (before + STEPS * step), 2),
    }  # fmt: skip


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Measure both, print a line each and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(MODELS / "bauhaus"))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--device", default="auto")
    how, found = parser.parse_args(), {}
    for name in WAYS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            found[name] = alone.submit(measured, name, how).result()
        print(name, found[name], flush=True)
    ratio = found["ours"]["images_a_second"] / found["plain"]["images_a_second"]
    memory = found["ours"]["peak_mib"] / found["plain"]["peak_mib"]
    print(json.dumps({**found, "times_as_quick": round(ratio, 2), "share_of_peak": round(memory, 2), "machine": machine(), "settings": vars(how)}))  # fmt: skip


if __name__ == "__main__":
    main()
