"""Ratings of an earlier time as evidence for a belief about words: what a search that starts from a profile begins with.

A power prior (Ibrahim and Chen 2000): each rating's likelihood is raised to how much it counts. Knows arrays and words; does not know
profiles, nor what is done with a belief.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Earlier = tuple[float, Mapping[str, str], float]  # a rating in SDs of its giver's, the words, how much it counts (0..1)


def informed(
    precision: np.ndarray, told: np.ndarray, columns: Mapping[tuple[str, str], int], earlier: Sequence[Earlier], noise: float,
    middle: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Mean (D,) and covariance (D, D) of a linear belief with evidence added: precisions (D, D) add, and so does what they tell (D,).

    `columns`: (gene, word) to its column; columns of anything else learn nothing from earlier ratings. `noise`: SD of a rating.
    `middle` (D,) is taken off the columns of the genes that were told of, for a belief about what differs from it."""
    import numpy as np

    rows = np.zeros((len(earlier), len(precision)))
    for row, (_, words, _) in zip(rows, earlier, strict=True):
        row[[columns[item] for item in words.items()]] = 1.0
        if middle is not None:
            of = [column for (gene, _), column in columns.items() if gene in words]
            row[of] -= middle[of]
    counts = np.array([count for _, _, count in earlier])[:, None] * rows / noise**2
    covariance = np.linalg.inv(precision + rows.T @ counts)
    return covariance @ (told + counts.T @ np.array([value for value, _, _ in earlier])), covariance
