"""The loop over simulated raters: how much better the last round is liked than the first, for each planner.

    python -m benchmarks.raters --planner rules llm --raters 0-9

Each run is the demo's without its training (`--train` keeps it); one vLLM server serves all. Prints a line a run and one JSON
object with means and 95 % intervals, and what became of the language model's plans, read from the store.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from agent.brain import OwnLlm, make_client
from agent.config import CONFIGS, Config, bundled, load_config
from agent.crew import Crew
from agent.people import simulated_person
from agent.runner import numbers
from agent.session import drive, new_run, open_store
from agent.vllm_server import VllmServer
from evaluators.win_rate import mean_interval


def one_run(planner: str, rater: int, home: Path, server: VllmServer | None, train: bool, seed: int) -> dict[str, Any]:
    """One run of the demo's config; its numbers."""
    config = load_config(CONFIGS / "demo.yaml", planner=planner, rater=rater, seed=seed)
    if not train:
        config = config.model_copy(update={"limits": config.limits.model_copy(update={"trainings": 0})})
    with open_store(home) as store:
        run_id = new_run(config, home, store)
        crew = Crew(config, home, store)
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


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals of one planner's runs."""
    gains = mean_interval([run["hidden_last"] - run["hidden_first"] for run in runs])
    lasts = mean_interval([run["hidden_last"] for run in runs])
    plans = {
        key: sum((run["plans"] or {}).get(key) or 0 for run in runs)
        for key in (runs[0]["plans"] or {})
        if isinstance(runs[0]["plans"][key], int)
    }
    return {
        "gain": [round(v, 3) for v in (gains.mean, gains.low, gains.high)],
        "last": [round(v, 3) for v in (lasts.mean, lasts.low, lasts.high)],
        "n": gains.n,
        "plans": plans,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planner", nargs="+", default=["rules", "llm"], choices=["rules", "llm"])
    parser.add_argument("--raters", default="0-9", help="first-last")
    parser.add_argument("--home", type=Path, default=Path(".palate-benchmark"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", action="store_true")
    chosen = parser.parse_args()
    first, last = (int(part) for part in chosen.raters.split("-"))
    found: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    for planner in chosen.planner:
        server = (
            VllmServer(bundled("bauhaus-lm"), folder=chosen.home / "vllm", device="cpu") if planner == "llm" else None
        )
        with server or nullcontext():
            runs = []
            for rater in range(first, last + 1):
                runs.append(one_run(planner, rater, chosen.home, server, chosen.train, chosen.seed))
                print(
                    json.dumps(runs[-1] | {"hidden_by_round": list(runs[-1]["hidden_by_round"].values())}), flush=True
                )
        found[planner] = summary(runs)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
