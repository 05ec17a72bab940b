"""`palate train CONFIG`: one YAML, one training job, in a process of its own; run it again and it goes on.

Knows the file that a person writes and what they see while they wait. Does not know torch, nor what is trained.
"""

from __future__ import annotations

import json
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
from prompts.errors import InputError, PalateError
from tools.job_spec import Job, validated
from tools.job_watch import State, run_job

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
WARNED = (
    "winners become less likely too (only_losers_move): lower learning_rate, or stop and keep an earlier checkpoint"
)


def load_job(file: Path, home: Path) -> Job:
    """The job that a YAML file describes; its paths count from the file. Raises InputError for anything wrong.

    `dataset` is a list, a .jsonl file of such lines, or a folder of pictures with `prompt` beside it. `out` is
    HOME/train/NAME unless given, NAME the file's."""
    values = read_yaml(file)
    prompt = values.pop("prompt", None)
    values["dataset"] = _dataset(values.get("dataset"), prompt, file)
    values["out"] = str(file.parent / values["out"] if "out" in values else home.resolve() / "train" / file.stem)
    values.setdefault("name", file.stem)
    if isinstance(values.get("pool"), dict) and "prompts" in values["pool"]:
        values["pool"] = values["pool"] | {"prompts": str(file.parent / str(values["pool"]["prompts"]))}
    for key in ("base_model", "pickscore", "clip"):
        if isinstance(values.get(key), str):
            values[key] = bundled(values[key])
    job: Job = validated(Job, values, "job")
    return job


def train(file: Path, home: Path, *, quiet: bool = False) -> State:
    """Carry the job out and return its final state. Raises PalateError when it fails; what it had saved stays."""
    job = load_job(file, home)
    resolved = json.loads(job.model_dump_json(exclude_defaults=True))
    _keep(job.out, resolved)
    with _bar(Console(stderr=quiet)) as show:
        state = run_job(resolved, job.out, on_state=show)
    if state["state"] != "done":
        raise PalateError(f"The training failed: {state['error']} Its log is {str(job.out / 'job.log')!r}.")
    return state


def _keep(out: Path, resolved: dict[str, Any]) -> None:
    """Save the resolved config beside what it makes. Raises InputError when another job's lies there."""
    kept = out / "config.yaml"
    before = read_yaml(kept) if kept.is_file() else resolved
    for key in sorted(before.keys() | resolved.keys()):
        if before.get(key) != resolved.get(key):
            raise InputError(
                f"{str(out)!r} holds another job: its {key} was {before.get(key)!r:.200}, now {resolved.get(key)!r:.200}: give "
                "another `out`, or the same settings to go on with it"
            )
    out.mkdir(parents=True, exist_ok=True)
    kept.write_text(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))


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
        {key: str(file.parent / value) if key in ("image", "win", "lose") else value for key, value in item.items()}
        for item in given
    ]


def _pictures(folder: Path, prompt: Any) -> list[dict[str, Any]]:
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(
            f"prompt = {prompt!r}: say what the pictures in {str(folder)!r} show, for example 'a photo of sks dog'"
        )
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not found:
        raise InputError(f"dataset folder {str(folder)!r} holds no pictures ({', '.join(PICTURES)})")
    return [{"image": str(path.resolve()), "prompt": prompt} for path in found]


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
        task, warned = progress.add_task("training", total=None, losses=""), []

        def show(state: State) -> None:
            if state.get("pools") and not state["step"]:
                progress.update(task, description=f"training (pairs of {state['pools']} pools)")
            told = "  ".join(f"{key} {value:.4g}" for key, value in list(state["losses"].items())[:5] if key != "step")
            progress.update(task, total=state["total"] or None, completed=state["step"], losses=told)
            if state["losses"].get("only_losers_move") and not warned:
                warned.append(state["step"])
                progress.console.print(f"step {state['step']}: {WARNED}", markup=False)

        yield show
