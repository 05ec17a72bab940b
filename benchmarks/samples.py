"""What the bundled models make, for a person's own eyes: samples that nobody picked, beside each model's card.

    python -m benchmarks.samples            (about two minutes on one core)

- bauhaus/samples.png: 64 held-out captions, painted;
- bauhaus-judge/samples.png: the same paintings, and what the judge sees in them;
- bauhaus-pickscore/samples.png: eight captions, each painted with eight seeds, the one the population would like best first;
- bauhaus-clip/samples.png: eight captions, each with the eight nearest of 1,000 held-out renderings, its own in one of the places;
- bauhaus-lm/samples.md: 64 wishes in wordings that were kept from training, as the model alone understands and answers them.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from agent.report.drawing import contact_sheet
from benchmarks.language import Writer, held_out_wishes, read_wishes, understood
from benchmarks.studio import MODELS, painted
from evaluators.scorers.clip import Clip
from evaluators.scorers.pickscore import PickScore
from evaluators.scorers.scene_judge import SceneJudge, Seen
from trainers.embedded.world.dataset import held_out
from trainers.model.load import load

COUNT, ROW, TILE = 64, 8, 128  # samples of each model; pictures in a row, and their side
FIRST = 5000  # no caption that `benchmarks.studio` measures
GALLERY = 1000  # renderings among which CLIP looks
HEAD = """# 64 wishes, as bauhaus-lm alone understands them

Invented wishes in carriers and joins that were never taught, not picked; wrong answers have a cross. Made by `python -m benchmarks.samples`.

| | wish | like | avoid | reply |
|---|---|---|---|---|
"""


def paintings(models: Path) -> None:
    """The sheets of the painter, of the judge and of the population's taste."""
    model = load(str(models / "bauhaus"), device="auto")
    device, captions = str(model.device), held_out(COUNT, offset=FIRST, size=model.size)[1]
    images = painted(captions, model)
    judge = SceneJudge(models / "bauhaus-judge", device)
    _save([(image, [caption]) for image, caption in zip(images, captions, strict=True)], models / "bauhaus")
    _save(
        [(image, [in_words(seen)]) for image, seen in zip(images, judge(images), strict=True)],
        models / "bauhaus-judge",
    )
    rows = [caption for caption in captions[:ROW] for _ in range(ROW)]
    scorer = PickScore(models / "bauhaus-pickscore", device)
    _save(best_first(painted(rows, model), rows, scorer), models / "bauhaus-pickscore")


def in_words(seen: Seen) -> str:
    """What the judge says of a picture."""
    return f"{seen.objects} object{'s' * (seen.objects > 1)}: {', '.join(sorted(seen.shapes)) or 'no shape'}"


def best_first(
    images: Sequence[Image.Image], captions: Sequence[str], scorer: PickScore
) -> list[tuple[Image.Image, list[str]]]:
    """Each row of pictures in the order of their scores, with them."""
    values = scorer(images, captions).values
    order = sorted(range(len(images)), key=lambda place: (place // ROW, -values[place]))
    return [(images[place], [f"{values[place]:.1f}", captions[place]]) for place in order]


def found_by_clip(models: Path) -> None:
    """CLIP's sheet."""
    clip = Clip(models / "bauhaus-clip")
    pictures, captions = held_out(GALLERY, offset=FIRST)
    images = [Image.fromarray(picture) for picture in pictures]
    cosines = clip.text_features(captions[:ROW]) @ clip.image_features(images).T
    rows = [
        (images[place], [f"{near[place]:.2f}{' its own' if place == number else ''}", captions[number]])
        for number, near in enumerate(cosines)
        for place in np.argsort(-near)[:ROW]
    ]
    _save(rows, models / "bauhaus-clip")


def wishes(models: Path) -> None:
    """The language model's list."""
    torch.manual_seed(0)
    pairs = list(itertools.islice(held_out_wishes("sample"), COUNT))
    heard = read_wishes(Writer(models / "bauhaus-lm"), [wish for wish, _ in pairs])
    lines = []
    for one, (wish, answer) in zip(heard, pairs, strict=True):
        cells = ["" if understood(one, answer) else "x", wish, ", ".join(one.like), ", ".join(one.avoid), one.reply]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |\n")
    (models / "bauhaus-lm" / "samples.md").write_text(HEAD + "".join(lines))


def _save(rows: Sequence[tuple[Image.Image, Sequence[str]]], folder: Path) -> None:
    contact_sheet(rows, columns=ROW, tile=TILE, lines=4).save(folder / "samples.png", optimize=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder of model folders")
    models = parser.parse_args().models
    paintings(models)
    found_by_clip(models)
    wishes(models)


if __name__ == "__main__":
    main()
