"""`palate bench taste --data FOLDER`: the table of personal image aesthetics (PIAA) over real people's ratings.

As LLM prompt optimisation for PIAA, Table 3: learn from some of a person's ratings, foretell others of theirs. Every number is a
mean over people with an interval, errors compare (N,) with (N,), and what a population teaches comes from the other people alone.
One cell is one person, because the other people are learnt from once for all that is asked about this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.bench.tables import Report, Row, Table, groups, mean_table, paired_table
from agent.bench.taught import SUFFIX, needs_population
from evaluators.numbers.win_rate import mean_interval
from evaluators.scorers.weights import version_of_file
from prompts.errors import InputError

if TYPE_CHECKING:
    from evaluators.preference.people import People
    from evaluators.preference.population import Population

GROUP = "group_mean"  # what the other people think of a picture on average, on this person's scale
KINDS = (GROUP, "maml", "finetune", "knn", "head", "bayes", f"head{SUFFIX}", f"bayes{SUFFIX}")
VALUES = {"srocc": "SROCC", "plcc": "PLCC", "mse": "MSE", "mae": "MAE", "pairs": "pairs right"}
# Table 3 of the paper: two blocks that it does not name; method, SROCC, MSE, MAE.
PAPER = (
    (1, "MAML", 0.44, 9.79, 2.67), (1, "FineTune", 0.45, 11.14, 2.78), (1, "kNN", 0.12, 9.01, 2.53),
    (2, "MAML", 0.42, 9.56, 2.63), (2, "FineTune", 0.43, 12.71, 2.94), (2, "kNN", 0.27, 7.88, 2.34),
)  # fmt: skip
BUG = (
    "The paper's MSE and MAE were most likely computed with (N, 1) against (N,), which averages an (N, N) table: they are too "
    "high for MAML and FineTune, and no aim. Its pictures and people are others than these."
)


def people_cells(raters: Sequence[str], names: Sequence[str], given: dict[str, Any]) -> list[Row]:
    """One cell a person; all that their rows depend on is in it."""
    shown = ",".join(map(str, given["ratings"]))
    common = {"splits": given["splits"], "held": given["held"], "ratings": shown, "kinds": ",".join(names)}
    return [{"rater": rater, **common} for rater in raters]


def people_strategies(asked: Sequence[str]) -> list[str]:
    """The kinds that were asked for, or all. Raises InputError for an unknown one."""
    from evaluators.preference.model import KINDS as OURS

    for name in asked:
        if name != GROUP and name.removesuffix(SUFFIX) not in OURS:
            raise InputError(
                f"unknown strategy {name!r}: use {GROUP} or one of {', '.join(OURS)}, with {SUFFIX} or without"
            )
    return list(dict.fromkeys(asked or KINDS))


def files_of(folder: Path) -> tuple[Path, Path]:
    """ratings.csv and the one npz of a folder. Raises InputError."""
    found = sorted(folder.glob("*.npz"))
    if len(found) != 1 or not (folder / "ratings.csv").is_file():
        raise InputError(f"{str(folder)!r} holds {len(found)} npz files: put ratings.csv and one npz (X, files) there")
    return folder / "ratings.csv", found[0]


def digest(folder: Path) -> dict[str, str]:
    """What tells one data set from another: the first hex digits of its files' sha256."""
    return {file.name: version_of_file(file) for file in files_of(folder)}


@lru_cache(maxsize=1)
def read_people(folder: Path) -> People:
    """Everyone's ratings, brought to 0..10. Raises InputError."""
    from dataclasses import replace

    from evaluators.preference.people import load_people

    people = load_people(*files_of(folder))
    low, high = float(np.nanmin(people.blocks)), float(np.nanmax(people.blocks))
    if low < 0 or high > 10:
        raise InputError(f"ratings from {low!r} to {high!r} in {str(folder)!r}: bring them to 0..1 or 0..10")
    return replace(people, blocks=people.blocks * (10.0 if high <= 1 else 1.0))


def people_work(cell: dict[str, Any], *, folder: str) -> dict[str, Any]:
    """All kinds, splits and numbers of ratings of one person, as a list of rows under "found"."""
    from evaluators.preference.people import reliability

    people, names = read_people(Path(folder)), cell["kinds"].split(",")
    number = people.raters.index(cell["rater"])
    others = people.only(np.setdiff1d(np.arange(len(people.raters)), [number]))
    population = _taught(others, names)
    found = [row for split in range(cell["splits"]) for row in _split(people, others, number, population, cell, split)]
    steady = float(reliability(people.blocks[[number]])[0])
    return {"found": found, "reliability": steady if np.isfinite(steady) else None}


def _taught(others: People, names: Sequence[str]) -> Population | None:
    from evaluators.preference.population import Population

    if not any(map(needs_population, names)):
        return None
    return Population.fit(others.features, others.ratings, noise=others.noise, maml="maml" in names)


def _split(
    people: People, others: People, number: int, population: Population | None, cell: Row, split: int
) -> list[dict[str, Any]]:
    """The rows of one random order of one person's pictures: the first are held out, the next are shown."""
    from evaluators.numbers.agreement import ratings_agree

    mine, found = people.ratings[number], []
    order = np.random.default_rng([split, number, 0x9E09]).permutation(np.flatnonzero(np.isfinite(mine)))
    held, counts = order[: cell["held"]], [int(count) for count in cell["ratings"].split(",")]
    for count in counts:
        shown = order[cell["held"] : cell["held"] + count]
        for name in cell["kinds"].split(","):
            foretold = _foretold(name, people, others, mine, shown, held, population, split)
            agreed = ratings_agree(foretold, mine[held])
            found.append({"strategy": name, "seed": split, "ratings": count, **agreed})
    return found


def _foretold(
    name: str, people: People, others: People, mine: np.ndarray, shown: np.ndarray, held: np.ndarray,
    population: Population | None, seed: int,
) -> np.ndarray:  # fmt: skip
    """(M,) ratings foretold for the pictures held out."""
    from evaluators.preference.model import fit
    from evaluators.preference.population import standardised

    if name == GROUP:
        crowd = np.nan_to_num(np.nanmean(standardised(others.ratings), axis=0))
        return np.asarray(mine[shown].mean() + mine[shown].std() * (crowd[held] - crowd[shown].mean()))
    taught = population if needs_population(name) else None
    kind: Any = name.removesuffix(SUFFIX)
    return fit(people.features[shown], mine[shown], kind, population=taught, seed=seed).predict(people.features[held])[
        0
    ]


def people_report(rows: Sequence[Row]) -> Report:
    """Tables by number of ratings, the paper's beside them, differences to the group mean, and curves."""
    from agent.bench.plots import curves_over
    from agent.bench.tables import Curves, Panel

    flat = [{"rater": row["rater"], **one} for row in rows for one in row["found"]]
    counts, baseline = sorted(groups(flat, "ratings")), flat[0]["strategy"]
    tables = []
    for count in counts:
        some = [row for row in flat if row["ratings"] == count]
        tables.append(mean_table(some, VALUES, title=f"{count} ratings shown (0 to 10)"))
        told = f"{count} ratings: SROCC, less that of {baseline}"
        tables.append(paired_table(some, {"srocc": "SROCC"}, baseline, title=told))
    tables.append(Table("The paper's Table 3", ("block", "method", "SROCC", "MSE", "MAE"), PAPER, BUG))
    panels: list[Panel] = [
        Curves("ratings", label, curves_over(flat, "ratings", value))
        for value, label in (("srocc", "SROCC"), ("mse", "MSE, points²"), ("pairs", "pairs right"))
    ]
    return Report("Taste: real people", tuple(tables), {"people": panels}, _notes(rows))


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """How many people, and the ceiling that their own unsteadiness sets (attenuation: the root of the reliability)."""
    known = [max(row["reliability"], 0.0) ** 0.5 for row in rows if row["reliability"] is not None]
    notes = [
        f"{len(rows)} people, {rows[0]['splits']} splits each, which are averaged first; in [ ] the 95 % interval over people."
    ]
    if known:
        one = mean_interval(known)
        notes.append(
            f"A model of their true likings would reach a correlation of about {one.mean:.3f} ({one.n} people)."
        )
    return tuple(notes)
