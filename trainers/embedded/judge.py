"""Train `bauhaus-judge`: a small ResNet that says which shapes a picture shows and how many objects there are.

    python -m trainers.embedded.judge --recipe cpu

It learns from renderings alone and shares nothing with what it will judge: no scene of its own range trains a painter, and no
painting trains it. The shapes that are held out for personalisation are among its own, or nobody could say that a subject was
learned. Its pictures are bent, blurred, shifted in colour and roughened, because a small painter's are.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate
from transformers import ResNetConfig, ResNetForImageClassification

from prompts.ground.quiet import quiet
from trainers.embedded import recipe
from trainers.embedded.world.dataset import HELD_OUT, drawn_once, to_tensor
from trainers.embedded.world.grounds import HELD_OUT_TEXTURES
from trainers.embedded.world.shapes import HELD_OUT_SHAPES, SHAPES
from trainers.embedded.world.world import COUNTS, SIZE, Scene, render, sample_scene
from trainers.files.stock import in_one_dtype

FIRST = 20_000_000  # number of the first scene; the painters' start at 0, those kept for measuring at HELD_OUT
NAMES = [*SHAPES, *HELD_OUT_SHAPES]
MOST = 6  # objects in a scene: five and an accent
ENLARGED = 2  # the network halves a picture twice before its first layer: thin lines need the room
UNKNOWN, UNUSUAL = 0.35, 0.1  # shares of scenes with a held-out shape, and on a held-out texture
BEND, TURN, ZOOM, SHIFT = 0.03, 0.12, 0.08, 0.06  # deviations of wear: of half a side, radians, of 1, of half a side

Told = tuple[list[int], int]  # the shapes that a picture shows, as places in NAMES, and its number of objects


def judged_scene(number: int) -> Scene:
    """Scene `number` of the judge's world: now and then with a shape or a texture that no painter is trained on."""
    rng = random.Random(f"judge {number}")
    scene = sample_scene(random.Random(number))
    genome = dict(scene.genome)
    if rng.random() < UNKNOWN:
        for gene in rng.choice((["shape"], ["accent_shape"], ["shape", "accent_shape"])):
            genome[gene] = genome[gene] and rng.choice(list(HELD_OUT_SHAPES))
    if rng.random() < UNUSUAL:
        genome["texture"] = rng.choice(list(HELD_OUT_TEXTURES))
    return replace(scene, genome=genome)


def told(scene: Scene) -> Told:
    """What the judge should answer."""
    shapes = {scene.genome["shape"], scene.genome["accent_shape"]} - {""}
    return sorted(map(NAMES.index, shapes)), COUNTS[scene.genome["count"]] + bool(scene.genome["accent_shape"])


def drawn(numbers: range) -> tuple[np.ndarray, list[Told]]:
    """The pictures of some numbers, (N, 64, 64, 3) uint8, and what they show."""
    scenes = [judged_scene(number) for number in numbers]
    shown = [render(scene, random.Random(f"drawn {number}")) for number, scene in zip(numbers, scenes, strict=True)]
    return np.stack([np.asarray(image) for image in shown]), [told(scene) for scene in scenes]


def _block(rows: range) -> tuple[np.ndarray, list[Told]]:
    return drawn(range(FIRST + rows.start, FIRST + rows.stop))


def make_model() -> ResNetForImageClassification:
    """The untrained judge, 0.39 M parameters: a logit for each shape, then one for each number of objects."""
    labels = [*NAMES, *(f"{n} objects" for n in range(1, MOST + 1))]
    config = ResNetConfig(
        embedding_size=24, hidden_sizes=[24, 48, 96], depths=[1, 2, 2], layer_type="basic",
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)}, problem_type="multi_label_classification",
    )  # fmt: skip
    config.image_size, config.enlarged = SIZE, ENLARGED
    return ResNetForImageClassification(config)


def worn(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (N, 3, H, W) in -1..1 as a small painter might have made them; drawn from torch's own generator."""
    soft = _bent(pictures)
    blurred = avg_pool2d(avg_pool2d(soft, 3, 1, 1, count_include_pad=False), 3, 1, 1, count_include_pad=False)
    soft = soft.lerp(blurred, torch.rand(len(soft), 1, 1, 1, device=soft.device))
    gain, offset = (spread * torch.randn(len(soft), 3, 1, 1, device=soft.device) for spread in (0.08, 0.06))
    rough = 0.08 * torch.rand(len(soft), 1, 1, 1, device=soft.device) * torch.randn_like(soft)
    return ((1 + gain) * soft + offset + rough).clamp(-1, 1)


def _bent(pictures: torch.Tensor) -> torch.Tensor:
    """Turned, scaled, shifted and bent a little, and half of them mirrored."""
    count, device = len(pictures), pictures.device
    turn, zoom = TURN * torch.randn(count, device=device), 1 + ZOOM * torch.randn(count, device=device)
    mirror = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
    rows = [zoom * mirror * turn.cos(), -zoom * turn.sin(), zoom * mirror * turn.sin(), zoom * turn.cos()]
    matrix = torch.stack(rows, 1).reshape(count, 2, 2)
    theta = torch.cat([matrix, SHIFT * torch.randn(count, 2, 1, device=device)], 2)
    strength = BEND * torch.rand(count, 1, 1, 1, device=device)
    bends = interpolate(strength * torch.randn(count, 2, 6, 6, device=device), pictures.shape[2:], mode="bicubic")
    grid = affine_grid(theta, list(pictures.shape), align_corners=False) + bends.permute(0, 2, 3, 1)
    return grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def logits_of(model: torch.nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """(N, 14 + 6) logits of pictures (N, 3, H, W) in -1..1."""
    logits: torch.Tensor = model(interpolate(pictures, scale_factor=ENLARGED, mode="bilinear")).logits
    return logits.float()


def targets(rows: list[Told]) -> tuple[torch.Tensor, torch.Tensor]:
    """Which shapes are there, (N, 14) of 0 and 1, and the number of objects less one, (N,)."""
    shapes = torch.zeros(len(rows), len(NAMES))
    for row, (places, _) in zip(shapes, rows, strict=True):
        row[list(places)] = 1.0
    return shapes, torch.tensor([count - 1 for _, count in rows])


def loss_of(logits: torch.Tensor, rows: list[Told]) -> torch.Tensor:
    """Binary cross-entropy of the shapes, summed over them, plus cross-entropy of the count."""
    shapes, counts = (target.to(logits.device) for target in targets(rows))
    presence = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, : len(NAMES)], shapes)
    return len(NAMES) * presence + torch.nn.functional.cross_entropy(logits[:, len(NAMES) :], counts)


@torch.no_grad()
def measure(model: torch.nn.Module, pictures: torch.Tensor, rows: list[Told]) -> dict[str, float]:
    """Shares of pictures with every shape found, with exactly its shapes found, and with the right number of objects."""
    found = torch.cat([logits_of(model, part) for part in pictures.split(100)])
    shapes, counts = targets(rows)
    seen = found[:, : len(NAMES)] > 0
    return {
        "shapes": round(float((seen | (shapes == 0)).all(1).float().mean()), 4),
        "exactly": round(float((seen == (shapes > 0)).all(1).float().mean()), 4),
        "count": round(float((found[:, len(NAMES) :].argmax(1) == counts).float().mean()), 4),
    }


@torch.no_grad()
def settle(model: torch.nn.Module, pictures: torch.Tensor) -> None:
    """Measure the normalisation's means and variances anew: those of the training belong to weights before averaging."""
    norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over what follows
    model.train()
    for part in pictures.split(100):
        logits_of(model, worn(part))
    model.eval()


def main() -> None:
    """Train and save `OUT/bauhaus-judge`; prints, and writes on its card, what it gets right of renderings it never saw."""
    chosen = recipe.arguments(__doc__ or "")
    how = recipe.RECIPES[chosen.recipe]["judge"]
    pictures, rows = drawn_once(chosen.work / "judged", int(how["count"]), _block)
    torch.manual_seed(0)
    model, batch = make_model().to(chosen.device), int(how["batch"])

    def loss_at(step: int) -> torch.Tensor:
        picked = np.sort(np.random.default_rng(step).integers(0, len(rows), batch))
        shown = worn(to_tensor(pictures[picked]).to(chosen.device))
        with recipe.half_precision(chosen.device):
            logits = logits_of(model, shown)
        return loss_of(logits, [rows[i] for i in picked])

    model.load_state_dict(recipe.train("judge", model, loss_at, chosen.work, steps=int(how["steps"]), rate=how["rate"]))
    model.cpu()
    settle(model, to_tensor(pictures[:3000]))
    found = held_out_shares(model)
    save(model, chosen.out / "bauhaus-judge", found, how)
    print(json.dumps(found))


def held_out_shares(model: torch.nn.Module, count: int = 2000) -> dict[str, dict[str, float]]:
    """What it gets right of renderings that it never saw: as they are, and worn."""
    pictures, rows = drawn(range(HELD_OUT, HELD_OUT + count))
    shown = to_tensor(pictures)
    torch.manual_seed(0)
    return {"renderings": measure(model, shown, rows), "worn": measure(model, worn(shown), rows)}


CARD = """# bauhaus-judge

A transformers ResNetForImageClassification that tells which shapes of the bauhaus world a picture shows, the held-out ones
included, and how many objects there are: {parameters:.2f} M parameters, 64 px (enlarged to 128). `evaluators/scorers/scene_judge.py` asks it.
Weights: half precision, safetensors. Trained from nothing on this project's own renderings, on scenes that train no painter and measure
none; it never saw a painting. No third-party data, no licence beyond the project's.

`python -m trainers.embedded.judge`: {steps} steps of {batch} out of {count} renderings, bent, blurred, shifted in colour and roughened; seed 0.

| 2,000 held-out renderings | as they are | worn as in training |
|---|---|---|
| every shape that is there is found | {plain[shapes]:.1%} | {worn[shapes]:.1%} |
| and no other shape | {plain[exactly]:.1%} | {worn[exactly]:.1%} |
| number of objects right, the accent counted | {plain[count]:.1%} | {worn[count]:.1%} |
"""


def save(
    model: ResNetForImageClassification, folder: Path, found: dict[str, dict[str, float]], how: dict[str, float]
) -> None:
    """The folder that `AutoModelForImageClassification.from_pretrained` loads, in half precision, and its card."""
    with quiet():
        model.half().save_pretrained(folder)
    in_one_dtype(folder)
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    numbers = {key: f"{int(how[key]):,}" for key in ("steps", "batch", "count")}
    card = CARD.format(parameters=size, plain=found["renderings"], worn=found["worn"], **numbers)
    (folder / "README.md").write_text(card)


if __name__ == "__main__":
    main()
