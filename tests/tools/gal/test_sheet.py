"""tools/gal/sheet.py: a person sees which picture is overfit and which was chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from tools.gal.sheet import CHOSEN, FALLEN, TILE, WORDS, Row, draw_round, draw_rounds


def test_overfit_pictures_are_crossed_out_and_chosen_ones_framed(tmp_path: Path) -> None:
    files = []
    for name, colour in (("a", (0, 0, 250)), ("b", (250, 250, 0))):
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{name}.png")
        files.append(tmp_path / f"{name}.png")
    draw_round([Row(["0: a dog"], files, [1, 0], 1)], "Round 1", tmp_path / "sheet.png")
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))

    def count(colour: str, left: int, right: int) -> int:
        return int((pixels[:, left:right] == ImageColor.getrgb(colour)).all(axis=2).sum())

    second = WORDS + TILE + 4
    assert count(FALLEN, WORDS, second) >= TILE and count(FALLEN, second, pixels.shape[1]) == 0
    assert count(CHOSEN, WORDS - 8, second - 1) == 0 and count(CHOSEN, second, pixels.shape[1]) > 4 * TILE
    assert (pixels == (0, 0, 250)).all(axis=2).sum() > TILE * TILE * 0.9


def test_the_chart_is_drawn_with_and_without_held_out_prompts(tmp_path: Path) -> None:
    scores = {"txt_aln": 0.3, "img_aln": 0.7, "ovf": 0.2}
    sizes = []
    for name, test_scores in (("with", scores), ("without", None)):
        rounds = [{"round": n, "scores": scores, "test_scores": test_scores} for n in (1, 2)]
        draw_rounds(rounds, tmp_path / f"{name}.png")
        sizes.append(np.asarray(Image.open(tmp_path / f"{name}.png")))
    assert sizes[0].shape == sizes[1].shape and (sizes[0] != sizes[1]).any()
