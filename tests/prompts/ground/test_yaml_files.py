"""prompts/ground/yaml_files.py: YAML 1.2 read without surprises and in bounds; what we write comes back the same."""

from __future__ import annotations

import re
import resource
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prompts.errors import InputError
from prompts.ground.yaml_files import LONGEST_NUMBER, OF_A_PERSON, OF_OURS, read_yaml, write_yaml
from tests.house import HOUSES
from tests.places import ROOT

QUIET = settings(deadline=None, derandomize=True, database=None, max_examples=400)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def values_of(folder: Path, content: str | bytes) -> Any:
    file = folder / "mine.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_yaml(file, "config").values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("08", 8), ("0o17", 15), ("0x1f", 31), ("+3", 3), ("-0", 0), ("1e-4", 1e-4), ("1E3", 1000.0), (".5", 0.5),
        ("5.", 5.0), ("-.inf", float("-inf")), ("true", True), ("False", False), ("~", None), ("null", None), ("", None),
        ("yes", "yes"), ("off", "off"), ("y", "y"), ("1:30", "1:30"), ("190:20:30", "190:20:30"), ("2026-01-01", "2026-01-01"),
        ("2026-13-45", "2026-13-45"), ("1_000", "1_000"), ("0b11", "0b11"), ("0o8", "0o8"), ("=", "="), ("'12'", "12"),
        ('"true"', "true"), ("!!str 12", "12"), ("!!float 3", 3.0), ("! 12", "12"), ("-.nan", "-.nan"), ("1" * 64, int("1" * 64)),
    ],
)  # fmt: skip
def test_numbers_booleans_and_words_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    found = values_of(tmp_path, f"key: {text}\n")["key"]
    assert found == value and type(found) is type(value)


def test_keys_are_text_as_they_are_written(tmp_path: Path) -> None:
    assert values_of(tmp_path, "010: a\nyes: b\ntrue: c\n~: d\n") == {"010": "a", "yes": "b", "true": "c", "~": "d"}


def test_aliases_and_merges_mean_what_they_meant(tmp_path: Path) -> None:
    text = "base: &base {steps: 3, rank: 8}\nmine: {<<: *base, rank: 4}\nboth: {<<: [{a: 1}, {a: 2, b: 2}]}\nname: &n x\nbrief: *n\n"
    found = values_of(tmp_path, text)
    assert found["mine"] == {"rank": 4, "steps": 3} and found["both"] == {"a": 1, "b": 2} and found["brief"] == "x"
    assert found == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("steps: 3\nname: x\nsteps: 4", "line 3: the key 'steps' is there twice, in lines 1 and 3"),
        ("llm:\n  model: a\n  'model': b", "line 3: the key 'model' is there twice"),
        ("a: &a [*a]", r"line 1: \*a stands inside of what it names"),
        ("&a\nb: {c: *a}", r"line 2: \*a stands inside"),
        ("a: *b", r"\*b has no anchor before it"),
        ("x: !!python/object/apply:os.getcwd []", "the tag '!!python/object/apply:os.getcwd' is not read"),
        ("\nx: !!timestamp 2026-13-45", "line 2: the tag '!!timestamp' is not read"),
        ("x: !mine 3", "the tag '!mine' is not read"),
        ("x: !!int fast", "!!int 'fast' is none"),
        ("x: !!int true", "!!int 'true' is none"),
        ("seed: " + "9" * 5000, "the number 99999999999999999999... has 5,000 characters, and 64 are read"),
        ("seed: 0x" + "f" * 5000, "has 5,002 characters"),
        ("x: " + "[" * 50_000, "nested more than 32 levels"),
        ("".join(f"a{i}: &a{i} [*a{i - 1}]\n" if i else "a0: &a0 [x]\n" for i in range(99)), "nested more than 32 levels"),
        (BOMB, "line 6: there are more than 200,000 values"),
        (f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 900)}]", "more than 200,000 values"),
        (f"a: &a 1\nb: [{', '.join(['*a'] * 1001)}]", "more than 1,000 aliases"),
        ("x: [" + "1," * 300_000 + "]", "more than 200,000 values"),
        ("x: " + "y" * 5_000_000, "holds more than 4,194,304 bytes"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins"),
        ("%YAML 1.1\n---\nseed: 010", "YAML 1.2 is read"),
        ("? [a]\n: b", "a key is a list, a mapping or an alias"),
        ("a: {<<: x}", "<< merges mappings"),
        ("a: 1\n\tb: 2", "line 2: found a tab character"),
        ("a: 'x", "line 1: found unexpected end of stream"),
        ('a: "x\\0y"', "control character"),
        ('a: "\\ud800"', "line 1"),
        (b"a: 1\nb: \x1b[31m", r"line 2: the control character '\\x1b'"),
        ("a: x".encode("utf-16"), "is UTF-16, and UTF-8 is read"),
        ("a: x".encode("utf-16-be"), "is UTF-16, and UTF-8 is read"),
        ("a: 1\nb: café".encode("latin-1"), "is not UTF-8: line 2 holds the byte 0xE9"),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_what_is_refused_is_told_with_its_line_and_quickly(tmp_path: Path, content: str | bytes, told: str) -> None:
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=told) as caught:
        values_of(tmp_path, content)
    assert "mine.yaml' cannot be read" in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 and time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_a_mark_before_the_text_and_windows_lines_do_not_matter(tmp_path: Path) -> None:
    assert values_of(tmp_path, b"\xef\xbb\xbfa: x\r\nb: 2\r\n") == {"a": "x", "b": 2}
    assert values_of(tmp_path, "%YAML 1.2\n---\na: 1\n...\n") == {"a": 1} and values_of(tmp_path, "") is None


def test_the_line_of_a_value_is_known_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: x\nllm:\n  model: a\nsliders:\n  - {name: b}\n  -\n    name: c\n")
    at = read_yaml(file, "config").at
    assert [at(path) for path in (("llm", "model"), ("sliders", 1, "name"), ("sliders", 0, "low"))] == [
        " (line 3)", " (line 7)", " (line 5)",
    ]  # fmt: skip
    assert at(("nothing",)) == at(()) == ""


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**60), 10**60) | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=60)
    | st.sampled_from(("1e-4", "010", "0o17", "08", "yes", "~", "", ".5", "5.", "1:30", "2026-01-01", "null", "<<", "=", "0x1f", "+.5e1", " a", "a\nb\n", "- a", "#", "\ufeffa")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@QUIET
@given(PLAIN)
def test_what_we_write_comes_back_the_same(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "written.yaml"
    file.write_bytes(write_yaml(values))
    for limits in (OF_A_PERSON, OF_OURS):
        assert repr(read_yaml(file, "config", limits).values) == repr(values)


@QUIET
@given(PLAIN)
def test_readers_of_yaml_1_1_take_what_we_write_for_the_same(values: Any) -> None:
    assert repr(yaml.safe_load(write_yaml(values))) == repr(values)


@QUIET
@given(st.binary(max_size=200) | st.text(st.sampled_from("ab:- \n[]{}&*!?|>'\"%@`#,<~01.e\t"), max_size=60))
def test_no_bytes_end_in_another_exception_nor_in_two_lines(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    said = "cannot be read"
    try:
        values_of(tmp_path_factory.getbasetemp(), content)
    except InputError as error:
        said = str(error)
    assert "cannot be read" in said and "\n" not in said


def test_a_number_is_as_long_as_people_write_them() -> None:
    assert len(str(2**128)) < LONGEST_NUMBER


def test_nobody_else_reads_or_writes_yaml() -> None:
    files = [file for house in (*HOUSES, "benchmarks") for file in (ROOT / house).rglob("*.py")]
    theirs = [file for file in files if re.search(r"^\s*(import|from) yaml", file.read_text(), re.MULTILINE)]
    assert [str(file.relative_to(ROOT)) for file in theirs] == ["prompts/ground/yaml_files.py"]


def test_whatever_yaml_the_documents_and_the_house_show_is_read(tmp_path: Path) -> None:
    shown = [
        part
        for page in (ROOT / "docs").glob("*.md")
        for part in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    kept = [file.read_text() for house in ("configs", "prompts") for file in (ROOT / house).rglob("*.yaml")]
    assert len(shown) > 3 and len(kept) > 5
    for text in shown + kept:
        assert values_of(tmp_path, text) == yaml.safe_load(text)
