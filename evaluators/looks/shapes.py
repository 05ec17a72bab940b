"""Finds the blobs in a picture whose pixels carry colour codes, and measures their form. numpy only.

A blob is a 4-connected region of one colour name that is not the background and holds at least one 3x3 block, so the
soft edge around a shape is no blob. Two touching shapes of one colour are one blob: pixels cannot tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluators.looks.colour import background_code, cores


@dataclass(frozen=True)
class Blobs:
    """Measures of K blobs, each an array (K,). Positions are in pixels, row and column of the centroid.

    `roundness`: area^2 / (2 pi x second moment about the centroid), 1 for a disc, 0.955 for a square, about 0.83 for
    an equilateral triangle, lower for rings, crosses and bars.
    `boxiness`: area / bounding box, 1 for an upright square, 0.785 for a disc, 0.5 for a triangle or a diamond.
    """

    area: np.ndarray
    row: np.ndarray
    column: np.ndarray
    roundness: np.ndarray
    boxiness: np.ndarray

    def __len__(self) -> int:
        return len(self.area)


def _runs(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last flat index of every horizontal run of one colour."""
    starts = np.ones(codes.shape, dtype=bool)
    starts[:, 1:] = codes[:, 1:] != codes[:, :-1]
    first = np.flatnonzero(starts)
    return first, np.append(first[1:], codes.size) - 1


def label(codes: np.ndarray) -> np.ndarray:
    """(H, W) int component numbers 0..K-1 (in reading order) of 4-connected regions of equal code.

    Works on runs, not pixels: a 64x64 picture has some hundreds of them, which keeps it well under a millisecond.
    """
    first, last = _runs(codes)
    run_of = np.repeat(np.arange(len(first)), last - first + 1).reshape(codes.shape)
    same = codes[1:] == codes[:-1]
    pairs = np.unique(run_of[:-1][same].astype(np.int64) * len(first) + run_of[1:][same])
    upper, lower = pairs // len(first), pairs % len(first)
    root = np.arange(len(first))
    while True:
        smallest = np.minimum(root[upper], root[lower])
        linked = root.copy()
        # Hook each root onto the smallest root that it meets, then shorten every path by half.
        np.minimum.at(linked, root[upper], smallest)
        np.minimum.at(linked, root[lower], smallest)
        linked = linked[linked]
        if np.array_equal(linked, root):
            break
        root = linked
    return np.unique(root, return_inverse=True)[1].reshape(-1)[run_of]


def blobs(codes: np.ndarray) -> Blobs:
    """Measure the blobs of a picture given as (H, W) colour codes (see `evaluators.looks.colour.name_codes`)."""
    labels = label(codes)
    count = int(labels.max()) + 1
    solid = np.bincount(labels[cores(codes)], minlength=count) > 0
    solid &= _code_of(labels, codes, count) != background_code(codes)
    index = np.full(count, -1)
    index[solid] = np.arange(int(solid.sum()))
    inside = index[labels] >= 0
    rows, columns = np.nonzero(inside)
    return _measure(index[labels[inside]], rows, columns, int(solid.sum()))


def _code_of(labels: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    code = np.zeros(count, dtype=codes.dtype)
    code[labels.ravel()] = codes.ravel()
    return code


def _measure(which: np.ndarray, rows: np.ndarray, columns: np.ndarray, count: int) -> Blobs:
    if count == 0:
        return Blobs(*(np.zeros(0) for _ in range(5)))
    area = np.bincount(which, minlength=count).astype(float)
    row = np.bincount(which, rows, count) / area
    column = np.bincount(which, columns, count) / area
    # A pixel is a unit square: its own second moment (1/6) keeps one-pixel blobs finite and discs at exactly 1.
    moment = np.bincount(which, (rows - row[which]) ** 2 + (columns - column[which]) ** 2, count) + area / 6.0
    extent = _extent(which, rows, count) * _extent(which, columns, count)
    return Blobs(area, row, column, area**2 / (2.0 * np.pi * moment), area / extent)


def _extent(which: np.ndarray, position: np.ndarray, count: int) -> np.ndarray:
    low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(low, which, position)
    np.maximum.at(high, which, position)
    return (high - low + 1).astype(float)
