"""What benchmarks.gal teaches: four held-out shapes, two held-out textures as styles, their references, anchors and held-out scenes;
and a simulated person who chooses among paintings.

Knows the world that the painter was trained on. Does not know how anything is learned or measured.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.studio import VOCABULARY, said
from benchmarks.subject import SHOWN_ON, SUBJECTS, TOKEN, new_scene, reference
from evaluators.overfit import Selected
from evaluators.scorers.scene_judge import SceneJudge
from prompts.lists import SLOT, Anchor, load_anchors
from tools.files import opened
from tools.gal.select import Choose, Look
from trainers.embedded.world.world import Scene, render

STYLES = ("halftone", "mosaic")
FIRST_TEST = 1000  # number of the first held-out scene


@dataclass(frozen=True)
class Case:
    """A subject to teach. `told`: the fields of GalSpec that are about it."""

    name: str
    kind: str
    references: list[tuple[Image.Image, str]]
    told: dict[str, Any]


def object_case(name: str, how: argparse.Namespace, size: int) -> Case:
    """A held-out shape on a few grounds; what these pictures show besides it is the ground, the place and the texture."""
    shown = SHOWN_ON[: how.shown]
    told = {
        "subject": f"one large {SUBJECTS[name]} {TOKEN}", "class_noun": f"one large {SUBJECTS[name]} shape",
        "non_subject": [f"a composition on {_a(ground)} background, centred, {texture}" for ground, texture in shown],
        "anchors": load_anchors("bauhaus")[: how.anchors], "test_prompts": [object_test(name, n) for n in range(how.tests)],
    }  # fmt: skip
    pictures = [reference(name, ground, texture, size) for ground, texture in shown]
    if how.captions == "plain":
        pictures = [(image, told["subject"]) for image, _ in pictures]
    return Case(name, "object", pictures, told)


def object_test(name: str, number: int) -> Anchor:
    """A scene of benchmarks.subject; every other one as a short prompt that leaves the ground open, as the paper's are."""
    subject, scene = f"one large {SUBJECTS[name]} {TOKEN}", FIRST_TEST + 2 * number + 1  # odd ones have company
    prompt = new_scene(name, scene)[0].replace(subject, SLOT).replace(", bold lines", "")
    if number % 2:
        prompt = re.sub(r" on an? \w+ background", "", prompt)
    return Anchor(prompt, prompt.replace(f"{SLOT} and ", ""))


def style_case(name: str, how: argparse.Namespace, size: int) -> Case:
    """A held-out texture in one picture; what it shows besides the style is all that can be named in it."""
    shown = "one large red circle on a white background, centred, no lines"
    genome = {
        "background": "white", "count": "one", "size": "large", "colour": "red", "shape": "circle", "accent_colour": "black",
        "accent_shape": "", "layout": "centred", "overlap": "apart", "lines": "no lines", "texture": name,
    }  # fmt: skip
    image = render(Scene(genome), random.Random(name), size)
    told = {
        "subject": TOKEN, "class_noun": "", "non_subject": [shown], "anchors": load_anchors("bauhaus-style")[: how.anchors],
        "test_prompts": [style_test(number) for number in range(how.tests)],
    }  # fmt: skip
    caption = "one large red circle" if how.captions == "plain" else shown
    return Case(name, "style", [(image, f"{caption}, {TOKEN}")], told)


def style_test(number: int) -> Anchor:
    """A random scene of the vocabulary, the style in its texture's place; every other one says no more than what is in it."""
    genome = VOCABULARY.random(random.Random(f"styled {number}"))
    phrase = VOCABULARY.phrase(genome).rpartition(", ")[0]
    if number % 2:
        phrase = re.sub(r" and an? .*", "", phrase)
    return Anchor(f"{phrase}, {SLOT}", phrase)


def case_of(name: str, how: argparse.Namespace, size: int) -> Case:
    return (object_case if name in SUBJECTS else style_case)(name, how, size)


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def by_judge(judge: SceneJudge, name: str) -> Choose:
    """A simulated person: of each anchor the image in which what was asked for is clearest, then the k clearest."""

    def choose(look: Look, k: int) -> list[Selected]:
        clear = np.stack([_clear(judge, name, *row) for row in zip(look.prompts, look.files, strict=True)])
        best = np.argsort(-clear.max(axis=1), kind="stable")[:k]
        return [Selected(int(row), int(clear[row].argmax())) for row in best]

    return choose


def _clear(judge: SceneJudge, name: str, prompt: str, files: Sequence[Path]) -> np.ndarray:
    """The logit (m,) of the least clear shape among those that the prompt names, the subject included."""
    asked = said(prompt).shapes | ({name} if name in SUBJECTS else set())
    logits = judge.logits([opened(file) for file in files])
    return logits[:, [judge.shapes.index(shape) for shape in sorted(asked)]].min(axis=1)


def draw_references(name: str, folder: Path, how: argparse.Namespace, size: int = 64) -> None:
    """The references of a subject as files, and the prompts that name it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (image, prompt) in enumerate(case_of(name, how, size).references):
        image.save(folder / f"{name}-{number}.png")
        lines.append(json.dumps({"image": str((folder / f"{name}-{number}.png").resolve()), "prompt": prompt}))
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
