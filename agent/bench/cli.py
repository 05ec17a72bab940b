"""`palate bench NAME`: a grid of strategies, raters and seeds, over processes; tables, pictures and CSV of what came of it.

A bench is a module with `cells(options)`, the cells to do; `work(cell)`, what one comes to; `report(rows)`, what all come to.
It may have `prepare(options)`, called once before the first cell, which returns the work to do in place of `work`;
`GIVEN`, names with defaults that `--set` can change; and `settings(options)`, what its results depend on beside the cells and
the models, where that is not simply what of GIVEN no cell names. Heavy imports wait until a command runs.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from prompts.errors import InputError

BENCHES = {
    "taste": "agent.bench.taste",
    "search": "agent.bench.search",
    "asking": "agent.bench.asking",
}
FULL, QUICK = ("0-29", 2), ("0-2", 1)  # raters, and how many seeds, where nothing is said
MOST = 999  # seeds of raters that nothing was ever learnt from
BUNDLED = ("bauhaus/unet", "bauhaus/vae", "bauhaus/text_encoder", "bauhaus-clip", "bauhaus-pickscore", "bauhaus-lm")


@dataclass(frozen=True)
class Options:
    """What a bench is asked to do. `strategies`: empty for the bench's own choice; the first is what the others are compared
    with. `given`: the bench's GIVEN with what --set changed. `data`: a folder of real people's ratings."""

    bench: str
    raters: tuple[int, ...]
    seeds: tuple[int, ...]
    out: Path
    strategies: tuple[str, ...] = ()
    processes: int = 1
    quick: bool = False
    data: Path | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    def grid(self, strategies: Sequence[str]) -> list[dict[str, Any]]:
        """A cell for every strategy with every rater and seed, the strategies of one pair next to each other."""
        pairs = [(rater, seed) for rater in self.raters for seed in self.seeds]
        return [{"strategy": name, "rater": rater, "seed": seed} for rater, seed in pairs for name in strategies]

    def fitted(self, usual: Mapping[str, Any], fitting: Mapping[str, Any]) -> dict[str, Any]:
        """What was set; `fitting` where nothing was, which is where the `usual` value still stands."""
        return {**self.given, **{name: value for name, value in fitting.items() if self.given[name] == usual[name]}}


def add_command(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate bench`."""
    parser.set_defaults(shared=True)
    parser.add_argument("name", choices=list(BENCHES), metavar="NAME", help=f"{', '.join(BENCHES)}")
    parser.add_argument(
        "--raters", help=f"seeds of simulated raters, for example 0-29 or 3,7,10-12; without it {FULL[0]}"
    )
    parser.add_argument("--seeds", type=int, help=f"how many seeds each, from 0; without it {FULL[1]}")
    parser.add_argument(
        "--strategies", nargs="+", default=(), metavar="NAME", help="which to compare, with the first one"
    )
    parser.add_argument("--processes", type=int, default=1, help="how many cells at once (0: in this process)")
    parser.add_argument(
        "--out", type=Path, help="the folder that keeps cells, tables and pictures; run again, it goes on"
    )
    parser.add_argument("--data", type=Path, help="taste: a folder of real ratings (ratings.csv and an npz) instead")
    parser.add_argument("--set", nargs="+", default=(), metavar="KEY=VALUE", help="anything else that the bench knows")
    parser.add_argument("--quick", action="store_true", help="a small grid, to see that all works")
    parser.add_argument("--json", action="store_true", help="print one JSON object last, and nothing else on stdout")
    parser.set_defaults(command=bench)


def bench(chosen: argparse.Namespace) -> int:
    """palate bench."""
    from agent.stopping import stopped_by

    try:
        return carry_out(chosen)
    except KeyboardInterrupt as error:
        raise stopped_by(error, "the same command goes on") from error


def carry_out(chosen: argparse.Namespace) -> int:
    """Do the cells, and write and tell what came of them, also when some failed. Raises PalateError."""
    from agent.bench.grid import CellsFailed, run_grid
    from agent.bench.results import write

    module = module_of(chosen.name)
    options = options_of(chosen, module)
    cells = module.cells(options)
    if not cells:
        raise InputError(f"nothing to do for {chosen.name!r} with raters {chosen.raters!r}: choose more of them")
    work = module.prepare(options) if hasattr(module, "prepare") else module.work
    try:
        rows = run_grid(
            cells, work, options.out, processes=options.processes, settings=settings_of(options, module, cells)
        )
    except CellsFailed as failed:
        if failed.rows:
            write(module.report(failed.rows), failed.rows, options.out, as_json=chosen.json)
        raise
    write(module.report(rows), rows, options.out, as_json=chosen.json)
    return 0


def module_of(name: str) -> ModuleType:
    """The bench called `name`. Raises InputError while there is none."""
    try:
        return importlib.import_module(BENCHES[name])
    except ModuleNotFoundError as error:
        if error.name != BENCHES[name]:
            raise
        raise InputError(f"the bench {name!r} is not part of this installation: choose another") from error


def options_of(chosen: argparse.Namespace, module: ModuleType) -> Options:
    """What was typed, checked. Raises InputError."""
    raters, seeds = QUICK if chosen.quick else FULL
    raters = f"0-{MOST}" if chosen.data and not chosen.quick else raters  # of real people, all
    if chosen.seeds is not None and chosen.seeds < 1:
        raise InputError(f"--seeds {chosen.seeds!r}: give 1 or more")
    if chosen.data is not None and not chosen.data.is_dir():
        raise InputError(f"--data {str(chosen.data)!r} is no folder: give one with ratings.csv and an npz of features")
    kind = [chosen.name, *(["people"] if chosen.data else []), *(["quick"] if chosen.quick else [])]
    return Options(
        bench=chosen.name,
        raters=numbers_in(chosen.raters or raters),
        seeds=tuple(range(chosen.seeds or seeds)),
        out=chosen.out or chosen.home / "bench" / "-".join(kind),
        strategies=tuple(chosen.strategies),
        processes=chosen.processes,
        quick=chosen.quick,
        data=chosen.data,
        given=given(chosen.set, getattr(module, "GIVEN", {})),
    )


def numbers_in(text: str) -> tuple[int, ...]:
    """From "0-2,7" 0, 1, 2, 7. Raises InputError for anything else, and for seeds that something may have been learnt from."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
            raise InputError(f"--raters {text!r}: give numbers and ranges, for example 0-29 or 3,7,10-12")
        if int(last or first) > MOST:
            raise InputError(f"--raters {text!r}: seeds above {MOST} may have been learnt from; give 0 to {MOST}")
        found += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(found))


def given(changes: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults `known`, changed by "key=value" (JSON, or else text). Raises InputError for an unknown key."""
    found = dict(known)
    for change in changes:
        key, _, value = change.partition("=")
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none'}"
            raise InputError(f"--set {change!r}: unknown key {key!r}; {hint}")
        found[key] = _of_the_kind(known[key], value)
        if found[key] is None and known[key] is not None:
            raise InputError(f"--set {change!r:.120}: {key} must be of the kind of {known[key]!r}")
    return found


def _of_the_kind(usual: Any, text: str) -> Any:
    """`text` as a value like `usual` (text, a number, a list of them); None where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if usual is None or isinstance(usual, str):
        return found if isinstance(found, str) or (usual is None and text == "null") else text
    if isinstance(usual, list):
        return found if isinstance(found, list) and all(type(one) is type(usual[0]) for one in found) else None
    if isinstance(usual, float) and type(found) is int:
        return found
    return found if type(found) is type(usual) and found == found and abs(found) < 1e9 else None


def settings_of(options: Options, module: ModuleType, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All that the results depend on beside the cells: what was set and no cell says, and the weights of the models."""
    from agent.config import MODELS
    from evaluators.scorers.weights import version_of

    unsaid = {name: value for name, value in options.given.items() if name not in cells[0]}
    own = module.settings(options) if hasattr(module, "settings") else unsaid
    weights = {} if options.data else {"models": {name: version_of(MODELS / name) for name in BUNDLED}}
    return {"bench": options.bench, **own, **weights}
