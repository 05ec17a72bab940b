"""prompts/lists.py: the bundled lists are of their vocabulary, and a vocabulary of one's own needs none."""

import pytest

from prompts.lists import DRAWN, load_list
from prompts.vocabulary import Vocabulary, load_vocabulary

KINDS = ("pool", "held_out", "anchors")


@pytest.mark.parametrize(("kind", "least"), [("pool", 24), ("held_out", 32), ("anchors", 8)])
def test_lists_are_long_enough_and_distinct(kind: str, least: int) -> None:
    lines = load_list(load_vocabulary("bauhaus"), kind)
    assert len(lines) >= least and len(set(lines)) == len(lines) and all(len(line) <= 300 for line in lines)


def test_no_prompt_is_both_trained_on_and_held_out() -> None:
    lists = [set(load_list(load_vocabulary("bauhaus"), kind)) for kind in ("pool", "held_out")]
    assert not lists[0] & lists[1]


def test_a_vocabulary_without_lists_has_prompts_drawn_for_it_always_the_same() -> None:
    mine = Vocabulary(
        name="mine", template="a {mood} {thing}", genes={"mood": ["quiet", "loud", "odd"], "thing": ["cat", "sea"]}
    )
    lists = {kind: load_list(mine, kind) for kind in KINDS}
    assert all(len(prompts) == DRAWN and all(map(mine.parse, prompts)) for prompts in lists.values())
    assert lists["pool"] == load_list(mine, "pool") != lists["held_out"]
