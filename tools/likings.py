"""What the person is known to think of each picture, on the scale of ratings, however they were asked."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, pstdev

from tools.context import Trail


def likings(trail: Trail) -> Mapping[str, float]:
    """Image id to 0..10: its rating, or where it was only compared, its strength (evaluators.numbers.comparisons) laid on the scale.

    Where there are ratings too, strengths are laid around their mean and within their spread. What the person wants more like is as
    good as the best. A run without comparisons or such wishes has its ratings, as they are.
    """
    told = judged(trail)
    wanted = trail.wanted_more()
    return dict(told) | dict.fromkeys(wanted, max(told.values(), default=10.0)) if wanted else told


def judged(trail: Trail) -> Mapping[str, float]:
    """As `likings`, of what was rated and compared alone: a wish for more like a picture is no judgement of it."""
    from evaluators.numbers import comparisons  # numpy only where something was compared

    ratings, pairs = trail.ratings(), trail.comparisons()
    if not pairs:
        return ratings
    known = list(dict.fromkeys(image for pair in pairs for image in (pair.win, pair.lose)))
    strengths = _strengths(trail, {image: i for i, image in enumerate(known)})
    middle, points = comparisons.MIDDLE, comparisons.POINTS
    if len(ratings) > 1:
        middle, points = fmean(ratings.values()), pstdev(ratings.values())
    told = {
        image: round(min(10.0, max(0.0, middle + points * strength)), 2)
        for image, strength in zip(known, strengths, strict=True)
    }
    return told | dict(ratings)


def _strengths(trail: Trail, number: Mapping[str, int]) -> list[float]:
    """A tie is half a win of either, and two bad pictures lost to one of strength 0, the person's average.

    Everything counts twice, so that half a win can be a win, under a prior that is twice as firm: the same strengths.
    """
    from evaluators.numbers import comparisons

    average = len(number)
    pairs = [(number[pair.win], number[pair.lose]) for pair in trail.comparisons()]
    ties = [pair.tie for pair in trail.comparisons()]
    bad = [
        number[image] for one in trail.answers() if one.answer == "both bad" for image in one.shown if image in number
    ]
    twice = [pair if k or not tie else pair[::-1] for pair, tie in zip(pairs, ties, strict=True) for k in (0, 1)]
    twice += [(average, image) for image in bad for _ in (0, 1)]
    return [float(one) for one in comparisons.strengths(twice, average + 1, prior_sd=0.5**0.5)[:average]]
