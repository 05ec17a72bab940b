"""`palate train [KIND] CONFIG`: one YAML, one training job, in a process of its own; run it again and it goes on.

Knows the file that a person writes and what they see while they wait. Does not know torch, nor what is trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from agent.config import bundled, read_yaml
from agent.gating import remember
from prompts.errors import InputError, PalateError
from tools.files import write_atomically
from tools.job_spec import Job, validated
from tools.job_watch import State, run_job
from tools.photos import pictures_in

MODELS, FILES = {"base_model", "pickscore", "clip"}, {"preference", "out"}  # keys of a job that name one
WARNED = (
    "winners become less likely too (only_losers_move): lower learning_rate, or stop and keep an earlier checkpoint"
)


def load_job(file: Path, home: Path, kind: str | None = None) -> Job:
    """The job that a YAML file describes; its paths count from the file. Raises InputError for anything wrong.

    `kind`: the file's, or in its place where it names none. `dataset` is a list, a .jsonl file of such lines, or a folder of
    pictures with `prompt` beside it; `prior` likewise, with `prior_prompt`. `out` is HOME/train/NAME unless given, NAME the file's."""
    file = file.resolve()
    values = read_yaml(file)
    if values.setdefault("kind", kind) != (kind or values["kind"]):
        raise InputError(f"{str(file)!r} is a job of kind {values['kind']!r}, not {kind!r}: say that, or leave it out")
    prompt, of_prior = values.pop("prompt", None), values.pop("prior_prompt", None)
    name = re.sub(r"[^\w.-]+", "-", file.stem)
    values = {"name": name, "out": str(home.resolve() / "train" / name), **_placed(values, file.parent)}
    values["dataset"] = _dataset(values.get("dataset"), prompt, file)
    if isinstance(values.get("prior"), str):
        values["prior"] = _dataset(values["prior"], of_prior, file)
    job: Job = validated(Job, values, "job")
    return job


def _placed(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`values` with its paths below `folder`; names of bundled models and of the hub are no paths there."""
    found = dict(values)
    for key in MODELS & found.keys():
        found[key] = _model(found[key], folder)
    for key in FILES & found.keys():
        found[key] = _below(found[key], folder)
    for key, inner in (("adapters", "path"), ("prior", "image")):
        if isinstance(found.get(key), list):
            found[key] = [
                one | {inner: _below(one[inner], folder)} if isinstance(one, dict) and inner in one else one
                for one in found[key]
            ]
    if isinstance(found.get("gate"), dict):
        found["gate"] = _placed_gate(found["gate"], folder)
    if isinstance(found.get("gal"), dict):
        lists = {
            key: found["gal"][key] for key in ("anchors", "test_prompts") if isinstance(found["gal"].get(key), str)
        }
        found["gal"] = found["gal"] | {
            key: str(folder / name) for key, name in lists.items() if (folder / name).is_file()
        }
    if isinstance(found.get("pool"), dict) and "prompts" in found["pool"]:
        found["pool"] = found["pool"] | {"prompts": _below(found["pool"]["prompts"], folder)}
    return found


def _placed_gate(gate: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A gate whose files are below `folder`; prompts may also be a list, or the name of a vocabulary."""
    found = dict(gate)
    if isinstance(found.get("prompts"), str) and Path(found["prompts"]).suffix:
        found["prompts"] = _below(found["prompts"], folder)
    if isinstance(found.get("instances"), str | list):
        given = [found["instances"]] if isinstance(found["instances"], str) else found["instances"]
        found["instances"] = [_below(one, folder) for one in given]
    return found


def _model(name: Any, folder: Path) -> Any:
    if not isinstance(name, str) or bundled(name) != name:
        return bundled(name) if isinstance(name, str) else name
    return str(folder / name) if (folder / name).exists() else name


def _below(path: Any, folder: Path) -> Any:
    """What is no text is left for the check of the whole job."""
    return str(folder / path) if isinstance(path, str) else path


def train(file: Path, home: Path, *, kind: str | None = None, quiet: bool = False) -> State:
    """Carry the job out and return its final state. Raises PalateError when it fails; what it had saved stays."""
    job = load_job(file, home, kind)
    resolved = json.loads(job.model_dump_json(exclude_defaults=True))
    _keep(job.out, resolved)
    with _bar(Console(stderr=quiet)) as show:
        state = run_job(resolved, job.out, on_state=show)
    if state.get("waiting"):
        raise PalateError(state["error"])
    if state["state"] != "done":
        raise PalateError(f"The training failed: {state['error']} Its log is {str(job.out / 'job.log')!r}.")
    if state["gate"] is not None:
        remember(home, job, state["gate"])
    return state


def check(file: Path, home: Path, *, kind: str | None = None, quiet: bool = False) -> dict[str, Any]:
    """Count the memory that the job needs, without training; say it unless `quiet`. Raises InputError."""
    from tools.preflight import check as counted
    from tools.preflight import told

    found = counted(load_job(file, home, kind))
    if not quiet:
        Console().print(told(found), markup=False, highlight=False, soft_wrap=True)
    return found


def _keep(out: Path, resolved: dict[str, Any]) -> None:
    """Save the resolved config beside what it makes. Raises InputError when another job's lies there."""
    kept, made = (
        out / "config.yaml",
        any(next(out.glob(name), None) for name in ("checkpoint-*", "adapter.json", "pairs", "round-1")),
    )
    before = read_yaml(kept) if made and kept.is_file() else resolved  # what failed at once is free to be corrected
    for key in sorted((before.keys() | resolved.keys()) - {"gate", "processes"}):  # neither makes another adapter
        if before.get(key) != resolved.get(key):
            raise InputError(
                f"{str(out)!r} holds another job: its {key} was {before.get(key)!r:.200}, now {resolved.get(key)!r:.200}: give "
                "another `out`, or the same settings to go on with it"
            )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True).encode())


def _dataset(given: Any, prompt: Any, file: Path) -> list[dict[str, Any]]:
    """The data as a list of records, paths absolute."""
    if given is None:
        return []
    if isinstance(given, str):
        path = file.parent / given
        given = _pictures(path, prompt) if path.is_dir() else _lines(path)
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise InputError(
            f"dataset = {given!r:.80} in {str(file)!r}: give a list, a .jsonl file, or a folder of pictures with a prompt"
        )
    return [
        {
            key: _below(value, file.parent) if key in ("image", "win", "lose", "low", "high") else value
            for key, value in item.items()
        }
        for item in given
    ]


def _pictures(folder: Path, prompt: Any) -> list[dict[str, Any]]:
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(
            f"prompt = {prompt!r}: say what the pictures in {str(folder)!r} show, for example 'a photo of sks dog'"
        )
    return [{"image": str(path.resolve()), "prompt": prompt} for path in pictures_in(folder)]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"dataset {str(path)!r} cannot be read ({error}): give a .jsonl file or a folder") from error


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[State], None]]:
    """A progress bar with the last losses; one warning when a preference training unlearns."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("training", total=None, losses="")
        warned: list[int] = []

        def show(state: State) -> None:
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
                progress.console.print(f"step {state['step']}: {WARNED}", markup=False)

        yield show


def _doing(state: State) -> str:
    """What a job is at."""
    encoding = state.get("encoding")
    if encoding and not state["step"]:
        return f"encoding {encoding['done']:,} of {encoding['total']:,} {encoding['what']}"
    if state.get("pools") and not state["step"]:
        return f"training (pairs of {state['pools']} pools)"
    return "training"
