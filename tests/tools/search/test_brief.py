"""tools/search/brief.py: what the person asked for stays in every proposal, and what was changed for it is said."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from prompts.errors import InputError
from tests.tools.search.given import NO_BRIEF, SPACE, VOCABULARY, liking, made, means, searched, tried
from tools.search.brief import Kept, aligned, read_brief
from tools.search.history import History
from tools.search.strategy import Proposal, RandomSearch


@pytest.mark.parametrize("name", ["random", "genetic", "screened", "rules", "belief"])
def test_every_round_of_every_strategy_keeps_the_brief(name: str) -> None:
    brief = read_brief("two red rings, please", ["-hatched"], SPACE)
    history = searched(made(name, "two red rings, please", wishes=["-hatched"]), rounds=3)
    for one in history.tried:
        genome = one.genome or {}
        assert brief.keeps(genome) and genome["count"] == "two" and genome["texture"] != "hatched"
        assert "red" in one.prompt and "ring" in one.prompt and VOCABULARY.parse(one.prompt) == genome
    assert len({one.prompt for one in history.tried if one.round == 2}) == 8


def test_a_proposal_that_leaves_the_brief_is_mended_and_says_how() -> None:
    genome = (
        VOCABULARY.parse("one small blue ring and a pink cross on a yellow background, centred, apart, no lines, flat")
        or {}
    )

    class Stubborn:
        def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
            return [Proposal(VOCABULARY.phrase(genome), genome)] * count

    brief = read_brief("on a black background", ["+arc"], SPACE)
    found = Kept(Stubborn(), brief, SPACE).propose(History(), 3, random.Random(0))
    assert all(brief.keeps(one.genome or {}) for one in found) and len({one.prompt for one in found}) == 3
    assert "background yellow -> black" in found[0].reason and "kept to the brief (black, arc)" in found[0].reason


def test_a_prompt_in_a_form_of_its_own_gets_the_missing_words_and_loses_the_unwanted() -> None:
    class Free:
        def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
            return [Proposal("a dream of hatched, blue bars"), Proposal("a red ring in the dark")]

    brief = read_brief("a red ring", ["-hatched"], SPACE)
    mended, left = Kept(Free(), brief, SPACE).propose(History(), 2, random.Random(0))
    assert mended.prompt == "a dream of blue bars, ring, red" and "left out ['hatched']" in mended.reason
    assert left == Proposal("a red ring in the dark")


def test_a_brief_without_words_of_the_vocabulary_asks_for_nothing() -> None:
    assert read_brief("find my taste", [], SPACE).wanted == () == NO_BRIEF.wanted
    drawn = RandomSearch(SPACE).propose(History(), 4, random.Random(1))
    assert Kept(RandomSearch(SPACE), NO_BRIEF, SPACE).propose(History(), 4, random.Random(1)) == drawn


def test_a_word_beside_a_genes_name_is_asked_of_that_gene_only() -> None:
    assert read_brief("a teal background", [], SPACE).wanted == ((("background", "teal"),),)
    genes = {gene for gene, _ in read_brief("something teal", [], SPACE).wanted[0]}
    assert genes == {"background", "colour", "accent_colour"}


def test_more_words_than_genes_are_alternatives() -> None:
    brief = read_brief("circles, squares and rings", [], SPACE)
    genome = brief.mended(SPACE.random(random.Random(0)), SPACE, random.Random(0))
    assert len(brief.wanted) == 2 and len({genome["shape"], genome["accent_shape"]} & {"circle", "square", "ring"}) == 2


@pytest.mark.parametrize(
    ("brief", "wishes", "told"),
    [
        ("a red ring", ["-red"], "asks for 'red', and the wish '-red'"),
        ("", ["-small", "-large"], "Every word of 'size' is unwanted"),
    ],
)
def test_a_brief_that_cannot_be_kept_is_told(brief: str, wishes: Sequence[str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_brief(brief, wishes, SPACE)


def test_a_prompt_that_clip_finds_too_far_from_the_brief_is_replaced_by_the_nearest_found() -> None:
    def align(texts: Sequence[str]) -> list[float]:
        return [0.9 if "teal background" in text else 0.1 for text in texts]

    kept = Kept(RandomSearch(SPACE), replace(NO_BRIEF, text="calm as the sea"), SPACE, align, 0.5)
    found = kept.propose(History(), 8, random.Random(0))
    near = ["teal background" in one.prompt for one in found]
    replaced = [one for one in found if one.reason]
    assert sum(near) >= 7 and all("too far from the brief (cosine 0.10, wanted 0.50)" in one.reason for one in replaced)
    assert len({one.prompt for one in found}) == 8


def test_a_picture_far_from_the_brief_counts_as_the_worst_whatever_its_score() -> None:
    one, other = tried(2)
    history = History((replace(one, score=9.0, alignment=0.1), replace(other, score=4.0, alignment=0.6)))
    bred = aligned(history, 0.3)
    assert [found.score for found in bred.tried] == [0.0, 4.0] and "too far from the brief" in bred.tried[0].reason
    assert aligned(history, None) is history and means().spec.minimum_alignment is None and liking(one.genome or {}) > 0
