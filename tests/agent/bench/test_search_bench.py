"""agent/bench/search.py and samplers.py: what a search is measured by, and one small cell with real pictures."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agent.bench.search import GIVEN, PARTS, _checked, outcome, paper_metrics, work
from prompts.errors import InputError
from tests.tools.search.given import SPACE, mean_of, searched, tried
from tools.search.history import History

SMALL = {**GIVEN, "rounds": 2, "per_round": 2}


def history(scores: list[float], rounds: list[int], features: list[list[float]] | None = None) -> History:
    seen = tried(len(scores))
    rows: list[Any] = [None] * len(scores) if features is None else [np.array(one) for one in features]
    return History(
        tuple(replace(t, score=s, round=r, features=f) for t, s, r, f in zip(seen, scores, rounds, rows, strict=True))
    )


def test_the_papers_metrics_are_those_of_its_section_4() -> None:
    angle = lambda degrees: [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]  # noqa: E731
    found = paper_metrics(history([4.0, 6.0, 3.0, 9.0], [1, 1, 2, 2], [angle(90), angle(60), angle(10), angle(0)]))
    assert found["max"] == 9.0 and found["gain"] == 3.0 and found["k"] == 1
    assert found["max_sim"] == pytest.approx(0.5)  # of the earlier round the one that scored as much as most
    assert found["score_of_most_sim"] == 6.0
    assert paper_metrics(history([4.0, 6.0], [1, 1])).keys() == {"max", "gain", "k"}


def test_nothing_was_liked_before_the_first_round() -> None:
    assert paper_metrics(history([9.0, 6.0], [1, 1], [[1.0, 0.0], [0.0, 1.0]]))["max_sim"] is None


def test_what_is_compared_is_the_last_rounds_hidden_liking_and_when_it_passes_the_best_of_chance() -> None:
    seen = history([5.0] * 6, [1, 1, 2, 2, 3, 3])
    liked = np.array([[0.0, 1.0], [2.0, 2.0], [1.0, 1.4]])
    found = outcome(seen, liked, np.linspace(-1, 1, 101))
    assert (
        found["hidden_last"] == pytest.approx(1.2)
        and found["hidden_best"] == 2.0
        and found["regret"] == pytest.approx(-0.2)
    )
    assert found["p95"] == pytest.approx(0.9) and found["rounds_to_p95"] == 2 and found["kept"] == 1.0
    never = outcome(seen, liked, np.linspace(5, 6, 101))
    assert never["rounds_to_p95"] is None


@pytest.mark.parametrize("name", ["magic", "genetic:s+p", "llm:s+f", "belief:other"])
def test_a_strategy_that_there_is_none_of_is_told(name: str) -> None:
    with pytest.raises(InputError, match="unknown"):
        _checked(name)


def test_the_ablations_are_the_papers() -> None:
    assert [len(_checked(f"llm:{name}")[1]) for name in PARTS] == [0, 2, 3, 4]


def test_a_cell_paints_rates_and_measures_the_same_again() -> None:
    cell = {"strategy": "belief", "rater": 300, "seed": 0}
    found = work(cell, given=SMALL)
    assert found == work(cell, given=SMALL) and len(found["hidden_by_round"]) == 2 and 0 <= found["max"] <= 10
    assert (found["score_of_most_sim"] is None) == (found["k"] == 0) and math.isfinite(found["regret"])


@pytest.mark.parametrize("kind", ["tpe", "gp"])
def test_optunas_samplers_search_the_same_words(kind: Any) -> None:
    from agent.bench.samplers import Sampler

    strategy = Sampler(SPACE, kind)
    found = strategy.propose(History(tuple(tried(12))), 2, random.Random(0))
    assert found == strategy.propose(History(tuple(tried(12))), 2, random.Random(0))
    assert all(SPACE.parse(one.prompt) == one.genome for one in found)


def test_tpe_learns_a_taste() -> None:
    from agent.bench.samplers import Sampler

    history = searched(Sampler(SPACE, "tpe"), rounds=5)
    assert mean_of(history, 5) > mean_of(history, 1)


def test_without_optuna_its_samplers_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from agent.bench.samplers import Sampler

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"palate\[bench\]"):
        Sampler(SPACE, "tpe")


def test_the_report_has_both_tables_and_the_differences_to_the_first() -> None:
    from agent.bench.search import report

    rows = [
        {"strategy": name, "rater": rater, "seed": 0, "hidden_by_round": [0.0, up + rater / 10], "hidden_last": up + rater / 10,
         "hidden_best": 2.0, "regret": 1.0, "rounds_to_p95": 2 if up else None, "kept": 1.0, "max": 9.0, "gain": 3.0, "k": 2,
         "max_sim": 0.5, "score_of_most_sim": 7.0}
        for name, up in (("belief", 2.0), ("random", 0.0)) for rater in (0, 1, 2)
    ]  # fmt: skip
    found = report(rows)
    assert len(found.tables) == 4 and found.tables[0].rows[0][0] == "belief" and list(found.plots) == ["search"]
    passed = {row[0]: row[1:] for row in found.tables[2].rows}
    assert passed["belief"] == ("100 % [44, 100]", 2.0) and passed["random"] == ("0 % [0, 56]", "more than 2")
    difference = found.tables[3].rows[0][2]
    assert difference.mean == pytest.approx(-2.0)
