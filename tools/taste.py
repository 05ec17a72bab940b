"""What a person said of their pictures, ready to be learned from, and how far what is learned from it can be trusted.

Ratings and answers to questions are one: clicks. What is held out is whole clicks, so that a pick of four, which says three things,
is not told by a part of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.numbers.win_rate import wilson
from evaluators.preference import model as preference
from evaluators.preference.held_out import held_out_agreement
from evaluators.preference.population import Population
from evaluators.preference.scored import FEWEST, Scored
from prompts.errors import ToolError
from tools.context import Context, Trail
from tools.records import AnswerRow, ComparisonRow, ImageRow

POPULATION_FILE = "population.npz"  # beside a model
ON_TOP = ("head", "blend")  # kinds that learn how this person differs from the population
ENOUGH, FOLDS = 8, 5  # clicks; fewer cannot be held out in any meaningful way


@dataclass(frozen=True)
class Said:
    """`ratings` (N,), NaN where a picture was not rated; `pairs` of it that were compared, with the answer each came from; `order`
    (N,) the place of each rating among the ratings, from 0, NaN for none; `bad`: the answers that found all that was shown bad."""

    rows: tuple[ImageRow, ...]
    ratings: np.ndarray
    pairs: tuple[ComparisonRow, ...]
    order: np.ndarray
    bad: tuple[AnswerRow, ...] = ()

    @property
    def questions(self) -> list[object]:
        """The answer each pair came from: pairs of one answer are held out together."""
        return [pair.click for pair in self.pairs]

    @property
    def clicks(self) -> int:
        """How often the person answered."""
        return int(np.isfinite(self.ratings).sum()) + len(set(self.questions))


def said(trail: Trail) -> Said:
    """Everything that was rated or compared so far, in the order it was painted."""
    ratings, pairs = trail.ratings(), tuple(trail.comparisons())
    compared = {image for pair in pairs for image in (pair.win, pair.lose)}
    rows = tuple(row for row in trail.images() if row.id in ratings or row.id in compared)
    given = {
        image: float(place) for place, image in enumerate(ratings)
    }  # a trail has them in the order they were given
    order = np.array([given.get(row.id, np.nan) for row in rows])
    bad = tuple(one for one in trail.answers() if one.answer == "both bad")
    return Said(rows, np.array([ratings.get(row.id, np.nan) for row in rows]), pairs, order, bad)


def before(kind: str, context: Context) -> preference.Base | None:
    """What is known before this run's first rating: the profile that it starts from or, where its config asks for it, what other
    people like, as simulated ones were learned from or as PickScore has it. A profile knows the person better. By the population
    alone "knn" and "finetune" do not go."""
    if context.start is not None:
        return context.start.prior()
    if not context.settings.population or kind not in ON_TOP:
        return None
    if context.settings.population == "pickscore":
        return _most_people(context)
    path = Path(context.settings.model) / POPULATION_FILE
    if not path.is_file():
        raise ToolError(
            f"There is no population at {str(path)!r}: make it with `python -m tools.measured.population`, or set population: false.",
            retryable=False,
        )
    return Population.load(path)


def _most_people(context: Context) -> Scored | None:
    """What CLIP's features tell of PickScore's values of all pictures shown so far; None below four pictures.

    Computed anew: the trail that tools read keeps no scores, and the model gives the recorded ones again. PickScore compares pictures
    of one prompt, so over the prompts of a run it also tells which prompts it finds easy: an approximation.
    """
    rows = [row for row in context.trail.images() if row.shown]
    if len(rows) < FEWEST:
        return None
    features = context.features(rows)
    with context.timed("score"):
        score = context.studio.pickscore([context.open_image(row) for row in rows], [row.prompt for row in rows], [])
    return Scored.distilled(features, np.array(score.values))


def fit(features: np.ndarray, told: Said, kind: Any, seed: int, population: Any = None) -> Any:
    """The taste (a preference.Preference), from features (N, D) of the rows; `population`: what other people like, if it starts from that."""
    return _fit(features, told, told.pairs, kind, seed, population)


def trust(features: np.ndarray, told: Said, kind: Any, seed: int, population: Any = None) -> dict[str, Any]:
    """Held-out agreement by name: "agreement" (rank correlation) with its "interval" where all clicks are ratings, and "accuracy",
    the share of held-out pairs in the right order, with its "accuracy_interval"; empty below `ENOUGH` clicks. 95 % intervals."""
    if told.clicks < ENOUGH:
        return {}
    if not told.pairs:
        order = told.order if isinstance(population, Population) else None
        found = held_out_agreement(features, told.ratings, kind, population=population, order=order, seed=seed)
        interval, shares = (found.low, found.high), (found.accuracy, found.accuracy_low, found.accuracy_high)
        sure = {"agreement": round(found.srocc, 3), "interval": [round(end, 3) for end in interval]}
    else:
        right, clicks = _held_out(features, told, kind, seed, population)
        sure, shares = {}, (right, *wilson(right, clicks)) if clicks else (0.5, 0.0, 1.0)
    return sure | {"accuracy": round(shares[0], 3), "accuracy_interval": [round(end, 3) for end in shares[1:]]}


def _held_out(features: np.ndarray, told: Said, kind: Any, seed: int, population: Any) -> tuple[float, int]:
    """Mean share of the pairs of an answer that are put in the right order by a taste that did not see it, and how many answers.

    Ties have no right order. The interval is over answers: pairs of one answer are not independent.
    """
    answers = list(dict.fromkeys(told.questions))
    order = np.random.default_rng([seed, 0xF01D]).permutation(len(answers))
    shares: list[float] = []
    for part in np.array_split(order, min(FOLDS, len(answers))):
        held = {answers[i] for i in part}
        seen = [pair for pair, answer in zip(told.pairs, told.questions, strict=True) if answer not in held]
        if not seen and not np.isfinite(told.ratings).any():
            continue
        mean, _ = _fit(features, told, seen, kind, seed, population).predict(features)
        shares += _shares(told, held, mean)
    return float(np.mean(shares)) if shares else 0.5, len(shares)


def _shares(told: Said, held: set[object], mean: np.ndarray) -> list[float]:
    number, found = {row.id: i for i, row in enumerate(told.rows)}, dict[object, list[float]]()
    for pair, answer in zip(told.pairs, told.questions, strict=True):
        if answer in held and not pair.tie:
            apart = np.sign(mean[number[pair.win]] - mean[number[pair.lose]])
            found.setdefault(answer, []).append(float(0.5 + 0.5 * apart))
    return [float(np.mean(shares)) for shares in found.values()]


def _fit(
    features: np.ndarray, told: Said, pairs: Sequence[ComparisonRow], kind: Any, seed: int, population: Any
) -> Any:
    learner: Any = preference
    people = isinstance(population, Population)
    if not pairs and np.isfinite(told.ratings).all():
        return learner.fit(
            features, told.ratings, kind, population=population, order=told.order if people else None, seed=seed
        )
    number = {row.id: i for i, row in enumerate(told.rows)}
    comparisons = [
        learner.Comparison(number[pair.win], number[pair.lose], "tie" if pair.tie else "first") for pair in pairs
    ]
    lost, ratings, order = _lost(told, pairs), told.ratings, told.order
    if lost:  # to the average picture, which nobody painted: a row of its own
        average = len(features)
        comparisons += [learner.Comparison(average, number[image], "first") for image in lost]
        features = np.vstack([features, features.mean(axis=0)])
        ratings, order = np.append(ratings, np.nan), np.append(order, np.nan)
    return learner.fit(
        features, ratings if np.isfinite(ratings).any() else None, kind, comparisons=comparisons, population=population,
        order=order if people or comparisons else None, seed=seed,
    )  # fmt: skip


def _lost(told: Said, pairs: Sequence[ComparisonRow]) -> list[str]:
    """The pictures that were found bad, by their ids. Beside the other they were alike; they also lose to the average. Of an answer
    that is held out nothing is told; of four that were bad, which say nothing of two at a time, those known from elsewhere are."""
    seen = {(pair.step, pair.win, pair.lose) for pair in pairs if pair.tie}
    known = {row.id for row in told.rows}
    told_of = [one for one in told.bad if one.kind != "ab" or (one.step, *one.shown) in seen]
    return [image for one in told_of for image in one.shown if image in known]
