"""One training job in its own process: `python -m tools.job job.json`.

Joins a trainer with a base model and the data that tools.job_spec reads, and keeps state.json beside the job file up to date.
Does not know the agent or its store; tools.job_watch is the side that waits.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from prompts.errors import InputError, PalateError
from tools.gal_select import Waiting
from tools.gate_spec import Plan
from tools.job_spec import Job, gate_of, kind_of, validated
from tools.job_watch import State, alone, new_state, write_json
from tools.pairs import Builder, build_pairs
from tools.scorers import scorers, versions

_PR_SET_PDEATHSIG = 1


class _Stopped(PalateError):
    """Someone asked the job to stop while it was still loading."""


class Reporter:
    """Keeps state.json current, and remembers whether someone asked to stop."""

    def __init__(self, file: Path) -> None:
        self.file, self.state, self.asked_to_stop, self.building = file, new_state(), False, False
        self.put(state="running", pid=os.getpid())

    def put(self, **changes: Any) -> State:
        self.state |= {**changes, "heartbeat": time.time()}
        write_json(self.file, self.state)
        return self.state

    def on_step(self, step: int, total: int, losses: dict[str, float]) -> None:
        self.put(step=step, total=total, loss=losses.get("loss"), losses=losses)

    def stop(self, *_signal: Any) -> None:
        """Signal handler: a training stops after its step and keeps a checkpoint, pairs after their shard; before that nothing is
        worth the wait."""
        self.asked_to_stop = True
        if self.state["step"] == 0 and self.state["state"] == "running" and not self.building:
            raise _Stopped("stopped before training began: run it again")


def run(job: Job, report: Reporter) -> State:
    """Train, and return the final state. Raises PalateError for everything we can explain."""
    from trainers import base_model
    from trainers.adapter_file import AdapterRef

    report.put()
    kind = kind_of(job)
    config = validated(kind.config, job.config, "config")
    data, extra = kind.data(job)
    plan = gate_of(job)
    report.put(total=config.steps)
    model = base_model.load(job.base_model, device=job.device)
    acting = [AdapterRef(spec.path, spec.weight) for spec in job.adapters]
    adapter = kind.train(
        config, _with_pools(job, data, model, acting, report), base_model=model, out=job.out, name=job.name or job.kind,
        adapters=acting,
        on_step=report.on_step, should_stop=lambda: report.asked_to_stop, **extra,
    )  # fmt: skip
    made = {"path": str(adapter.path), "sha256": adapter.sha256, "kind": adapter.kind, "metrics": adapter.metrics}
    if plan is not None:
        report.put(
            step=report.state["total"], adapter=made, gate=_gated(adapter.path, job, plan, model, acting, report)
        )
    return report.put(state="done", step=report.state["total"], adapter=made)


def _gated(made: Path, job: Job, plan: Plan, model: Any, acting: Any, report: Reporter) -> dict[str, Any]:
    """The verdict on the adapter that was just trained, and where its report lies."""
    from tools.gate import judge
    from trainers.adapter_file import AdapterRef

    told = judge(
        plan, model, AdapterRef(made, plan.spec.weight), job.out / "gate", adapters=acting,
        on_painted=lambda done, total: report.put(gate={"painted": done, "of": total}), should_stop=lambda: report.asked_to_stop,
    )  # fmt: skip
    return {"promoted": told["promoted"], "broken": told["broken"], "reasons": told["reasons"], "report": str(job.out / "gate" / "gate.html")}  # fmt: skip


def _with_pools(job: Job, compared: Any, model: Any, acting: Any, report: Reporter) -> Any:
    """The data of a job as they are, or the pairs of its pools, made now or before."""
    if job.pool is None:
        return compared
    folders = {"pickscore": job.pickscore, "clip": job.clip, "preference": job.preference}
    builder = Builder(
        job.pool, job.out / "pairs", model, scorers(job.pool.scorers, folders, str(model.device)), scored_by=versions(folders),
        adapters=acting, on_image=report.put, on_pools=lambda done: report.put(pools=done),
    )  # fmt: skip
    report.building = True
    try:
        return build_pairs(builder, compared=compared, should_stop=lambda: report.asked_to_stop)
    finally:
        report.building = False


def _read(file: Path) -> Job:
    try:
        return validated(Job, json.loads(file.read_text()), "job")  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise InputError(f"job file {str(file)!r} cannot be read ({error}): give the path of a JSON file") from error


def _stop_with_parent(report: Reporter) -> None:
    """SIGTERM ends the job after its current step, and comes by itself when the parent dies (Linux)."""
    signal.signal(signal.SIGTERM, report.stop)
    signal.signal(signal.SIGINT, report.stop)
    parent = os.environ.get("PALATE_PARENT")
    if parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        report.asked_to_stop = os.getppid() != int(parent)  # it may have died before we asked


def _attempt(file: Path, report: Reporter) -> State:
    try:
        return run(_read(file), report)
    except PalateError as error:
        return report.put(state="failed", error=str(error), waiting=isinstance(error, Waiting))
    except Exception as error:  # the edge of the process: whatever it was, the watcher has to learn of it
        traceback.print_exc(file=sys.stderr)
        return report.put(state="failed", error=f"unexpected {type(error).__name__}: {error} (traceback in job.log)")


def main(arguments: list[str]) -> int:
    """Run the job file named in `arguments`; print its final state as one JSON line. 0: done, 1: failed."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print(json.dumps({"state": "failed", "error": f"usage: python -m tools.job job.json, not {arguments!r}"}))
        return 1
    file = Path(arguments[0]).resolve()
    try:
        with contextlib.redirect_stdout(sys.stderr), alone(file.parent):
            report = Reporter(file.parent / "state.json")
            _stop_with_parent(report)
            state = _attempt(file, report)
    except InputError as error:
        state = {"state": "failed", "error": str(error)}
    print(json.dumps(state, default=str))
    return 0 if state["state"] == "done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
