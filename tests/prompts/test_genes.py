"""prompts/genes.py: genes that are several words, a number or a seed; and files with genes that cannot be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from prompts.errors import InputError
from prompts.genes import Range, Seed, Several
from prompts.vocabulary import Vocabulary, load_vocabulary

MIXED = """
name: mixed
template: "a {colour} {thing}, {moods}, contrast {contrast}"
genes:
  colour: [red, teal]
  thing: [owl, ring]
  moods: {several: [calm, lively, dreamy, solemn], draw: 2}
  contrast: {from: 0.0, to: 1.0}
  guidance_scale: {from: 1.0, to: 6.0}
  seed: {seeds: 1000}
"""


def written(folder: Path, text: str) -> Vocabulary:
    file = folder / "mine.yaml"
    file.write_text(text)
    load_vocabulary.cache_clear()
    return load_vocabulary(str(file))


def test_a_genome_of_every_kind_is_said_and_read_back_but_for_what_is_no_word(tmp_path: Path) -> None:
    vocabulary, rng = written(tmp_path, MIXED), random.Random(0)
    for _ in range(200):
        genome = vocabulary.random(rng)
        said = {gene: value for gene, value in genome.items() if gene not in ("guidance_scale", "seed")}
        assert vocabulary.parse(vocabulary.phrase(genome)) == said
    assert set(genome) == {"colour", "thing", "moods", "contrast", "guidance_scale", "seed"}


@pytest.mark.parametrize(
    "said", ["calm, calm, contrast 0.5", "calm, solemn, contrast 7", "calm, solemn, contrast -0.1"]
)
def test_a_prompt_whose_values_no_genome_may_have_is_not_read(tmp_path: Path, said: str) -> None:
    vocabulary = written(tmp_path, MIXED)
    assert vocabulary.parse(f"a red owl, {said}") is None
    assert vocabulary.parse("a red owl, solemn, calm, contrast 1") == {
        "colour": "red", "thing": "owl", "moods": ("calm", "solemn"), "contrast": 1.0,
    }  # fmt: skip


def test_a_number_at_an_end_that_is_no_hundredth_is_read_back(tmp_path: Path) -> None:
    vocabulary = written(tmp_path, "name: x\ntemplate: 'light {light}'\ngenes: {light: {from: 0.126, to: 0.134}}\n")
    assert vocabulary.parse(vocabulary.phrase(vocabulary.random(random.Random(0)))) == {"light": 0.13}


def test_several_words_cross_without_replacement_from_both_parents() -> None:
    gene, rng = Several(several=["a", "b", "c", "d"], draw=2), random.Random(1)
    children = {gene.crossed(("a", "b"), ("b", "d"), rng) for _ in range(100)}
    assert children == {("a", "b"), ("a", "d"), ("b", "d")}
    assert all(len(set(gene.drawn(rng))) == 2 for _ in range(50))


def test_a_number_is_its_parents_mean_and_a_seed_one_of_theirs() -> None:
    rng = random.Random(1)
    assert Range.model_validate({"from": 0, "to": 2}).crossed(0.5, 1.0, rng) == 0.75
    assert {Seed(seeds=9).crossed(3, 8, rng) for _ in range(50)} == {3, 8}
    assert Range.model_validate({"from": 0, "to": 2}).unit(2.0) == 1.0


@pytest.mark.parametrize(
    ("genes", "told"),
    [
        ("a: [red, teal, Red ]", "gene 'a'.*'Red'.*twice"),
        ("a: []", "gene 'a'.*no values"),
        ("a: [red, '  ']", "gene 'a'.*'  ' is empty"),
        ("a: [red, null]", "gene 'a'.*None is no word"),
        ("a: red", "gene 'a'.*'red' is no gene"),
        ("a: {several: [red, red], draw: 1}", "gene 'a'.*'red' is there twice"),
        ("a: {several: [red, teal], draw: 3}", "gene 'a'.*draw = 3"),
        ("a: {from: 1.0, to: 1.0}", "gene 'a'.*from = 1.0"),
        ("a: {seeds: 1}", "gene 'a'.*seeds = 1"),
        ("a: [red]\n  b: [teal]", "gene 'b' has no place in the template"),
        ("b: {several: [x, y], draw: 1}\n  a: [red]", "gene 'b' has no place in the template"),
        ("c: {seeds: 9}", "template's .a.* is no gene"),
    ],
)
def test_a_gene_that_cannot_be_is_told_by_its_name_and_value(tmp_path: Path, genes: str, told: str) -> None:
    with pytest.raises(InputError, match=f"cannot be read: .*{told}"):
        written(tmp_path, f"name: x\ntemplate: 'a {{a}}'\ngenes:\n  {genes}\n")


def test_genes_that_agree_or_differ_have_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'size' under agree or different is no gene"):
        written(tmp_path, "name: x\ntemplate: 'a {a}'\ngenes: {a: [red]}\ndifferent: [[a, size]]\n")


def test_words_with_capitals_are_read_back(tmp_path: Path) -> None:
    vocabulary = written(tmp_path, "name: x\ntemplate: 'a view of {town}'\ngenes: {town: [Paris, Rome]}\n")
    assert vocabulary.parse("a view of paris") == {"town": "Paris"}
