"""How many clicks it takes to learn a taste, by how the questions are chosen: at random, or the ones that teach the most.

    python -m agent.bench.asking --pool .studio/asking_pool.npz --out .studio/asking.jsonl --raters 0-29 --kinds rate ab best worst

A cell is a simulated rater, a seed, a kind of question and a way of choosing. The rater answers questions about two thirds of a pool of
paintings of random prompts; after each click, what was learned orders the other third, which nobody asked about, and its accuracy is the
share of their pairs in the order of the rater's noise-free utility. Both ways have the same learner: a Gaussian belief over CLIP features
(evaluators/belief.py), told one answer at a time, that begins with what other raters like (seeds from 10,000) or with looks alone. Cells that `--out` holds are not run again. The pool is painted on first use.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.agreement import pairwise_accuracy
from evaluators.belief import SHOWN, Belief, Question, after, unlearned
from evaluators.questions import at_random, choose
from evaluators.raters import Rater, company_noise, load_reference
from evaluators.win_rate import mean_interval
from prompts.errors import InputError

Cell = dict[str, Any]
HELD_OUT, TARGETS, PAINTINGS = (
    160,
    80,
    480,
)  # pictures never asked about; those whose order the chooser has in mind; the pool
NOISE = 0.4  # as tools/questions.py: of one look, in SDs of liking
OTHERS = range(10_000, 10_300)  # raters that a population is learned from
DIRECTIONS, RIDGE = 64, 30.0
KINDS, WAYS = ("rate", "ab", "best", "worst"), ("random", "active")
MODEL = "bauhaus"


def cells(
    raters: Sequence[int], seeds: Sequence[int] = (0,), kinds: Sequence[str] = KINDS, clicks: int = 60, batch: int = 1, prior: str = "people", shown: int = 320, by: str = "ranking"
) -> list[Cell]:  # fmt: skip
    """Every combination, the two ways of a pair next to each other."""
    shared = {"clicks": clicks, "batch": batch, "prior": prior, "shown": shown, "by": by}
    return [
        {"rater": rater, "seed": seed, "kind": kind, "choose": way, **shared}
        for rater in raters for seed in seeds for kind in kinds for way in WAYS
    ]  # fmt: skip


def work(cell: Cell, pool: Path = Path(".studio/asking_pool.npz")) -> dict[str, Any]:
    """One cell: {"accuracy": after each click, "clicks": how many}. Deterministic."""
    paintings = load_pool(pool)
    person = _Panel(cell, paintings)
    order = np.random.default_rng([cell["seed"], 0x5717]).permutation(len(paintings["clip"]))
    held, asked_about = order[:HELD_OUT], order[HELD_OUT:][: cell["shown"]]
    others = order[HELD_OUT + cell["shown"] :] if cell["shown"] < len(order) - HELD_OUT else asked_about
    belief, asked, accuracy = _before(cell, pool, order[HELD_OUT:]), list[Question](), list[float]()
    drawn = at_random(cell["kind"], cell["clicks"], asked_about.tolist(), seed=cell["seed"] * 1000 + cell["rater"])
    while len(asked) < cell["clicks"]:
        questions = drawn[len(asked) :][: cell["batch"]]
        if cell["choose"] == "active":
            how = {"candidates": asked_about, "targets": others, "asked": asked, "seed": cell["seed"], "by": cell["by"]}
            questions = choose(belief, cell["kind"], cell["batch"], **how)
        for question in questions[: cell["clicks"] - len(asked)]:
            belief = after(belief, question, person.answer(question))
            asked.append(question)
            accuracy.append(pairwise_accuracy(belief.mean[held], person.utility[held]))
    return {"accuracy": [round(value, 4) for value in accuracy], "clicks": len(asked)}


def _before(cell: Cell, pool: Path, seen: np.ndarray) -> Belief:
    """What is believed of the pool before the first click: "plain" by looks alone, "people" by what other raters like of `seen`."""
    paintings = load_pool(pool)
    plain = unlearned(paintings["clip"].astype(float), NOISE)
    if cell["prior"] == "plain":
        return plain
    return Belief(plain.mean, _people(pool, tuple(int(i) for i in seen)), NOISE)


@lru_cache(maxsize=2)
def _people(pool: Path, seen: tuple[int, ...]) -> np.ndarray:
    """(N, N) covariance of likings among `OTHERS` raters: that of their ridge weights on CLIP's principal directions, and what these miss
    as each picture's own."""
    from agent.config import bundled

    paintings, reference, rows = load_pool(pool), load_reference(bundled(MODEL)), list(seen)
    clip = paintings["clip"].astype(float)
    scaled = (clip - clip[rows].mean(axis=0)) / clip[rows].std(axis=0)
    _, sizes, directions = np.linalg.svd(scaled[rows], full_matrices=False)
    turned = scaled @ directions[:DIRECTIONS].T / sizes[:DIRECTIONS] * len(rows) ** 0.5
    likings = np.stack([Rater(seed, reference=reference).utility_of(paintings["measured"][rows]) for seed in OTHERS])
    likings = (likings - likings.mean(axis=1, keepdims=True)).T
    known = turned[rows]
    weights = np.linalg.solve(known.T @ known + RIDGE * np.eye(DIRECTIONS), known.T @ likings)
    missed = float(np.square(likings - known @ weights).mean())
    covariance = turned @ (weights @ weights.T / len(OTHERS)) @ turned.T + missed * np.eye(len(clip))
    spread = np.sqrt(np.diag(covariance))  # the same variance for all, as `unlearned` has it
    return np.asarray(covariance / np.outer(spread, spread))


class _Panel:
    """A rater before the pool: answers as `Rater` does from the pictures, but measures each only once."""

    def __init__(self, cell: Cell, paintings: Mapping[str, np.ndarray]) -> None:
        from agent.config import bundled

        self.rater = Rater(cell["rater"], reference=load_reference(bundled(MODEL)))
        self.utility, self.seed = self.rater.utility_of(paintings["measured"]), cell["seed"]
        self.names = [str(name) for name in paintings["names"]]

    def answer(self, question: Question) -> float | int:
        """A rating in SDs of utility, in steps of half a point of this rater's scale; or the place of what they picked."""
        images = list(question.images)
        seen = self.utility[images] + self.rater.noise * company_noise(
            self.rater.seed, self.seed, [self.names[i] for i in images]
        )
        if question.kind == "rate":
            points = np.clip(self.rater.offset + self.rater.scale * seen[0], 0.0, 10.0)
            return float((np.round(points * 2.0) / 2.0 - self.rater.offset) / self.rater.scale)
        return int(seen.argmin() if question.kind == "worst" else seen.argmax())


@lru_cache(maxsize=1)
def load_pool(file: Path) -> dict[str, np.ndarray]:
    """`clip` (N, D), `measured` (N, F) and `names` (N,) of the pool's paintings. Raises InputError where it is not painted yet."""
    if not file.is_file():
        raise InputError(
            f"There is no pool at {str(file)!r}: paint it with `python -m agent.bench.asking --pool {file}`."
        )
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in ("clip", "measured", "names")}


def paint_pool(file: Path, count: int = PAINTINGS) -> None:
    """Paint `count` pictures of random prompts with the bundled model and keep what is measured on them (minutes)."""
    import hashlib
    import random

    from agent.config import CONFIGS, load_config
    from agent.crew import make_settings
    from evaluators.features import features
    from prompts.vocabulary import load_vocabulary
    from tools.context import Studio
    from trainers.base_model import paint

    config = load_config(CONFIGS / "demo.yaml", planner="rules", rater=0)
    studio, vocabulary, rng = (
        Studio(make_settings(config)),
        load_vocabulary(config.vocabulary),
        random.Random("asking 0"),
    )
    prompts = [vocabulary.phrase(vocabulary.random(rng)) for _ in range(count)]
    images = []
    for start in range(0, count, 8):
        painted = paint(
            prompts[start : start + 8], seed=7_000_003 + start, model=studio.painter, steps=config.steps,
            guidance_scale=config.guidance_scale, size=config.size,
        )  # fmt: skip
        images += [one.image for one in painted]
    file.parent.mkdir(parents=True, exist_ok=True)
    names = [hashlib.sha256(image.convert("RGB").tobytes()).hexdigest() for image in images]
    clip = studio.clip.image_features(images).astype(np.float32)
    np.savez_compressed(file, clip=clip, measured=features(images), names=np.array(names))


def curve(rows: Sequence[Mapping[str, Any]], kind: str, way: str) -> dict[int, np.ndarray]:
    """Rater to accuracy by click, the mean over seeds."""
    found: dict[int, list[list[float]]] = {}
    for row in rows:
        if (row["kind"], row["choose"]) == (kind, way):
            found.setdefault(row["rater"], []).append(row["accuracy"])
    return {rater: np.mean(curves, axis=0) for rater, curves in sorted(found.items())}


def compared(
    rows: Sequence[Mapping[str, Any]], kind: str, levels: Sequence[int] = (20, 40, 60, 80, 100)
) -> list[dict[str, Any]]:
    """For each number of random clicks: the accuracy they reach, what active questions reach with half as many, the paired difference over
    raters with its 95 % interval, and how many active clicks the mean curve needs for the same (bootstrap over raters)."""
    random_, active = curve(rows, kind, "random"), curve(rows, kind, "active")
    raters = [rater for rater in random_ if rater in active]
    if not raters:
        return []
    first, second = np.stack([random_[r] for r in raters]), np.stack([active[r] for r in raters])
    return [_level(first, second, kind, level) for level in levels if level <= first.shape[1]]


def _level(first: np.ndarray, second: np.ndarray, kind: str, level: int) -> dict[str, Any]:
    difference = mean_interval((second[:, level // 2 - 1] - first[:, level - 1]).tolist())
    rng, needed = np.random.default_rng([level, 0xB007]), list[float]()
    for _ in range(1000):
        pick = rng.integers(0, len(first), len(first))
        needed.append(_reached(second[pick].mean(axis=0), float(first[pick].mean(axis=0)[level - 1])))
    low, high = np.quantile(needed, [0.025, 0.975])
    return {
        "kind": kind, "raters": len(first), "random_clicks": level, "random_accuracy": round(float(first[:, level - 1].mean()), 3),
        "active_at_half": round(float(second[:, level // 2 - 1].mean()), 3),
        "difference": [round(value, 4) for value in (difference.mean, difference.low, difference.high)],
        "active_clicks": _reached(second.mean(axis=0), float(first.mean(axis=0)[level - 1])), "active_clicks_interval": [float(low), float(high)],
    }  # fmt: skip


def _reached(accuracy: np.ndarray, level: float) -> float:
    """The first click at which a curve is at `level`; one more than there are where it never is."""
    there = np.flatnonzero(accuracy >= level)
    return float(there[0] + 1 if len(there) else len(accuracy) + 1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, default=Path(".studio/asking_pool.npz"))
    parser.add_argument("--out", type=Path, default=Path(".studio/asking.jsonl"), help="a line a cell")
    parser.add_argument("--raters", default="0-29", help="first-last")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(SHOWN))
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument(
        "--prior", default="people", choices=["people", "plain"], help="what is believed before the first click"
    )
    parser.add_argument("--shown", type=int, default=320, help="pictures that may be asked about")
    parser.add_argument(
        "--by",
        default="ranking",
        choices=["ranking", "information", "spread"],
        help="what active questions are chosen by",
    )
    parser.add_argument("--batch", type=int, default=1, help="questions chosen at a time")
    chosen = parser.parse_args()
    if not chosen.pool.is_file():
        paint_pool(chosen.pool)
    first, last = (int(part) for part in chosen.raters.split("-"))
    wanted = cells(
        range(first, last + 1), chosen.seeds, chosen.kinds, chosen.clicks, chosen.batch, chosen.prior, chosen.shown
    )
    known = [json.loads(line) for line in chosen.out.read_text().splitlines()] if chosen.out.is_file() else []
    done = {json.dumps(cell_of(row)): row for row in known}
    for cell in wanted:
        if json.dumps(cell) not in done:
            done[json.dumps(cell)] = cell | work(cell, chosen.pool)
            with chosen.out.open("a") as log:
                log.write(json.dumps(done[json.dumps(cell)]) + "\n")
    rows = [done[json.dumps(cell)] for cell in wanted]
    for kind in chosen.kinds:
        for line in compared(rows, kind):
            sys.stdout.write(json.dumps(line) + "\n")


def cell_of(row: Mapping[str, Any]) -> Cell:
    """The cell that a line answers."""
    names = ("rater", "seed", "kind", "choose", "clicks", "batch", "prior", "shown", "by")
    return {name: row.get(name, "ranking") for name in names}


if __name__ == "__main__":
    main()
