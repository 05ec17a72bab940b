"""`palate train [KIND] CONFIG`: one YAML, one training job, in a process of its own; run it again and it goes on.

Knows what a person sees while they wait. Does not know torch, nor what is trained; agent.cli.job_file reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.cli.gating import remember
from agent.cli.job_file import whole_job
from agent.config import read_keys
from prompts.errors import InputError, PalateError
from prompts.ground.atomic import write_atomically
from prompts.ground.clean import clean
from prompts.ground.console import bars, make_console
from prompts.ground.yaml_files import write_yaml
from tools.gate.promotions import history
from tools.jobs.watch import State, run_job
from tools.scorers import KEYS

WARNED = (
    "winners become less likely too (only_losers_move): lower learning_rate, or stop and keep an earlier checkpoint"
)


def train(file: Path, home: Path, *, kind: str | None = None) -> State:
    """Carry the job out and return its final state. Raises PalateError when it fails; what it had saved stays."""
    job = whole_job(file, home, kind)
    if job.gate is not None:
        history(home)  # a damaged log is better known before hours of training
    resolved = json.loads(job.model_dump_json(exclude_defaults=True))
    _keep(job.out, resolved)
    with _bar() as show:
        state = run_job(resolved, job.out, on_state=show)
    if state.get("waiting"):
        raise PalateError(state["error"])
    if state["state"] != "done":
        begun = "The adapter is trained, its gate failed" if state["adapter"] else "The training failed"
        raise PalateError(f"{begun}: {state['error']} Its log is {str(job.out / 'job.log')!r}.")
    if state["gate"] is not None:
        remember(home, job, state["gate"], Path(state["adapter"]["path"]))
    return state


def check(file: Path, home: Path, *, kind: str | None = None, quiet: bool = False) -> dict[str, Any]:
    """Count the memory that the job needs, without training; say it unless `quiet`. Raises InputError."""
    from tools.jobs.preflight import check as counted
    from tools.jobs.preflight import told

    found = counted(whole_job(file, home, kind))
    if not quiet:
        make_console().print(told(found))
    return found


def _keep(out: Path, resolved: dict[str, Any]) -> None:
    """Save the resolved config beside what it makes. Raises InputError when another job's lies there."""
    kept, made = (
        out / "config.yaml",
        any(next(out.glob(name), None) for name in ("checkpoint-*", "adapter.json", "pairs", "round-1", "pair-*")),
    )
    from trainers.engine.checkpoint import same

    # What failed at once is free to be corrected.
    before = read_keys(kept, ours=True).values if made and kept.is_file() else resolved
    # These make no other adapter: a training that needs a scorer has it from its beginning, and `out` is where it lies now.
    free = {"gate", "processes", "out"} | {key for key in KEYS if before.get(key) is None}
    for key in sorted((before.keys() | resolved.keys()) - free):
        if not same(before.get(key), resolved.get(key)) and (
            key != "config" or _differ(before.get(key), resolved.get(key))
        ):
            raise InputError(
                f"{str(out)!r} holds another job: its {key} was {before.get(key)!r:.200}, now {resolved.get(key)!r:.200}: give "
                "another `out`, or the same settings to go on with it"
            )
    write_atomically(kept, write_yaml(resolved))


def _differ(before: Any, now: Any) -> bool:
    """Whether two configs differ in more than what may change on the way."""
    from trainers.engine.checkpoint import FREE, same

    before, now = before or {}, now or {}
    if not isinstance(before, dict):
        return True
    return any(not same(before.get(key), now.get(key)) for key in (before.keys() | now.keys()) - FREE)


@contextmanager
def _bar() -> Iterator[Callable[[State], None]]:
    """A progress bar with the last losses; one warning when a preference training unlearns."""
    with bars("{task.fields[losses]}", left=True) as progress:
        task = progress.add_task("training", total=None, losses="")
        warned: list[int] = []
        retried: list[str] = []
        noted: list[str] = []

        def show(state: State) -> None:
            if state.get("retried") and not retried:
                retried.append(state["retried"])
                progress.console.print(
                    f"{clean(state['retried'], 400)}. This may pass: it is tried once more.", markup=False
                )
            for note in [one for one in state.get("notes", ()) if one not in noted]:
                noted.append(note)
                progress.console.print(clean(note), markup=False)
            if state.get("gate"):
                judged = state["gate"]
                done, total = judged.get("painted", 1), judged.get("of", 1)
                progress.update(task, description="judging", total=total, completed=done, losses="")
                return
            progress.update(task, description=_doing(state))
            told = "  ".join(f"{key} {value:.4g}" for key, value in list(state["losses"].items())[:5] if key != "step")
            progress.update(task, total=state["total"] or None, completed=state["step"], losses=told)
            if state["losses"].get("only_losers_move") and not warned:
                warned.append(state["step"])
                progress.console.print(f"step {state['step']}: {WARNED}")

        yield show


def _doing(state: State) -> str:
    """What a job is at."""
    encoding = state.get("encoding")
    if encoding and not state["step"]:
        return f"encoding {encoding['done']:,} of {encoding['total']:,} {encoding['what']}"
    if state.get("pools") and not state["step"]:
        return f"training (pairs of {state['pools']} pools)"
    return "training"
