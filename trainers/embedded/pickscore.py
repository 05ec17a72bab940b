"""Train `bauhaus-pickscore`: the CLIP of this studio, fine-tuned on comparisons by an invented population (PickScore's recipe).

    python -m trainers.embedded.pickscore --recipe cpu     (after clip)

Two pictures are shown for one prompt; a person of the population prefers what keeps the prompt's promises, and what it finds
beautiful: strong contrast, order, restraint, and a little of its own. A comparison is drawn from Bradley-Terry, so that even a
perfect model is not always right; near ties are left out, as people leave them out when they may.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from prompts.ground.quiet import quiet
from prompts.vocabulary import Genome
from trainers.embedded import recipe
from trainers.embedded.clip import MEAN, STD, encode, features
from trainers.embedded.world.captions import ORDERS, in_words
from trainers.embedded.world.dataset import HELD_OUT, drawn_once, to_tensor
from trainers.embedded.world.world import COUNTS, SIZE, VOCABULARY, Scene, colours_of, render, sample_scene
from trainers.files.stock import in_one_dtype

FIT, BEAUTY, OWN = 2.0, 1.5, 0.5  # what a broken promise, an ugly picture and a person's whim are worth, in logits
TIE = 1.0  # logits: pairs nearer than this are no comparison
PROMISES = ("background", "count", "size", "colour", "shape", "accent", "layout", "overlap", "lines", "texture")
KEPT = {
    "background": 0.8,
    "count": 0.8,
    "colour": 0.8,
    "shape": 0.8,
    "accent": 0.7,
}  # how often a prompt says them; the rest 0.3
Comparison = tuple[np.ndarray, np.ndarray, str, float]


def beauty(scene: Scene) -> float:
    """The population's shared taste, about -2..2: contrast with the ground, order, restraint, a liking for calm grounds."""
    (ground, main, _), genome = colours_of(scene), scene.genome
    contrast = abs(_luma(ground) - _luma(main)) / 128 - 0.6
    order = {
        "centred": 0.5,
        "symmetric": 0.6,
        "radial": 0.3,
        "in a row": 0.2,
        "tiled": 0.2,
        "diagonal": -0.2,
        "scattered": -0.6,
    }
    texture = {"flat": 0.2, "paper": 0.3, "gradient": 0.2, "grainy": -0.2, "hatched": -0.5}
    lines = {"no lines": 0.0, "thin lines": 0.2, "bold lines": -0.1}
    restraint = 0.25 * (3 - COUNTS[genome["count"]]) + texture[genome["texture"]] + lines[genome["lines"]]
    return (
        1.2 * contrast + order[genome["layout"]] + restraint + 0.5 * (genome["background"] in ("blue", "teal", "white"))
    )


def _luma(colour: tuple[int, int, int]) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def utility(shown: Scene, meant: Scene, said: set[str]) -> float:
    """What a picture is worth to the population under a prompt that says the genes in `said` of the scene `meant`."""
    genes = said | ({"accent_shape", "accent_colour"} if "accent" in said else set())
    return BEAUTY * beauty(shown) - FIT * sum(shown.genome[g] != meant.genome[g] for g in genes if g in meant.genome)


def comparison(number: int, size: int = SIZE) -> Comparison:
    """Two pictures (size, size, 3) uint8, the prompt, and 1.0 if the first was preferred."""
    rng = random.Random(f"comparison {number}")
    while True:
        meant = replace(sample_scene(rng), style="", palette="")
        said = {part for part in PROMISES if rng.random() < KEPT.get(part, 0.3)}
        shown = [replace(meant, genome=_broken(meant.genome, rng)) for _ in range(2)]
        gap = utility(shown[0], meant, said) - utility(shown[1], meant, said) + rng.gauss(0, OWN)
        if abs(gap) > TIE:
            break
    first = rng.random() < 1 / (1 + math.exp(-gap))
    pictures = [np.asarray(render(scene, rng, size)) for scene in shown]
    return pictures[0], pictures[1], in_words(meant, said, rng.choice(ORDERS), rng, shuffled=True), float(first)


def _broken(genome: Genome, rng: random.Random) -> Genome:
    """The genome with some genes redrawn: a painter that does not always listen."""
    changed = dict(genome)
    for gene in rng.sample(list(genome), rng.choice([0, 1, 2, 3, 4])):
        if genome[gene]:
            changed[gene] = rng.choice(VOCABULARY.genes[gene])
    return VOCABULARY.mend(changed, rng)


def margins(
    model: CLIPModel, tokenizer: CLIPTokenizer, pictures: np.ndarray, texts: list[str], device: str
) -> torch.Tensor:
    """exp(logit_scale) times the difference of cosines (N,), for pairs of pictures (N, 2, H, W, 3) uint8."""
    words = features(model.get_text_features(input_ids=encode(tokenizer, texts).to(device)))
    shown = to_tensor(pictures.reshape(-1, *pictures.shape[2:])).to(device)
    cosines = (features(model.get_image_features(pixel_values=shown)).unflatten(0, (-1, 2)) * words[:, None]).sum(-1)
    return model.logit_scale.exp() * (cosines[:, 0] - cosines[:, 1])


@torch.no_grad()
def accuracy(model: CLIPModel, tokenizer: CLIPTokenizer, count: int = 1000) -> float:
    """Share of held-out comparisons that the model orders as the population did."""
    hits, size = [], model.config.vision_config.image_size
    for start in range(HELD_OUT, HELD_OUT + count, 100):
        first, second, texts, preferred = zip(*(comparison(n, size) for n in range(start, start + 100)), strict=True)
        margin = margins(model, tokenizer, np.stack([np.stack(first), np.stack(second)], 1), list(texts), "cpu")
        hits.append((margin > 0) == (torch.tensor(preferred) > 0.5))
    return float(torch.cat(hits).float().mean())


def _block(numbers: range, size: int) -> tuple[np.ndarray, list[tuple[str, float]]]:
    rows = [comparison(number, size) for number in numbers]
    return np.stack([np.stack(row[:2]) for row in rows]), [row[2:] for row in rows]


def main() -> None:
    """Fine-tune and save `OUT/bauhaus-pickscore` in PickScore_v1's layout; prints the held-out accuracy."""
    chosen = recipe.arguments(__doc__ or "")
    how, size = recipe.RECIPES[chosen.recipe]["pickscore"], int(recipe.RECIPES[chosen.recipe]["data"]["size"])
    pictures, told = drawn_once(chosen.work / f"comparisons-{size}", int(how["count"]), partial(_block, size=size))
    with quiet():
        tokenizer = CLIPTokenizer.from_pretrained(chosen.work / "clip")
        model = CLIPModel.from_pretrained(chosen.work / "clip")
    before, batch = accuracy(model, tokenizer), int(how["batch"])
    model.to(chosen.device)

    def loss_at(step: int) -> torch.Tensor:
        rows = np.sort(np.random.default_rng(step).integers(0, len(told), batch))
        preferred = torch.tensor([told[row][1] for row in rows], device=chosen.device)
        with recipe.half_precision(chosen.device):
            margin = margins(model, tokenizer, pictures[rows], [told[row][0] for row in rows], chosen.device)
        return torch.nn.functional.binary_cross_entropy_with_logits(margin.float(), preferred)

    steps, rate = int(how["steps"]), how["rate"]
    model.load_state_dict(recipe.train("pickscore", model, loss_at, chosen.work, steps=steps, rate=rate))
    model.eval().cpu()
    right = accuracy(model, tokenizer)
    save(model, tokenizer, chosen.out / "bauhaus-pickscore")
    print(json.dumps({"comparisons_right": right, "before": before}))


def save(model: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """The folder that `CLIPModel.from_pretrained` and `CLIPProcessor.from_pretrained` load, in half precision."""
    side = model.config.vision_config.image_size
    size = {"height": side, "width": side}
    images = CLIPImageProcessor(size={"shortest_edge": side}, crop_size=size, image_mean=MEAN, image_std=STD)
    with quiet():
        CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
        model.half().save_pretrained(folder)
    in_one_dtype(folder)


if __name__ == "__main__":
    main()
