"""tools/taste.py: what was said, ready to be learned from: in its order, and with what was found bad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluators.preference import model as preference
from evaluators.preference.population import Population
from tests.tools.given import PROMPTS, Trail, image_row
from tools import taste
from tools.records import AnswerRow, ComparisonRow

FEATURES = np.random.default_rng(0).normal(size=(24, 6))


def many() -> Trail:
    return Trail([image_row(PROMPTS[number % 4], number) for number in range(24)])


def asked(trail: Trail, first: int, second: int, answer: str, step: int) -> None:
    """An answer to a question of two, and what the store makes of it."""
    win, lose = (trail.rows[number].id for number in (first, second))
    shown = [win, lose]
    trail.answered.append(
        AnswerRow(step=step, question=0, kind="ab", shown=shown, answer=answer, rater="ann", created="")
    )
    trail.compared.append(
        ComparisonRow(
            step=step, win=win, lose=lose, tie=answer in ("tie", "both bad"), answer=step, rater="ann", created=""
        )
    )


def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The orders that preference.fit is called with from now on."""
    orders, fit = list[Any](), preference.fit
    monkeypatch.setattr(preference, "fit", lambda *args, **kw: (orders.append(kw.get("order")), fit(*args, **kw))[1])
    return orders


def test_ratings_are_told_in_the_order_they_were_given() -> None:
    trail = many()
    trail.rated = {trail.rows[number].id: float(number) for number in (2, 0, 1)}
    asked(trail, 3, 0, "tie", 1)
    told = taste.said(trail)
    assert told.order[:3].tolist() == [1.0, 2.0, 0.0] and np.isnan(told.order[3])


def test_a_drift_is_looked_for_only_where_the_fit_can_know_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    trail, orders = many(), seen(monkeypatch)
    trail.rated = {row.id: float(number % 9) for number, row in enumerate(trail.rows[:10])}
    people = Population.fit(FEATURES, np.random.default_rng(1).normal(size=(5, 24)), maml=False)
    taste.fit(FEATURES[:10], taste.said(trail), "head", 0)
    taste.fit(FEATURES[:10], taste.said(trail), "head", 0, people)
    asked(trail, 0, 1, trail.rows[0].id, 1)
    taste.fit(FEATURES[:10], taste.said(trail), "head", 0)
    assert orders[0] is None and all(one.tolist() == list(range(10)) for one in orders[1:]) and len(orders) == 3


def test_two_that_are_both_bad_lie_lower_than_two_that_are_alike() -> None:
    lower = []
    for answer in ("tie", "both bad"):
        trail = many()
        for number in range(0, 8, 2):
            asked(trail, number, number + 1, trail.rows[number].id, number)
        for number in range(8, 16, 2):
            asked(trail, number, number + 1, answer, number)
        mean, _ = taste.fit(FEATURES[:16], taste.said(trail), "head", 0).predict(FEATURES[:16])
        lower.append(mean[8:16].mean() - mean[:8].mean())
    assert lower[1] < lower[0] - 0.1


def test_of_what_is_held_out_nothing_is_told() -> None:
    trail = many()
    asked(trail, 0, 1, "both bad", 1)
    asked(trail, 2, 3, "both bad", 2)
    told = taste.said(trail)
    assert taste._lost(told, told.pairs[:1]) == [row.id for row in trail.rows[:2]] and not taste._lost(told, ())
