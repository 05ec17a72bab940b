"""A round's paintings: what the adapter makes of each anchor, and how much of it is overfit (GAL, Zhang et al. 2024, Eq. 4-8).

Paints into files, and does not paint again what is there. Does not know what follows from it: who chooses is in tools.gal.select.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluators import overfit
from prompts.lists import Anchor
from tools.files import opened, save_png
from tools.gal.select import Look
from tools.gal.spec import GalSpec, renamed

if TYPE_CHECKING:
    from evaluators.scorers.clip import Clip
    from trainers.model.attach import Adapters
    from trainers.model.base_model import BaseModel
    from trainers.sft import Example

TESTS = 1_000_000  # the first seed of held-out paintings, far from the anchors'
Scores = dict[str, float]
"""txt_aln, img_aln, ovf: means over a round's paintings."""


@dataclass(frozen=True)
class Examination:
    """Of one round. `adapters`: the round's own the last; `size`: pixels, None for the model's; `on_step()`: called while it paints."""

    number: int
    folder: Path
    model: BaseModel
    adapters: Adapters
    clip: Clip
    spec: GalSpec
    size: int | None
    references: Sequence[Example]
    on_step: Callable[[], None]
    should_stop: Callable[[], bool]

    def __call__(
        self, places: Sequence[int], anchors: Sequence[Anchor], count: int, *, held_out: bool = False
    ) -> tuple[Look, Scores]:
        """Paint `count` images of each anchor, whose places (A) in the spec give file and seed, and measure them.

        TXT-ALN: cosine of image and prompt, the class noun in the subject's place; IMG-ALN: of image and references; OVF: the
        share that is overfit. Raises TrainingStopped when it should stop."""
        files = [self._paint(place, anchor, count, held_out) for place, anchor in zip(places, anchors, strict=True)]
        features = self.clip.image_features([opened(file) for row in files for file in row])
        features = features.reshape(len(files), count, -1)
        read = self.clip.text_features([self.spec.read(anchor) for anchor in anchors])
        whole = self.spec.compare == "prompt"
        towards = read if whole else self.clip.text_features([anchor.concept for anchor in anchors])
        away = self._away()
        look = Look(
            self.number, list(places), [self.spec.painted(anchor) for anchor in anchors],
            np.stack([fallen(row, one, away) for row, one in zip(features, towards, strict=True)]),
            _similar(features, towards), _similar(features, read), files,
        )  # fmt: skip
        shown = self.clip.image_features([image for image, _ in self.references])
        scores = {"txt_aln": look.text.mean(), "img_aln": (features @ shown.T).mean(), "ovf": look.overfit.mean()}
        return look, {name: round(float(value), 6) for name, value in scores.items()}

    def _away(self) -> np.ndarray:
        """The non-subject semantics of Eq. 8 (R, D); whole reference prompts, as CLIP reads them, if these are compared."""
        texts = self.spec.non_subject
        if self.spec.compare == "prompt":
            texts = tuple(renamed(prompt, self.spec.subject, self.spec.class_noun) for _, prompt in self.references)
        return self.clip.text_features(texts)

    def _paint(self, place: int, anchor: Anchor, count: int, held_out: bool) -> list[Path]:
        """The files of one anchor's images, painted now or before; their seeds are the same in every round."""
        from trainers.engine.training import TrainingStopped
        from trainers.model.paint import paint

        stem = f"{'test' if held_out else 'anchor'}-{place:02d}"
        files = [self.folder / f"{stem}-{i:02d}.png" for i in range(count)]
        if all(file.is_file() for file in files):
            return files
        if self.should_stop():
            raise TrainingStopped(f"stopped before painting {stem} of round {self.number}: run it again to continue")
        spec = self.spec
        painted = paint(
            [spec.painted(anchor)] * count, model=self.model, adapters=self.adapters, steps=spec.steps, size=self.size,
            guidance_scale=spec.guidance_scale, seed=spec.seed + TESTS * held_out + place * count, on_step=lambda *_: self.on_step(),
        )  # fmt: skip
        for file, one in zip(files, painted, strict=True):
            save_png(file, one.image)
        return files


def fallen(features: np.ndarray, anchor: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Eq. 8, (m,) of 1 and 0 for features (m, D), with the nearest of several non-subject texts (R, D)."""
    found: np.ndarray = np.stack([overfit.oracle(features, anchor, one) for one in away]).max(axis=0)
    return found


def _similar(features: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """sim() (A, m) of features (A, m, D) with their own row of directions (A, D)."""
    return np.stack([overfit.similarity(row, one) for row, one in zip(features, directions, strict=True)])
