"""What to ask a person next, so that one click teaches the most: from a joint Gaussian belief over likings. numpy only.

What an answer tells is evaluators/asking/belief.py's to say. By default a rating or a choice of two is asked for the ranking error that its answer is
expected to leave; only a shortlist is looked at that closely, the best by information and by the fall of the targets' variance ("spread").
Among simulated raters it needed fewer clicks than either alone (benchmarks/LOG.md); a pick of four is asked for its information. Several are chosen one after the other, each as if those
before it were answered (greedy, with the covariance that an answer is expected to leave), so that no direction is asked about twice. The
dial between learning and liking is after Brochu et al. 2010, section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from evaluators.asking.belief import (
    SHOWN,
    Belief,
    Kind,
    Question,
    error_after,
    expected,
    information_of_sets,
    ranking_error,
    reach_of,
    worth_of_sets,
)
from prompts.errors import InputError

FEW = 8  # pictures whose questions of four can all be looked at
TARGETS, SHORTLIST = 90, 12
LOOKED_AT = 48  # pictures that a question of four is put together from, where there are more
_TINY = 1e-12
Key = tuple[str, frozenset[int]]
By = Literal["ranking", "information", "spread"]
Value = Callable[[Kind, np.ndarray], np.ndarray]  # of (M, pictures of a question): (M,)
Look = Callable[[Kind, Callable[[Value], np.ndarray]], tuple[np.ndarray, np.ndarray]]


def choose(
    belief: Belief, kind: Kind | Literal["auto"], count: int, *, candidates: Sequence[int] | None = None, targets: Sequence[int] | None = None,
    asked: Sequence[Question] = (), exploit: float = 0.0, seed: int = 0, by: By | None = None,
) -> list[Question]:  # fmt: skip
    """`count` questions, the best first, each chosen as if the ones before it were answered; fewer where no other is left.

    `candidates`: pictures that may be shown, `targets`: pictures whose order matters (None: all; at most `TARGETS` of them are looked at). What was `asked` is not asked again.
    `exploit` 0..1: from learning the most to showing what is liked the most. `by`: what a question is chosen by; None: by what needed the
    fewest clicks of that kind among simulated raters. "auto" takes the kind that is worth the most a click.
    Raises: InputError for an unknown kind, or an `exploit` outside 0..1.
    """
    kinds = _kinds(kind)
    if not 0.0 <= exploit <= 1.0:
        raise InputError(f"exploit {exploit!r}: give 0 (learn the most) to 1 (show what is liked)")
    shown = np.arange(len(belief.mean)) if candidates is None else np.unique(np.asarray(candidates, dtype=int))
    wanted = np.arange(len(belief.mean)) if targets is None else np.asarray(targets, dtype=int)
    by = by or ("information" if kind in ("best", "worst") else "ranking")
    by = "information" if by == "ranking" and exploit else by  # what is liked may not be on a shortlist of what teaches
    rng, found = np.random.default_rng([seed, 0xA5C]), list[Question]()
    wanted = rng.permutation(wanted)[:TARGETS]
    while len(found) < count:
        look = _look(belief, wanted, by)
        options = [
            one for k in kinds if (one := _best(belief, k, shown, look, [*asked, *found], exploit, rng)) is not None
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
    belief: Belief, kind: Kind, shown: np.ndarray, look: Look, asked: Sequence[Question], exploit: float, rng: np.random.Generator
) -> tuple[float, Question] | None:  # fmt: skip
    """The best question of one kind by the dial, and what it teaches, which alone is comparable between kinds; None where there is no other."""
    known = {_key(one) for one in asked}
    if kind == "rate":
        shown = np.array([i for i in shown if _key(Question("rate", (int(i),))) not in known], dtype=int)
    if len(shown) < SHOWN[kind]:
        return None
    sets, values = look(kind, lambda value: _sets(kind, shown, value, known))
    if not len(sets):
        return None
    taught = values
    values = _dialled(belief, sets, values, exploit)
    values = values + 1e-9 * values.std() * rng.standard_normal(
        len(values)
    )  # equal ones are drawn, not always the first
    best = int(values.argmax())
    return float(taught[best]), Question(kind, tuple(int(i) for i in sets[best]))


def _look(belief: Belief, wanted: np.ndarray, by: By) -> Look:
    """What looks for the best sets of pictures by a measure, and gives them with their values."""
    reach = reach_of(belief, wanted)
    values: dict[str, Value] = {
        "information": lambda kind, sets: information_of_sets(belief, kind, sets),
        "spread": lambda kind, sets: worth_of_sets(belief, kind, sets, reach),
    }

    def look(kind: Kind, sets_by: Callable[[Value], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        if by != "ranking":
            sets = sets_by(values[by])
            return sets, values[by](kind, sets) if len(sets) else np.zeros(0)
        both = [(sets_by(value), value) for value in values.values()]
        short = [row for sets, value in both if len(sets) for row in sets[np.argsort(-value(kind, sets), kind="stable")[:SHORTLIST]].tolist()]  # fmt: skip
        sets = np.array(list(dict.fromkeys(tuple(row) for row in short)), dtype=int).reshape(-1, SHOWN[kind])
        now = ranking_error(belief, wanted)
        return sets, np.array([now - error_after(belief, Question(kind, tuple(row)), wanted) for row in sets.tolist()])

    return look


def _dialled(belief: Belief, sets: np.ndarray, values: np.ndarray, exploit: float) -> np.ndarray:
    if exploit == 0.0:
        return values
    liked = belief.mean[sets].mean(axis=1)
    spread = float(belief.mean.std()) or 1.0
    return (1.0 - exploit) * values / max(float(values.max()), _TINY) + exploit * (liked - belief.mean.mean()) / spread


def _sets(kind: Kind, shown: np.ndarray, value: Value, known: set[Key]) -> np.ndarray:
    """(M, pictures of a question): everything there is for one or two pictures, good ones for four."""
    if kind == "rate":
        return shown[:, None]
    if kind == "ab":
        return _pairs(shown, {tuple(sorted(one[1])) for one in known if one[0] == "ab"})
    return _fours(kind, shown, value, known)


def _pairs(shown: np.ndarray, known: set[tuple[int, ...]]) -> np.ndarray:
    """(M, 2) all pairs, the smaller number first, but those known."""
    first, second = np.triu_indices(len(shown), 1)
    numbers = np.sort(shown)
    pairs = np.stack([numbers[first], numbers[second]], axis=1)
    for one, other in known:
        pairs = pairs[(pairs[:, 0] != one) | (pairs[:, 1] != other)]
    return pairs


def _fours(kind: Kind, shown: np.ndarray, value: Value, known: set[Key]) -> np.ndarray:
    """Sets of four: all there are of few pictures, else some grown from the best pair by exchanging one picture at a time."""
    if len(shown) <= FEW:
        every = [four for four in combinations(shown.tolist(), 4) if _key(Question(kind, four)) not in known]
        return np.array(every, dtype=int).reshape(-1, 4)
    pool = shown[np.argsort(-value("rate", shown[:, None]), kind="stable")[:LOOKED_AT]]
    pairs, tried = _pairs(pool, set()), list[tuple[int, ...]]()
    four = pairs[value("ab", pairs).argmax()].tolist()
    for place in (2, 3, 0, 1, 2, 3):
        rest = four[:place] + four[place + 1 :]
        options = [[*rest[:place], int(i), *rest[place:]] for i in pool if i not in rest]
        fresh = [o for o in options if len(o) < 4 or _key(Question(kind, tuple(o))) not in known]
        if fresh:
            sets = np.array(fresh)
            four = fresh[int(value(kind, sets).argmax())]
            tried += [tuple(one) for one in _first(fresh, value(kind, sets))] if len(four) == 4 else []
    return np.array(list(dict.fromkeys(tried)), dtype=int).reshape(-1, 4)


def _first(options: list[list[int]], values: np.ndarray, count: int = 3) -> list[list[int]]:
    return [options[i] for i in np.argsort(-values, kind="stable")[:count]]


def _key(question: Question) -> Key:
    return question.kind, frozenset(question.images)


def _kinds(kind: str) -> tuple[Kind, ...]:
    if kind == "auto":
        return ("rate", "ab", "best", "worst")
    if kind not in SHOWN:
        raise InputError(f"unknown kind of question {kind!r}: use one of {', '.join(SHOWN)} or auto")
    return (kind,)  # type: ignore[return-value]
