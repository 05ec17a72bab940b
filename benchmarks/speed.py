"""How quickly preference training goes, against a plain transcription of how public scripts do it, with the same model, batch and dtype.

    python -m benchmarks.speed                       (the bundled painter; a minute on 2 cores)
    python -m benchmarks.speed --model FOLDER --size 512 --batch 4

Plain means: every step encodes the batch's images and prompts again, asks the reference in a pass of its own with all adapters off,
and updates with AdamW. Ours is `trainers.dpo.train` itself, all 300 steps of a default training, with fresh noise at every step
(`fresh`) and with a few draws a pair (`draws`, the reference asked of each once). Its images a second count everything from the pictures on:
encoding them, and keeping checkpoints and the adapter. Each runs in a process of its own, so that peaks of memory are its own.
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

import numpy as np
import torch
from PIL import Image

from benchmarks.studio import MODELS, machine
from trainers import dpo
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import FAMILIES, encode_images, predictor, trainable
from trainers.model.load import load

STEPS = 300  # of a default training: over so many the time before the first is spread


def pictures(count: int, size: int) -> list[dpo.Pair]:
    """Pairs of noise in large squares: what a picture shows costs no time."""
    draw = np.random.default_rng(0)
    made = [
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((size, size)) for _ in range(2 * count)
    ]
    return [dpo.Pair(f"a composition, number {i}", made[2 * i], made[2 * i + 1]) for i in range(count)]


def plain(model: BaseModel, pairs: list[dpo.Pair], how: argparse.Namespace) -> float:
    """Seconds of STEPS steps: their median's, of --plain-steps."""
    from peft import LoraConfig

    process, denoiser = trainable(model, how.size), model.denoiser
    denoiser.add_adapter(LoraConfig(r=8, lora_alpha=8, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    weights = [one for one in denoiser.parameters() if one.requires_grad]
    optimizer, draw, times = torch.optim.AdamW(weights, lr=1e-5), torch.Generator().manual_seed(0), []
    for step in range(how.plain_steps + 1):
        began = time.perf_counter()
        batch = [pairs[(step * how.batch + i) % len(pairs)] for i in range(how.batch)]
        images = [pair.win for pair in batch] + [pair.lose for pair in batch]
        latents = encode_images(images, model, how.size)
        with torch.no_grad():
            told = FAMILIES[type(model.pipe).__name__].encode(model.pipe, [pair.prompt for pair in batch] * 2, how.size)
        noise, at = (one.to(latents.device) for one in process.draw(latents[: how.batch].shape, draw))
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
    return STEPS * float(np.median(times[1:]))


def ours(model: BaseModel, pairs: list[dpo.Pair], how: argparse.Namespace, draws: int | None = None) -> float:
    """The same of the product's trainer, without statistic matching, which public scripts have not."""
    config = dpo.DpoConfig(steps=STEPS, batch_size=how.batch, size=how.size, statistic_weight=0, learning_rate=1e-5, draws=draws)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        dpo.train(config, pairs, base_model=model, out=Path(folder))
        _wait()
        return time.perf_counter() - began


def ours_with_draws(model: BaseModel, pairs: list[dpo.Pair], how: argparse.Namespace) -> float:
    """And with a few noises a pair."""
    return ours(model, pairs, how, how.draws)


WAYS: dict[str, Callable[..., float]] = {"plain": plain, "fresh": ours, "draws": ours_with_draws}


def measured(name: str, how: argparse.Namespace) -> dict[str, float]:
    """In a process of its own: load, train, and tell seconds and memory."""
    model = load(how.model, device=how.device)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = WAYS[name](model, pictures(how.pairs, how.size), how)
    cuda = torch.cuda.is_available() and str(model.device).startswith("cuda")
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # fmt: skip
    return {
        "seconds_a_step": round(seconds / STEPS, 4), "images_a_second": round(2 * how.batch * STEPS / seconds, 2),
        "peak_mib": round(peak), "loaded_mib": round(start / 1024),
    }  # fmt: skip


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Measure all three, print a line each and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(MODELS / "bauhaus"))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--plain-steps", type=int, default=40)
    parser.add_argument("--device", default="auto")
    how, found = parser.parse_args(), {}
    for name in WAYS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            found[name] = alone.submit(measured, name, how).result()
        print(name, found[name], flush=True)
    for name in ("fresh", "draws"):
        found[name]["times_as_quick"] = round(found[name]["images_a_second"] / found["plain"]["images_a_second"], 2)
        found[name]["share_of_peak"] = round(found[name]["peak_mib"] / found["plain"]["peak_mib"], 2)
    print(json.dumps({**found, "machine": machine(), "settings": vars(how)}))


if __name__ == "__main__":
    main()
