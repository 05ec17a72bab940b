"""Train `bauhaus-pickscore`: the CLIP of this studio, fine-tuned on comparisons by an invented population (PickScore's recipe).

    python -m trainers.embedded.pickscore --recipe cpu     (after clip)

Two pictures are shown for one prompt; the population prefers what fits the prompt, and what it finds beautiful: strong
contrast, few things, order. Each comparison is drawn from Bradley-Terry, so that even a perfect model is not always right.
"""

from __future__ import annotations

import json
import math
import random

import numpy as np
import torch
from transformers import CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from prompts.vocabulary import Genome
from trainers.embedded import recipe
from trainers.embedded.clip import MEAN, STD, encode, features
from trainers.embedded.dataset import HELD_OUT, to_tensor
from trainers.embedded.world import COUNTS, PALETTE, VOCABULARY, caption, render, sample_scene

FIT, BEAUTY = 1.2, 1.0  # how much a broken promise and an ugly picture cost, in logits


def beauty(genome: Genome) -> float:
    """The population's shared taste, about -2..2: contrast with the ground, order, restraint, a liking for blues."""
    luma = {name: 0.3 * r + 0.59 * g + 0.11 * b for name, (r, g, b) in PALETTE.items()}
    contrast = abs(luma[genome["background"]] - luma[genome["colour"]]) / 128 - 0.6
    order = {"centred": 0.5, "in a row": 0.2, "diagonal": 0.1, "scattered": -0.5}[genome["layout"]]
    restraint = (
        0.3 * (2 - COUNTS[genome["count"]]) + {"plain": 0.3, "gradient": 0.2, "striped": -0.4}[genome["texture"]]
    )
    return 1.2 * contrast + order + restraint + 0.5 * (genome["background"] in ("blue", "teal", "white"))


def comparison(number: int) -> tuple[np.ndarray, np.ndarray, str, float]:
    """Two pictures (64, 64, 3) uint8, the prompt, and 1.0 if the first was preferred."""
    rng = random.Random(f"comparison {number}")
    meant = sample_scene(rng)
    shown = [_broken(meant, rng), _broken(meant, rng)]
    utilities = [BEAUTY * beauty(genome) - FIT * sum(genome[gene] != meant[gene] for gene in meant) for genome in shown]
    first = rng.random() < 1 / (1 + math.exp(utilities[1] - utilities[0]))
    pictures = [np.asarray(render(genome, rng)) for genome in shown]
    return pictures[0], pictures[1], caption(meant, rng, unsaid=0.6), float(first)


def _broken(genome: Genome, rng: random.Random) -> Genome:
    """The genome with up to three genes redrawn: a painter that does not always listen."""
    changed = dict(genome)
    for gene in rng.sample(list(genome), rng.choice([0, 0, 1, 2, 3])):
        if genome[gene]:
            changed[gene] = rng.choice(VOCABULARY.genes[gene])
    return changed if not changed["accent_shape"] else VOCABULARY.mend(changed, rng)


def margins(
    model: CLIPModel, tokenizer: CLIPTokenizer, numbers: range, device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """exp(logit_scale) times the difference of cosines (N,), and which picture was preferred (N,)."""
    first, second, texts, preferred = zip(*map(comparison, numbers), strict=True)
    words = features(model.get_text_features(input_ids=encode(tokenizer, list(texts)).to(device)))
    both = features(model.get_image_features(pixel_values=to_tensor(np.stack([*first, *second])).to(device)))
    cosines = (both * torch.cat([words, words])).sum(1)
    return model.logit_scale.exp() * (cosines[: len(texts)] - cosines[len(texts) :]), torch.tensor(
        preferred, device=device
    )


@torch.no_grad()
def accuracy(model: CLIPModel, tokenizer: CLIPTokenizer, count: int = 1000) -> float:
    """Share of held-out comparisons that the model orders as the population did."""
    parts = [margins(model, tokenizer, range(HELD_OUT + i, HELD_OUT + i + 100), "cpu") for i in range(0, count, 100)]
    return float(torch.cat([(margin > 0) == (preferred > 0.5) for margin, preferred in parts]).float().mean())


def main() -> None:
    """Fine-tune and save `OUT/bauhaus-pickscore` in PickScore_v1's layout; prints the held-out accuracy."""
    chosen = recipe.arguments(__doc__ or "")
    how = recipe.RECIPES[chosen.recipe]["pickscore"]
    tokenizer = CLIPTokenizer.from_pretrained(chosen.work / "clip")
    model = CLIPModel.from_pretrained(chosen.work / "clip").to(chosen.device)
    before, batch = accuracy(model.cpu(), tokenizer), int(how["batch"])
    model.to(chosen.device)

    def loss_at(step: int) -> torch.Tensor:
        margin, preferred = margins(model, tokenizer, range(step * batch, (step + 1) * batch), chosen.device)
        return torch.nn.functional.binary_cross_entropy_with_logits(margin, preferred)

    model.load_state_dict(
        recipe.train("pickscore", model, loss_at, chosen.work, steps=int(how["steps"]), rate=how["rate"])
    )
    model.eval().cpu()
    right, folder = accuracy(model, tokenizer), chosen.out / "bauhaus-pickscore"
    size = {"height": 64, "width": 64}
    images = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=size, image_mean=MEAN, image_std=STD)
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    model.half().save_pretrained(folder)
    print(json.dumps({"comparisons_right": right, "before": before}))


if __name__ == "__main__":
    main()
