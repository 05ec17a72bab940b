"""One training job in its own process: `python -m tools.jobs.job job.json`; in several: `accelerate launch -m tools.jobs.job job.json`.

Joins a trainer with a base model and the data that tools.jobs.spec reads, and keeps state.json beside the job file up to date.
Of several processes the first one writes. Does not know the agent or its store; tools.jobs.watch is the side that waits.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from prompts.errors import InputError, PalateError
from tools.files import save_json
from tools.gal.select import Waiting
from tools.gate.spec import Plan
from tools.jobs.pairs import Builder, build_pairs
from tools.jobs.preflight import preflight
from tools.jobs.spec import Job, dtype_of, gate_of, kind_of, validated
from tools.jobs.watch import State, alone, new_state
from tools.photos import told_together
from tools.scorers import PUBLISHED, scorers, versions

_PR_SET_PDEATHSIG = 1
_MOST_NOTES = 50
_PATIENCE = timedelta(days=7)  # the others wait while the first paints pools


class _Stopped(PalateError):
    """Someone asked the job to stop while it was still loading."""


class _Notes(logging.Handler):
    """What our own houses tell of a job, on standard error (the job's log) and, each line once, in its state: whoever waits sees that."""

    def __init__(self, report: Reporter) -> None:
        super().__init__(logging.WARNING)
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        told = record.getMessage()
        print(told, file=sys.stderr)
        if told not in (notes := self.report.state["notes"]) and len(notes) < _MOST_NOTES:
            self.report.put(notes=[*notes, told])


@contextlib.contextmanager
def _noted(report: Reporter) -> Iterator[None]:
    """Our warnings go to `report` for a while. They propagate no further: the root's handlers would say them again."""
    loggers, handler = (
        [logging.getLogger(name) for name in ("tools", "trainers", "evaluators", "prompts")],
        _Notes(report),
    )
    before = [one.propagate for one in loggers]
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
    try:
        yield
    finally:
        for one, was in zip(loggers, before, strict=True):
            one.removeHandler(handler)
            one.propagate = was


class Reporter:
    """Keeps state.json current, in the first of several processes, and remembers whether someone asked to stop."""

    def __init__(self, file: Path, *, leads: bool = True) -> None:
        self.file, self.state, self.asked_to_stop, self.building = file, new_state(), False, False
        self.leads = leads
        self.parent: int | None = None  # whose death nobody would tell us of
        self.put(state="running", pid=os.getpid())

    def put(self, **changes: Any) -> State:
        """Change the state. A full disk is no reason to stop: the checkpoints will tell."""
        self.state |= {**changes, "heartbeat": time.time()}
        try:
            if self.leads:
                save_json(self.file, self.state, durable=False)
        except PalateError as error:
            print(f"{str(self.file)!r} cannot be written: {error}", file=sys.stderr)
        return self.state

    def on_step(self, step: int, total: int, losses: dict[str, float]) -> None:
        self.put(step=step, total=total, loss=losses.get("loss"), losses=losses)

    def on_encoded(self, what: str, done: int, total: int) -> None:
        self.put(encoding={"what": what, "done": done, "total": total})

    def should_stop(self) -> bool:
        return self.asked_to_stop or (self.parent is not None and not psutil.pid_exists(self.parent))

    def stop(self, *_signal: Any) -> None:
        """Signal handler: a training stops after its step and keeps a checkpoint, pairs after their shard; before that nothing is
        worth the wait."""
        self.asked_to_stop = True
        if self.state["step"] == 0 and self.state["state"] == "running" and not self.building:
            raise _Stopped("stopped before training began: run it again")


def run(job: Job, report: Reporter) -> State:
    """Train, and return the final state. Raises PalateError for everything we can explain."""
    from trainers.files.adapter_file import AdapterRef
    from trainers.model.load import load

    report.put()
    kind = kind_of(job)
    config = validated(kind.config, job.config, "config")
    preflight(job.model_copy(update={"processes": max(job.processes, _processes())}))
    with told_together():
        data, extra = kind.data(job)
    plan = gate_of(job)
    report.put(total=config.steps)
    model = load(job.base_model, device=_joined(job.device), dtype=dtype_of(job))
    model.on_encoded = report.on_encoded
    acting = [AdapterRef(spec.path, spec.weight) for spec in job.adapters]
    adapter = kind.train(
        config, _with_pools(job, data, model, acting, report), base_model=model, out=job.out, name=job.name or job.kind,
        adapters=acting,
        on_step=report.on_step, should_stop=report.should_stop, **extra,
    )  # fmt: skip
    made = {"path": str(adapter.path), "sha256": adapter.sha256, "kind": adapter.kind, "metrics": adapter.metrics}
    if plan is not None and report.leads:
        report.put(step=report.state["total"], adapter=made)  # whatever becomes of its gate
        report.put(gate=_gated(adapter.path, job, plan, model, acting, report))
    return report.put(state="done", step=report.state["total"], adapter=made)


def _gated(made: Path, job: Job, plan: Plan, model: Any, acting: Any, report: Reporter) -> dict[str, Any]:
    """The verdict on the adapter that was just trained, and where its report lies."""
    from tools.gate.gate import judge
    from trainers.files.adapter_file import AdapterRef

    told = judge(
        plan, model, AdapterRef(made, plan.spec.weight), job.out / "gate", adapters=acting,
        on_painted=lambda done, total: report.put(gate={"painted": done, "of": total}), should_stop=report.should_stop,
    )  # fmt: skip
    return {"promoted": told["promoted"], "broken": told["broken"], "reasons": told["reasons"], "report": str(job.out / "gate" / "gate.html")}  # fmt: skip


def _joined(device: str) -> str:
    """The device of this process, which joins the others if there are any."""
    if _processes() == 1:
        return device
    import torch
    from accelerate import PartialState

    return str(PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=_PATIENCE).device)


def _processes() -> int:
    """As `accelerate launch` and `torchrun` say it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _leads() -> bool:
    return _processes() == 1 or os.environ.get("RANK") == "0"


def _with_pools(job: Job, compared: Any, model: Any, acting: Any, report: Reporter) -> Any:
    """The data of a job as they are, or the pairs of its pools, made now (by the first process) or before."""
    from trainers.engine.share import share

    if job.pool is None:
        return compared
    # Who only judges at the gate may be named later: pairs that are there were not made with them.
    used = {key: folder for key, folder in job.folders.items() if key not in PUBLISHED or key in job.pool.scorers}
    builder = Builder(
        job.pool, job.out / "pairs", model, scorers(job.pool.scorers, used, str(model.device)), scored_by=versions(used),
        adapters=acting, on_image=report.put, on_pools=lambda done: report.put(pools=done),
    )  # fmt: skip
    report.building, ours = True, share(model.device)
    try:
        if not ours.leads:
            ours.wait()
        pairs = build_pairs(builder, compared=compared, should_stop=report.should_stop)
        if ours.leads:
            ours.wait()
        return pairs
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
    if parent and _processes() > 1:  # between the parent and us is the launcher
        report.parent = int(parent)
    elif parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        report.asked_to_stop = os.getppid() != int(parent)  # it may have died before we asked


def _attempt(file: Path, report: Reporter) -> State:
    try:
        with _noted(report):
            return run(_read(file), report)
    except PalateError as error:
        if not report.leads:
            print(error, file=sys.stderr)  # of several processes, only the first has a state to say it in
        return report.put(state="failed", error=str(error), waiting=isinstance(error, Waiting))
    except Exception as error:  # the edge of the process: whatever it was, the watcher has to learn of it
        traceback.print_exc(file=sys.stderr)
        return report.put(state="failed", error=f"unexpected {type(error).__name__}: {error} (traceback in job.log)")


def main(arguments: list[str]) -> int:
    """Run the job file named in `arguments`; print its final state as one JSON line. 0: done, 1: failed."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print(json.dumps({"state": "failed", "error": f"usage: python -m tools.jobs.job job.json, not {arguments!r}"}))
        return 1
    file = Path(arguments[0]).resolve()
    try:
        first = alone(file.parent) if _leads() else contextlib.nullcontext()
        with contextlib.redirect_stdout(sys.stderr), first:
            report = Reporter(file.parent / "state.json", leads=_leads())
            _stop_with_parent(report)
            state = _attempt(file, report)
    except InputError as error:
        state = {"state": "failed", "error": str(error)}
    if _leads():
        print(json.dumps(state, default=str))
    return 0 if state["state"] == "done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
