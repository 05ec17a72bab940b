"""What to ask a person next, so that one click teaches the most: from a joint Gaussian belief over likings. numpy only.

What a question is worth is evaluators/belief.py's to say. Here the best one of a kind is found, one after the other, each as if those before
it were answered (greedy, with the covariance that an answer is expected to leave), so that no direction is asked about twice. The dial
between learning and liking is after Brochu et al. 2010, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from evaluators.belief import SHOWN, Belief, Kind, Question, expected, reach_of, worth_of_sets
from prompts.errors import InputError

LOOKED_AT = 48  # pictures that a question of four is put together from, where there are more
_TINY = 1e-12
Key = tuple[str, frozenset[int]]


def choose(
    belief: Belief, kind: Kind | Literal["auto"], count: int, *, candidates: Sequence[int] | None = None, targets: Sequence[int] | None = None,
    asked: Sequence[Question] = (), exploit: float = 0.0, seed: int = 0,
) -> list[Question]:  # fmt: skip
    """`count` questions, the best first, each chosen as if the ones before it were answered; fewer where no other is left.

    `candidates`: pictures that may be shown, `targets`: pictures whose order matters (None: all). What was `asked` is not asked again.
    `exploit` 0..1: from learning the most to showing what is liked the most. "auto" takes the kind that is worth the most a click.
    Raises: InputError for an unknown kind, or an `exploit` outside 0..1.
    """
    kinds = _kinds(kind)
    if not 0.0 <= exploit <= 1.0:
        raise InputError(f"exploit {exploit!r}: give 0 (learn the most) to 1 (show what is liked)")
    shown = np.arange(len(belief.mean)) if candidates is None else np.unique(np.asarray(candidates, dtype=int))
    wanted = np.arange(len(belief.mean)) if targets is None else np.asarray(targets, dtype=int)
    rng, found = np.random.default_rng([seed, 0xA5C]), list[Question]()
    while len(found) < count:
        options = [
            one for k in kinds if (one := _best(belief, k, shown, wanted, [*asked, *found], exploit, rng)) is not None
        ]
        if not options:
            break
        found.append(max(options, key=lambda option: option[0])[1])
        belief = expected(belief, found[-1])
    return found


def at_random(
    kind: Kind | Literal["auto"], count: int, candidates: Sequence[int], *, asked: Sequence[Question] = (), seed: int = 0
) -> list[Question]:  # fmt: skip
    """`count` different questions about pictures drawn at random: what `choose` has to beat. "auto" is ratings. Raises as `choose`."""
    first, rng = _kinds(kind)[0], np.random.default_rng([seed, 0xD1CE])
    size, pool = SHOWN[first], list(dict.fromkeys(int(c) for c in candidates))
    known, found = {_key(one) for one in asked}, list[Question]()
    for _ in range(50 * count):
        if len(found) == count or len(pool) < size:
            break
        drawn = Question(first, tuple(int(i) for i in rng.choice(pool, size, replace=False)))
        if _key(drawn) not in known:
            known.add(_key(drawn))
            found.append(drawn)
    return found


def _best(
    belief: Belief, kind: Kind, shown: np.ndarray, wanted: np.ndarray, asked: Sequence[Question], exploit: float, rng: np.random.Generator
) -> tuple[float, Question] | None:  # fmt: skip
    """The best question of one kind, and its worth by the dial; None where there is no other."""
    known = {_key(one) for one in asked}
    if kind == "rate":
        shown = np.array([i for i in shown if _key(Question("rate", (int(i),))) not in known], dtype=int)
    if len(shown) < SHOWN[kind]:
        return None
    reach = reach_of(belief, wanted)
    sets = _sets(belief, kind, shown, reach, known)
    if not len(sets):
        return None
    values = _dialled(belief, kind, sets, worth_of_sets(belief, kind, sets, reach), exploit)
    values = values + 1e-9 * values.std() * rng.standard_normal(
        len(values)
    )  # equal ones are drawn, not always the first
    best = int(values.argmax())
    return float(values[best]), Question(kind, tuple(int(i) for i in sets[best]))


def _dialled(belief: Belief, kind: Kind, sets: np.ndarray, values: np.ndarray, exploit: float) -> np.ndarray:
    if exploit == 0.0:
        return values
    liked = belief.mean[sets].mean(axis=1)
    spread = float(belief.mean.std()) or 1.0
    return (1.0 - exploit) * values / max(float(values.max()), _TINY) + exploit * (liked - belief.mean.mean()) / spread


def _sets(belief: Belief, kind: Kind, shown: np.ndarray, reach: np.ndarray, known: set[Key]) -> np.ndarray:
    """(M, pictures of a question): everything there is for one or two pictures, good ones for four."""
    if kind == "rate":
        return shown[:, None]
    if kind == "ab":
        return _pairs(shown, {tuple(sorted(one[1])) for one in known if one[0] == "ab"})
    return _grown(belief, kind, shown, reach, known)


def _pairs(shown: np.ndarray, known: set[tuple[int, ...]]) -> np.ndarray:
    """(M, 2) all pairs, the smaller number first, but those known."""
    first, second = np.triu_indices(len(shown), 1)
    numbers = np.sort(shown)
    pairs = np.stack([numbers[first], numbers[second]], axis=1)
    for one, other in known:
        pairs = pairs[(pairs[:, 0] != one) | (pairs[:, 1] != other)]
    return pairs


def _grown(belief: Belief, kind: Kind, shown: np.ndarray, reach: np.ndarray, known: set[Key]) -> np.ndarray:
    """Sets of four, grown from the best pair and improved by exchanging one picture at a time."""
    alone = worth_of_sets(belief, "rate", shown[:, None], reach)
    pool = shown[np.argsort(-alone, kind="stable")[:LOOKED_AT]]
    pairs = _pairs(pool, set())
    four = pairs[worth_of_sets(belief, "ab", pairs, reach).argmax()].tolist()
    tried: list[tuple[int, ...]] = []
    for place in (2, 3, 0, 1, 2, 3):
        rest = four[:place] + four[place + 1 :]
        options = np.array([[*rest, int(i)] for i in pool if i not in rest])
        if len(rest) == 3:
            options = np.array([o for o in options.tolist() if _key(Question(kind, tuple(o))) not in known]).reshape(
                -1, 4
            )
        if not len(options):
            return np.zeros((0, 4), dtype=int)
        best = options[worth_of_sets(belief, kind, options, reach).argmax()].tolist()
        four = best[:place] + best[-1:] + best[place:-1] if place < len(four) else best
        tried += [tuple(four)] if len(four) == 4 else []
    return np.array(list(dict.fromkeys(tried)))


def _key(question: Question) -> Key:
    return question.kind, frozenset(question.images)


def _kinds(kind: str) -> tuple[Kind, ...]:
    if kind == "auto":
        return ("rate", "ab", "best", "worst")
    if kind not in SHOWN:
        raise InputError(f"unknown kind of question {kind!r}: use one of {', '.join(SHOWN)} or auto")
    return (kind,)  # type: ignore[return-value]
