"""benchmarks/raters.py: differences are paired, contrary raters are found, and what was measured is not measured again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import raters
from benchmarks.raters import How, contrary, differences, random_run, runs_of, summary
from evaluators.looks.features import features
from evaluators.looks.raters import Rater, save_reference


def run(last: float, first: float = 0.0) -> dict[str, Any]:
    return {"hidden_first": first, "hidden_last": last, "hidden_by_round": {1: first, 2: last}, "plans": None}


def test_differences_are_paired_rater_by_rater() -> None:
    found = differences({"random": [run(0.0), run(2.0), run(4.0)], "llm": [run(1.0), run(3.1), run(4.9)]})
    mean, low, high = found["llm - random"]
    assert list(found) == ["llm - random"] and mean == 1.0
    assert 0.7 < low < 1 < high < 1.3  # unpaired, the raters' own spread would make it several points wide


def test_a_summary_has_the_gain_and_the_last_round() -> None:
    found = summary([run(1.0, -1.0), run(3.0, 1.0)])
    assert found["gain"] == [2.0, 2.0, 2.0] and found["last"][0] == 2.0 and found["n"] == 2


@pytest.fixture
def how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> How:
    """Runs in a folder of their own, on models that nobody loads."""
    monkeypatch.setattr(How, "weights", lambda self, planner: "w1")
    return How(tmp_path / "home", raters.MODELS, 0, False)


def test_a_run_that_was_measured_is_read_back(how: How, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []

    def fresh(planner: str, wanted: Sequence[int], how: How) -> Iterator[dict[str, Any]]:
        asked.append(list(wanted))
        yield from (run(float(rater)) for rater in wanted)

    monkeypatch.setattr(raters, "fresh_runs", fresh)
    runs_of("rules", [1, 2], how)
    assert [one["hidden_last"] for one in runs_of("rules", [2, 3, 1], how)] == [2.0, 3.0, 1.0]
    runs_of("random", [1], how)
    runs_of("rules", [1], how._replace(seed=1))
    assert asked == [[1, 2], [3], [1], [1]]


def test_a_run_that_was_cut_off_leaves_those_before_it(how: How, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(planner: str, wanted: Sequence[int], how: How) -> Iterator[dict[str, Any]]:
        yield run(1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(raters, "fresh_runs", dies)
    with pytest.raises(KeyboardInterrupt):
        runs_of("rules", [1, 2], how)
    assert len(raters.measured_before(how.home / "measured.jsonl")) == 1


PALETTE = ("#d62828", "#f77f00", "#fcd34d", "#2e8b57", "#00a0a0", "#1d4ed8", "#7c3aed", "#f48fb1", "#1a1a1a", "#f5f5f0")


def fields(count: int, seed: int) -> list[Image.Image]:
    rng, images = np.random.default_rng(seed), []
    for _ in range(count):
        image = Image.new("RGB", (64, 64), PALETTE[rng.integers(10)])
        for x, y in rng.integers(0, 40, (3, 2)).tolist():
            image.paste(PALETTE[rng.integers(10)], (x, y, x + 20, y + 20))
        images.append(image)
    return images


@pytest.fixture
def atelier(how: How, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random paintings without a painter, and a population that likes what rater 3 likes."""
    save_reference(tmp_path, features(fields(64, 1)))
    popular = Rater(3, reference=features(fields(64, 1)).astype(np.float32).astype(float))
    painted = fields(96, 2)
    settings = SimpleNamespace(model=str(tmp_path))
    likes = lambda images, prompts: SimpleNamespace(values=tuple(popular.utility(images)))  # noqa: E731
    monkeypatch.setattr(raters, "Studio", lambda _: SimpleNamespace(settings=settings, pickscore=likes))
    monkeypatch.setattr(raters, "random_paintings", lambda config, studio, count, seed: (painted[:count], [""] * count))
    monkeypatch.setattr(raters, "PAINTINGS", 96)
    monkeypatch.setattr(raters, "SEEDS", 12)
    return tmp_path


def test_the_contrary_are_those_who_agree_least(how: How, atelier: Path) -> None:
    everyone, few = contrary(how, 12), contrary(how, 3)
    assert list(few.items()) == list(everyone.items())[:3] and list(everyone.values()) == sorted(everyone.values())
    assert list(everyone)[-1] == 3 and everyone[3] > 0.99 and min(few.values()) < 0


def test_a_random_run_paints_as_many_pictures_and_learns_nothing(how: How, atelier: Path) -> None:
    studio: Any = raters.Studio(None)  # type: ignore[arg-type]
    found = random_run(3, how, studio)
    assert found["images"] == 32 and found["rounds"] == 4 and list(found["hidden_by_round"]) == [1, 2, 3, 4]
    assert found["hidden_last"] == round(found["hidden_by_round"][4], 4)
