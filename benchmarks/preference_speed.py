"""How quickly a taste is learned and asked: fit on 200 ratings among 100,000 stored features, then score 10,000 candidates.

    python -m benchmarks.preference_speed --width 512

Prints one JSON object of seconds, the best of `--repeats`, for each kind that learns at once (without a population, and on one of
300 pictures). "finetune" trains networks and takes longer; it is left out. Features and ratings are random: speed does not care.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from evaluators.preference.model import Kind, fit
from evaluators.preference.population import Population

STORED, RATED, CANDIDATES = 100_000, 200, 10_000
KINDS: tuple[tuple[Kind, bool], ...] = (
    ("knn", False), ("head", False), ("blend", False), ("bayes", False), ("bayes", True), ("blend", True), ("maml", True),
)  # fmt: skip


def measured(kind: Kind, population: Population | None, features: np.ndarray, ratings: np.ndarray) -> dict[str, float]:
    """Seconds of wall clock and of processor to fit, and to predict."""
    began, used = time.perf_counter(), time.process_time()
    model = fit(features, ratings, kind, population=population)
    fitted, fitted_cpu = time.perf_counter() - began, time.process_time() - used
    began, used = time.perf_counter(), time.process_time()
    model.predict(features[:CANDIDATES])
    asked, asked_cpu = time.perf_counter() - began, time.process_time() - used
    return {"fit": fitted, "fit_cpu": fitted_cpu, "predict": asked, "predict_cpu": asked_cpu}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(STORED, chosen.width)).astype(np.float32)
    ratings = np.full(STORED, np.nan)
    ratings[rng.choice(STORED, RATED, replace=False)] = np.round(rng.uniform(0.0, 10.0, RATED) * 2.0) / 2.0
    others = rng.normal(size=(40, 300)) + rng.normal(size=300)
    population = Population.fit(features[:300].astype(float), others)
    found: dict[str, Any] = {"width": chosen.width}
    for kind, with_population in KINDS:
        people = population if with_population else None
        runs = [measured(kind, people, features, ratings) for _ in range(chosen.repeats)]
        name = f"{kind}+population" if with_population else kind
        found[name] = {key: round(min(run[key] for run in runs), 3) for key in runs[0]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
