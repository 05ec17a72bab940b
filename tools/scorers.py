"""Scorers by name, for jobs that choose or push by score: pickscore, clip_t, a learned preference, aesthetic, hpsv2, image_reward.

The place that turns a name and a folder into a function of images and prompts. Does not know what the scores are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prompts.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from evaluators.scorers.clip import Clip

ImageScorer = Callable[[Sequence["Image.Image"], Sequence[str]], np.ndarray]
"""(images (N), prompts (N)) -> scores (N,), higher is better."""

Folders = Mapping[str, str | None]
"""Each of `KEYS` -> the folder, hub id or file that a job names for it."""

PUBLISHED = ("aesthetic", "hpsv2", "image_reward")  # weights as their authors saved them, in one file
KEYS = ("pickscore", "clip", "preference", *PUBLISHED)


def scorers(names: Iterable[str], folders: Folders, device: str) -> dict[str, ImageScorer]:
    """The scorers called `names`. Raises InputError for a name that there is none of, and for a folder that was not given."""
    found = {}
    for name in names:
        if name not in SCORERS:
            raise InputError(f"scorer {name!r} is not one we have: use {', '.join(SCORERS)}")
        found[name] = SCORERS[name](folders, device)
    return found


@lru_cache(maxsize=1)  # scorers, a gate and gal look with the same one
def clip_of(folder: str, device: str) -> Clip:
    """The open_clip model in a folder, loaded once."""
    from evaluators.scorers.clip import Clip

    return Clip(folder, device)


def versions(folders: Folders) -> dict[str, str]:
    """What a job names for its scorers, and the weights found there: other weights are other scorers."""
    return {key: _version(key, folder) for key, folder in folders.items() if folder is not None}


def _version(key: str, folder: str) -> str:
    from evaluators.scorers.weights import version_of, version_of_file, weight_file

    if key in PUBLISHED:
        return version_of_file(weight_file(Path(folder)))
    return version_of(Path(folder)) if Path(folder).is_dir() else folder


def _pickscore(folders: Folders, device: str) -> ImageScorer:
    from evaluators.scorers.pickscore import PickScore

    scorer = PickScore(_given("pickscore", folders), device)
    return lambda images, prompts: np.array(scorer(images, prompts).values)


def _clip_t(folders: Folders, device: str) -> ImageScorer:
    clip = clip_of(_given("clip", folders), device)
    return lambda images, prompts: np.array(clip.clip_t(images, prompts).values)


def _preference(folders: Folders, device: str) -> ImageScorer:
    """A person's learned taste, on the features of the CLIP that it was learned with."""
    from evaluators.preference import model as preference

    taste, clip = preference.load(_given("preference", folders)), clip_of(_given("clip", folders), device)
    return lambda images, prompts: taste.predict(clip.image_features(images))[0]


def _aesthetic(folders: Folders, device: str) -> ImageScorer:
    from evaluators.scorers import aesthetic

    scorer = aesthetic.load(_given("aesthetic", folders), clip_of(_given("clip", folders), device))
    return lambda images, prompts: np.array(scorer(images, prompts).values)


def _hpsv2(folders: Folders, device: str) -> ImageScorer:
    from evaluators.scorers.hpsv2 import HPSv2

    scorer = HPSv2(_given("hpsv2", folders), device)
    return lambda images, prompts: np.array(scorer(images, prompts).values)


def _image_reward(folders: Folders, device: str) -> ImageScorer:
    from evaluators.scorers.image_reward import ImageReward

    scorer = ImageReward(_given("image_reward", folders), device)
    return lambda images, prompts: np.array(scorer(images, prompts).values)


def _given(key: str, folders: Folders) -> str:
    folder = folders.get(key)
    if folder is None:
        raise InputError(f"{key} is not given, and a scorer needs it: name its folder")
    return folder


SCORERS: dict[str, Callable[[Folders, str], ImageScorer]] = {
    "pickscore": _pickscore, "clip_t": _clip_t, "preference": _preference, "aesthetic": _aesthetic, "hpsv2": _hpsv2,
    "image_reward": _image_reward,
}  # fmt: skip
