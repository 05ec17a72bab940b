"""evaluators/gate.py: one broken rule rejects, and every rule says its number."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluators.gate import Evidence, Judged, Rules, measured, verdict
from evaluators.looks.colour_shift import ColourShift
from evaluators.numbers.win_rate import WinRate, win_rate


def won(wins: int, n: int) -> WinRate:
    return win_rate([1.0] * wins + [0.0] * (n - wins), [0.5] * n)


GOOD = Evidence(
    {"pickscore": won(24, 32), "clip_t": won(16, 32)}, ("pickscore",), 0.99, ColourShift(1.0, 2.0, 3.0), 0.97, (0.8, 0.81)
)  # fmt: skip


def test_an_adapter_that_keeps_every_rule_is_promoted_and_each_rule_says_its_number() -> None:
    found = verdict(GOOD, Rules())
    assert found.promote and found.broken == () and found.reasons == found.kept and len(found.reasons) == 8
    assert all(any(mark.isdigit() for mark in said) and said.endswith(".") for said in found.reasons)
    assert "75 % of 32 (57.9 % to 86.7 %)" in found.reasons[0] and "pickscore, which guided" in found.reasons[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"wins": {"pickscore": won(16, 32), "clip_t": won(16, 32)}}, "pickscore, which guided.* 50 % of 32"),
        ({"wins": {"pickscore": won(32, 32), "clip_t": won(8, 32)}}, "clip_t, which did not guide.* 25 % of 32.*loses"),
        ({"wins": {"pickscore": won(32, 32)}}, "No scorer looked on"),
        ({"clip_t_kept": 0.89}, "CLIP-T. keeps 89 %: at least 90 %"),
        ({"shift": ColourShift(31.0, 0.0, 0.0)}, "hue moved by 31.0 %"),
        ({"shift": ColourShift(0.0, 31.0, 0.0)}, "saturation moved by 31.0 %"),
        ({"shift": ColourShift(0.0, 0.0, 31.0)}, "value moved by 31.0 %"),
        ({"diversity": 0.5}, "50 % as much as before: at least 80 %"),
        ({"subject": (0.8, 0.4)}, "from 0.800 to 0.400, 50 %"),
        ({"guides": (), "subject": None}, "Nothing shows"),
    ],
)
def test_one_broken_rule_rejects_and_is_named_first(changes: dict[str, Any], told: str) -> None:
    found = verdict(replace(GOOD, **changes), Rules())
    assert not found.promote and len(found.broken) == 1
    assert re.search(told, found.reasons[0]), found.reasons


def test_certainty_asks_the_low_end_of_the_interval() -> None:
    barely = replace(GOOD, wins={"pickscore": won(18, 32), "clip_t": won(16, 32)})
    assert verdict(barely, Rules()).promote
    (said,) = verdict(barely, Rules(certain=True)).broken
    assert "56.2 % of 32 (39.3 % to 71.8 %)" in said and "of its low end" in said


def test_an_unseen_scorer_that_only_may_have_lost_stops_nothing() -> None:
    fewer = replace(GOOD, wins={"pickscore": won(24, 32), "clip_t": won(12, 32)})
    assert verdict(fewer, Rules()).promote
    lost = replace(GOOD, wins={"pickscore": won(24, 32), "clip_t": won(2, 32)})
    assert not verdict(lost, Rules()).promote and verdict(lost, Rules(unseen_may_lose=True)).promote


def test_a_limit_that_is_none_is_told_and_not_asked_for() -> None:
    wild = replace(GOOD, shift=ColourShift(400.0, 90.0, 90.0), diversity=0.1)
    free = Rules(
        maximum_hue_shift=None, maximum_saturation_shift=None, maximum_value_shift=None, minimum_diversity=None
    )
    found = verdict(wild, free)
    assert found.promote and "Mean hue moved by 400.0 %: no limit is set." in found.reasons


def test_a_subject_met_better_is_enough_where_no_scorer_guided() -> None:
    subject = replace(GOOD, guides=(), subject=(0.6, 0.7))
    assert verdict(subject, Rules()).promote
    assert not verdict(replace(subject, subject=(0.7, 0.69)), Rules()).promote


def test_evidence_is_measured_on_both_sides_and_is_plain_json() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4, 8))
    red, dim = (Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (100, 0, 0)))
    before = Judged([dim] * 4, {"taste": [0, 0, 0, 0], "clip_t": [0.2] * 4}, features, 0.5)
    after = Judged([red] * 4, {"taste": [1, 1, 1, -1], "clip_t": [0.1] * 4}, np.repeat(features[:1], 4, axis=0), 0.6)
    found = measured(after, before, ["taste"])
    assert found.wins["taste"].rate == 0.75 and found.wins["clip_t"].rate == 0.0
    assert found.clip_t_kept == pytest.approx(0.5) and found.diversity == pytest.approx(0.0, abs=1e-9)
    assert found.shift.value == pytest.approx(100.0) and found.subject == (0.5, 0.6)
    told = json.loads(json.dumps(found.told()))
    assert told["wins"]["taste"]["guided"] and not told["wins"]["clip_t"]["guided"]
    assert told["subject"] == {"without": 0.5, "with": 0.6} and told["shift"]["value"] == pytest.approx(100.0)


def test_pictures_that_were_all_alike_have_no_diversity_to_lose() -> None:
    one = Judged([Image.new("RGB", (8, 8))] * 2, {"clip_t": [0.1, 0.1]}, np.ones((2, 4)))
    assert measured(one, one, []).diversity == 1.0
