"""tools/search/brief.py: what the person asked for stays in every proposal, and what was changed for it is said."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.loop.listening import unwanted
from prompts.errors import InputError
from tests.prompts.test_genes import MIXED, written
from tests.tools.search.given import NO_BRIEF, SPACE, VOCABULARY, liking, made, means, searched, tried
from tools.search.brief import check_brief, read_brief
from tools.search.history import History
from tools.search.kept import Kept, aligned
from tools.search.space import Space
from tools.search.strategies import make_strategy
from tools.search.strategy import Proposal, RandomSearch, proposal


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


def test_what_mending_makes_a_double_of_the_history_is_drawn_anew_and_an_elite_stays() -> None:
    brief = read_brief("on a black background", [], SPACE)
    elite, other = (replace(one, genome={**(one.genome or {}), "colour": "red"}) for one in tried(2))
    kept = proposal(SPACE, {**(elite.genome or {}), "background": "black", "accent_colour": "pink"})
    old = History((replace(elite, genome=kept.genome, prompt=kept.prompt), other))
    bred = proposal(SPACE, {**kept.genome, "background": "teal"})  # mended it is the elite
    found = Kept(RandomSearch(SPACE), brief, SPACE).mended([kept, bred], old, random.Random(0))
    assert found[0] == kept and found[1].genome != kept.genome and brief.keeps(found[1].genome)
    assert "is there already" in found[1].reason and brief.mended(bred.genome, SPACE, random.Random(0)) == kept.genome


def test_one_prompt_with_two_seeds_is_two_pictures(tmp_path: Path) -> None:
    space = Space(written(tmp_path, MIXED))
    genome = space.random(random.Random(0)) | {"colour": "red"}
    both = [proposal(space, genome | {"seed": seed}) for seed in (1, 2)]
    kept = Kept(RandomSearch(space), read_brief("red", [], space), space)
    assert kept.mended([*both, both[0]], History(), random.Random(0))[:2] == both


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


def test_what_the_brief_says_no_to_is_not_asked_for_and_not_wanted() -> None:
    text = "calm pictures, no red circles"
    brief = read_brief(text, [], SPACE, unwanted(text, VOCABULARY))
    assert brief.wanted == () and brief.unwanted == {"red", "circle"}
    assert unwanted("no lines, and teal", VOCABULARY) == () and read_brief("", [], SPACE, ()) == NO_BRIEF
    later = read_brief(text, ["+red"], SPACE, unwanted(text, VOCABULARY))
    assert later.unwanted == {"circle"} and {word for _, word in later.wanted[0]} == {"red"}


def test_what_was_said_last_counts() -> None:
    brief = read_brief("a red ring", ["-red"], SPACE)
    assert [word for (_, word), *_ in brief.wanted] == ["ring"] and brief.unwanted == {"red"}
    assert read_brief("", ["-small", "-large"], SPACE).unwanted == {"large"}
    assert read_brief("", ["-red", "+teal", "+red"], SPACE).unwanted == frozenset()
    full = read_brief("a ring and a circle", ["+square"], SPACE)
    assert "square" in full.asked() and full.keeps(full.mended(SPACE.random(random.Random(0)), SPACE, random.Random(0)))


def test_words_of_a_gene_that_has_several_are_kept_too(tmp_path: Path) -> None:
    space = Space(written(tmp_path, MIXED))
    brief = read_brief("calm and solemn, no dreamy ones", [], space, unwanted("no dreamy ones", space.vocabulary))
    assert brief.unwanted == {"dreamy"} and len(brief.wanted) == 2
    for one in Kept(RandomSearch(space), brief, space).propose(History(), 8, random.Random(0)):
        assert one.genome["moods"] == ("calm", "solemn") and "calm, solemn" in one.prompt
    lively = read_brief("", ["-calm", "-dreamy"], space).mended(space.random(random.Random(0)), space, random.Random(0))
    assert lively["moods"] == ("lively", "solemn")
    with pytest.raises(InputError, match="Too many words of 'moods'"):
        check_brief("", ["-calm", "-dreamy", "-solemn"], space)


@pytest.mark.parametrize(
    ("brief", "wishes", "told"),
    [
        ("a red ring", ["-red"], "asks for 'red', and the wish '-red'"),
        ("", ["-small", "-large"], "Every word of 'size' is unwanted"),
    ],
)
def test_a_brief_that_cannot_be_kept_is_told(brief: str, wishes: Sequence[str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_brief(brief, wishes, SPACE)
    check_brief("a teal ring", ["-red", "-small"], SPACE)


def test_a_prompt_that_clip_finds_too_far_from_the_brief_is_replaced_by_the_nearest_found() -> None:
    def align(texts: Sequence[str]) -> list[float]:
        return [0.9 if "teal background" in text else 0.1 for text in texts]

    kept = Kept(RandomSearch(SPACE), replace(NO_BRIEF, text="calm as the sea"), SPACE, align, 0.5)
    found = kept.propose(History(), 8, random.Random(0))
    near = ["teal background" in one.prompt for one in found]
    replaced = [one for one in found if one.reason]
    assert sum(near) >= 7 and all("too far from the brief (cosine 0.10, wanted 0.50)" in one.reason for one in replaced)
    assert len({one.prompt for one in found}) == 8


def test_prompts_and_pictures_have_a_threshold_each() -> None:
    kept = make_strategy(means("random", "a ring", minimum_prompt_alignment=0.2, minimum_alignment=0.6))
    assert (kept.minimum, kept.minimum_picture) == (0.2, 0.6)
    near = History(tuple(replace(one, alignment=0.4) for one in tried(2)))  # of pictures: far, for texts it were near
    seen: list[History] = []

    class Looking:
        def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
            seen.append(history)
            return []

    replace(kept, strategy=Looking()).propose(near, 2, random.Random(0))
    assert [one.score for one in seen[0].tried] == [0.0, 0.0]
    replace(kept, strategy=Looking(), minimum_picture=0.3).propose(near, 2, random.Random(0))
    assert seen[1] == near


def test_a_picture_far_from_the_brief_counts_as_the_worst_whatever_its_score() -> None:
    one, other = tried(2)
    history = History((replace(one, score=9.0, alignment=0.1), replace(other, score=4.0, alignment=0.6)))
    bred = aligned(history, 0.3)
    assert [found.score for found in bred.tried] == [0.0, 4.0] and "too far from the brief" in bred.tried[0].reason
    assert aligned(history, None) is history and means().spec.minimum_alignment is None and liking(one.genome or {}) > 0
