"""prompts/lists.py: the bundled lists are of their vocabulary, and a vocabulary of one's own needs none."""

import random
from pathlib import Path

import pytest

from prompts.errors import InputError
from prompts.lists import DRAWN, SLOT, anchor_sets, load_anchors, load_list, prompts_in
from prompts.vocabulary import Vocabulary, load_vocabulary
from trainers.embedded.world.captions import caption
from trainers.embedded.world.dataset import HELD_OUT, loosely, scene_of
from trainers.embedded.world.grounds import HELD_OUT_TEXTURES
from trainers.embedded.world.shapes import HELD_OUT_SHAPES
from trainers.embedded.world.world import PALETTES, STYLES

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


def test_every_line_is_what_the_world_says_of_one_of_its_scenes() -> None:
    vocabulary = load_vocabulary("bauhaus")
    loose = {loosely(start + number) for start in (0, HELD_OUT) for number in range(4000)}
    assert {*load_list(vocabulary, "pool"), *load_list(vocabulary, "held_out")} <= loose
    assert set(load_list(vocabulary, "anchors")) <= {
        caption(scene_of(number), random.Random(f"caption {number}")) for number in range(HELD_OUT, HELD_OUT + 1000)
    }


def test_styles_and_palettes_are_asked_for_and_what_is_kept_for_later_is_not() -> None:
    lines = [line for kind in KINDS for line in load_list(load_vocabulary("bauhaus"), kind)]
    for style in STYLES:
        assert any(line.startswith(f"a {style} composition of ") for line in lines), style
    for palette in PALETTES:
        assert any(line.startswith(f"a composition in {palette} colours") for line in lines), palette
    assert not {*HELD_OUT_SHAPES, *HELD_OUT_TEXTURES} & {
        word for line in lines for word in line.replace(",", "").split()
    }


@pytest.mark.parametrize(("name", "count"), [("object", 18), ("style", 18), ("bauhaus", 16), ("bauhaus-style", 16)])
def test_anchors_have_a_place_for_the_subject_and_concepts_do_not(name: str, count: int) -> None:
    anchors = load_anchors(name)
    assert len(set(anchors)) == len({one.concept for one in anchors}) == count and name in anchor_sets()
    assert all(one.prompt.count(SLOT) == 1 and SLOT not in one.concept for one in anchors)


def test_anchors_of_the_studio_say_what_its_world_can_show() -> None:
    words = set(" ".join(load_vocabulary("bauhaus").words).split()) | {"shapes", "composition", "lines", "background"}
    plurals = {f"{word}s" for word in words} | {"crosses"}
    for name in ("bauhaus", "bauhaus-style"):
        for anchor in load_anchors(name):
            said = f"{anchor.prompt.replace(SLOT, '')} {anchor.concept}".replace(",", " ").split()
            assert set(said) <= words | plurals | {"a", "an", "and", "on", "in"}, anchor


@pytest.mark.parametrize("line", ["a dog", "| in a forest", "{subject} in a forest |"])
def test_a_line_that_is_no_anchor_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "mine.txt").write_text(f"{{subject}} on the moon | on the moon\n\n{line}\n")
    with pytest.raises(InputError, match=r"line 3 of .*mine\.txt"):
        load_anchors(str(tmp_path / "mine.txt"))


def test_a_prompts_file_of_any_editor_is_read_and_another_encoding_named(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes("\ufeffa dog\r\n\r\n  ein großer Hund".encode())
    assert list(prompts_in(tmp_path / "p.txt")) == ["a dog", "ein großer Hund"]
    (tmp_path / "p.jsonl").write_bytes('\ufeff{"prompt": "a\u2028b"}\n'.encode())
    assert list(prompts_in(tmp_path / "p.jsonl")) == ["a\u2028b"]
    for encoding, name in (("utf-16", "UTF-16"), ("latin-1", "Latin-1")):
        (tmp_path / "p.txt").write_bytes("ein großer Hund".encode(encoding))
        with pytest.raises(InputError, match=rf"prompts .*p\.txt' .*{name}"):
            list(prompts_in(tmp_path / "p.txt"))


@pytest.mark.parametrize("line", ["{", "[" * 100_000, '"a dog"', "3", "null", '{"prompt": 3}', '{"prompt": " "}', "{}"])
def test_a_line_that_is_no_prompt_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "p.jsonl").write_text(f'{{"prompt": "a"}}\n\n{line}\n')
    with pytest.raises(InputError, match=r"line 3 of .*p\.jsonl'"):
        list(prompts_in(tmp_path / "p.jsonl"))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("p.json", '["a dog"]', "would be read line by line"),
        ("p.CSV", "prompt\na dog\n", "would be read line by line"),
        ("p.txt", 'a dog\n{"prompt": "a cat"}\n', "line 2 of .*JSON in a text file: call the file .jsonl"),
    ],
)
def test_a_file_of_another_kind_is_not_taken_for_prompts(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=told):
        list(prompts_in(tmp_path / name))
