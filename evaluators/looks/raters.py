"""Simulated people: a hidden taste over features measured on pixels, rating noise, and a personal scale.

A rater never sees a prompt, a model or a score; whatever paints the picture, only its pixels count. The agent sees
only what they answer (`rate`, `prefer`, `best`, `worst`); `utility` and `taste` are the ground truth, for evaluation alone. These are not people: a real taste is
neither this sparse nor this steady.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from evaluators.looks.colour import HUES, flatten
from evaluators.looks.features import FEATURE_NAMES, features
from prompts.errors import InputError

# A taste draws from every group, so that each rater can be pleased in several ways that words can ask for. The last
# column is the group's pull on the whole (its terms share it).
_GROUPS: tuple[tuple[tuple[str, ...], tuple[int, int], float], ...] = (
    (HUES, (2, 3), 1.0),
    (("brightness", "contrast", "colourfulness", "warmth", "texture"), (1, 2), 0.6),
    (("blobs", "blob_size", "negative_space", "palette_entropy", "edge_density"), (1, 2), 0.8),
    (("symmetry_lr", "symmetry_tb", "centre_offset", "spread_x", "spread_y", "roundness", "boxiness"), (1, 2), 0.6),
)
# Liked at a level rather than the more the better, one time in three.
_CAN_BE_IDEAL = {"brightness", "contrast", "blobs", "blob_size", "negative_space", "palette_entropy", "spread_x"}
# A hue is noticed long before it fills the picture: liking is half won at this share of the pixels.
_NOTICED = 0.05
_CLIP = 3.0
LEARN_FROM = 10_000  # seeds below are for tests and benchmarks, and nothing is ever learned from them
REFERENCE_FILE = "rater_reference.npz"


@dataclass(frozen=True)
class Term:
    """One part of a taste: `weight` times the standardised feature, or minus the distance from `ideal` (in SDs)."""

    feature: str
    weight: float
    ideal: float | None = None


def save_reference(folder: str | Path, matrix: np.ndarray) -> Path:
    """Write the features (M, F) of many pictures of random prompts as `rater_reference.npz` beside a model."""
    path = Path(folder) / REFERENCE_FILE
    np.savez_compressed(path, features=_checked(matrix).astype(np.float32), names=np.array(FEATURE_NAMES))
    return path


def load_reference(folder: str | Path) -> np.ndarray:
    """(M, F) features of random prompts' pictures, as float64.

    Raises: InputError if the file is missing, or was measured with other features.
    """
    path = Path(folder) / REFERENCE_FILE
    if not path.is_file():
        raise InputError(f"no rater reference at {str(path)!r}: write it with evaluators.looks.raters.save_reference")
    with np.load(path, allow_pickle=False) as stored:
        names, matrix = tuple(str(name) for name in stored["names"]), stored["features"]
    if names != FEATURE_NAMES:
        raise InputError(f"{str(path)!r} was measured with other features {names!r}: make the reference again")
    return _checked(matrix)


def _checked(matrix: np.ndarray) -> np.ndarray:
    if matrix.ndim != 2 or matrix.shape[1] != len(FEATURE_NAMES) or len(matrix) < 8:
        raise InputError(f"reference of shape {matrix.shape!r}: give (M >= 8, {len(FEATURE_NAMES)}) features")
    if not np.isfinite(matrix).all():
        raise InputError("the reference has values that are not finite: measure it again")
    return matrix.astype(np.float64)


class Rater:
    """One simulated person, fixed by `seed` and the `reference` features (M, F) of pictures of random prompts.

    `noise`: SD of a rating's noise, in SDs of utility over random prompts (0.35: a person who repeats themselves
    with a correlation of about 0.9). `scale`: points per SD of utility; None draws 1.2..2.2 for this person, and the
    middle of their scale is drawn from 4..6 in any case.
    """

    def __init__(self, seed: int, *, reference: np.ndarray, noise: float = 0.35, scale: float | None = None) -> None:
        if noise < 0 or (scale is not None and scale <= 0):
            raise InputError(f"rater with noise {noise!r} and scale {scale!r}: noise is 0 or more, scale above 0")
        rng = np.random.default_rng([seed, 0x7A57E])
        self.seed, self.noise = seed, noise
        self.offset = float(rng.uniform(4.0, 6.0))
        drawn = float(rng.uniform(1.2, 2.2))
        self.scale = drawn if scale is None else float(scale)
        base = _transformed(_checked(reference))
        self._mean, self._sd = base.mean(axis=0), base.std(axis=0)
        alive = {name for name, sd in zip(FEATURE_NAMES, self._sd, strict=True) if sd > 1e-6}
        self._sd = np.where(self._sd > 1e-6, self._sd, 1.0)
        self.taste = _normalised(_draw(rng, alive), self._standardised(reference))
        raw = self._raw(reference)
        self._centre, self._unit = float(raw.mean()), float(raw.std()) or 1.0

    def utility(self, images: Sequence[Image.Image]) -> np.ndarray:
        """(N,) hidden liking without noise: 0 is the mean and 1 an SD over pictures of random prompts."""
        return self.utility_of(features(images))

    def utility_of(self, measured: np.ndarray) -> np.ndarray:
        """The same from features (N, F) already measured."""
        return (self._raw(measured) - self._centre) / self._unit

    def rate(self, images: Sequence[Image.Image], *, seed: int, measured: np.ndarray | None = None) -> list[float]:
        """Ratings in 0..10, in steps of 0.5. The noise depends on this rater, `seed` and the picture's own pixels,
        never on order or company, so that resuming and replaying give the same ratings. `measured`: the pictures' features
        (N, F), where they are known already."""
        liked = self.utility(images) if measured is None else self.utility_of(measured)
        shaken = liked + self.noise * np.array([self._noise(image, seed) for image in images])
        return [float(point) for point in self.points(shaken)]

    def points(self, liking: np.ndarray) -> np.ndarray:
        """(N,) likings in SDs as this rater gives them: on a scale of their own, 0..10, in steps of 0.5."""
        return np.round(np.clip(self.offset + self.scale * liking, 0.0, 10.0) * 2.0) / 2.0

    def prefer(
        self, first: Image.Image, second: Image.Image, seed: int, *, tie: float = 0.0
    ) -> Literal["first", "second", "tie"]:
        """Which of two pictures they like better; "tie" where the two look less than `tie` apart, in SDs of utility.

        Thurstone 1927, case V: each picture is seen with noise of its own, anew in each company, so that answers may contradict each
        other. It depends on this rater, `seed`, the pictures and never on the side they stand on. Raises: InputError for one picture
        twice, as `best` and `worst` do.
        """
        one, other = self._seen([first, second], seed)
        if abs(one - other) < tie:
            return "tie"
        return "first" if one >= other else "second"

    def best(self, images: Sequence[Image.Image], seed: int) -> int:
        """The place (from 0) of the one they like best, with the noise of `prefer`."""
        return int(np.argmax(self._seen(images, seed)))

    def worst(self, images: Sequence[Image.Image], seed: int) -> int:
        """The place (from 0) of the one they like least, with the noise of `prefer`."""
        return int(np.argmin(self._seen(images, seed)))

    def _seen(self, images: Sequence[Image.Image], seed: int) -> np.ndarray:
        names = [_digest(image) for image in images]
        if len(set(names)) < len(names) or len(names) < 2:
            raise InputError(
                f"{len(images)} pictures of which {len(set(names))} differ: a picture cannot be compared with itself"
            )
        return self.utility(images) + self.noise * company_noise(self.seed, seed, names)

    def _noise(self, image: Image.Image, seed: int) -> float:
        digest = hashlib.sha256(f"{self.seed}:{seed}:{image.size}".encode() + flatten(image).tobytes()).digest()
        return float(np.random.default_rng(int.from_bytes(digest[:16], "big")).standard_normal())

    def _standardised(self, measured: np.ndarray) -> np.ndarray:
        return np.clip((_transformed(measured) - self._mean) / self._sd, -_CLIP, _CLIP)

    def _raw(self, measured: np.ndarray) -> np.ndarray:
        standardised = self._standardised(measured)
        return np.sum([term.weight * _response(term, standardised) for term in self.taste], axis=0)


def company_noise(rater: int, seed: int, names: Sequence[str]) -> np.ndarray:
    """(N,) standard normal: how far each picture of a question strays from its liking; the same whatever order they stand in."""
    company = ":".join(sorted(names))
    drawn = [hashlib.sha256(f"{rater}:{seed}:{name}:{company}".encode()).digest()[:16] for name in names]
    return np.array([np.random.default_rng(int.from_bytes(d, "big")).standard_normal() for d in drawn])


def _digest(image: Image.Image) -> str:
    return hashlib.sha256(f"{image.size}".encode() + flatten(image).tobytes()).hexdigest()


def _transformed(measured: np.ndarray) -> np.ndarray:
    hues = np.array([name in HUES for name in FEATURE_NAMES])
    return np.where(hues, measured / (np.maximum(measured, 0.0) + _NOTICED), measured)


def _response(term: Term, standardised: np.ndarray) -> np.ndarray:
    column = standardised[:, FEATURE_NAMES.index(term.feature)]
    return column if term.ideal is None else -np.abs(column - term.ideal)


def _draw(rng: np.random.Generator, alive: set[str]) -> list[Term]:
    """Sparse: five to nine of the features. Hues get both signs, so that every rater likes one and dislikes one."""
    terms: list[Term] = []
    for names, (fewest, most), pull in _GROUPS:
        usable = [name for name in names if name in alive]
        chosen = rng.choice(usable, size=min(len(usable), int(rng.integers(fewest, most + 1))), replace=False)
        sizes = rng.dirichlet(np.full(len(chosen), 4.0)) if len(chosen) else np.zeros(0)
        for place, (name, size) in enumerate(zip(chosen, sizes, strict=True)):
            sign = (1.0, -1.0)[place] if names is HUES and place < 2 else float(rng.choice((-1.0, 1.0)))
            ideal = bool(name in _CAN_BE_IDEAL and rng.random() < 0.35)
            level = float(rng.uniform(-1.5, 1.5))
            terms.append(Term(str(name), pull * size * (1.0 if ideal else sign), level if ideal else None))
    return terms


def _normalised(terms: list[Term], standardised: np.ndarray) -> tuple[Term, ...]:
    # Each response gets unit SD over the reference, so that a weight is the share of liking that it can move.
    if not terms:
        raise InputError("the reference has no feature that varies: measure pictures of different prompts")
    spreads = [float(_response(term, standardised).std()) or 1.0 for term in terms]
    return tuple(Term(t.feature, float(t.weight) / sd, t.ideal) for t, sd in zip(terms, spreads, strict=True))
