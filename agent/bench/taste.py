"""`palate bench taste`: how well each kind of preference learns a taste from a few ratings (personal image aesthetics, PIAA).

With simulated raters: what a kind foretells of the hidden, noise-free liking, and of a rater's next noisy ratings, on pictures
that it has not seen, after so many ratings. Two rows beside the kinds frame them: "mean" says the mean of the ratings for every
picture, and "ceiling" knows the hidden taste and this person's scale; nothing foretells noisy ratings better.
With `--data` the same of real people (agent/bench/people_taste.py), beside LLM prompt optimisation for PIAA, Table 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.bench.tables import Report, Row, Table, mean, mean_table, paired
from prompts.errors import InputError

if TYPE_CHECKING:
    from agent.bench.cli import Options
    from agent.bench.plots import Curves
    from agent.bench.pool import Pool
    from evaluators.raters import Rater

GIVEN: dict[str, Any] = {"ratings": [5, 10, 20, 40], "pool": 256, "held": 128, "noise": 0.35}
SMALL = {"ratings": [5, 10], "pool": 48, "held": 24}
FRAME = ("mean", "ceiling")
# What a row holds, and its heading.
HIDDEN = {"srocc": "SROCC", "plcc": "PLCC", "pairs": "pairs right", "regret": "regret, SD"}
NOISY = {"srocc_rated": "SROCC", "plcc_rated": "PLCC", "pairs_rated": "pairs right", "mse": "MSE", "mae": "MAE"}


def cells(options: Options) -> list[Row]:
    """Every kind with every rater, seed and number of ratings."""
    chosen, given = strategies(options), setting(options)
    if max(given["ratings"]) + given["held"] > given["pool"]:
        raise InputError(f"{given!r}: the pool is smaller than the most ratings and the pictures held out together")
    return [
        {"strategy": name, "rater": rater, "seed": seed, "ratings": count}
        for rater in options.raters
        for seed in options.seeds
        for count in given["ratings"]
        for name in chosen
    ]


def strategies(options: Options) -> list[str]:
    """The kinds that were asked for, or all; and the frame. Raises InputError for an unknown one."""
    from evaluators.preference import KINDS

    chosen = list(dict.fromkeys(options.strategies or KINDS))
    for name in chosen:
        if name not in (*KINDS, *FRAME):
            raise InputError(f"unknown strategy {name!r}: a kind of preference is one of {', '.join(KINDS)}")
    return [*chosen, *(name for name in FRAME if name not in chosen)]


def setting(options: Options) -> dict[str, Any]:
    """What was set, or where --quick was and nothing else was set, a small version."""
    quick = {name: value for name, value in SMALL.items() if options.quick and options.given[name] == GIVEN[name]}
    return {**options.given, **quick}


def prepare(options: Options) -> Any:
    """Paints the pool on first use; the work with the pool in it."""
    from agent.bench.pool import pool_file

    given = setting(options)
    file = pool_file(options.out, given["pool"])
    return partial(work, pool=str(file), held=given["held"], noise=given["noise"])


def work(cell: dict[str, Any], *, pool: str, held: int, noise: float) -> dict[str, Any]:
    """One kind, one rater: fit on the ratings of some pictures of the pool, and judge the liking foretold for the others.

    The pictures held out are the same for all kinds and numbers of ratings; more ratings contain the fewer.
    """
    from agent.bench.pool import read_pool

    pictures = read_pool(Path(pool))
    rater = _rater(cell["rater"], noise)
    order = np.random.default_rng([cell["seed"], cell["rater"], 0x7A57]).permutation(len(pictures.features))
    judged, shown = order[:held], order[held : held + cell["ratings"]]
    hidden = rater.utility_of(pictures.measured[judged])
    foretold = predicted(cell, rater, pictures, shown, judged)
    return agreement(foretold, hidden, _rated(rater, pictures, judged, cell["seed"]))


def predicted(cell: Mapping[str, Any], rater: Rater, pool: Pool, shown: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """(M,) ratings foretold for the pictures `judged`, in points."""
    from evaluators.preference import fit

    if cell["strategy"] == "ceiling":
        return rater.offset + rater.scale * rater.utility_of(pool.measured[judged])
    ratings = _rated(rater, pool, shown, cell["seed"])
    if cell["strategy"] == "mean":
        return np.full(len(judged), ratings.mean())
    model = fit(pool.features[shown], ratings, cell["strategy"], seed=cell["seed"])
    return model.predict(pool.features[judged])[0]


def agreement(foretold: np.ndarray, hidden: np.ndarray, rated: np.ndarray) -> dict[str, float]:
    """All (M,): against the hidden liking (SDs), and against noisy ratings (points). `regret`: what the picture that is
    foretold to be best lacks to the best one, in SDs of hidden liking."""
    from evaluators.agreement import errors, pairwise_accuracy, pearson, spearman

    # among equals the choice is blind: their mean
    regret = float(hidden.max() - hidden[foretold == foretold.max()].mean())
    mse, mae = errors(foretold, rated)
    return {
        "srocc": spearman(foretold, hidden), "plcc": pearson(foretold, hidden), "pairs": pairwise_accuracy(foretold, hidden),
        "regret": regret, "srocc_rated": spearman(foretold, rated), "plcc_rated": pearson(foretold, rated),
        "pairs_rated": pairwise_accuracy(foretold, rated), "mse": mse, "mae": mae,
    }  # fmt: skip


def report(rows: Sequence[Row]) -> Report:
    """Tables by number of ratings, differences to the first kind, and curves."""
    from agent.bench.tables import groups

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
    from agent.bench.tables import groups

    lines = [
        (str(name), *(mean([row for row in some if row["ratings"] == count], value) for count in counts))
        for name, some in groups(rows).items()
    ]
    return Table(title, ("strategy", *map(str, counts)), tuple(lines))


def _differences(rows: Sequence[Row], baseline: str, counts: Sequence[int]) -> Table:
    """What each kind's SROCC is above the first kind's, with the same raters, pictures and ratings."""
    from agent.bench.tables import groups

    found = {count: paired([row for row in rows if row["ratings"] == count], "srocc", baseline) for count in counts}
    lines = []
    for name in [name for name in groups(rows) if name != baseline and name not in FRAME]:
        each = [found[count].get(name) for count in counts]
        lines.append((str(name), *(None if one is None else one.difference for one in each)))
    return Table(f"SROCC with the hidden taste, less that of {baseline}", ("strategy", *map(str, counts)), tuple(lines))


def _curves(rows: Sequence[Row]) -> list[Curves]:
    from agent.bench.plots import Curves, curves_over

    panels = []
    for value, label in (
        ("srocc", "SROCC, hidden taste"),
        ("srocc_rated", "SROCC, noisy ratings"),
        ("mse", "MSE, points²"),
    ):
        kinds = [row for row in rows if row["strategy"] not in (FRAME if value == "srocc" else ("mean",))]
        panels.append(Curves("ratings", label, curves_over(kinds, "ratings", value)))
    return panels


@lru_cache(maxsize=64)
def _rater(seed: int, noise: float) -> Rater:
    from agent.config import MODELS
    from evaluators.raters import Rater, load_reference

    return Rater(seed, reference=load_reference(MODELS / "bauhaus"), noise=noise)


def _rated(rater: Rater, pool: Pool, places: np.ndarray, seed: int) -> np.ndarray:
    return np.array(rater.rate([pool.images[place] for place in places], seed=seed))
