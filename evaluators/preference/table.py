"""The table of personal image aesthetics assessment (PIAA): learn from n of a person's ratings, foretell others of theirs.

As in LLM prompt optimisation for PIAA, Table 3 (SROCC, MSE, MAE), but errors compare (N,) with (N,), each number is a mean over
people with an interval, and beside it stand the mean of the other people, and the ceiling that a person's own unsteadiness
sets. Nothing of the test pictures' ratings by this person is used; whatever a population teaches comes from other raters alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from evaluators.agreement import errors, pairwise_accuracy, spearman
from evaluators.preference.model import fit
from evaluators.preference.people import People, ceiling
from evaluators.preference.population import Population, standardised
from evaluators.win_rate import mean_interval
from prompts.errors import InputError

BASE = "group_mean"
TABLE_KINDS = (BASE, "knn", "finetune", "head", "maml", "bayes", "knn+population", "blend+population")
_NUMBERS = ("srocc", "plcc", "mse", "mae", "accuracy")

Row = dict[str, Any]


@dataclass(frozen=True)
class _Case:
    """One person, what is shown of them, what is held, and what other people taught."""

    features: np.ndarray
    ratings: np.ndarray  # (P,) the person's own, standardised by nobody
    shown: np.ndarray
    held: np.ndarray
    others: np.ndarray  # (P,) mean of the other raters' standardised ratings
    population: Population | None
    seed: int


def evaluate(
    people: People,
    kinds: Sequence[str] = TABLE_KINDS,
    shown: Sequence[int] = (10, 40),
    held: int = 15,
    splits: int = 10,
    seed: int = 0,
    *,
    cold: bool = False,
    groups: int | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """One row for each kind and each number of ratings shown: means over raters of SROCC, PLCC, MSE, MAE (in points squared
    and points of the file's scale) and pairwise accuracy; `srocc_low`, `srocc_high`; `gain`, `gain_low`, `gain_high`: SROCC
    less that of the group mean of the other raters, paired by rater, 95 %; `ceiling` with the SROCC that a rater's noise allows.

    A kind is one of `preference.KINDS`, or with "+population" after it, or "group_mean"; "maml" and "bayes" always use the
    population. `cold`: the held pictures are the same for all raters of a split, and nobody's ratings of them are used: the
    group mean then says nothing there, and its row holds what the population foretells from features.
    `groups`: raters are left out of the population in so many groups; None: one by one.
    Raises: InputError for an unknown kind, or fewer pictures than shown and held.
    """
    _check(people, kinds, shown, held)
    groups = len(people.raters) if groups is None else groups
    found: dict[tuple[str, int], list[list[list[float]]]] = {
        (kind, count): [[] for _ in people.raters] for kind in kinds for count in shown
    }
    done, total = 0, len(people.raters) * splits
    for raters, numbers in _left_out(len(people.raters), splits, groups, cold):
        taught = people.only(np.setdiff1d(np.arange(len(people.raters)), raters))
        if cold:
            taught = taught.without(_order(people, numbers[0], None, seed)[:held])
        population = _population(taught, kinds, seed)
        for rater in raters:
            for number in numbers:
                order = _order(people, number, None if cold else rater, seed)
                order = order[np.isfinite(people.ratings[rater, order])]
                for count in shown:
                    case = _case(people, taught, rater, order[held : held + count], order[:held], population, seed)
                    for kind in kinds:
                        found[kind, count][rater].append(_measured(kind, case))
                done += 1
                if on_step is not None:
                    on_step(done, total)
    limit = ceiling(people.blocks)[0]
    base = {count: _means(found[BASE, count])[:, 0] for count in shown if (BASE, count) in found}
    return [_row(kind, count, found[kind, count], base.get(count), limit) for kind in kinds for count in shown]


def as_text(rows: Sequence[Row]) -> str:
    """The rows as lines of a table, ready to print."""
    lines = ["kind                  n  SROCC [95 %]             - group mean [95 %]        PLCC    MSE    MAE  pairs"]
    for row in rows:
        srocc = f"{row['srocc']:.3f} [{row['srocc_low']:.3f}, {row['srocc_high']:.3f}]"
        gain = (
            f"{row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]" if row["gain"] is not None else ""
        )
        rest = f"{row['plcc']:6.3f} {row['mse']:6.4f} {row['mae']:6.4f} {row['accuracy']:6.3f}"
        lines.append(f"{row['kind']:20} {row['shown']:3}  {srocc:24} {gain:26} {rest}")
    return "\n".join([*lines, f"ceiling of SROCC by the raters' own noise: {rows[0]['ceiling']:.3f}"])


def _left_out(raters: int, splits: int, groups: int, cold: bool) -> list[tuple[np.ndarray, list[int]]]:
    """Groups of raters to leave out of a population together, with the splits that it serves."""
    parts = [np.arange(raters)[number::groups] for number in range(groups)]
    if not cold:
        return [(part, list(range(splits))) for part in parts]
    return [(part, [number]) for number in range(splits) for part in parts]


def _order(people: People, number: int, rater: int | None, seed: int) -> np.ndarray:
    """(P,) the pictures in the random order of one split: the rater's own order, or one for all."""
    return np.random.default_rng([seed, number, *([] if rater is None else [rater])]).permutation(len(people.images))


def _population(taught: People, kinds: Sequence[str], seed: int) -> Population | None:
    if not any(_needs_population(kind) for kind in kinds):
        return None
    return Population.fit(taught.features, taught.ratings, noise=taught.noise, maml="maml" in kinds, seed=seed)


def _needs_population(kind: str) -> bool:
    return kind in ("maml", "bayes") or kind.endswith("+population")


def _case(
    people: People,
    taught: People,
    rater: int,
    shown: np.ndarray,
    held: np.ndarray,
    population: Population | None,
    seed: int,
) -> _Case:
    likings = standardised(taught.ratings)
    told = np.isfinite(likings)
    others = np.where(told, likings, 0.0).sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    return _Case(people.features, people.ratings[rater], shown, held, others, population, seed)


def _measured(kind: str, case: _Case) -> list[float]:
    """The numbers of `_NUMBERS`, of predictions (N,) against ratings (N,)."""
    predicted, truth = _PREDICT.get(kind, partial(_fitted, kind))(case), case.ratings[case.held]
    mse, mae = errors(predicted, truth)
    varies = predicted.std() > 1e-12 and truth.std() > 1e-12
    plcc = float(np.corrcoef(predicted, truth)[0, 1]) if varies else 0.0
    return [spearman(predicted, truth), plcc, mse, mae, pairwise_accuracy(predicted, truth)]


def _fitted(kind: str, case: _Case) -> np.ndarray:
    name = kind.removesuffix("+population")
    population = case.population if _needs_population(kind) else None
    model = fit(case.features[case.shown], case.ratings[case.shown], name, population=population, seed=case.seed)  # type: ignore[arg-type]
    return model.predict(case.features[case.held])[0]


def _group_mean(case: _Case) -> np.ndarray:
    """The other raters' mean, in this person's mean and SD of what they were shown."""
    mine, others = case.ratings[case.shown], case.others
    if not case.others[case.held].any() and case.population is not None:
        others = case.population.mean(case.features)
    return mine.mean() + mine.std() * (others[case.held] - others[case.shown].mean())


_PREDICT: dict[str, Callable[[_Case], np.ndarray]] = {BASE: _group_mean}


def _means(found: list[list[list[float]]]) -> np.ndarray:
    """(R, 5) each rater's mean over splits."""
    return np.array([np.mean(numbers, axis=0) for numbers in found])


def _row(kind: str, count: int, found: list[list[list[float]]], base: np.ndarray | None, limit: float) -> Row:
    means = _means(found)
    srocc = mean_interval(means[:, 0].tolist())
    gain = None if base is None else mean_interval((means[:, 0] - base).tolist())
    return {
        "kind": kind, "shown": count, **dict(zip(_NUMBERS, means.mean(axis=0).tolist(), strict=True)),
        "srocc_low": srocc.low, "srocc_high": srocc.high, "raters": srocc.n, "splits": len(found[0]), "ceiling": limit,
        "gain": gain.mean if gain else None, "gain_low": gain.low if gain else None, "gain_high": gain.high if gain else None,
    }  # fmt: skip


def _check(people: People, kinds: Sequence[str], shown: Sequence[int], held: int) -> None:
    from evaluators.preference.model import KINDS

    for kind in kinds:
        if kind != BASE and kind.removesuffix("+population") not in KINDS:
            raise InputError(
                f"kind {kind!r} is not one of ours: use {', '.join((BASE, *KINDS))}, with +population or without"
            )
    fewest = int(np.isfinite(people.ratings).sum(axis=1).min())
    if fewest < held + max(shown) or held < 2:
        raise InputError(f"{fewest} pictures rated by someone, {held} held and {max(shown)} shown: ask for fewer")
