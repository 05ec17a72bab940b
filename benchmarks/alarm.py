"""How often the ledger's alarm cries wolf: honest searches for simulated raters, judged round by round as a run judges them.

    python -m benchmarks.alarm --raters 30 --rounds 8

A round is 8 pictures, half bred by evolve_prompts' belief and half random, as the rule planner shares them out; the renderer draws
them, so that no painter's mistakes are in it, and CLIP, PickScore and the learned taste (fitted to the rounds before) judge them. The
ratings are honest, so any alarm is a false one. Beside it, per number of rounds: runs in which the learned taste climbed at all, and
in which another judge fell. `--deceived` instead lets the person's liking of the bred half fall by a given SD a round and the guide
climb by as much, on the same pictures: then a missing alarm is the mistake. Prints a line a rater and one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.ledger import FEWEST_ROUNDS, alarm
from evaluators.looks.features import features
from evaluators.looks.raters import Rater, load_reference
from evaluators.numbers.win_rate import wilson
from evaluators.preference import model as preference
from evaluators.scorers.clip import Clip
from evaluators.scorers.pickscore import PickScore
from prompts.vocabulary import Genome, load_vocabulary
from tools.search.genetic import Rated
from tools.search.screened import screened
from tools.search.space import Space
from trainers.embedded.world.world import Scene, render

MODELS = Path(__file__).parents[1] / "models"
VOCABULARY = load_vocabulary("bauhaus")
ROUND, BRED = 8, 4
JUDGES = ("preference", "pickscore", "clip_t", "rating")


def search(number: int, rounds: int, clip: Clip, popular: PickScore) -> dict[str, np.ndarray]:
    """One honest search: judge to (rounds, 8), NaN where it did not judge; and the hidden utility."""
    rater = Rater(number, reference=load_reference(MODELS / "bauhaus"))
    rng = random.Random(f"alarm {number}")
    rated: list[Rated] = []
    seen: list[np.ndarray] = []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in (*JUDGES, "hidden")}
    for _ in range(rounds):
        genomes: list[Genome] = screened(rated, [], BRED, 0.2, Space(VOCABULARY), rng) if rated else []
        genomes = [*genomes, *(VOCABULARY.random(rng) for _ in range(ROUND - len(genomes)))]
        prompts = [VOCABULARY.phrase(genome) for genome in genomes]
        images = [render(Scene(genome), random.Random(rng.random())) for genome in genomes]
        looked = clip.image_features(images)
        taste = preference.fit(np.concatenate(seen), np.array([v for v, _ in rated]), "blend") if rated else None
        measured = features(images)
        ratings = rater.rate(images, seed=0)
        for name, values in (
            ("preference", taste.predict(looked)[0] if taste else np.full(ROUND, np.nan)), ("rating", ratings),
            ("pickscore", popular(images, prompts).values), ("clip_t", (looked * clip.text_features(prompts)).sum(axis=1)),
            ("hidden", rater.utility_of(measured)),
        ):  # fmt: skip
            columns[name].append(np.asarray(values, dtype=float))
        rated += zip(ratings, genomes, strict=True)
        seen.append(looked)
    return {name: np.array(values) for name, values in columns.items()}


def alarms(columns: dict[str, np.ndarray], deceived: float = 0.0) -> list[dict[str, Any]]:
    """What the alarm says after each round from the first that it can judge."""
    told = []
    for last in range(FEWEST_ROUNDS, len(columns["rating"]) + 1):
        flat = {name: _changed(name, columns[name], deceived)[:last].reshape(-1) for name in JUDGES}
        found = alarm(flat, np.repeat(np.arange(1.0, last + 1), ROUND), "preference")
        told.append(
            {
                "rounds": last, "alarm": found.raised, "climbs": bool(found.guide and found.guide.climbs),
                "falling": [one.judge for one in found.falling], "apart": [one.judge for one in found.apart],
            }
        )  # fmt: skip
    return told


def _changed(name: str, values: np.ndarray, deceived: float) -> np.ndarray:
    """With the person's liking falling and the guide climbing by `deceived` SD a round."""
    steps = np.arange(len(values))[:, None] * np.nanstd(values) * deceived
    return values + (steps if name == "preference" else -steps if name == "rating" else 0.0)


def share(found: list[list[dict[str, Any]]], rounds: int, key: str) -> dict[str, float | int]:
    """Runs for which `key` was true after any round up to `rounds`, with Wilson's 95 % interval."""
    hits = sum(any(one[key] for one in run if one["rounds"] <= rounds) for run in found)
    low, high = wilson(hits / len(found), len(found))
    return {"runs": len(found), "hits": hits, "share": hits / len(found), "low": round(low, 4), "high": round(high, 4)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raters", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="the first rater's seed")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--deceived", type=float, nargs="*", default=[0.15, 0.3, 0.6], help="SD a round")
    parser.add_argument("--keep", type=Path, help="an npz that receives what every judge said")
    given = parser.parse_args()
    clip, popular = Clip(MODELS / "bauhaus-clip"), PickScore(str(MODELS / "bauhaus-pickscore"))
    runs = []
    for number in range(given.first, given.first + given.raters):
        runs.append(search(number, given.rounds, clip, popular))
        told = alarms(runs[-1])
        liked = [round(float(row.mean()), 2) for row in runs[-1]["hidden"]]
        print(json.dumps({"rater": number, "hidden": liked, "told": told[-1]}), flush=True)
    if given.keep:
        np.savez(given.keep, allow_pickle=False, **{name: np.stack([run[name] for run in runs]) for name in runs[0]})
    found: dict[str, Any] = {}
    for deceived in (0.0, *given.deceived):
        told_all = [alarms(run, deceived) for run in runs]
        found[f"deceived {deceived:g}"] = {
            key: {str(n): share(told_all, n, key) for n in range(FEWEST_ROUNDS, given.rounds + 1)}
            for key in ("alarm", "climbs", "falling", "apart")
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
