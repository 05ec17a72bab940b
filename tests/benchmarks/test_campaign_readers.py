"""benchmarks/campaign/readers.py: whole files are read, and of damaged ones nothing but our own words comes out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.campaign import readers
from prompts.errors import InputError
from prompts.vocabulary import load_vocabulary

KNOWN = readers.readers()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with readers.workplace() as folder:
        yield folder


@pytest.mark.parametrize("name", KNOWN)
def test_every_reader_reads_a_whole_file(name: str, place: Path) -> None:
    called, read, wholes = KNOWN[name]
    for whole in wholes:
        (place / called).write_bytes(whole)
        load_vocabulary.cache_clear()
        read(place / called)
        (place / called).unlink()


@settings(deadline=None, derandomize=True, database=None, max_examples=2000)
@given(name=st.sampled_from(sorted(KNOWN)), seed=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused_in_words_of_ours(name: str, seed: int, place: Path) -> None:
    rng = random.Random(seed)
    assert not readers.tried(name, readers.damaged(rng.choice(KNOWN[name][2]), rng), place)


@settings(deadline=None, derandomize=True, database=None, max_examples=2000)
@given(name=st.sampled_from(sorted(KNOWN)), data=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_bytes_that_are_no_such_file_at_all_give_no_traceback(name: str, data: bytes, place: Path) -> None:
    assert not readers.tried(name, data, place)


@pytest.mark.slow
def test_two_thousand_damaged_files_of_every_reader_give_no_traceback() -> None:
    found = readers.run(seed=0, quick=False)
    assert found.tried == readers.FULL * len(KNOWN) and not found.failures


def test_a_reader_that_lets_an_exception_through_would_be_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(file: Path) -> object:
        raise KeyError(file.read_bytes())

    monkeypatch.setattr(readers, "_known", lambda: {"it": ("it.txt", broken, [b"x"])})
    assert readers.tried("it", b"y", place) == "KeyError: b'y'"
    monkeypatch.setattr(
        readers, "_known", lambda: {"it": ("it.txt", lambda _: (_ for _ in ()).throw(InputError("")), [b"x"])}
    )
    assert readers.tried("it", b"y", place)
