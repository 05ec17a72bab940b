"""What is believed of a person's likings before they said anything: a mean and a covariance over all pictures. numpy only.

covariance(x, y) = size * kernel(x, y) + c(x) diag(change) c(y), mean(x) = size * kernel(x, pictures) @ means, where
c(x) = size * kernel(x, pictures) @ carry: what was learned at the pictures that others rated is carried to any other picture
through the kernel (Schwaighofer, Tresp & Yu 2004, sec. 3). Likings are in SDs of a person's ratings.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from evaluators.preference.kinds.kernel import REACH, diagonal, kernel, spread

_OWN, _NOISE, _SIZE = 0.5, 0.6, 0.7  # with no population: those that kind "head" expects


@dataclass(frozen=True)
class Prior:
    """`centre`, `scale` (D,) standardise features; `pictures` (P, D) standardised; `means` (P,), `carry` (P, r), `change`
    (r,) above -1; `own` the share of departures and `reach` how far one is shared, `size` the kernel's variance, `noise` a rating's variance."""

    centre: np.ndarray
    scale: np.ndarray
    pictures: np.ndarray
    means: np.ndarray
    carry: np.ndarray
    change: np.ndarray
    own: float
    reach: float
    size: float
    noise: float

    @staticmethod
    def plain(features: np.ndarray) -> Prior:
        """Of someone of whose kind nothing is known, standardised on their own pictures (N, D)."""
        width = features.shape[1]
        return Prior(
            features.mean(axis=0), spread(features), np.zeros((0, width)), np.zeros(0), np.zeros((0, 0)), np.zeros(0),
            _OWN, REACH, _SIZE, _NOISE,
        )  # fmt: skip

    @staticmethod
    def of(arrays: dict[str, np.ndarray]) -> Prior:
        """The one that `arrays` wrote."""
        found: dict[str, Any] = {field.name: arrays[f"prior_{field.name}"] for field in fields(Prior)}
        return Prior(**{**found, **{name: float(found[name]) for name in ("own", "reach", "size", "noise")}})

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, to be saved."""
        return {f"prior_{field.name}": np.asarray(getattr(self, field.name)) for field in fields(self)}

    def mean(self, features: np.ndarray) -> np.ndarray:
        """(M,) expected liking of features (M, D)."""
        return self._near(self._standard(features)) @ self.means.astype(float)

    def beside(self, features: np.ndarray, rated: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean (M,) and variance (M,) of features (M, D), and their covariance (M, N) with rated ones (N, D)."""
        a, b = self._standard(features), self._standard(rated)
        near, carry, change = self._near(a), self.carry.astype(float), self.change.astype(float)
        carried = near @ carry
        variance = self.size * diagonal(a, self.own) + (carried**2) @ change
        cross = self.size * kernel(a, b, self.own, self.reach) + (carried * change) @ (self._near(b) @ carry).T
        return near @ self.means.astype(float), variance, cross

    def covariance(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(M, N) between likings of features (M, D) and (N, D)."""
        a, b = self._standard(first), self._standard(second)
        carry = self.carry.astype(float)
        learned = (self._near(a) @ carry * self.change) @ (self._near(b) @ carry).T
        return self.size * kernel(a, b, self.own, self.reach) + learned

    def _standard(self, features: np.ndarray) -> np.ndarray:
        return (features - self.centre) / self.scale

    def _near(self, rows: np.ndarray) -> np.ndarray:
        return self.size * kernel(rows, self.pictures.astype(float), self.own, self.reach)
