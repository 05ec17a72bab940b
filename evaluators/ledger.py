"""Who judges pictures how, side by side, and an alarm for a guide that is being deceived. numpy only; knows no store and no scorer.

A scorer that is optimised stops measuring what it stood for (Goodhart's law; Gao, Schulman and Hilton 2022 for learned rewards): it
goes on climbing while judges that nobody optimised fall. So the ledger keeps every judge of every picture, says where two of them
disagree, and `alarm` looks at what they did round by round. The person is a judge too, and has the last word: where their ratings
rise on the whole, a scorer of other people's taste may fall, because tastes differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from evaluators.numbers.agreement import agree
from evaluators.numbers.win_rate import student

Columns = Mapping[str, np.ndarray]  # judge to its values (N,) of N pictures; NaN where it did not judge
PERSON = "rating"
FEWEST = 8  # pictures that two judges must share before their correlation is worth a word
FEWEST_ROUNDS = 4  # that a slope is asked of: three points on a line leave one degree of freedom
BIGGEST = 3  # disagreements that are named
RESAMPLES = 300


@dataclass(frozen=True)
class Disagreement:
    """Two judges of the same `n` pictures: their rank correlation with its 95 % interval (bootstrap over pictures), and the pictures
    on which they differ most: (row, the first's standing less the second's, in SDs)."""

    first: str
    second: str
    correlation: float
    low: float
    high: float
    n: int
    biggest: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Slope:
    """How a judge's mean changed from round to round, in its SDs over all pictures, with a 95 % interval; over `rounds` rounds."""

    judge: str
    slope: float
    low: float
    high: float
    rounds: int

    @property
    def climbs(self) -> bool:
        return self.low > 0

    @property
    def falls(self) -> bool:
        return self.high < 0


@dataclass(frozen=True)
class Alarm:
    """What the rounds show. `raised`: the guide climbs while somebody who did not guide falls, and the person does not say otherwise.

    `guide` is None before there are rounds enough. `apart`: judges that fall while the person's ratings rise: no alarm, a taste of
    its own."""

    raised: bool
    guide: Slope | None
    falling: tuple[Slope, ...]
    apart: tuple[Slope, ...]

    @property
    def said(self) -> str:
        """One sentence, "" without anything to say."""
        if self.guide is None or not (self.falling or self.apart):
            return ""
        names = " and ".join(_named(one) for one in self.falling or self.apart)
        if self.raised:
            return f"Alarm: {_named(self.guide)}, which guides, climbs while {names} falls: it may be deceived. Look at the pictures before trusting it."  # fmt: skip
        return f"{names} falls while the ratings rise: this taste departs from it."


def standardised(columns: Columns) -> dict[str, np.ndarray]:
    """Each judge's values less their mean, in their SDs; a judge without any order is all 0. NaN stays NaN."""
    found = {}
    for name, values in columns.items():
        told = values[np.isfinite(values)]
        spread = float(told.std()) if len(told) else 0.0
        middle = float(told.mean()) if len(told) else 0.0
        found[name] = (values - middle) / spread if spread > 1e-12 else values * 0.0
    return found


def disagreements(columns: Columns, *, fewest: int = FEWEST) -> list[Disagreement]:
    """Every pair of judges that share `fewest` pictures or more and each tell some of them apart, least agreement first."""
    found = []
    for first, second in combinations(columns, 2):
        both = np.flatnonzero(np.isfinite(columns[first]) & np.isfinite(columns[second]))
        if len(both) >= fewest and all(np.ptp(columns[name][both]) > 1e-12 for name in (first, second)):
            found.append(_pair(first, second, columns[first][both], columns[second][both], both))
    return sorted(found, key=lambda one: one.correlation)


def _pair(first: str, second: str, a: np.ndarray, b: np.ndarray, rows: np.ndarray) -> Disagreement:
    told = agree(a, b, resamples=RESAMPLES)
    both = standardised({"a": a, "b": b})
    gaps = both["a"] - both["b"]
    order = np.argsort(-np.abs(gaps), kind="stable")[:BIGGEST]
    return Disagreement(first, second, told.srocc, told.low, told.high, len(rows), tuple((int(rows[i]), float(gaps[i])) for i in order))  # fmt: skip


def slope(judge: str, values: np.ndarray, rounds: np.ndarray) -> Slope | None:
    """Least squares through the means of the rounds, with Student's interval on the rounds (not the pictures: those of one round have
    parents in common, and are not independent). None below `FEWEST_ROUNDS` rounds."""
    told = np.isfinite(values)
    spread = float(values[told].std()) if told.any() else 0.0
    numbers = np.unique(rounds[told])
    if len(numbers) < FEWEST_ROUNDS or spread < 1e-12:
        return None
    order = np.argsort(
        rounds[told], kind="stable"
    )  # round by round: to look for each among all takes minutes where there are thousands
    starts = np.searchsorted(rounds[told][order], numbers)
    means = np.array([one.mean() for one in np.split(values[told][order], starts[1:])]) / spread
    x = numbers - numbers.mean()
    size = float((x**2).sum())
    found = float(x @ means) / size
    residual = means - means.mean() - found * x
    error = np.sqrt(float((residual**2).sum()) / (len(numbers) - 2) / size)
    half = student(len(numbers) - 2) * float(error)
    return Slope(judge, found, found - half, found + half, len(numbers))


def alarm(columns: Columns, rounds: np.ndarray, guide: str) -> Alarm:
    """Whether `guide` climbs over `rounds` (N,) while another judge falls. Judges with too few rounds have no say."""
    slopes = {name: slope(name, values, rounds) for name, values in columns.items()}
    led = slopes.get(guide)
    if led is None or not led.climbs:
        return Alarm(False, led, (), ())
    falling = tuple(one for name, one in slopes.items() if one is not None and name != guide and one.falls)
    person = slopes.get(PERSON)
    if (
        person is not None and person.slope > 0
    ):  # not `climbs`: that cried wolf in 13 % of honest searches of eight rounds
        return Alarm(False, led, (), falling)
    return Alarm(bool(falling), led, falling, ())


def _named(one: Slope) -> str:
    return f"{one.judge} ({one.slope:+.2f} SD a round, {one.low:+.2f} to {one.high:+.2f})"
