"""One training job in its own process: `python -m tools.jobs.job job.json`; in several: `python -m tools.jobs.together 2 job.json`.

Joins a trainer with a base model and the data that tools.jobs.spec reads, and keeps state.json beside the job file up to date.
Of several processes the first one writes. Does not know the agent or its store; tools.jobs.watch is the side that waits.
"""

from __future__ import annotations

import contextlib
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
from tools.jobs.faults import LASTING, PASSING, passes
from tools.jobs.pairs import Builder, build_pairs
from tools.jobs.preflight import preflight
from tools.jobs.spec import Job, dtype_of, gate_of, kind_of, validated
from tools.jobs.together import MEETING, PARENT, leaves_with
from tools.jobs.watch import State, alone, new_state, read_state
from tools.photos import told_together
from tools.scorers import PUBLISHED, scorers, versions

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
        self.file, self.asked_to_stop, self.building = file, False, False
        self.state = new_state() | {"retried": read_state(file.parent)["retried"]}
        self.leads = leads
        self.parent: int | None = None  # whose death nobody would tell us of
        self.put(state="running", pid=os.getpid())

    def put(self, **changes: Any) -> State:
        """Change the state. A full disk is no reason to stop: the checkpoints will tell."""
        self.state |= {**changes, "heartbeat": time.time(), "beats": self.state["beats"] + 1}
        try:
            if self.leads:
                save_json(self.file, self.state, durable=False)
        except PalateError as error:
            _say(f"{str(self.file)!r} cannot be written: {error}")
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
    """The device of this process, which joins the others if there are any: by the file of our own launcher, or as another's
    environment says."""
    if _processes() == 1:
        return device
    import torch
    from torch import distributed

    on_gpu = device != "cpu" and torch.cuda.is_available()
    here = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if on_gpu else "cpu"
    if on_gpu:
        torch.cuda.set_device(here)
    meeting = os.environ.get(MEETING)
    store = distributed.FileStore(meeting, _processes()) if meeting else None  # type: ignore[attr-defined]
    where: dict[str, Any] = {"init_method": "env://"} if store is None else {"store": store}
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo", rank=int(os.environ["RANK"]), world_size=_processes(), timeout=_PATIENCE, **where
    )
    return here


def _processes() -> int:
    """As every launcher says it."""
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
    """SIGTERM ends the job after its current step, and comes by itself when the parent dies (Linux); elsewhere it is looked for."""
    signal.signal(signal.SIGTERM, report.stop)
    signal.signal(signal.SIGINT, report.stop)
    parent = os.environ.get(PARENT)
    report.asked_to_stop = not leaves_with(parent)
    report.parent = int(parent) if parent else None


def _attempt(file: Path, report: Reporter) -> State:
    """The final state; `passing` says whether the same may succeed when it is run again."""
    try:
        with _noted(report):
            return run(_read(file), report)
    except PalateError as error:
        if not report.leads:
            _say(str(error))  # of several processes, only the first has a state to say it in
        waits = isinstance(error, Waiting)
        passing = passes(error) or (report.asked_to_stop and not waits and not isinstance(error, InputError))
        return report.put(state="failed", error=str(error), waiting=waits, passing=passing)
    except Exception as error:  # the edge of the process: whatever it was, the watcher has to learn of it
        _say(traceback.format_exc())
        told = f"unexpected {type(error).__name__}: {error} (traceback in job.log)"
        return report.put(state="failed", error=told, passing=passes(error))


def _say(line: str) -> None:
    """A line for job.log, which may lie on the very disk that is full."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _tell(state: State) -> None:
    """The state as the last line. What cannot be written must not be tried again at exit, which would change the exit status."""
    try:
        print(json.dumps(state, default=str), flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str]) -> int:
    """Run the job file named in `arguments`; print its final state as one JSON line. 0: done, 1: failed, 75: try it again."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print(json.dumps({"state": "failed", "error": f"usage: python -m tools.jobs.job job.json, not {arguments!r}"}))
        return LASTING
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
        _tell(state)
    return 0 if state["state"] == "done" else PASSING if state.get("passing") else LASTING


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
