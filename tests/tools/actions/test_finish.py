"""tools/actions/finish.py: what the planner says at the end is kept, and what the record says stands beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.given import Trail, context
from tools.actions.finish import Finish, finish
from tools.records import AdapterRow


@pytest.mark.parametrize(("promoted", "said"), [(True, "promoted"), (False, "rejected"), (None, "not judged")])
def test_the_record_has_the_last_word_on_an_adapter(promoted: bool | None, said: str, tmp_path: Path) -> None:
    adapter = AdapterRow(sha256="0" * 64, path="adapters/a", kind="dpo", base="m", config={}, promoted=promoted)
    found = finish(Finish(summary="the adapter was promoted"), context(Trail(trained=[adapter]), tmp_path))
    assert found.result == {"summary": "the adapter was promoted", "outcome": f"1 round, the adapter was {said}"}


def test_a_run_without_a_training_says_so(tmp_path: Path) -> None:
    found = finish(Finish(summary="so"), context(Trail(), tmp_path, round=3))
    assert isinstance(found.result, dict) and found.result["outcome"] == "3 rounds, no adapter was trained"
