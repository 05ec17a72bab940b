"""Many people's ratings of the same pictures: read from files, how steady each person is, and the ceiling that this sets.

A ratings file is CSV `rater,image,rating,block[,trial]`, a block being one pass over the pictures; features are an npz with `X`
(P, D) and `files` (P,). Knows nothing of who the people are. numpy only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evaluators.numbers.arrays import stored_arrays
from prompts.errors import InputError
from prompts.ground.reading import read_text

_COLUMNS = ("rater", "image", "rating", "block")


@dataclass(frozen=True)
class People:
    """`blocks` (R, B, P): rating by each of `raters` in each block of each of `images`, NaN for none; `features` (P, D)."""

    raters: tuple[str, ...]
    images: tuple[str, ...]
    blocks: np.ndarray
    features: np.ndarray

    @property
    def ratings(self) -> np.ndarray:
        """(R, P) the mean over blocks, NaN where nobody rated."""
        told = np.isfinite(self.blocks)
        total = np.where(told, self.blocks, 0.0).sum(axis=1)
        return np.where(told.any(axis=1), total / np.maximum(told.sum(axis=1), 1), np.nan)

    def only(self, raters: Sequence[int] | np.ndarray) -> People:
        """The same with these raters (row numbers) alone."""
        return replace(
            self, raters=tuple(self.raters[number] for number in raters), blocks=self.blocks[np.asarray(raters)]
        )

    def without(self, images: Sequence[int] | np.ndarray) -> People:
        """The same as if nobody had ever rated these pictures (column numbers)."""
        blocks = self.blocks.copy()
        blocks[:, :, np.asarray(images)] = np.nan
        return replace(self, blocks=blocks)

    @property
    def noise(self) -> np.ndarray | None:
        """(R,) share of the variance of each rater's mean rating that is noise: 1 - `reliability`, at most 0.95. A rater
        whose blocks cannot tell has the median. None where no rater's can."""
        found = reliability(self.blocks)
        known = np.isfinite(found)
        if not known.any():
            return None
        return np.clip(1.0 - np.where(known, found, np.median(found[known])), 0.05, 0.95)


def load_people(ratings: str | Path, features: str | Path) -> People:
    """Read a ratings CSV and a features npz; images are matched by name, then without folder and ending.

    Only pictures with features are kept. Raises: InputError for a missing file, a missing column, a rating that is no
    finite number, or no picture in common.
    """
    given = _read(Path(ratings))
    files, matrix = _features(Path(features))
    place = {name: number for number, file in enumerate(files) for name in (_stem(file), file)}
    found = [(r, place[_known(i, place)], v, b) for r, i, v, b in given if _known(i, place) in place]
    if not found:
        raise InputError(f"no picture of {str(ratings)!r} has features in {str(features)!r}: do their names agree?")
    raters = tuple(dict.fromkeys(rater for rater, *_ in found))
    names = sorted({block for *_, block in found})
    blocks = np.full((len(raters), len(names), len(files)), np.nan)
    times = np.zeros_like(blocks)
    for rater, image, value, block in found:
        cell = (raters.index(rater), names.index(block), image)
        times[cell] += 1
        before = 0.0 if times[cell] == 1 else blocks[cell]
        blocks[cell] = before + (value - before) / times[cell]  # the mean, where a block shows a picture twice
    rated = np.isfinite(blocks).any(axis=(0, 1))
    images = tuple(file for file, kept in zip(files, rated, strict=True) if kept)
    return People(raters, images, blocks[:, :, rated], matrix[rated])


def reliability(blocks: np.ndarray) -> np.ndarray:
    """(R,) how steady each rater's mean over B blocks (R, B, P) is, -inf..1: the mean correlation of two blocks, stepped up
    to B by Spearman and Brown's formula. NaN where fewer than two blocks, or blocks without differences, cannot tell."""
    return np.array([_reliability(mine) for mine in blocks])


def ceiling(blocks: np.ndarray) -> tuple[float, int]:
    """The mean correlation with the raters' mean ratings (R, B, P) that a model of their true likings would reach, the root
    of `reliability` (attenuation), and the number of raters it is known for; NaN and 0 where for none."""
    found = reliability(blocks)
    roots = np.sqrt(np.maximum(found[np.isfinite(found)], 0.0))
    return (float(roots.mean()), len(roots)) if len(roots) else (float("nan"), 0)


def _reliability(mine: np.ndarray) -> float:
    found = []
    for first in range(len(mine)):
        for second in range(first):
            both = np.isfinite(mine[first]) & np.isfinite(mine[second])
            a, b = mine[first][both], mine[second][both]
            if both.sum() >= 3 and a.std() > 1e-9 and b.std() > 1e-9:
                found.append(float(np.corrcoef(a, b)[0, 1]))
    if not found:
        return float("nan")
    mean, times = float(np.mean(found)), len(mine)
    return times * mean / (1.0 + (times - 1) * mean)


def _read(path: Path) -> list[tuple[str, str, float, str]]:
    if not path.is_file():
        raise InputError(f"no ratings at {str(path)!r}: give a CSV file with {','.join(_COLUMNS)}")
    reader = csv.DictReader(io.StringIO(read_text(path, "ratings"), newline=""))
    try:
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise InputError(
                f"{str(path)!r} has no column {missing[0]!r}: its first line must name {','.join(_COLUMNS)}"
            )
        return [_row(row, path, reader.line_num) for row in reader]
    except csv.Error as error:
        raise InputError(f"line {reader.line_num} of {str(path)!r} cannot be read ({error}): mend it") from error


def _row(row: dict[str, str | None], path: Path, line: int) -> tuple[str, str, float, str]:
    rater, image, rating, block = (row[name] for name in _COLUMNS)
    if rater is None or image is None or rating is None or block is None:
        raise InputError(f"line {line} of {str(path)!r} has fewer columns than its first: mend it, or leave it out")
    return rater, image, _number(rating, path), block


def _number(text: str, path: Path) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(
            f"rating {text!r} in {str(path)!r} is no number: leave out pictures that were skipped"
        ) from error
    if not np.isfinite(value):
        raise InputError(f"rating {text!r} in {str(path)!r} is not finite: leave out pictures that were skipped")
    return value


def _features(path: Path) -> tuple[list[str], np.ndarray]:
    if not path.is_file():
        raise InputError(f"no features at {str(path)!r}: give an npz file with X (P, D) and files (P,)")
    with stored_arrays(path, "holds no features", "save X (P, D) and files (P,) in it") as stored:
        files, matrix = [str(file).rsplit("/", 1)[-1] for file in stored["files"]], stored["X"].astype(np.float64)
    if matrix.ndim != 2 or len(matrix) != len(files) or not np.isfinite(matrix).all():
        raise InputError(f"X of shape {matrix.shape!r} for {len(files)} files in {str(path)!r}: one finite row each")
    return files, matrix


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _known(image: str, place: dict[str, int]) -> str:
    name = image.rsplit("/", 1)[-1]
    return name if name in place else _stem(name)
