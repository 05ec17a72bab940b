"""`palate bench taste`: how well each kind of preference learns a taste from a few ratings (personal image aesthetics, PIAA).

With simulated raters: what a kind foretells of the hidden, noise-free liking, and of a rater's next noisy ratings, on pictures
that it has not seen, after so many ratings. Two rows beside the kinds frame them: "mean" says the mean of the ratings for every
picture, and "ceiling" knows the hidden taste and this person's scale; nothing foretells noisy ratings better.
With `--data` the same of real people (agent/bench/people_taste.py), beside LLM prompt optimisation for PIAA, Table 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.bench.tables import Report, Row, Table, groups, mean, mean_table, paired
from agent.bench.taught import SUFFIX, needs_population
from prompts.errors import InputError

if TYPE_CHECKING:
    from agent.bench.cli import Options
    from agent.bench.tables import Curves

# `pool` pictures: the first `taught` were rated by `people` others, of the rest `held` are judged. `splits`: of --data.
GIVEN: dict[str, Any] = {
    "ratings": [5, 10, 20, 40], "pool": 320, "held": 128, "taught": 128, "people": 60, "noise": 0.35, "splits": 10,
}  # fmt: skip
SMALL = {"ratings": [5, 10], "pool": 48, "held": 16, "taught": 16, "people": 12}
PEOPLE: dict[str, Any] = {"ratings": [10, 40], "held": 15}
FRAME = ("mean", "ceiling")
# What a row holds, and its heading.
HIDDEN = {"srocc": "SROCC", "plcc": "PLCC", "pairs": "pairs right", "regret": "regret, SD"}
NOISY = {"srocc_rated": "SROCC", "plcc_rated": "PLCC", "pairs_rated": "pairs right", "mse": "MSE", "mae": "MAE"}


def cells(options: Options) -> list[Row]:
    """Every kind with every rater, seed and number of ratings; of real people (--data) one cell a person."""
    if options.data is not None:
        from agent.bench.people_taste import people_cells, read_people

        people = [name for number, name in enumerate(read_people(options.data).raters) if number in options.raters]
        return people_cells(people, strategies(options), setting(options))
    chosen, given = strategies(options), setting(options)
    if max(given["ratings"]) + given["held"] + given["taught"] > given["pool"]:
        raise InputError(f"{given!r}: the pool is smaller than the pictures rated, held and taught with together")
    return [
        {"strategy": name, "rater": rater, "seed": seed, "ratings": count}
        for rater in options.raters
        for seed in options.seeds
        for count in given["ratings"]
        for name in chosen
    ]


def strategies(options: Options) -> list[str]:
    """The kinds that were asked for, or all; and the frame. Raises InputError for an unknown one."""
    from evaluators.preference.model import KINDS

    if options.data is not None:
        from agent.bench.people_taste import people_strategies

        return people_strategies(options.strategies)
    chosen = list(dict.fromkeys(options.strategies or (*KINDS, f"bayes{SUFFIX}")))
    for name in chosen:
        if name.removesuffix(SUFFIX) not in (*KINDS, *FRAME):
            raise InputError(
                f"unknown strategy {name!r}: a kind of preference is one of {', '.join(KINDS)}, with {SUFFIX} after it or without"
            )
    return [*chosen, *(name for name in FRAME if name not in chosen)]


def setting(options: Options) -> dict[str, Any]:
    """What was set; where nothing was, what suits real people, and what is small (--quick)."""
    fitting = {**(PEOPLE if options.data is not None else {}), **(SMALL if options.quick else {})}
    if options.quick and options.data is not None:
        fitting = PEOPLE | {"ratings": [10], "splits": 2}
    return options.fitted(GIVEN, fitting)


def settings(options: Options) -> dict[str, Any]:
    """What the results depend on beside the cells: the settings that no cell holds, or the data."""
    from agent.bench.people_taste import digest

    if options.data is not None:
        return {"data": digest(options.data)}
    return {name: setting(options)[name] for name in ("pool", "held", "taught", "people", "noise")}


def prepare(options: Options) -> Any:
    """Paints the pool on first use, and asks the others about its first part; the work with both in it."""
    from agent.bench.people_taste import people_work
    from agent.bench.pool import pool_file
    from agent.bench.taught import population_file

    if options.data is not None:
        return partial(people_work, folder=str(options.data))

    given = setting(options)
    pool = pool_file(options.out, given["pool"])
    names, others = strategies(options), (given["taught"], given["people"], given["noise"])
    needed = any(map(needs_population, names))
    taught = str(population_file(pool, *others, maml="maml" in names)) if needed else None
    places = (given["taught"], given["held"])
    return partial(work, pool=str(pool), population=taught, places=places, noise=given["noise"])


def work(
    cell: dict[str, Any], *, pool: str, population: str | None, places: tuple[int, int], noise: float
) -> dict[str, Any]:
    """One kind, one rater: fit on the ratings of some pictures of the pool, and judge the liking foretold for others.

    The pictures judged are the same for all kinds and numbers of ratings; more ratings contain the fewer.
    """
    from agent.bench.pool import read_pool
    from agent.bench.taught import rated, rater_of

    pictures, rater, (taught, held) = read_pool(Path(pool)), rater_of(cell["rater"], noise), places
    order = np.random.default_rng([cell["seed"], cell["rater"], 0x7A57]).permutation(len(pictures.features) - taught)
    judged, shown = taught + order[:held], taught + order[held : held + cell["ratings"]]
    hidden, features = rater.utility_of(pictures.measured[judged]), pictures.features
    ratings = rated(rater, pictures, shown, cell["seed"])
    if cell["strategy"] == "ceiling":
        foretold = rater.offset + rater.scale * hidden
    else:
        foretold = predicted(cell["strategy"], features[shown], ratings, features[judged], population, cell["seed"])
    return agreement(foretold, hidden, rated(rater, pictures, judged, cell["seed"]))


def predicted(
    strategy: str, features: np.ndarray, ratings: np.ndarray, judged: np.ndarray, population: str | None, seed: int
) -> np.ndarray:
    """(M,) ratings that a kind foretells for `judged` (M, D), from features (N, D) and ratings (N,), in points."""
    from agent.bench.taught import read_population
    from evaluators.preference.model import fit

    if strategy == "mean":
        return np.full(len(judged), ratings.mean())
    others = read_population(Path(population)) if population and needs_population(strategy) else None
    kind: Any = strategy.removesuffix(SUFFIX)
    return fit(features, ratings, kind, population=others, seed=seed).predict(judged)[0]


def agreement(foretold: np.ndarray, hidden: np.ndarray, rated: np.ndarray) -> dict[str, float]:
    """All (M,): against the hidden liking (SDs), and against noisy ratings (points). `regret`: what the picture that is
    foretold to be best lacks to the best one, in SDs of hidden liking."""
    from evaluators.numbers.agreement import ratings_agree

    true, noisy = ratings_agree(foretold, hidden), ratings_agree(foretold, rated)
    # among equals the choice is blind: their mean
    regret = float(hidden.max() - hidden[foretold == foretold.max()].mean())
    ranks = ("srocc", "plcc", "pairs")
    found = {name: true[name] for name in ranks} | {f"{name}_rated": noisy[name] for name in ranks}
    return {**found, "regret": regret, "mse": noisy["mse"], "mae": noisy["mae"]}


def report(rows: Sequence[Row]) -> Report:
    """Tables by number of ratings, differences to the first kind, and curves."""
    from agent.bench.people_taste import people_report

    if "found" in rows[0]:
        return people_report(rows)
    counts, baseline = sorted(groups(rows, "ratings")), rows[0]["strategy"]
    tables = [_by_count(rows, "srocc", "SROCC with the hidden taste, by number of ratings", counts)]
    for count in counts:
        some = [row for row in rows if row["ratings"] == count]
        tables.append(mean_table(some, HIDDEN, title=f"{count} ratings: against the hidden taste"))
        tables.append(mean_table(some, NOISY, title=f"{count} ratings: against noisy ratings, 0 to 10"))
    tables.append(_differences(rows, baseline, counts))
    raters = len(groups(rows, "rater"))
    note = f"{raters} simulated raters; a rater's seeds are averaged first; in [ ] the 95 % interval over raters."
    return Report("Taste: kinds of preference after a few ratings", tuple(tables), {"taste": _curves(rows)}, (note,))


def _by_count(rows: Sequence[Row], value: str, title: str, counts: Sequence[int]) -> Table:
    lines = [
        (str(name), *(mean([row for row in some if row["ratings"] == count], value) for count in counts))
        for name, some in groups(rows).items()
    ]
    return Table(title, ("strategy", *map(str, counts)), tuple(lines))


def _differences(rows: Sequence[Row], baseline: str, counts: Sequence[int]) -> Table:
    """What each kind's SROCC is above the first kind's, with the same raters, pictures and ratings."""
    found = {count: paired([row for row in rows if row["ratings"] == count], "srocc", baseline) for count in counts}
    lines = []
    for name in [name for name in groups(rows) if name != baseline and name not in FRAME]:
        each = [found[count].get(name) for count in counts]
        lines.append((str(name), *(None if one is None else one.difference for one in each)))
    return Table(f"SROCC with the hidden taste, less that of {baseline}", ("strategy", *map(str, counts)), tuple(lines))


def _curves(rows: Sequence[Row]) -> list[Curves]:
    from agent.bench.plots import curves_over
    from agent.bench.tables import Curves

    panels = []
    for value, label in (
        ("srocc", "SROCC, hidden taste"),
        ("srocc_rated", "SROCC, noisy ratings"),
        ("mse", "MSE, points²"),
    ):
        kinds = [row for row in rows if row["strategy"] not in (FRAME if value == "srocc" else ("mean",))]
        panels.append(Curves("ratings", label, curves_over(kinds, "ratings", value)))
    return panels
