"""A joint Gaussian belief over the likings of pictures: what a question about them is worth, and what an answer leaves of it. numpy only.

A question shows one picture to rate, two to choose between, or four to pick the best or the worst of. `information` is how much its answer
is expected to tell of the likings: exact for a rating, BALD for a choice of two (Houlsby et al. 2011, Eq. 3, for the preference GP of Chu &
Ghahramani 2005), Monte Carlo for four. `worth` is another measure: how far the answer is expected to lower the variance of the targets'
likings about their common mean, which is what orders them (Cohn 1996 for ratings; under a probit answer, moments matched as Minka 2001,
for a choice). `error_after` looks one answer ahead at the share of the targets' pairs that will be ordered wrongly: the loss itself.

Knows no picture, model or store: pictures are row numbers of the belief.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluators.asking.normal import cumulative, density
from prompts.errors import InputError

Kind = Literal["rate", "ab", "best", "worst"]
SHOWN: dict[str, int] = {"rate": 1, "ab": 2, "best": 4, "worst": 4}  # pictures of a question
DRAWS = 256  # of the belief, for a question of four
_TINY = 1e-12
# Of what a measurement of a difference of z SDs would tell, the share that its sign tells: 2 / pi where nobody knows, little where all do.
_Z = np.linspace(0.0, 8.0, 4001)
_BELOW = cumulative(-_Z)
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_FIVE = (_POINTS, _WEIGHTS / _WEIGHTS.sum())
_ENTROPY = -cumulative(_Z) * np.log(cumulative(_Z)) - cumulative(-_Z) * np.log(cumulative(-_Z))
_TELLS = density(_Z) ** 2 / (cumulative(_Z) * cumulative(-_Z))


@dataclass(frozen=True)
class Question:
    """`images`: row numbers of the belief, as many as `SHOWN` says, all different. One click answers it."""

    kind: Kind
    images: tuple[int, ...]


@dataclass(frozen=True)
class Belief:
    """Likings of N pictures: `mean` (N,) and `covariance` (N, N); `noise`: SD of how one look at one picture strays from its liking.
    All in the units of `mean`."""

    mean: np.ndarray
    covariance: np.ndarray
    noise: float

    def __post_init__(self) -> None:
        count = len(self.mean)
        if self.mean.shape != (count,) or self.covariance.shape != (count, count) or not self.noise > 0:
            raise InputError(
                f"belief of shapes {self.mean.shape!r} and {self.covariance.shape!r} with noise {self.noise!r}: give (N,), (N, N), above 0"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise InputError("the belief has values that are not finite: learn the taste again")


def unlearned(features: np.ndarray, noise: float) -> Belief:
    """What is believed before anything was answered, from features (N, D): likings of variance 1, alike where pictures look alike.

    Of the same variance for all: else the odd pictures would be asked about first, of which a linear taste says the least.
    `noise` in SDs of liking.
    """
    spread = features.std(axis=0)
    rows = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
    return Belief(np.zeros(len(rows)), 0.7 * rows @ rows.T + 0.3 * np.eye(len(rows)), noise)


def learned(mean: np.ndarray, covariance: np.ndarray, noise: float) -> Belief:
    """What is believed before anything was answered, from what other people like: `mean` (N,) and `covariance` (N, N) of likings.

    Of variance 1 for all, as `unlearned` has it and for its reason."""
    spread = np.sqrt(np.maximum(np.diag(covariance), _TINY))
    return Belief(mean / spread, covariance / np.outer(spread, spread), noise)


def worth(belief: Belief, question: Question, targets: Sequence[int] | None = None) -> float:
    """Expected fall of the mean variance of the targets' likings about their common mean, in squared units of the belief, >= 0."""
    wanted = np.arange(len(belief.mean)) if targets is None else np.asarray(targets, dtype=int)
    rows = _rows(belief, question)
    return worth_of_sets(belief, question.kind, rows[None], reach_of(belief, wanted))[0].item()


def information(belief: Belief, question: Question) -> float:
    """Mutual information of the answer and the likings, in nats, >= 0."""
    return float(information_of_sets(belief, question.kind, _rows(belief, question)[None])[0])


def information_of_sets(belief: Belief, kind: Kind, sets: np.ndarray) -> np.ndarray:
    """(M,) information of M questions of a kind, (M, pictures of a question): exact for ratings, BALD in closed form for a choice of two
    (Houlsby et al. 2011, Eq. 3), by draws for four."""
    if sets.shape[1] == 1:
        return np.asarray(0.5 * np.log1p(belief.covariance[sets[:, 0], sets[:, 0]] / belief.noise**2))
    if sets.shape[1] == 2:
        return _information_of_pairs(belief, *sets.T)
    likings = _drawn(_blocks(belief.covariance, sets), _normal_draws(DRAWS)) + belief.mean[sets][:, None, :]
    chances = _chances(-likings if kind == "worst" else likings, belief.noise)
    return np.maximum(0.0, _entropy(chances.mean(axis=1)) - _entropy(chances).mean(axis=1))


def _information_of_pairs(belief: Belief, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    c, noise = belief.covariance, 2.0 * belief.noise**2
    variance = np.maximum(c[first, first] + c[second, second] - 2.0 * c[first, second], 0.0)
    z = np.abs(belief.mean[first] - belief.mean[second])
    unsure = np.interp(z / np.sqrt(variance + noise), _Z, _ENTROPY, right=0.0)
    wide = np.pi * np.log(2.0) / 2.0 * noise
    left = np.log(2.0) * np.sqrt(wide / (variance + wide)) * np.exp(-(z**2) / (2.0 * (variance + wide)))
    return np.maximum(0.0, unsure - left)


def expected(belief: Belief, question: Question) -> Belief:
    """The belief that an answer is expected to leave: the same mean, the covariance less what the answer tells on average."""
    rows = _rows(belief, question)
    told = _told(belief, question.kind, rows[None])[0]
    inside = belief.covariance[np.ix_(rows, rows)] + _TINY * np.eye(len(rows))
    pull = np.linalg.solve(inside, belief.covariance[rows])
    left = belief.covariance - pull.T @ told @ pull
    return Belief(belief.mean, (left + left.T) / 2.0, belief.noise)


def ranking_error(belief: Belief, targets: Sequence[int] | np.ndarray | None = None) -> float:
    """Share of the targets' pairs that the mean is expected to order wrongly, 0..0.5: how sure the belief is of itself."""
    wanted = np.arange(len(belief.mean)) if targets is None else np.asarray(targets, dtype=int)
    apart, spread = _differences(belief, wanted)
    upper = np.triu_indices(len(wanted), 1)
    wrong = np.interp(np.abs(apart[upper]) / spread[upper], _Z, _BELOW, right=0.0)
    return float(wrong.mean()) if len(wanted) > 1 else 0.5


def error_after(belief: Belief, question: Question, targets: np.ndarray) -> float:
    """`ranking_error` that the answer is expected to leave: over all answers, by their chances; a rating by five points of Gauss-Hermite."""
    rows = _rows(belief, question)
    kept = np.concatenate([rows, targets])
    small = Belief(belief.mean[kept], belief.covariance[np.ix_(kept, kept)], belief.noise)
    asked, wanted = Question(question.kind, tuple(range(len(rows)))), np.arange(len(rows), len(kept))
    return float(
        sum(chance * ranking_error(after(small, asked, answer), wanted) for answer, chance in _answers(small, asked))
    )


def _answers(belief: Belief, question: Question) -> list[tuple[float | int, float]]:
    """Every answer there may be and its chance."""
    rows = np.array(question.images)
    inside, mean = belief.covariance[np.ix_(rows, rows)], belief.mean[rows]
    if question.kind == "rate":
        spread = float(np.sqrt(inside[0, 0] + belief.noise**2))
        return [(float(mean[0] + spread * z), float(w)) for z, w in zip(*_FIVE, strict=True)]
    if question.kind == "ab":
        variance = inside[0, 0] + inside[1, 1] - 2.0 * inside[0, 1] + 2.0 * belief.noise**2
        first = float(cumulative((mean[0] - mean[1]) / np.sqrt(variance)))
        return [(0, first), (1, 1.0 - first)]
    sign = -1.0 if question.kind == "worst" else 1.0
    chances = _chances(sign * (_drawn(inside[None], _normal_draws(DRAWS))[0] + mean), belief.noise).mean(axis=0)
    return [(place, float(chance)) for place, chance in enumerate(chances)]


def after(belief: Belief, question: Question, answer: float | int | None) -> Belief:
    """The belief once an answer is known, by moment matching, answer by answer (Minka 2001; exact for a rating).

    `answer`: a rating in the belief's units, the place of the picture that was picked, or None for a tie, which is taken as a
    measured difference of 0. A pick of four is three choices of two.
    """
    rows = _rows(belief, question)
    if question.kind == "rate":
        assert answer is not None
        return _measured(belief, np.eye(len(belief.mean))[rows[0]], float(answer), belief.noise**2)
    if answer is None:
        return _measured(belief, _apart(belief, rows[0], rows[1]), 0.0, 2.0 * belief.noise**2)
    picked = int(rows[int(answer)])
    for other in (int(row) for row in rows if row != picked):
        belief = _won(belief, *((other, picked) if question.kind == "worst" else (picked, other)))
    return belief


def _measured(belief: Belief, direction: np.ndarray, value: float, noise: float) -> Belief:
    toward = belief.covariance @ direction
    spread = float(direction @ toward) + noise
    mean = belief.mean + toward * (value - float(direction @ belief.mean)) / spread
    return Belief(mean, belief.covariance - np.outer(toward, toward) / spread, belief.noise)


def _won(belief: Belief, win: int, lose: int) -> Belief:
    toward = belief.covariance[:, win] - belief.covariance[:, lose]
    spread = max(float(toward[win] - toward[lose]), 0.0) + 2.0 * belief.noise**2
    z = np.array((belief.mean[win] - belief.mean[lose]) / np.sqrt(spread))
    ratio = float(density(z) / np.maximum(cumulative(z), _TINY))
    left = belief.covariance - np.outer(toward, toward) * ratio * (float(z) + ratio) / spread
    return Belief(belief.mean + toward * ratio / np.sqrt(spread), left, belief.noise)


def _apart(belief: Belief, first: int, second: int) -> np.ndarray:
    units = np.eye(len(belief.mean))
    return np.asarray(units[first] - units[second])


def reach_of(belief: Belief, wanted: np.ndarray) -> np.ndarray:
    """(N, N): how much of the targets' spread a change of two pictures' likings would move, covariances multiplied and averaged."""
    toward = belief.covariance[:, wanted]
    toward = toward - toward.mean(axis=1, keepdims=True)
    return toward @ toward.T / max(1, len(wanted))


def worth_of_sets(belief: Belief, kind: Kind, sets: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(M,) worth of M sets of pictures, (M, pictures of a question)."""
    if sets.shape[1] == 1:
        row = sets[:, 0]
        return np.asarray(reach[row, row] / (belief.covariance[row, row] + belief.noise**2))
    if sets.shape[1] == 2:
        first, second = sets.T
        spread, tells = _pair_terms(belief, first, second)
        moved = reach[first, first] + reach[second, second] - 2.0 * reach[first, second]
        return np.asarray(moved * tells / spread)
    inside = _blocks(belief.covariance, sets) + _TINY * np.eye(sets.shape[1])
    pull = np.linalg.solve(inside, _told(belief, kind, sets))
    return np.asarray(np.einsum("mij,mji->m", pull, np.linalg.solve(inside, _blocks(reach, sets))))


def _pair_terms(belief: Belief, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the noisy difference, and the share of what a measurement of it would tell that its sign tells, 0..2/pi."""
    c = belief.covariance
    spread = np.maximum(c[first, first] + c[second, second] - 2.0 * c[first, second], 0.0) + 2.0 * belief.noise**2
    z = (belief.mean[first] - belief.mean[second]) / np.sqrt(spread)
    return spread, np.interp(np.abs(z), _Z, _TELLS, right=0.0)


def _told(belief: Belief, kind: Kind, sets: np.ndarray) -> np.ndarray:
    """(M, k, k) variance over the answers of the expected likings given the answer."""
    inside = _blocks(belief.covariance, sets)
    if sets.shape[1] == 1:
        return np.asarray(inside**2 / (inside + belief.noise**2))
    if sets.shape[1] == 2:
        spread, tells = _pair_terms(belief, *sets.T)
        toward = inside[:, :, 0] - inside[:, :, 1]
        return np.asarray(toward[:, :, None] * toward[:, None, :] * (tells / spread)[:, None, None])
    return _told_by_draws(belief, kind, sets, inside)


def _told_by_draws(belief: Belief, kind: Kind, sets: np.ndarray, inside: np.ndarray) -> np.ndarray:
    normal = _normal_draws(DRAWS)
    likings = _drawn(inside, normal[:, :4])
    seen = likings + belief.mean[sets][:, None, :] + belief.noise * normal[None, :, 4 : 4 + sets.shape[1]]
    picked = seen.argmin(axis=2) if kind == "worst" else seen.argmax(axis=2)
    answers = (picked[:, :, None] == np.arange(sets.shape[1])).astype(float)
    counts = np.maximum(answers.sum(axis=1), 1.0)
    sums = np.einsum("msa,msi->mai", answers, likings - likings.mean(axis=1, keepdims=True))
    return np.asarray(np.einsum("mai,maj,ma->mij", sums, sums, 1.0 / counts) / DRAWS)


def _normal_draws(count: int) -> np.ndarray:
    """The same draws for all sets: what differs between two questions is then the questions. In pairs of opposites."""
    half = np.random.default_rng(0x5EED).standard_normal((count // 2, 8))
    return np.concatenate([half, -half])


def _drawn(inside: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(M, draws, k) draws of zero mean with covariances (M, k, k)."""
    values, vectors = np.linalg.eigh(inside)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return np.asarray(np.einsum("mij,sj->msi", roots, normal[:, : inside.shape[1]]))


def _chances(likings: np.ndarray, noise: float) -> np.ndarray:
    """Chance of each of the pictures (the last axis) to be picked as the best: the softmax whose noise has the spread of `noise`."""
    scaled = likings * np.pi / (np.sqrt(6.0) * noise)
    grown = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True))


def _entropy(chances: np.ndarray) -> np.ndarray:
    return np.asarray(-(chances * np.log(np.maximum(chances, _TINY))).sum(axis=-1))


def _differences(belief: Belief, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, c = belief.mean[wanted], belief.covariance[np.ix_(wanted, wanted)]
    variance = np.diag(c)[:, None] + np.diag(c)[None, :] - 2.0 * c
    return mean[:, None] - mean[None, :], np.sqrt(np.maximum(variance, _TINY))


def _blocks(matrix: np.ndarray, sets: np.ndarray) -> np.ndarray:
    return np.asarray(matrix[sets[:, :, None], sets[:, None, :]])


def _rows(belief: Belief, question: Question) -> np.ndarray:
    """Raises: InputError for a question of the wrong size, about one picture twice, or about none of the belief."""
    rows = np.asarray(question.images, dtype=int)
    if question.kind not in SHOWN or len(rows) != SHOWN[question.kind] or len(set(rows.tolist())) != len(rows):
        raise InputError(
            f"question {question!r}: give {SHOWN.get(question.kind, 'rate, ab, best or worst:')} different pictures"
        )
    if rows.min() < 0 or rows.max() >= len(belief.mean):
        raise InputError(f"question {question!r} is about a picture outside 0..{len(belief.mean) - 1}")
    return rows
