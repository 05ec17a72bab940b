"""trainers/embedded/world/captions.py: what a caption says is so, and exact ones say what a picture cannot do without."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest

from tests.trainers.embedded.world.drawn import SIMPLE
from trainers.embedded.clip import CONTEXT, make_tokenizer
from trainers.embedded.world.captions import ENDINGS, OPTIONAL, ORDERS, caption, in_words, loose_caption
from trainers.embedded.world.grounds import HELD_OUT_TEXTURES
from trainers.embedded.world.shapes import HELD_OUT_SHAPES
from trainers.embedded.world.world import COUNTS, PALETTE, PALETTES, STYLES, TINTED, VOCABULARY, Scene, sample_scene

SHAPES = VOCABULARY.genes["shape"]
PLURALS = {VOCABULARY.plurals.get(shape, shape + "s"): shape for shape in SHAPES}
FILLING = {"a", "an", "and", "with", "on", "in", "of", "background", "composition", "shapes", "style", "colours"}
KNOWN = {word for phrase in (*VOCABULARY.words, *STYLES, *PALETTES) for word in phrase.split()} | {*PLURALS, *FILLING}
Said = tuple[Scene, str]


def words(text: str) -> list[str]:
    return text.replace(",", "").split()


def said_by(wording: object, count: int) -> list[Said]:
    scenes = [sample_scene(random.Random(number)) for number in range(count)]
    return [(scene, wording(scene, random.Random(f"{number}"))) for number, scene in enumerate(scenes)]  # type: ignore[operator]


@pytest.fixture(scope="module")
def exact() -> list[Said]:
    return said_by(caption, 3000)


@pytest.fixture(scope="module")
def loose() -> list[Said]:
    return said_by(loose_caption, 3000)


def objects_said(text: str) -> list[tuple[str, str, str]]:
    """(number or article, colour, noun) of everything that a caption names; "" for what it leaves out."""
    numbers, colours, nouns = (
        f"(?:{'|'.join(found)})" for found in (["an?", *COUNTS], PALETTE, [*PLURALS, *SHAPES, "shapes"])
    )
    return re.findall(rf"(?:\b({numbers}) )?(?:\b(?:small|large) )?(?:\b({colours}) )?\b({nouns})\b", text)


def untrue(scene: Scene, text: str) -> list[str]:
    """What the caption claims and the scene does not hold; read from the text, not from how it was made."""
    genome, wrong = scene.genome, []
    several = COUNTS[genome["count"]] > 1
    main, accent = (genome["colour"], genome["shape"]), (genome["accent_colour"], genome["accent_shape"])
    for number, colour, noun in objects_said(text):
        many, shape = noun in PLURALS or noun == "shapes", PLURALS.get(noun, noun)
        fits = [kind for kind in (main, accent) if colour in ("", kind[0]) and shape in ("shapes", kind[1])]
        wrong += [noun] * (not fits or (many and main not in fits) or (fits == [main] and many != several))
        wrong += [number] * (number in COUNTS and number != genome["count"])
    wrong += [ground for ground in re.findall(r"(\w+) background", text) if ground != genome["background"]]
    wrong += [
        style for style in STYLES if re.search(rf"\b{style} (style|composition)\b", text) and style != scene.style
    ]
    wrong += [palette for palette in PALETTES if f"in {palette} colours" in text and palette != scene.palette]
    for gene in OPTIONAL:
        wrong += [
            value for value in VOCABULARY.genes[gene] if re.search(rf"\b{value}\b", text) and value != genome[gene]
        ]
    return wrong


def test_the_judge_of_captions_sees_a_lie() -> None:
    scene = Scene(SIMPLE | {"count": "three", "accent_shape": "ring", "shape": "cross"}, style="memphis")
    for text in (
        "three crosses",
        "a composition of red shapes with a blue ring",
        "a memphis composition of three large red crosses",
        "crosses, flat",
    ):
        assert untrue(scene, text) == [], text
    for text in (
        "two crosses", "a cross", "a red ring", "blue crosses", "a circle", "rings", "a composition of blue shapes", "small crosses",
        "three crosses on a red background", "a bauhaus composition", "a composition in warm colours", "crosses, hatched", "a ring, tiled",
    ):  # fmt: skip
        assert untrue(scene, text) != [], text


def test_exact_captions_are_true(exact: list[Said]) -> None:
    assert [(text, untrue(scene, text)) for scene, text in exact if untrue(scene, text)] == []


def test_loose_captions_are_true(loose: list[Said]) -> None:
    assert [(text, untrue(scene, text)) for scene, text in loose if untrue(scene, text)] == []


def test_every_word_is_of_the_world_and_none_is_kept_for_later(exact: list[Said], loose: list[Said]) -> None:
    said = {word for _, text in exact + loose for word in words(text)}
    assert said <= KNOWN and not said & {*HELD_OUT_SHAPES, *HELD_OUT_TEXTURES}
    assert said >= {word for phrase in VOCABULARY.words for word in phrase.split()} | set(PLURALS)


def test_captions_are_english(exact: list[Said], loose: list[Said]) -> None:
    odd = r"\ba [aeiou]|\ban [^aeiou]|composition of an? |composition of a composition|(and|background with) a composition|composition and|  | ,|,,|^,|,$"
    assert [text for _, text in exact + loose if re.search(odd, text)] == []
    for _, text in exact + loose:
        for number, _, noun in objects_said(text):
            assert (noun in SHAPES) == (number in ("a", "an", "one")) or noun == "shapes", text


def test_a_whole_caption_in_the_usual_order_is_a_phrase_of_the_vocabulary() -> None:
    for seed in range(300):
        genome = VOCABULARY.random(random.Random(seed))
        said = {caption(Scene(genome), random.Random(n)) for n in range(20)}
        assert VOCABULARY.phrase(genome) in said
        assert {text for text in said if VOCABULARY.parse(text)} == {VOCABULARY.phrase(genome)}


def test_nearly_half_of_the_exact_captions_are_such_phrases_with_what_bundles_add() -> None:
    genomes = [VOCABULARY.random(random.Random(seed)) for seed in range(1500)]
    usual = [
        caption(Scene(genome), random.Random(seed)) == VOCABULARY.phrase(genome) for seed, genome in enumerate(genomes)
    ]
    assert np.mean(usual) == pytest.approx(0.46, abs=0.04)
    added = Scene(genomes[0], style="memphis")
    assert any(caption(added, random.Random(n)) == VOCABULARY.phrase(genomes[0]) + ", memphis style" for n in range(30))


def test_exact_captions_always_say_number_shapes_colours_and_ground(exact: list[Said]) -> None:
    for scene, text in exact:
        genome, tinted = scene.genome, scene.palette in TINTED
        (number, colour, noun), *others = sorted(objects_said(text), key=lambda found: found[0] not in COUNTS)
        assert (number, PLURALS.get(noun, noun)) == (genome["count"], genome["shape"]), text
        assert [other[2] for other in others] == [genome["accent_shape"]] * bool(genome["accent_shape"]), text
        assert tinted or (colour == genome["colour"] and f"{genome['background']} background" in text), text
        assert tinted or not others or others[0][1] == genome["accent_colour"], text


def test_the_optional_parts_are_left_unsaid_now_and_then(exact: list[Said]) -> None:
    for gene in OPTIONAL:
        unsaid = [scene.genome[gene] not in text for scene, text in exact if scene.genome["accent_shape"]]
        assert np.mean(unsaid) == pytest.approx(0.55 * 0.3, abs=0.04), gene


def test_whether_a_lonely_object_overlaps_is_not_said(exact: list[Said], loose: list[Said]) -> None:
    lonely = [
        text for scene, text in exact + loose if scene.genome["count"] == "one" and not scene.genome["accent_shape"]
    ]
    assert len(lonely) > 100 and not any(re.search("apart|overlapping|translucent", text) for text in lonely)


def test_tinted_palettes_never_name_colours_and_always_themselves(exact: list[Said], loose: list[Said]) -> None:
    tinted = [(scene, text) for scene, text in exact + loose if scene.palette in TINTED]
    assert len(tinted) > 200
    for scene, text in tinted:
        assert not {*PALETTE, "background"} & set(words(text)) and f"in {scene.palette} colours" in text, text


def test_styles_and_the_other_palettes_are_said_about_as_often_as_not(exact: list[Said]) -> None:
    named = [text for scene, text in exact if scene.style]
    assert np.mean(["style" in text or "composition" in text for text in named]) == pytest.approx(0.5, abs=0.06)
    painted = [text for scene, text in exact if scene.palette and scene.palette not in TINTED]
    assert np.mean(["colours" in text for text in painted]) == pytest.approx(0.5, abs=0.1)


def test_loose_captions_leave_most_open_and_are_many(exact: list[Said], loose: list[Said]) -> None:
    lengths = [np.mean([len(words(text)) for _, text in texts]) for texts in (loose, exact)]
    assert lengths[0] < 0.5 * lengths[1] and len({text for _, text in loose}) > 1200
    assert np.mean([not objects_said(text) for _, text in loose]) > 0.25


@pytest.mark.parametrize("order", sorted(set(ORDERS)))
def test_every_order_says_the_same(order: str) -> None:
    scene = Scene(SIMPLE | {"count": "two", "accent_shape": "ring"}, style="memphis")
    everything = {"count", "shape", "colour", "accent", "background", "bundle", *OPTIONAL}
    found = in_words(scene, everything, order, random.Random(0), shuffled=True)
    plain = in_words(scene, everything, "plain", random.Random(0), shuffled=False)
    assert set(words(found)) - FILLING == set(words(plain)) - FILLING
    assert [part for part in ENDINGS if f", {scene.genome[part]}" not in found] == []


@pytest.mark.parametrize(
    ("said", "order", "scene", "text"),
    [
        ({"bundle", "shape"}, "style first", {"style": "suprematist"}, "a suprematist composition of squares"),
        ({"bundle"}, "style first", {"style": "de stijl"}, "a de stijl composition"),
        ({"bundle"}, "style first", {"palette": "warm"}, "a composition in warm colours"),
        ({"bundle", "accent"}, "plain", {"palette": "warm"}, "a composition with a ring, in warm colours"),
        ({"accent", "colour", "background"}, "accent first", {}, "a composition of red shapes with an orange ring on a white background"),
        ({"background", "texture"}, "ground first", {}, "a composition on a white background, paper"),
        ({"background", "shape"}, "ground first", {}, "a white background with squares"),
        ({"shape", "accent"}, "accent first", {}, "a ring and squares"),
        ({"colour", "background", "shape"}, "plain", {"palette": "pastel"}, "squares, in pastel colours"),
    ],
)  # fmt: skip
def test_what_some_captions_say(said: set[str], order: str, scene: dict[str, str], text: str) -> None:
    genome = SIMPLE | {
        "count": "two",
        "shape": "square",
        "accent_shape": "ring",
        "accent_colour": "orange",
        "texture": "paper",
    }
    assert in_words(Scene(genome, **scene), said, order, random.Random(0), shuffled=True) == text


def test_one_object_of_a_style_is_what_its_composition_is_with() -> None:
    scene = Scene(SIMPLE, style="bauhaus")
    assert (
        in_words(scene, {"bundle", "shape"}, "style first", random.Random(0), shuffled=True)
        == "a bauhaus composition with a circle"
    )


def test_every_caption_fits_the_text_encoder(exact: list[Said], loose: list[Said], tmp_path: Path) -> None:
    tokenizer = make_tokenizer([text for _, text in exact[:2000]], tmp_path)
    longest = max([text for _, text in exact + loose], key=lambda text: len(words(text)))
    lengths = [len(ids) for ids in tokenizer([text for _, text in exact + loose] + [longest]).input_ids]
    assert max(lengths) <= CONTEXT
    assert tokenizer.decode(tokenizer(longest).input_ids, skip_special_tokens=True).replace(" ", "") == longest.replace(
        " ", ""
    )
