"""trainers/embedded/lessons/wishes.py, ideas.py and sayings.py: wishes that mean what their answers say, and wordings that are never taught."""

from __future__ import annotations

import hashlib
import os
import random
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.places import ROOT
from trainers.embedded.lessons import ideas, sayings, wishes
from trainers.embedded.lessons.carriers import (
    ACT,
    AMOUNT,
    COOL_OFF,
    FEEL,
    HATE,
    JOINS,
    LOVE,
    NEW_JOINS,
    NEW_OPENINGS,
    NEW_TURNS,
    OPENINGS,
    OUTSIDE,
    REFRAIN,
    SWAP,
    SWAP_FEEL,
    TURNS,
    carriers,
    expand,
    is_held_out,
)
from trainers.embedded.lessons.wishes import MOST, invent_wish
from trainers.embedded.world.world import PALETTES, STYLES, VOCABULARY

PATTERNS = {
    "love": LOVE, "hate": HATE, "feel": FEEL, "cool_off": COOL_OFF, "act": ACT, "refrain": REFRAIN, "swap": SWAP, "swap_feel": SWAP_FEEL,
    "amount": AMOUNT, "outside": OUTSIDE,
}  # fmt: skip
ORDER = {word: place for place, word in enumerate(VOCABULARY.words)}
DIGEST = "import tests.trainers.embedded.lessons.test_wishes as t; print(t.digest(300))"


def drawn(count: int, held_out: bool = False) -> list[tuple[str, dict[str, Any]]]:
    return [invent_wish(random.Random(f"test {number}"), held_out=held_out) for number in range(count)]


def digest(count: int) -> str:
    return hashlib.sha256(repr(drawn(count) + drawn(count, held_out=True)).encode()).hexdigest()


@pytest.mark.parametrize("name", PATTERNS)
def test_some_carriers_of_each_sort_are_held_out_and_none_of_those_is_taught(name: str) -> None:
    held_out, taught = (
        {one for pattern in PATTERNS[name] for one in carriers(pattern, held)} for held in (True, False)
    )
    assert held_out and not held_out & {one for group in PATTERNS.values() for p in group for one in carriers(p, False)}
    assert 0.1 < len(held_out) / len(held_out | taught) < 0.3


@pytest.mark.parametrize("held_out", [True, False])
def test_a_wish_is_worded_with_the_carriers_and_joins_of_its_side_alone(
    held_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, joined = set[str](), set[str]()
    choose, join = wishes.carrier, wishes._join
    monkeypatch.setattr(wishes, "carrier", lambda *args: used.add(found := choose(*args)) or found)
    monkeypatch.setattr(wishes, "_join", lambda *args: joined.add(found := join(*args)) or found)
    drawn(1500, held_out)
    assert len(used) > 300 and {is_held_out(one) for one in used} == {held_out}
    assert joined == {*NEW_JOINS, *NEW_TURNS} if held_out else joined == {*JOINS, *TURNS}
    assert not {*NEW_JOINS, *NEW_TURNS} & {*JOINS, *TURNS} and {*NEW_OPENINGS} & {*OPENINGS} == {""}


@pytest.mark.parametrize("held_out", [True, False])
def test_answers_are_short_and_never_contradict_themselves(held_out: bool) -> None:
    for text, answer in drawn(2000, held_out):
        for side in (answer["like"], answer["avoid"]):
            assert len(side) <= MOST and len(side) == len(set(side)) and set(side) <= set(ORDER), text
        assert not set(answer["like"]) & set(answer["avoid"]), text


@pytest.mark.parametrize("held_out", [True, False])
def test_replies_say_every_word_and_name_what_is_outside_as_the_person_did(held_out: bool) -> None:
    named = 0
    for text, answer in drawn(2000, held_out):
        reply = answer["reply"]
        assert all(word in reply for word in answer["like"] + answer["avoid"]), (text, reply)
        if match := re.match(r"I cannot paint (.+), only simple shapes and colours[;.]", reply):
            named += 1
            assert match[1].lower() in text.lower()
        elif not answer["like"] and not answer["avoid"]:
            assert reply == "Tell me a colour, a shape or a mood."
    assert 150 < named < 900


@pytest.mark.parametrize("held_out", [True, False])
def test_an_answer_names_words_in_the_order_in_which_they_were_said(held_out: bool) -> None:
    ordered = []
    for text, answer in drawn(2000, held_out):
        for side in (answer["like"], answer["avoid"]):
            found = [[one.start() for one in re.finditer(rf"\b{word}", text.lower())] for word in side]
            if len(side) > 1 and all(len(places) == 1 for places in found):
                places = [place for (place,) in found]
                ordered.append(places == sorted(places))
    assert len(ordered) > 100 and sum(ordered) > 0.97 * len(ordered)  # a mood's own words may be said later, too


def test_names_and_asides_ask_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = drawn(400)
    monkeypatch.setattr(wishes, "ASIDE", 1.0)
    for (text, answer), (before, same) in zip(drawn(400), plain, strict=True):
        assert answer == same and "{" not in text + before


def test_a_wish_depends_on_its_seed_alone_and_not_on_the_order_of_sets() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert found == {digest(300)}


@pytest.mark.parametrize("name", PALETTES)
def test_palettes_have_the_worlds_colours(name: str) -> None:
    like, avoid = ideas.palette_words(name)
    if name == "monochrome":  # the world's is tints of any one hue, which have no names: black and white come nearest
        assert (like, avoid) == (("black", "white"), ())
    else:
        assert like and set(like) <= set(PALETTES[name]) and not set(avoid) & set(PALETTES[name])


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_told_by_words_that_the_world_paints_it_with(name: str) -> None:
    words, style = ideas.style_words(name), STYLES[name]
    assert len(words) <= MOST and set(words) <= {value for values in style.values() for value in values}
    for gene in ("background", "colour", "shape", "layout", "texture"):
        assert set(words) & set(style[gene]), gene


def test_every_palette_and_every_style_is_asked_for_by_name() -> None:
    said = " ".join(
        ideas.palette_idea(random.Random(n)).said + " " + ideas.style_idea(random.Random(n)).said for n in range(300)
    )
    assert all(name in said for name in [*PALETTES, *STYLES])


def test_ideas_mean_words_of_the_vocabulary_and_no_word_both_ways() -> None:
    invented = [make(random.Random(n)) for _, make in ideas.KINDS.values() for n in range(300)]
    for idea in [*(one for things in sayings.THINGS.values() for one in things), *invented]:
        for like, avoid in (idea.yes, idea.no):
            assert {*like, *avoid} <= set(ORDER) and not set(like) & set(avoid), idea


def test_every_change_is_of_a_quality_or_a_palette() -> None:
    assert {*sayings.CHANGES.values()} <= {*sayings.QUALITIES, *PALETTES}


def test_a_pattern_stands_for_every_choice() -> None:
    assert expand("[i|we] [love|like] {}[| please]") == (
        "i love {}", "i love {} please", "i like {}", "i like {} please", "we love {}", "we love {} please", "we like {}", "we like {} please",
    )  # fmt: skip


def test_what_was_said_outright_outweighs_a_mood_and_a_contradiction_is_no_wish() -> None:
    warm = wishes.Meaning().added(("red", "pink"), (), set())
    assert warm is not None
    mended = warm.added((), ("pink",), {"pink"})
    assert mended is not None and (mended.like, mended.avoid) == (("red",), ("pink",))
    assert mended.added(("pink",), (), {"pink"}) is None
