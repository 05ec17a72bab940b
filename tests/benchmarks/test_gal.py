"""benchmarks/gal.py: subjects are held out, anchors and tests are apart, the oracle can tell, and what is measured is paired."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gal import PAPER, SHORTER, STRATEGIES, USUAL, share_first_round, summary
from benchmarks.gal_subjects import STYLES, by_judge, case_of, draw_references
from benchmarks.subject import SUBJECTS
from evaluators.scorers.clip import Clip
from evaluators.scorers.scene_judge import SceneJudge
from prompts.lists import SLOT
from tools.files import opened
from tools.gal.look import fallen
from tools.gal.select import Look
from tools.gal.spec import GalSpec
from trainers.embedded.world.grounds import HELD_OUT_TEXTURES
from trainers.embedded.world.world import Scene, render

HOW = argparse.Namespace(shown=2, anchors=16, tests=12, captions="plain")
GENOME = {
    "background": "pink", "count": "one", "size": "large", "colour": "red", "shape": "star", "accent_colour": "teal",
    "accent_shape": "ring", "layout": "diagonal", "overlap": "apart", "lines": "bold lines", "texture": "flat",
}  # fmt: skip


@pytest.mark.parametrize("name", [*SUBJECTS, *STYLES])
@pytest.mark.parametrize("captions", ["plain", "full"])
def test_what_is_tested_is_no_anchor_and_every_prompt_names_the_subject(name: str, captions: str) -> None:
    case = case_of(name, argparse.Namespace(**vars(HOW) | {"captions": captions}), 64)
    spec = GalSpec(**case.told).resolved()
    assert set(STYLES) == set(HELD_OUT_TEXTURES) and len(case.references) == (2 if case.kind == "object" else 1)
    assert not {one.prompt for one in spec.anchors} & {one.prompt for one in spec.test_prompts}
    assert all(spec.subject in prompt for _, prompt in case.references)
    assert all(
        SLOT in one.prompt and SLOT not in one.concept and spec.read(one)[-1] != "q" for one in spec.test_prompts
    )
    assert len({one.prompt for one in spec.test_prompts}) == 12
    assert not any(name in f"{one.prompt} {one.concept}" for one in (*spec.anchors, *spec.test_prompts))


def test_the_oracle_tells_a_scene_from_a_reference(studio_clip: Path) -> None:
    """Eq. 8 on renderings: a picture of what was asked for is well, a reference painted in its place is overfit."""
    clip, case = Clip(studio_clip), case_of("star", HOW, 64)
    concept = "a teal ring on a pink background, diagonal, flat"
    well = [render(Scene(GENOME), random.Random(number), 64) for number in range(8)]
    texts = clip.text_features([concept, *case.told["non_subject"]])
    assert fallen(clip.image_features(well), texts[0], texts[1:]).sum() == 0
    assert fallen(clip.image_features([image for image, _ in case.references]), texts[0], texts[1:]).all()


def test_the_simulated_person_takes_the_picture_that_shows_what_was_asked_for(tmp_path: Path, studio: Path) -> None:
    files = []
    for place, shapes in enumerate([("circle", "ring"), ("star", "ring"), ("star", "")]):
        genome = GENOME | {"shape": shapes[0], "accent_shape": shapes[1]}
        render(Scene(genome), random.Random(3), 64).save(tmp_path / f"{place}.png")
        files.append(tmp_path / f"{place}.png")
    scores = np.zeros((2, 3))
    prompts = [
        "one large red q and a teal grid on a pink background",
        "one large red q and a teal ring on a pink background",
    ]
    look = Look(1, [0, 1], prompts, scores.astype(int), scores, scores, [files, files])
    judge = SceneJudge(studio.with_name("bauhaus-judge"))
    (chosen,) = by_judge(judge, "star")(look, 1)
    assert tuple(chosen) == (1, 1)


def test_a_strategy_starts_from_the_first_round_but_chooses_itself(tmp_path: Path) -> None:
    first = tmp_path / "plain" / "round-1"
    (first / "adapter" / "checkpoint-2").mkdir(parents=True)
    for name in ("round.json", "anchor-00-00.png", "adapter/adapter.json", "adapter/checkpoint-2/training.json"):
        (first / name).write_text("x")
    share_first_round(tmp_path / "plain", tmp_path / "random")
    (tmp_path / "random" / "round-1" / "round.json").write_text("its own")
    share_first_round(tmp_path / "plain", tmp_path / "random")
    found = {
        str(path.relative_to(tmp_path / "random" / "round-1"))
        for path in (tmp_path / "random").rglob("*.*")
        if path.is_file()
    }
    assert found == {"round.json", "anchor-00-00.png", "adapter/adapter.json"}
    assert (tmp_path / "random" / "round-1" / "round.json").read_text() == "its own"


def test_differences_are_paired_by_subject_over_the_mean_of_its_seeds() -> None:
    known: dict[str, Any] = {}
    for name, level in (("star", 0.2), ("heart", 0.6)):
        for seed in range(2):
            for strategy, shift in (("dreambooth", 0.0), ("random", 0.1)):
                value = level + shift * (1 + seed)
                known[f"{seed} {name} {strategy}"] = {"txt_aln": value, "img_aln": 0.5, "ovf": value, "found": 1.0}
    found = summary(["star", "heart"], 2, ["random"], known)
    assert found["dreambooth"]["txt_aln"] == pytest.approx(0.4) and found["random"]["txt_aln"] == pytest.approx(0.55)
    gap = found["random"]["minus dreambooth"]["txt_aln"]
    assert gap["mean"] == pytest.approx(0.15) and gap["low"] == pytest.approx(0.15) and gap["n"] == 2
    assert "minus random" not in found["random"] and "minus dreambooth" not in found["dreambooth"]


def test_strategies_come_with_and_without_balance() -> None:
    assert len(STRATEGIES) == 8 and set(USUAL) < {*STRATEGIES, SHORTER}
    assert all(set(rows) <= {"dreambooth", *STRATEGIES} for rows in PAPER.values())
    assert STRATEGIES["clip+balance"] == {"strategy": "clip", "balance": True} and not STRATEGIES["clip"]["balance"]


def test_references_are_drawn_for_the_example(tmp_path: Path) -> None:
    draw_references("eye", tmp_path / "mine", HOW)
    lines = [json.loads(line) for line in (tmp_path / "mine" / "eye.jsonl").read_text().splitlines()]
    assert [line["prompt"] for line in lines] == ["one large blue q"] * 2
    assert all(opened(Path(line["image"])).size == (64, 64) for line in lines)
