"""What the studio's training scripts share: the two recipes, a resumable loop, and a slow average of the weights.

The data of step n depends on n alone, so a run that was killed continues from its checkpoint as if nothing had happened.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from prompts.errors import InputError
from prompts.ground.console import bars
from trainers.embedded.muon import Muon

MODELS = Path(__file__).parents[2] / "models"

RECIPES: dict[str, dict[str, dict[str, float]]] = {
    "cpu": {  # about six hours in all with two threads, most of them the UNet's
        "data": {"count": 80_000, "size": 64},
        "clip": {"steps": 900, "batch": 192, "rate": 1e-3},
        "vae": {"steps": 4500, "batch": 16, "rate": 3e-3},
        "decoder": {"steps": 1500, "batch": 16, "rate": 2e-3},
        "unet": {"steps": 11_000, "batch": 64, "rate": 1.5e-3, "head": 32},
        "judge": {"count": 30_000, "steps": 4000, "batch": 64, "rate": 6e-3},
        "pickscore": {"count": 30_000, "steps": 900, "batch": 64, "rate": 2e-4},
        "lm": {"steps": 6500, "batch": 32, "rate": 3e-3},
    },
    "gpu": {  # one H100 and 16 cores
        "data": {"count": 200_000, "size": 128},
        "clip": {"steps": 3000, "batch": 512, "rate": 1e-3},
        "vae": {"steps": 16_000, "batch": 64, "rate": 3e-3},
        "decoder": {"steps": 6000, "batch": 64, "rate": 2e-3},
        "unet": {"steps": 20_000, "batch": 256, "rate": 1.5e-3, "head": 40},
        "judge": {"count": 100_000, "steps": 6000, "batch": 256, "rate": 6e-3},
        "pickscore": {"count": 200_000, "steps": 2000, "batch": 256, "rate": 2e-4},
        "lm": {"steps": 8000, "batch": 128, "rate": 3e-3},
    },
}
COOLING = 0.25  # share of the steps, the last ones, in which the learning rate falls


def arguments(description: str) -> argparse.Namespace:
    """The flags that every script takes: --recipe, --work, --out, --device."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="cpu", help="how long to train")
    parser.add_argument("--work", type=Path, help="where checkpoints go (default: .studio/RECIPE)")
    parser.add_argument("--out", type=Path, default=MODELS, help="the folder that receives the model folders")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args()
    chosen.work = chosen.work or Path(".studio") / chosen.recipe
    chosen.work.mkdir(parents=True, exist_ok=True)
    return chosen


@contextmanager
def half_precision(device: str) -> Iterator[None]:
    """Products in bfloat16: a step takes two thirds of the time, also on a CPU with AVX512.

    There attention is written out: the fused kernel's bfloat16 gradient alone would take a third of the step.
    """
    attention = sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
    with torch.autocast(device.split(":")[0], dtype=torch.bfloat16), attention:
        yield


class Average:
    """Exponential average of weights whose window grows with training: a tenth of the steps so far."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.weights = {name: tensor.detach().clone().float() for name, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        """Move the average a little towards the module's weights."""
        share = max(1e-3, min(1.0, 10 / (step + 10)))
        for name, tensor in module.state_dict().items():
            self.weights[name].lerp_(tensor.float(), share)


def learning_rate(step: int, steps: int, peak: float, warmup: int = 50) -> float:
    """Linear warm-up, a long plateau, then straight down to a fiftieth of the peak (Haegele et al. 2024, arXiv:2405.18392).

    On the plateau a step does not depend on how many follow: a run can be made longer without starting anew.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    left = (steps - step) / max(1.0, COOLING * steps)
    return peak * min(1.0, max(0.02, left))


def train(
    name: str,
    module: torch.nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    work: Path,
    *,
    steps: int,
    rate: float,
    decay: float = 0.01,
) -> dict[str, torch.Tensor]:
    """Run (or resume) `steps` steps of Muon on `loss_at(step)`; returns the averaged weights.

    A checkpoint is written at least each minute and at the end; `work/NAME.log.csv` holds step, loss and seconds.
    """
    optimizer = Muon(module, rate, decay)
    average, path = Average(module), work / f"{name}.checkpoint.pt"
    start = _resume(path, module, optimizer, average)
    saved, began = time.monotonic(), time.monotonic()
    with (
        bars("loss {task.fields[loss]:.4f}", left=True, often=0.2) as progress,
        (work / f"{name}.log.csv").open("a") as log,
    ):
        bar = progress.add_task(name, total=steps, completed=start, loss=0.0)
        for step in range(start, steps):
            loss = _step(module, optimizer, loss_at, step, learning_rate(step, steps, rate))
            average.update(module, step)
            progress.update(bar, advance=1, loss=loss)
            if step % 20 == 0:
                log.write(f"{step},{loss:.5f},{time.monotonic() - began:.1f}\n")
                log.flush()
            if step + 1 == steps or time.monotonic() - saved > 60:
                _save(path, module, optimizer, average, step + 1)
                saved = time.monotonic()
    return average.weights


def _step(
    module: torch.nn.Module,
    optimizer: Muon,
    loss_at: Callable[[int], torch.Tensor],
    step: int,
    rate: float,
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    torch.manual_seed(step)  # noise, timesteps and dropout of step n are the same after a resume
    loss = loss_at(step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _save(path: Path, module: torch.nn.Module, optimizer: Muon, average: Average, step: int) -> None:
    state = {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.weights,
        "step": step,
    }
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def _resume(path: Path, module: torch.nn.Module, optimizer: Muon, average: Average) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location=next(module.parameters()).device)
    try:
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{str(path)!r} is of another model or optimizer: delete it to start anew, or give another --work."
        ) from error
    average.weights = state["average"]
    return int(state["step"])
