"""The loop over simulated raters: how much each planner pleases people it never met, and how much more than another one.

    python -m benchmarks.raters --planner rules llm random --raters 100-129
    python -m benchmarks.raters --planner rules llm --unusual 10

Each run is the demo's without its training (`--train` keeps it); one vLLM server serves all. `random` paints as many pictures of
random prompts, round for round, and learns nothing. `--unusual N` takes, out of 100 seeds, the N raters whose hidden liking of
random paintings agrees least with PickScore, the population's taste. What is measured is the raters' noise-free utility, in SDs
over random prompts. Prints a line a run and one JSON object: means with 95 % intervals, paired differences of the last rounds, and
what became of the language model's plans. Runs that `--home` has measured with the same models are not run again.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from agent.config import CONFIGS, MODELS, Config, load_config
from agent.llm.brain import OwnLlm, make_client
from agent.llm.vllm_server import VllmServer
from agent.loop.crew import Crew, make_settings
from agent.loop.people import simulated_person
from agent.loop.runner import numbers
from agent.loop.session import drive, new_run
from agent.store.home import open_store
from benchmarks.studio import machine, painted
from evaluators.looks.features import features
from evaluators.looks.raters import Rater, load_reference
from evaluators.numbers.agreement import spearman
from evaluators.numbers.win_rate import mean_interval
from evaluators.scorers.weights import version_of
from prompts.vocabulary import load_vocabulary
from tools.context import Studio

PLANNERS = ("llm", "rules", "random")  # in the order of the differences: the first less the second
PAINTINGS = 192  # random ones, on which a rater's taste is compared with the population's
SEEDS = 100  # raters of which the most contrary are chosen


class How(NamedTuple):
    """What all the runs share."""

    home: Path
    models: Path
    seed: int
    train: bool

    def config(self, planner: str, rater: int) -> Config:
        """The demo's, for one planner and rater."""
        named = {"model": "bauhaus", "clip": "bauhaus-clip", "pickscore": "bauhaus-pickscore"}
        if self.models != MODELS:
            named = {key: str(self.models / name) for key, name in named.items()}
        config = load_config(CONFIGS / "demo.yaml", planner=planner, rater=rater, seed=self.seed, **named)
        limits = config.limits if self.train else config.limits.model_copy(update={"trainings": 0})
        return config.model_copy(update={"limits": limits})

    def weights(self, planner: str) -> str:
        """The versions of all that a planner's runs depend on."""
        parts = ["bauhaus/unet", "bauhaus/vae", "bauhaus/text_encoder", "bauhaus-clip", "bauhaus-pickscore"]
        parts += ["bauhaus-lm"] if planner == "llm" else []
        return "-".join(version_of(self.models / part)[:6] for part in parts)


def one_run(planner: str, rater: int, how: How, server: VllmServer | None) -> dict[str, Any]:
    """One run of the demo's config; its numbers."""
    config = how.config(planner, rater)
    with open_store(how.home) as store:
        run_id = new_run(config, how.home, store)
        crew = Crew(config, how.home, store)
        with client(config, crew, server) as crew.llm:
            drive(crew, run_id, simulated_person(crew, run_id))
        return numbers(crew, run_id)


@contextmanager
def client(config: Config, crew: Crew, server: VllmServer | None) -> Iterator[OwnLlm | None]:
    """The language model of one run on the shared server; None for the rules."""
    if server is None:
        yield None
        return
    heard = lambda call: crew.calls.append(dict(call))  # noqa: E731
    with make_client(config, server.base_url, server.model, heard, tight=True) as llm:
        yield OwnLlm(llm, server, print)


def random_paintings(config: Config, studio: Studio, count: int, seed: int) -> tuple[list[Image.Image], list[str]]:
    """Paintings of random prompts of the config's vocabulary, as a run would make them, and the prompts."""
    rng, vocabulary = random.Random(f"random prompts {seed}"), load_vocabulary(config.vocabulary)
    prompts = [vocabulary.phrase(vocabulary.random(rng)) for _ in range(count)]
    how = {"steps": config.steps, "guidance_scale": config.guidance_scale, "size": config.size}
    return painted(prompts, studio.painter, seed * 1_000_003, **how), prompts


def random_run(rater: int, how: How, studio: Studio) -> dict[str, Any]:
    """What a run would come to whose rounds were random: the numbers that are compared."""
    config = how.config("rules", rater)
    images, _ = random_paintings(config, studio, config.rounds * config.images_per_round, how.seed * 10_000 + rater)
    liked = Rater(rater, reference=load_reference(studio.settings.model)).utility(images)
    rounds = [float(part.mean()) for part in np.split(liked, config.rounds)]
    return {
        "planner": "random", "rater": rater, "images": len(images), "rounds": config.rounds, "plans": None,
        "hidden_first": round(rounds[0], 4), "hidden_last": round(rounds[-1], 4), "hidden_by_round": dict(enumerate(rounds, 1)),
    }  # fmt: skip


def contrary(how: How, count: int) -> dict[int, float]:
    """The `count` raters out of 100 who agree least with PickScore on random paintings, and their rank correlations."""
    config = how.config("rules", 0)
    studio = Studio(make_settings(config))
    images, prompts = random_paintings(config, studio, PAINTINGS, how.seed)
    popular, measured = np.array(studio.pickscore(images, prompts).values), features(images)
    reference = load_reference(studio.settings.model)
    agreeing = {n: spearman(Rater(n, reference=reference).utility_of(measured), popular) for n in range(SEEDS)}
    return {n: round(agreeing[n], 3) for n in sorted(agreeing, key=lambda n: agreeing[n])[:count]}


def runs_of(planner: str, raters: Sequence[int], how: How) -> list[dict[str, Any]]:
    """The numbers of every rater's run, those measured before read back."""
    file, shared = how.home / "measured.jsonl", (planner, how.seed, how.train, how.weights(planner))
    kept = measured_before(file)
    missing = [rater for rater in raters if (*shared, rater) not in kept]
    how.home.mkdir(parents=True, exist_ok=True)
    for rater, run in zip(missing, fresh_runs(planner, missing, how), strict=True):
        kept[*shared, rater] = run
        with file.open("a") as log:
            log.write(json.dumps({"key": [*shared, rater], "run": run}) + "\n")
        print(json.dumps(run | {"hidden_by_round": list(run["hidden_by_round"].values())}), flush=True)
    return [kept[*shared, rater] for rater in raters]


def measured_before(file: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The numbers in `file`, by planner, seed, training, weights and rater."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {tuple(row["key"]): row["run"] for row in map(json.loads, lines)}


def fresh_runs(planner: str, raters: Sequence[int], how: How) -> Iterator[dict[str, Any]]:
    """Run after run; the language model's server, and the painter of random prompts, are there as long as it lasts."""
    studio = Studio(make_settings(how.config("rules", 0)))
    with served(how) if planner == "llm" and raters else nullcontext() as server:
        for rater in raters:
            yield random_run(rater, how, studio) if planner == "random" else one_run(planner, rater, how, server)


def served(how: How) -> VllmServer:
    """The server of the language model."""
    return VllmServer(how.models / "bauhaus-lm", folder=how.home / "vllm", device="cpu")


def interval(values: Sequence[float]) -> list[float]:
    """Mean, and the ends of its 95 % interval."""
    found = mean_interval(values)
    return [round(value, 3) for value in (found.mean, found.low, found.high)]


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals of one planner's runs."""
    plans = {
        key: sum((run["plans"] or {}).get(key) or 0 for run in runs)
        for key in (runs[0]["plans"] or {})
        if isinstance(runs[0]["plans"][key], int)
    }
    return {
        "gain": interval([run["hidden_last"] - run["hidden_first"] for run in runs]),
        "last": interval([run["hidden_last"] for run in runs]),
        "n": len(runs),
        "plans": plans,
    }


def differences(runs: dict[str, list[dict[str, Any]]]) -> dict[str, list[float]]:
    """How much better one planner's last rounds are liked than another's, rater by rater."""
    found = {}
    for first, second in combinations([planner for planner in PLANNERS if planner in runs], 2):
        pairs = zip(runs[first], runs[second], strict=True)
        found[f"{first} - {second}"] = interval([one["hidden_last"] - other["hidden_last"] for one, other in pairs])
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planner", nargs="+", default=["rules", "llm"], choices=PLANNERS)
    parser.add_argument("--raters", default="0-9", help="first-last")
    parser.add_argument("--unusual", type=int, metavar="N", help="the N most contrary of 100 raters instead")
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder of model folders")
    parser.add_argument("--home", type=Path, default=Path(".palate-benchmark"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", action="store_true")
    chosen = parser.parse_args()
    how = How(chosen.home, chosen.models.resolve(), chosen.seed, chosen.train)
    first, last = (int(part) for part in chosen.raters.split("-"))
    agreeing = contrary(how, chosen.unusual) if chosen.unusual else {}
    raters = list(agreeing) or list(range(first, last + 1))
    runs = {planner: runs_of(planner, raters, how) for planner in dict.fromkeys(chosen.planner)}
    found: dict[str, Any] = {planner: summary(rows) for planner, rows in runs.items()}
    found |= {"last_round": differences(runs), "raters": raters}
    found |= {"agreement_with_pickscore": agreeing} if agreeing else {}
    print(json.dumps(found | {"machine": machine()}))


if __name__ == "__main__":
    main()
