"""agent/replay/verify.py on what making a run again would not show: the chain and the files speak."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prompts.errors import ReplayError
from tests.agent.fast import Started
from tests.agent.replay.test_verify import changed, checked


@pytest.fixture
def copied(short: Started, tmp_path: Path) -> Path:
    """A home with a copy of the short run, to be changed."""
    shutil.copytree(short.home, tmp_path / "copied")
    return tmp_path / "copied"


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (
            "insert into ratings select null, run_id, image, 10, 'eve', created, step, null from ratings limit 1",
            "rating 3 was added",
        ),
        ("update preferences set metrics = '{}'", "step 4, or what came with it"),
        (
            "update runs set config = json_set(config, '$.gate.unseen_may_lose', json('true'))",
            "the run's own row was altered",
        ),
        (
            "insert into pairs select 1, run_id, 1, 'p', min(id), max(id), 0.5 from images",
            "step 1, or what came with it",
        ),
    ],
)
def test_what_making_it_again_would_not_show_is_a_difference_too(
    short: Started, copied: Path, sql: str, told: str
) -> None:
    changed(copied, sql)
    verdict = checked(short, copied)
    assert not verdict.same and any(text.startswith(told) for text in verdict.differences), verdict.differences


def test_a_run_from_before_the_chain_is_told_as_unchained(short: Started, copied: Path) -> None:
    changed(copied, "delete from chain")
    changed(copied, "insert into chain select id, 0, null, null, '{}', '' from runs")
    verdict = checked(short, copied)
    assert verdict.same and "before Palate chained its records" in verdict.told()


def test_a_taste_whose_file_was_changed_is_a_difference(short: Started, copied: Path) -> None:
    file = copied / "runs" / short.run_id / short.store.preferences(short.run_id)[0].path
    file.write_bytes(file.read_bytes() + b"!")
    (difference,) = checked(short, copied).differences
    assert "taste learned in step 4" in difference and "was changed" in difference


def test_a_record_that_cannot_be_made_again_at_all_is_a_difference(short: Started, copied: Path) -> None:
    changed(copied, "update steps set result = '[]' where tool = 'ask_person'")
    changed(copied, "update llm_calls set response = '{}'")
    try:
        differences = checked(short, copied).differences
    except ReplayError as error:
        differences = [str(error)]
    assert any("what came with it" in text for text in differences)
