"""GAL, Generative Active Learning (Zhang et al. 2024), Eq. 5-10: which directions a personalised model is unsure of.

A direction is an anchor concept combined with the subject. Images along it either follow the anchor or fall back to
what the reference pictures happened to show besides the subject (overfit). numpy only: features come from outside.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

OPENNESS_RATE = 0.005  # lambda of Eq. 9 in the authors' runs


class Selected(NamedTuple):
    """An anchor chosen as a new direction, and the number of its image that becomes the new reference."""

    anchor: int
    image: int


def similarity(images_features: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """sim() of Eq. 8: cosine (m,) of features (m, D) with one direction (D,). Rows need not be unit."""
    assert images_features.ndim == 2 and direction.shape == images_features.shape[1:], (
        f"compare (m, D) with (D,), not {images_features.shape} with {direction.shape}"
    )
    lengths = np.linalg.norm(images_features, axis=1) * np.linalg.norm(direction)
    return images_features @ direction / np.maximum(lengths, 1e-12)


def oracle(images_features: np.ndarray, anchor: np.ndarray, non_subject: np.ndarray) -> np.ndarray:
    """GAL Eq. 8: (m,) of 1 (overfit) and 0, for features (m, D), the anchor's (D,) and the non-subject semantics' (D,).

    1 where sim(image, anchor) <= sim(image, non-subject), a tie counting as overfit, as the paper writes it. To
    compare whole prompts instead, as the authors' code does, pass the prompts' features.
    """
    fallen = similarity(images_features, anchor) <= similarity(images_features, non_subject)
    return fallen.astype(np.int64)


def overfit_share(overfitted: np.ndarray) -> float:
    """GAL Eq. 7, beta: the share (0..1) of a direction's m >= 1 images that are overfit."""
    assert overfitted.ndim == 1 and len(overfitted) > 0, f"one 0 or 1 per image, not shape {overfitted.shape}"
    return float(overfitted.mean())


def uncertainty(beta: float) -> float:
    """GAL Eq. 6, Omega: entropy of the overfit share in nats, 0..ln 2, with 0 log 0 = 0."""
    assert 0.0 <= beta <= 1.0, f"a share is within 0..1, not {beta!r}"
    return float(-sum(share * np.log(share) for share in (beta, 1.0 - beta) if share > 0.0)) + 0.0


def select(uncertainties: np.ndarray, fidelity: np.ndarray, k: int) -> list[Selected]:
    """The k most uncertain of A directions, most uncertain first, each with its most faithful image (GAL sec. 3.2).

    `uncertainties` (A,); `fidelity` (A, m): sim(image, anchor). With m images only m/2 + 1 uncertainties differ, so
    ties are usual: they go to the direction whose best image is more faithful, then to the lower number.
    """
    assert fidelity.ndim == 2 and uncertainties.shape == fidelity.shape[:1], (
        f"need (A,) and (A, m), not {uncertainties.shape} and {fidelity.shape}"
    )
    assert k >= 1, f"select at least one direction, not {k!r}"
    # Rounded, because beta and 1 - beta give entropies that differ in the last bit.
    order = np.lexsort((np.arange(len(uncertainties)), -fidelity.max(axis=1), -np.round(uncertainties, 9)))
    return [Selected(int(anchor), int(fidelity[anchor].argmax())) for anchor in order[:k]]


def openness(uncertainties: np.ndarray, rate: float = OPENNESS_RATE) -> float:
    """GAL Eq. 9, Delta: `rate` (lambda) times the mean uncertainty over all anchors; the weight of synthetic samples.

    At most lambda ln 2 = 0.35 % of a real sample's weight with the default, so synthetic samples then barely train.
    """
    assert len(uncertainties) > 0, "openness needs at least one anchor"
    return float(rate * np.mean(uncertainties))


def should_stop(uncertainties: np.ndarray, k: int) -> bool:
    """GAL Eq. 10: stop when fewer than k directions are uncertain at all."""
    return int((np.asarray(uncertainties) > 0.0).sum()) < k
