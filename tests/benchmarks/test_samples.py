"""benchmarks/samples.py: sheets and a list beside each model's card, made by the models themselves."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from benchmarks import samples
from benchmarks.samples import best_first, in_words
from benchmarks.studio import MODELS
from evaluators.scorers.scene_judge import Seen


def test_every_bundled_model_gets_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns("samples.*"))
    for name, value in {"COUNT": 4, "ROW": 2, "GALLERY": 12}.items():
        monkeypatch.setattr(samples, name, value)
    monkeypatch.setattr("sys.argv", ["samples", "--models", str(models)])
    samples.main()
    sheets = {
        name: Image.open(models / name / "samples.png")
        for name in ("bauhaus", "bauhaus-judge", "bauhaus-pickscore", "bauhaus-clip")
    }
    assert all(sheet.width > 2 * samples.TILE for sheet in sheets.values())
    assert len({sheet.tobytes() for sheet in sheets.values()}) == 4
    rows = [line for line in (models / "bauhaus-lm" / "samples.md").read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 4 and all(line.count("|") == 6 for line in rows)


def test_pictures_of_a_row_stand_in_the_order_of_their_scores() -> None:
    images = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in range(16)]
    scores = [float(shade % 5) for shade in range(16)]
    ordered = best_first(images, ["a"] * 8 + ["b"] * 8, lambda shown, captions: SimpleNamespace(values=scores))  # type: ignore[arg-type]
    assert [caption for _, (_, caption) in ordered] == ["a"] * 8 + ["b"] * 8
    for row in (ordered[:8], ordered[8:]):
        told = [float(score) for _, (score, _) in row]
        assert told == sorted(told, reverse=True)


def test_what_the_judge_sees_is_said_in_words() -> None:
    assert in_words(Seen(frozenset({"ring", "bar"}), 3)) == "3 objects: bar, ring"
    assert in_words(Seen(frozenset(), 1)) == "1 object: no shape"
