"""How well and how fast a search for pictures went: numbers of one run, and of counts that some runs never reach. numpy only.

LLM prompt optimisation for PIAA, sec. 4.2: max, max - init, K*, max sim, score of the most similar. Beside them simple regret
(what the best so far lacks to the best known) and clicks to a target. Knows neither prompts nor who searched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluators.numbers.win_rate import Interval, mean_interval, progress, wilson

HIGH = 0.75  # "highly rated" without a threshold: the upper quarter of what was shown before


@dataclass(frozen=True)
class SearchNumbers:
    """The paper's five. `best`: max. `gain`: max - init, init the best of the first round. `rounds_to_best`: K*, rounds after
    the first until max was first seen. `similarity`: max sim, cosine of the best picture to the most similar one that was
    highly rated before it. `score_of_similar`: the score of the picture before it that is most similar. The last two are
    None where the best picture is of the first round: nothing came before it."""

    best: float
    gain: float
    rounds_to_best: int
    similarity: float | None
    score_of_similar: float | None


@dataclass(frozen=True)
class Reached:
    """Of `n` runs a `share` reached a target, with its 95 % Wilson interval. Those that did not are censored: they took more
    than `limit`. `median` is None where half of the runs or more did not reach it. `cut`: the mean of the counts, those of runs that
    did not reach it taken as `limit` (the restricted mean: a lower bound of the true one)."""

    share: float
    low: float
    high: float
    median: float | None
    cut: Interval
    limit: float
    n: int


def search_numbers(
    scores: np.ndarray, rounds: np.ndarray, features: np.ndarray, *, high: float | None = None
) -> SearchNumbers:
    """The paper's numbers from every picture shown: scores (N,), round numbers (N,), features (N, D), in any order.

    `high`: from which score on a picture counts as highly rated; None is the upper quarter of those before the best.
    """
    scores, rounds = _scores(scores, rounds)
    assert features.ndim == 2 and len(features) == len(scores), f"features (N, D), not {features.shape}"
    found = progress([float(scores[rounds == one].max()) for one in np.unique(rounds)])
    first = rounds[scores == scores.max()].min()
    star = int(np.flatnonzero((rounds == first) & (scores == scores.max()))[0])
    before = rounds < first
    liked, likeness = similarity(features[star], features[before], scores[before], high=high)
    return SearchNumbers(found.best, found.gain, found.rounds_to_best, liked, likeness)


def similarity(
    best: np.ndarray, features: np.ndarray, scores: np.ndarray, *, high: float | None = None
) -> tuple[float | None, float | None]:
    """max sim (-1..1) and the score of the most similar: picture `best` (D,) against earlier ones (M, D) with scores (M,).

    The first is None where no earlier picture is highly rated, both where there is none.
    """
    if not len(scores):
        return None, None
    rows = np.vstack([best[None], features]).astype(float)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosine = rows[1:] @ rows[0]
    liked = scores >= (float(np.quantile(scores, HIGH)) if high is None else high)
    return float(cosine[liked].max()) if liked.any() else None, float(scores[int(cosine.argmax())])


def best_so_far(scores: np.ndarray, rounds: np.ndarray) -> np.ndarray:
    """(R,) the highest score seen up to each round, the R rounds in their order."""
    scores, rounds = _scores(scores, rounds)
    return np.maximum.accumulate([scores[rounds == one].max() for one in np.unique(rounds)])


def regret(best: np.ndarray, known: float) -> np.ndarray:
    """Simple regret (R,): what the best so far (R,) lacks to the best `known`. Below 0 it is itself the best known."""
    return known - np.asarray(best, dtype=float)


def count_to(best: np.ndarray, target: float, counts: np.ndarray | None = None) -> float | None:
    """How much it took until the best so far (R,) was `target` or more; None if it never was.

    counts: (R,) rising, what each entry had taken until then (ratings, clicks); None counts rounds from 1.
    """
    best = np.asarray(best, dtype=float)
    taken = np.arange(1, len(best) + 1) if counts is None else np.asarray(counts)
    assert taken.shape == best.shape, f"a count for each of {best.shape}, not {taken.shape}"
    there = np.flatnonzero(best >= target)
    return float(taken[there[0]]) if len(there) else None


def reached(counts: Sequence[float | None], limit: float) -> Reached:
    """Counts of runs that were given up at `limit`; None: the target was not reached until then. At least one run."""
    values = [math.inf if count is None or count > limit else float(count) for count in counts]
    share = sum(map(math.isfinite, values)) / len(values)
    low, high = wilson(share, len(values))
    ordered = sorted(values)
    middle = (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2
    cut = mean_interval([min(value, limit) for value in values])
    return Reached(share, low, high, middle if math.isfinite(middle) else None, cut, limit, len(values))


def _scores(scores: np.ndarray, rounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, rounds = np.asarray(scores, dtype=float), np.asarray(rounds)
    assert scores.ndim == 1 and len(scores) and scores.shape == rounds.shape, (
        f"scores (N,) and rounds (N,), N >= 1, not {scores.shape} and {rounds.shape}"
    )
    assert np.isfinite(scores).all(), "a score that is not finite is no score"
    return scores, rounds
