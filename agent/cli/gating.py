"""`palate gate ADAPTER`: judge an adapter, remember the verdict, and say what acts now.

Knows what lies beside a trained adapter and what a person may give instead. The work is tools.gate.gate's, the memory tools.gate.promotions'.
An adapter that was promoted and is judged again, by newer prompts or a newer taste, may be withdrawn: then what acted before acts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config import bundled, read_keys
from prompts.errors import InputError
from prompts.ground.clean import clean
from prompts.ground.console import bars
from prompts.ground.reading import read_text
from tools.gate.promotions import Acting, Promotion, acting, history, record
from tools.scorers import KEYS

if TYPE_CHECKING:
    from tools.jobs.spec import Job

Gated = dict[str, Any]
"""promoted, broken (how many reasons are), reasons, report (the path of gate.html), and before (whether it was promoted until now)."""

GIVEN = ("prompts", "base_model", *KEYS, "guides")  # what a person may lay over an adapter's own job


def gate(adapter: Path, home: Path, given: Mapping[str, Any]) -> Gated:
    """Judge an adapter and remember the verdict. Raises InputError for what is missing, PalateError when it is stopped."""
    from tools.gate.gate import judge
    from tools.jobs.spec import gate_of
    from tools.jobs.watch import alone
    from trainers.files.adapter_file import AdapterRef, find
    from trainers.model.load import load

    history(home)  # a damaged log is better known before hours of painting
    job, path = _job(adapter, home, {key: value for key, value in given.items() if value is not None})
    plan = gate_of(job)
    assert plan is not None and job.gate is not None, "_job has seen to it"
    find(path)
    out = path / "gate" if path.is_dir() else path.with_suffix(".gate")
    out.mkdir(parents=True, exist_ok=True)
    with alone(out), _bar() as show:
        model = load(job.base_model, device=job.device)
        beside = [AdapterRef(one.path, one.weight) for one in job.adapters]
        told = judge(plan, model, AdapterRef(path, job.gate.weight), out, adapters=beside, on_painted=show)
    found = {key: told[key] for key in ("promoted", "broken", "reasons")} | {"report": str(out / "gate.html")}
    return remember(home, job, found, path)


def remember(home: Path, job: Job, found: Gated, adapter: Path) -> Gated:
    """Add a verdict to the log of promotions; `found` then also says whether the adapter was promoted `before`."""
    mine = _acting(adapter, job.gate.weight if job.gate else 1.0)
    earlier = [
        line.promoted
        for line in history(home)
        if (line.base_model, line.adapter.sha256) == (job.base_model, mine.sha256)
    ]
    beneath = tuple(_acting(one.path, one.weight) for one in job.adapters)
    line = Promotion(
        base_model=job.base_model, adapter=mine, beneath=beneath, promoted=found["promoted"], reasons=tuple(found["reasons"])
    )  # fmt: skip
    record(home, line)
    found |= {"base_model": job.base_model, "before": earlier[-1] if earlier else None}
    return found


def told(found: Gated, home: Path) -> list[str]:
    """The verdict in lines for people: what was broken first, where the report is, and what acts now."""
    withdrawn = " and withdrawn: it was promoted before" if found["before"] and not found["promoted"] else ""
    lines = ["promoted" if found["promoted"] else f"rejected{withdrawn}"]
    lines += [f"  {'!' if number < found['broken'] else '-'} {said}" for number, said in enumerate(found["reasons"])]
    now = acting(home, found["base_model"])
    names = " + ".join(map(_place, now.together)) if now else "the base model alone"
    return [*lines, f"report: {found['report']}", f"acts now: {names}"]


def _job(adapter: Path, home: Path, given: dict[str, Any]) -> tuple[Job, Path]:
    """The job that an adapter came from, with what the person gave laid over it, and where the adapter lies."""
    from agent.cli.job_file import load_job
    from agent.cli.of_run import known
    from tools.jobs.spec import Job, validated

    if adapter.suffix in (".yaml", ".yml"):
        found = load_job(adapter, home)
        values, path = found.model_dump(mode="json", exclude_defaults=True), _made(found)
    else:
        path = adapter.resolve()
        if not path.exists():
            raise InputError(f"there is no adapter at {str(adapter)!r:.300}: give its folder, its file, or the YAML that it was trained from")  # fmt: skip
        kept = path / "config.yaml"
        values = read_keys(kept, ours=True).values if kept.is_file() else known(path, home)
    if not isinstance(values.get("gate") or {}, dict):
        validated(Job, values, "job")  # which says what is wrong with it
    gate = {**(values.get("gate") or {}), **{key: given[key] for key in ("prompts", "guides") if key in given}}
    values |= {key: bundled(given[key]) for key in ("base_model", *KEYS) if key in given}
    if values.get("base_model") is None:
        raise InputError(f"{str(adapter)!r} does not say what it was trained on: give --base-model")
    if "prompts" not in gate:
        raise InputError(f"{str(adapter)!r} has no gate of its own: give --prompts, a file or a vocabulary's name")
    job: Job = validated(Job, values | {"gate": gate}, "job")
    return job, path


def _made(job: Job) -> Path:
    """Where a job's adapter lies: gal's in the folder of its last round."""
    if job.kind != "gal":
        return job.out
    file = job.out / "gal.json"
    if not file.is_file():
        raise InputError(f"{str(job.out)!r} holds no round of gal yet: train it first")
    try:
        return job.out / str(json.loads(read_text(file, "gal's rounds"))["rounds"][-1]["adapter"]["path"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(
            f"{str(file)!r} is damaged or holds no round yet ({clean(error, 200)}): train it again"
        ) from error


def _place(one: Acting) -> str:
    """Where an adapter lies, and whether it is still the one that was judged."""
    from trainers.files.adapter_file import find, sha256

    try:
        same = sha256(find(one.path)) == one.sha256
    except InputError:
        same = False
    return one.path if same else f"{one.path} (moved or changed since: judge it again)"


def _acting(path: Path, weight: float) -> Acting:
    from trainers.files.adapter_file import find, sha256

    return Acting(path=str(path), sha256=sha256(find(path)), weight=weight)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    with bars() as shown:
        task = shown.add_task("judging", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
