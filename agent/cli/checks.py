"""What `palate doctor` measures: model files, memory, torch's devices, a server's answer, a database's soundness.

Every function looks and reports, and raises nothing for what it was made to find. torch is only asked
from a process of its own; beside the standard library, psutil, httpx and sqlite-utils (for agent.store.database.migrations) are needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from agent.config import run_folder
from agent.llm.keys import key_for, origin, settle
from agent.llm.wire import NoReply, exchange
from agent.store.database import chain
from agent.store.database.engine import Database
from agent.store.database.migrations import check_ours, explained, result_code
from agent.store.database.reading import connect_to_read
from agent.store.views import Views
from agent.store.wholeness import changed_files
from evaluators.scorers.weights import version_of
from prompts.errors import InputError, StoreError
from prompts.ground.clean import clean

# What a bundled model's folder must hold; a name with * must match at least one file.
MODEL_FILES: dict[str, tuple[str, ...]] = {
    "bauhaus": (
        "model_index.json", "scheduler/*.json", "tokenizer/*.json", "text_encoder/*.safetensors",
        "unet/config.json", "unet/*.safetensors", "vae/config.json", "vae/*.safetensors",
    ),
    "bauhaus-clip": ("open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"),
    "bauhaus-pickscore": ("config.json", "preprocessor_config.json|processor_config.json", "*.safetensors"),
    "bauhaus-lm": ("config.json", "tokenizer.json", "*.safetensors"),
}  # fmt: skip
ASK_TORCH = """
import json, torch, torchvision
print(json.dumps({"cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]}))
"""
LONGEST_HEADER = 100 * 2**20  # bytes: safetensors' own limit
UNFINISHED = """select id, json_extract(iif(json_valid(config), config, '{}'), '$.rater') from runs
where state in ('running', 'waiting', 'stopped', 'failed') order by rowid desc"""
SECONDS = 3.0  # for a server's whole answer
LONGEST_LIST = 2**22  # bytes of a list of models; some serve hundreds
MOST_MODELS = 20  # that are named


def model_problems(folder: Path, wanted: Sequence[str]) -> list[str]:
    """What is missing or damaged in a model's folder."""
    if not folder.is_dir():
        return ["missing"]
    absent = [pattern for pattern in wanted if not any(any(folder.glob(one)) for one in pattern.split("|"))]
    problems = [f"no {pattern.replace('|', ' or ')}" for pattern in absent]
    for file in sorted(folder.rglob("*.safetensors")):
        problem = weights_problem(file)
        problems += [f"{file.relative_to(folder).as_posix()} {problem}"] if problem else []
    for file in sorted(folder.rglob("*.json")):
        problems += [f"{file.relative_to(folder).as_posix()} is not JSON"] if not _is_json(file) else []
    return problems


def weights_problem(file: Path) -> str | None:
    """Why a file is not whole safetensors: 8 bytes of length, a JSON header, then exactly the bytes it names."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or not 2 <= length <= min(size - 8, LONGEST_HEADER):
                return "is not a safetensors file (a pointer to one, or cut off?)"
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return f"cannot be read ({type(error).__name__}: {error})"
    held = size - 8 - length
    return None if max(ends, default=0) == held else f"is cut off or too long: {held} bytes of {max(ends, default=0)}"


def model_told(folder: Path) -> str:
    """A whole model in a line: its size and the sha256 (12 digits) over all weights below it."""
    files = sorted(folder.rglob("*.safetensors"))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    parts = sorted({file.parent for file in files})
    shas = ", ".join(f"{part.name + ' ' if part != folder else ''}{version_of(part)}" for part in parts)
    return f"{size / 2**20:.1f} MiB, sha256 {shas}"


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def memory() -> tuple[int, int]:
    """Bytes of memory that programs may still take, and in all."""
    import psutil

    found = psutil.virtual_memory()
    return int(found.available), int(found.total)


def ask_torch(timeout: float = 120.0) -> dict[str, Any]:
    """{"cuda": [names]} or {"problem": why}, from a process of its own."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", ASK_TORCH],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"problem": str(error)}
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return dict(json.loads(lines[-1]))
    said = done.stderr.strip().splitlines()
    return {"problem": said[-1][:300] if said else f"its process ended with status {done.returncode}"}


def recorded_url(home: Path) -> str | None:
    """The server that the newest run's config names."""
    with contextlib.suppress(sqlite3.Error, ValueError, AttributeError), _reading(home / "palate.sqlite") as database:
        row = database.execute("select config from runs order by rowid desc limit 1").fetchone()
        url = (json.loads(row[0]).get("llm") or {}).get("url") if row else None
        return str(url) if url else None
    return None


def ask_server(url: str, *, with_key: bool = True, seconds: float = SECONDS) -> tuple[str | None, str]:
    """(what is wrong, "") or (None, the models it serves), from an OpenAI-compatible server's list of models: at most `seconds`.

    `with_key`: the person named this address themselves; one that only a run's config names gets no key.
    """
    try:
        if with_key:
            settle(url, named=True)
        key = key_for(url) if with_key else None
        origin(url)  # before anything goes anywhere
        reply = exchange(f"{url.rstrip('/')}/models", seconds=seconds, most_bytes=LONGEST_LIST, key=key)
    except (InputError, ImportError) as error:
        return str(error), ""
    except NoReply as error:
        return f"no usable answer ({error.text})", ""
    if not 200 <= reply.status < 300:
        wants = " (it may want a key: give the address with --llm-url, and the key goes with it)"
        return f"answers with HTTP {reply.status}{wants if reply.status in (401, 403) and not with_key else ''}", ""
    return _served(reply.body)


def _served(body: bytes) -> tuple[str | None, str]:
    try:
        names = [clean(model["id"], 100) for model in json.loads(body)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        return f"no usable answer ({clean(error, 200)})", ""
    told = ", ".join(names[:MOST_MODELS]) or "no model"
    return None, told + (f" and {len(names) - MOST_MODELS} more" if len(names) > MOST_MODELS else "")


class Trouble(NamedTuple):
    """What is wrong with a database, and what to do about it: a copy helps only one that is damaged."""

    what: str
    next_step: str


WAIT, ANOTHER = "wait for the process that holds it, or end that, then look again", "give another folder with --home"
COPY, READABLE = f"restore a copy, or {ANOTHER}", f"check that it is yours to read, or {ANOTHER}"


def examine_database(path: Path) -> tuple[Trouble | None, int, dict[str, object]]:
    """(what is wrong, version, unfinished runs' ids and raters, newest first) of a trajectory, opened for reading only."""
    try:
        with _reading(path) as database:
            version = check_ours(database, path)
            problem = _integrity(database)
            if problem or version < 1:
                return (Trouble(problem, COPY) if problem else None), version, {}
            waiting = {str(run): rater for run, rater in database.execute(UNFINISHED)}
    except StoreError as error:
        return Trouble(str(error), f"upgrade Palate, or {ANOTHER}" if "upgrade" in str(error) else ANOTHER), 0, {}
    except sqlite3.Error as error:
        return Trouble(f"cannot be read: {error}", _advice(error)), 0, {}
    return None, version, waiting


def _advice(error: sqlite3.Error) -> str:
    code = result_code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return WAIT
    return COPY if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) else READABLE


NEWEST = 20  # runs whose files are looked at, too: reading every picture of years would take as long


class _Record(Views):
    """A record opened for reading only, whatever else is going on."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._busy_seconds, self._lock = path, 2.0, threading.RLock()
        self._db, self.unreadable = Database(connection), {}


@dataclass
class Wholeness:
    """What was found of a home's runs: how many have a chain, how many are older, and what of which is not as it was written."""

    chained: int = 0
    older: int = 0
    rows: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)


def examine_runs(path: Path) -> Wholeness:
    """Every run's rows against its chain, and the newest runs' files against their hashes. Raises StoreError."""
    found = Wholeness()
    with explained(path, 2), _reading(path) as connection:
        record = _Record(path, connection)
        ids = [row[0] for row in connection.execute("select id from runs order by rowid desc").fetchall()]
        for number, run_id in enumerate(ids):
            found.chained, found.older = (
                (found.chained + 1, found.older) if record.chained(run_id) else (found.chained, found.older + 1)
            )
            if altered := chain.altered(connection, run_id):
                found.rows[run_id] = altered
            elif number < NEWEST and (changed := changed_files(record, run_id, run_folder(path.parent, run_id))):
                found.files[run_id] = changed
    return found


def _integrity(database: sqlite3.Connection) -> str | None:
    found = [str(row[0]) for row in database.execute("pragma integrity_check(3)")]
    if found != ["ok"]:
        return f"is damaged: {'; '.join(found)}"
    loose = database.execute("pragma foreign_key_check").fetchone()
    return f"has rows of {loose[0]} that belong to nothing" if loose else None


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect_to_read(path, 2)
    try:
        yield connection
    finally:
        connection.close()
