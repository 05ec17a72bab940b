"""agent/bench/taste.py and people_taste.py on pictures that are drawn at once, and on people whose tastes are known."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent.bench import people_taste, taste
from agent.bench.cli import Options
from agent.bench.formats import markdown
from agent.bench.grid import run_grid
from agent.bench.pool import pool_file, read_pool
from agent.bench.tables import groups
from agent.bench.taught import population_file
from evaluators.looks.features import features
from prompts.errors import InputError
from tests.places import SHARED_DATA

OPTIONS = Options("taste", (0, 1, 2, 3), (0,), Path("out"), ("head", "bayes+population"), given=taste.GIVEN)
GIVEN = {**taste.GIVEN, "ratings": [6, 24], "pool": 80, "held": 30, "taught": 24, "people": 8}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty pictures of blocks of colours; their features are what can be measured on the pixels."""
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (80, 3, 3), dtype=np.uint8)
    pixels = np.stack([colours[rng.integers(0, 3, (4, 4))].repeat(8, axis=0).repeat(8, axis=1) for colours in palette])
    measured = features([Image.fromarray(one) for one in pixels])
    seen = (measured - measured.mean(axis=0)) / (measured.std(axis=0) + 1e-6)
    file = tmp_path_factory.mktemp("pool") / "pool.npz"
    np.savez(file, pixels=pixels, features=seen, measured=measured, prompts=np.array([""] * 80))
    return file


@pytest.fixture(scope="module")
def rows(pool: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    taught = population_file(pool, 24, 8, 0.35, maml=False)
    work = partial(taste.work, pool=str(pool), population=str(taught), places=(24, 30), noise=0.35)
    cells = taste.cells(replace(OPTIONS, given=GIVEN))
    assert len(cells) == 4 * 2 * 4
    return run_grid(cells, work, tmp_path_factory.mktemp("out"), processes=0, settings={})


def of(rows: list[dict[str, Any]], name: str, ratings: int, value: str) -> float:
    return float(np.mean([row[value] for row in rows if row["strategy"] == name and row["ratings"] == ratings]))


def test_the_frame_is_where_it_must_be(rows: list[dict[str, Any]]) -> None:
    for count in (6, 24):
        assert of(rows, "ceiling", count, "srocc") == 1.0 and of(rows, "ceiling", count, "regret") == 0.0
        assert of(rows, "mean", count, "srocc") == 0.0 and of(rows, "mean", count, "pairs") == 0.5
        assert of(rows, "ceiling", count, "srocc_rated") < 1.0  # ratings are noisy
        assert of(rows, "ceiling", count, "mse") < of(rows, "head", count, "mse")


def test_a_kind_learns_and_more_ratings_help(rows: list[dict[str, Any]]) -> None:
    assert of(rows, "head", 24, "srocc") > 0.3 > 0.0
    assert of(rows, "head", 24, "srocc") > of(rows, "head", 6, "srocc")
    assert of(rows, "head", 24, "mse") < of(rows, "mean", 24, "mse")


def test_the_same_pictures_are_judged_for_all_kinds(rows: list[dict[str, Any]]) -> None:
    ceilings = {(row["rater"], row["srocc_rated"]) for row in rows if row["strategy"] == "ceiling"}
    assert len(ceilings) == 4  # one a rater, whatever the number of ratings


def test_the_report_has_a_table_a_number_of_ratings_and_curves(rows: list[dict[str, Any]]) -> None:
    report = taste.report(rows)
    told = "\n".join(markdown(table) for table in report.tables)
    assert "24 ratings: against noisy ratings" in told and "less that of head" in told
    assert report.tables[0].columns == ("strategy", "6", "24") and report.tables[0].rows[0][0] == "head"
    assert [len(panel.lines) for panel in report.plots["taste"]] == [2, 3, 3]  # type: ignore[union-attr]


def test_what_cannot_be_asked_is_told() -> None:
    with pytest.raises(InputError, match="unknown strategy 'heads'"):
        taste.cells(replace(OPTIONS, strategies=("heads",)))
    with pytest.raises(InputError, match="the pool is smaller"):
        taste.cells(replace(OPTIONS, given={**GIVEN, "pool": 77}))


def test_a_damaged_pool_is_told(tmp_path: Path) -> None:
    (tmp_path / "pool.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="remove it, and it is painted again"):
        read_pool(tmp_path / "pool.npz")


@pytest.mark.slow
def test_a_pool_is_painted_once(tmp_path: Path) -> None:
    file = pool_file(tmp_path, 9)
    before = file.stat().st_mtime_ns
    assert pool_file(tmp_path, 9) == file and file.stat().st_mtime_ns == before
    found = read_pool(file)
    assert found.pixels.shape[0] == 9 == len(set(found.prompts)) and len(found.measured) == 9
    assert np.allclose(np.linalg.norm(found.features, axis=1), 1.0, atol=1e-4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight people who like the first feature, each on a scale of their own, twice over 24 pictures."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(24, 5))
    np.savez(tmp_path / "features.npz", X=matrix, files=np.array([f"{n}.png" for n in range(24)]))
    with (tmp_path / "ratings.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["rater", "image", "rating", "block"])
        for person in range(8):
            for block in (1, 2):
                for n in range(24):
                    liking = 0.5 + 0.12 * matrix[n, 0] + 0.02 * person * matrix[n, 1] + 0.03 * rng.normal()
                    writer.writerow([f"p{person}", f"{n}.png", f"{np.clip(liking, 0, 1):.3f}", block])
    return tmp_path


def of_people(folder: Path, out: Path, *names: str, **given: Any) -> list[dict[str, Any]]:
    options = replace(OPTIONS, data=folder, strategies=names, given={**taste.GIVEN, **given})
    return run_grid(taste.cells(options), taste.prepare(options), out, processes=0, settings=taste.settings(options))


def test_people_are_foretold_and_the_papers_table_stands_beside(folder: Path, tmp_path: Path) -> None:
    rows = of_people(folder, tmp_path / "out", "group_mean", "head", "bayes+population", ratings=[8], splits=2, held=10)
    assert [row["rater"] for row in rows] == ["p0", "p1", "p2", "p3"]  # of the raters 0 to 3
    found = [one for row in rows for one in row["found"]]
    assert len(found) == 4 * 3 * 2 and rows[0]["reliability"] > 0.8
    by_name = {name: np.mean([one["srocc"] for one in some]) for name, some in groups(found).items()}
    assert by_name["group_mean"] > 0.8 and by_name["bayes+population"] > 0.7 > 0.3 < by_name["head"]
    assert all(one["mse"] < 10.0 for one in found) and np.mean([one["mae"] for one in found]) > 0.1  # points of 0 to 10
    report = taste.report(rows)
    told = "\n".join(markdown(table) for table in report.tables)
    assert "| 2     | FineTune | 0.430 | 12.71 | 2.940 |" in told and "(N, N) table" in told
    assert "4 people, 2 splits each" in report.notes[0] and "a correlation of about 0.9" in report.notes[1]


def _two(folder: Path) -> None:
    np.savez(folder / "other.npz", X=np.ones((1, 1)))


def _no_ratings(folder: Path) -> None:
    (folder / "ratings.csv").unlink()


@pytest.mark.parametrize(("change", "count"), [(_two, 2), (_no_ratings, 1)])
def test_a_folder_that_is_no_data_set_is_told(folder: Path, change: Callable[[Path], None], count: int) -> None:
    change(folder)
    with pytest.raises(InputError, match=rf"holds {count} npz files: put ratings\.csv and one npz"):
        taste.cells(replace(OPTIONS, data=folder))


def test_another_data_set_is_another_setting(folder: Path) -> None:
    before = people_taste.digest(folder)
    with (folder / "ratings.csv").open("a") as file:
        file.write("p0,0.png,0.5,3\n")
    after = people_taste.digest(folder)
    assert before["features.npz"] == after["features.npz"] and before["ratings.csv"] != after["ratings.csv"]


def test_real_people_are_foretold(tmp_path: Path) -> None:
    folder = SHARED_DATA / "ratings_dogmorph"
    if not folder.is_dir():
        pytest.skip(f"no real ratings at {folder}: set PALATE_SHARED_DATA")
    rows = of_people(folder, tmp_path, "group_mean", "head", "knn", ratings=[20], splits=3)
    srocc = {name: np.mean([one["srocc"] for one in some]) for name, some in groups(one for row in rows for one in row["found"]).items()}  # fmt: skip
    assert all(0.1 < value < 0.9 for value in srocc.values())
