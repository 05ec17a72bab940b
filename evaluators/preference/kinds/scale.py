"""The scale that someone rates on, recognised from the ratings alone: 0..1, 1..5, 0..10 or 0..100."""

from __future__ import annotations

import numpy as np

_LIMITS = (1.0, 5.0, 10.0, 100.0)
_SHARE = 0.2  # SD of a person's ratings, in the length of the scale they use
_WORTH = 1.0  # ratings that this guess counts as


def length_of(ratings: np.ndarray) -> float:
    """The end of the shortest usual scale that holds the ratings (N,), N >= 1; else their own largest size.

    A picture or two cannot tell 0..1 from 0..10: a single 1 is read as the end of 0..1.
    """
    largest = float(np.abs(ratings).max())
    return next((limit for limit in _LIMITS if largest <= limit), largest)


def spread_of(ratings: np.ndarray) -> float:
    """The SD (points) of a person's ratings (N,), N >= 1, drawn towards the usual one of their scale as by one more rating;
    where all are equal, the usual one: they tell what the person said, not how far they may go."""
    usual = _SHARE * length_of(ratings)
    if np.ptp(ratings) < 1e-9:
        return usual or 1.0
    return float(np.sqrt((len(ratings) * ratings.var() + _WORTH * usual**2) / (len(ratings) + _WORTH)))
