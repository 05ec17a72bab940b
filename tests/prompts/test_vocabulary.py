"""prompts/vocabulary.py and prompts/lists.py: words to genes and back, and lists that the vocabulary's model can paint."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from prompts.errors import InputError
from prompts.vocabulary import load_vocabulary, with_articles

VOCABULARY = load_vocabulary("bauhaus")


def test_every_genome_comes_back_from_its_phrase() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        genome = VOCABULARY.random(rng)
        assert VOCABULARY.parse(VOCABULARY.phrase(genome)) == genome


def test_a_prompt_of_the_bundled_vocabulary_reads_as_it_is_meant() -> None:
    prompt = "two large red squares and an orange arc on a white background, in a row, translucent, thin lines, paper"
    genome = VOCABULARY.parse(prompt)
    assert genome == {
        "background": "white", "count": "two", "size": "large", "colour": "red", "shape": "square", "accent_colour": "orange",
        "accent_shape": "arc", "layout": "in a row", "overlap": "translucent", "lines": "thin lines", "texture": "paper",
    }  # fmt: skip
    assert VOCABULARY.phrase(genome) == prompt and set(genome) == set(VOCABULARY.genes)


def test_case_space_and_a_full_stop_do_not_matter() -> None:
    genome = VOCABULARY.random(random.Random(1))
    phrase = VOCABULARY.phrase(genome)
    assert VOCABULARY.parse(f"  {phrase.upper()} . ".replace(" .", ".")) == genome
    assert VOCABULARY.parse(phrase.replace(" ", "\n ")) == genome


@pytest.mark.parametrize("text", ["", "a cat", "квадрат", "two large red squares", "x" * 10_000, "(" * 50])
def test_another_sentence_is_no_genome(text: str) -> None:
    assert VOCABULARY.parse(text) is None


def test_random_genomes_hide_nothing_and_use_every_word() -> None:
    rng = random.Random(0)
    genomes = [VOCABULARY.random(rng) for _ in range(1000)]
    assert all(genome[first] != genome[second] for genome in genomes for first, second in VOCABULARY.different)
    for gene, values in VOCABULARY.genes.items():
        assert {genome[gene] for genome in genomes} == set(values)


def test_mending_changes_the_second_gene_only_and_only_where_it_must() -> None:
    genome = VOCABULARY.random(random.Random(2))
    assert VOCABULARY.mend(genome, random.Random(0)) == genome
    hidden = genome | {"colour": genome["background"]}
    mended = VOCABULARY.mend(hidden, random.Random(0))
    assert mended["colour"] != genome["background"] and mended == hidden | {"colour": mended["colour"]}


def test_nouns_agree_with_their_number_and_articles_with_the_sound() -> None:
    genome = VOCABULARY.random(random.Random(3)) | {"count": "three", "shape": "cross", "accent_colour": "orange"}
    assert "three" in VOCABULARY.phrase(genome) and "crosses and an orange" in VOCABULARY.phrase(genome)
    assert "cross and" in VOCABULARY.phrase(genome | {"count": "one"})
    assert with_articles("a orange ring on a blue ground") == "an orange ring on a blue ground"


def test_a_missing_or_broken_vocabulary_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Use one of: bauhaus"):
        load_vocabulary("nowhere")
    for number, content in enumerate(("name: x", "[", "name: x\ntemplate: t\ngenes: {a: [b]}\nmood: happy")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(content)
        with pytest.raises(InputError, match="cannot be read"):
            load_vocabulary(str(file))


def test_a_vocabulary_of_ones_own_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ntemplate: 'a {mood} {thing}'\ngenes: {mood: [calm, angry], thing: [sea, owl]}\n")
    mine = load_vocabulary(str(file))
    assert mine.phrase({"mood": "angry", "thing": "owl"}) == "an angry owl"
    assert mine.parse("an angry owl") == {"mood": "angry", "thing": "owl"}


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("latin-1", "is not UTF-8: line 3 holds the byte 0xFC"), ("utf-16", "is UTF-16, and UTF-8 is read")],
)
def test_a_vocabulary_in_another_encoding_is_told_by_name(tmp_path: Path, encoding: str, told: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes("name: mine\ntemplate: '{mood}'\ngenes: {mood: [grün, leise]}\n".encode(encoding))
    with pytest.raises(InputError, match=f"vocabulary .*mine.yaml' cannot be read, it {told}"):
        load_vocabulary(str(file))


@pytest.mark.parametrize("field", ["{mood:>9999999999}", "{mood!r}", "{mood:{mood}}"])
def test_a_template_formats_nothing(tmp_path: Path, field: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: mine\ntemplate: '{field}'\ngenes: {{mood: [quiet, loud]}}\n")
    with pytest.raises(InputError, match=r"has a format: write the gene's name alone"):
        load_vocabulary(str(file))


WHOLE = {"mood": "[calm, wild]", "thing": "[sea, owl]"}


@pytest.mark.parametrize(
    ("genes", "rest", "told"),
    [
        ({"mood": "[calm, true]"}, "", r"gene 'mood': the value True is no word.*\(line 4\)"),
        ({"how": "{several: [a, b], draw: true}"}, "", "gene 'how': draw = True"),
        ({"far": "{from: '1', to: 2}"}, "", "gene 'far': from = '1'"),
        ({"far": "{from: .nan, to: 2}"}, "", "gene 'far': from = nan"),
        ({"luck": "{seeds: 3.0}"}, "", "gene 'luck': seeds = 3.0"),
        ({"a b": "[x, y]"}, "", "gene 'a b': its name must be one word"),
        ({"guidance_scale": "[low, high]"}, "", "'guidance_scale': it is a number"),
        ({"guidance_scale": "{from: 1, to: 1000}"}, "", "'guidance_scale': it is a number"),
        ({}, "template: '{mood:>99999999} {thing}'", "has a format"),
        ({}, "template: '{mood!r} {thing}'", "has a format"),
        ({}, "different: [[mood, mood]]", "can never differ"),
        ({"one": "[x]", "two": "[x]"}, "different: [[one, two]]\ntemplate: '{mood} {thing} {one} {two}'", "can never differ"),
        ({}, "more: [1]", "more = \\[1\\]"),
        ({}, f"name: {'x' * 300}", "name = 'xxx"),
        ({}, "name: ../../secret", "name = '../../secret'"),
        ({}, "name: x\nname: y", "the key 'name' is there twice"),
    ],
)  # fmt: skip
def test_what_no_vocabulary_can_be_is_refused_before_it_is_spoken(
    tmp_path: Path, genes: dict[str, str], rest: str, told: str
) -> None:
    first = {key: value for key, value in (("name", "mine"), ("template", "'{mood} {thing}'")) if f"{key}:" not in rest}
    lines = [*(f"{key}: {value}" for key, value in first.items()), "genes:"]
    lines += [f"  {gene}: {values}" for gene, values in (WHOLE | genes).items()] + [rest]
    (tmp_path / "mine.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError, match=told) as caught:
        load_vocabulary(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "."])
def test_a_name_that_no_file_can_have_is_no_vocabulary(name: str) -> None:
    with pytest.raises(InputError, match="There is no vocabulary"):
        load_vocabulary(name)
