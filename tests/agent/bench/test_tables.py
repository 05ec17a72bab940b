"""agent/bench/tables.py and formats.py against numbers worked out by hand; what is written is read back."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from agent.bench.formats import markdown, plain, rows_csv, table_csv, terminal, text
from agent.bench.tables import Table, groups, mean, mean_table, paired, paired_table
from evaluators.numbers.win_rate import Interval
from prompts.errors import InputError
from prompts.ground.console import make_console

# Two strategies, three raters, two seeds.
SCORES = {"old": [(1, 3), (2, 2), (4, 6)], "new": [(3, 3), (2, 4), (5, 9)]}
ROWS = [
    {"strategy": name, "rater": rater, "seed": seed, "score": score}
    for name, raters in SCORES.items()
    for rater, seeds in enumerate(raters)
    for seed, score in enumerate(seeds)
]


def test_a_mean_is_over_raters_whose_seeds_are_averaged_first() -> None:
    found = mean(groups(ROWS)["old"], "score")
    # raters: 2, 2, 5; mean 3, SD sqrt(3), Student's t of 2 degrees 4.303: 4.303 * sqrt(3) / sqrt(3)
    assert found is not None and found.n == 3
    assert (found.mean, found.low, found.high) == pytest.approx((3.0, 3.0 - 4.303, 3.0 + 4.303))
    by_run = mean(groups(ROWS)["old"], "score", unit=("rater", "seed"))
    assert by_run is not None and by_run.n == 6 and by_run.high < found.high


def test_rows_without_the_value_are_left_out() -> None:
    rows = [*ROWS, {"strategy": "old", "rater": 9, "seed": 0, "score": None}]
    assert mean(groups(rows)["old"], "score") == mean(groups(ROWS)["old"], "score")
    assert mean(rows, "clicks") is None


def test_a_paired_comparison_by_hand() -> None:
    found = paired(ROWS, "score", "old")["new"]
    assert found is not None and list(paired(ROWS, "score", "old")) == ["new"]
    # differences 2 0 | 0 2 | 1 3, by rater 1, 1, 2: mean 4/3, SD sqrt(1/3)
    half = 4.303 * math.sqrt(1 / 3) / math.sqrt(3)
    assert (found.difference.mean, found.difference.high) == pytest.approx((4 / 3, 4 / 3 + half))
    assert found.better == 1.0 and found.low == pytest.approx(0.438, abs=1e-3) and found.difference.n == 3


def test_only_whole_pairs_are_compared() -> None:
    rows = [row for row in ROWS if not (row["strategy"] == "new" and row["rater"] == 2)]
    found = paired(rows, "score", "old")["new"]
    assert found is not None and found.difference == Interval(1.0, 1.0, 1.0, 2)
    lonely = [*groups(ROWS)["old"], {"strategy": "new", "rater": 7, "seed": 0, "score": 1}]
    assert paired(lonely, "score", "old") == {"new": None}


def test_what_cannot_be_paired_is_told() -> None:
    with pytest.raises(InputError, match=r"no strategy 'none' to compare with: there are 'old', 'new'"):
        paired(ROWS, "score", "none")
    with pytest.raises(InputError, match=r"two rows for .*'rater': 0, 'seed': 0"):
        paired([*ROWS, ROWS[0]], "score", "old")


def test_the_tables_and_their_markdown() -> None:
    table = mean_table(ROWS, {"score": "score"}, title="Scores", note="three raters")
    assert markdown(table).splitlines() == [
        "### Scores",
        "",
        "| strategy | score                 | n |",
        "|----------|-----------------------|---|",
        "| old      | 3.000 [-1.303, 7.303] | 3 |",
        "| new      | 4.333 [-1.404, 10.07] | 3 |",
        "",
        "three raters",
    ]
    against = paired_table(ROWS, {"score": "score"}, "old", title="Against old")
    assert against.columns == ("strategy", "what", "difference to old", "share above it")
    assert text(against.rows[0][3]) == "1.000 [0.439, 1.000]"


def test_a_table_is_told_on_a_terminal_with_its_brackets() -> None:
    console = make_console(file=io.StringIO())
    console.print(terminal(mean_table(ROWS, {"score": "score"}, title="Scores")))
    assert "3.000 [-1.303, 7.303]" in console.file.getvalue()  # type: ignore[attr-defined]


def test_csv_is_read_back_as_it_was() -> None:
    rows = [{"a": 1, "b": 'x, "y"', "c": [1, 2]}, {"a": 2.5, "b": None, "d": True}]
    first, second = list(csv.DictReader(io.StringIO(rows_csv(rows))))
    assert first == {"a": "1", "b": 'x, "y"', "c": "[1, 2]", "d": ""}
    assert second == {"a": "2.5", "b": "", "c": "", "d": "True"}


def test_intervals_take_four_columns_of_a_csv_and_an_object_of_json() -> None:
    one = Interval(1.0, -math.inf, math.inf, 1)
    table = Table("T", ("name", "score"), (("a", Interval(2.0, 1.0, 3.0, 5)), ("b", one), ("c", None)))
    read = list(csv.reader(io.StringIO(table_csv(table))))
    assert read[0] == ["name", "score", "score low", "score high", "score n"]
    assert read[1:] == [["a", "2.0", "1.0", "3.0", "5"], ["b", "1.0", "", "", "1"], ["c", "", "", "", ""]]
    found = json.loads(json.dumps(plain(table), allow_nan=False))
    assert found["rows"][1] == {"name": "b", "score": {"mean": 1.0, "low": None, "high": None, "n": 1}}
    assert text(one) == "1.000 [one only]" and text(None) == "-"
