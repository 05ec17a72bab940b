"""What `palate doctor` measures: model files, memory, torch's devices, a server's answer, a database's soundness.

Every function looks and reports, and raises nothing for what it was made to find. torch is only asked
from a process of its own; beside the standard library, psutil, httpx and sqlite-utils (for agent.store.migrations) are needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.llm.keys import key_for, origin, settle
from agent.llm.wire import NoReply, exchange
from agent.store.migrations import check_ours
from evaluators.scorers.weights import version_of
from prompts.clean import clean
from prompts.errors import InputError, StoreError

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
UNFINISHED = """select id, json_extract(config, '$.rater') from runs
where state in ('running', 'waiting', 'stopped', 'failed') order by created desc"""
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
        row = database.execute("select config from runs order by created desc, rowid desc limit 1").fetchone()
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
        reply = exchange("GET", f"{url.rstrip('/')}/models", seconds=seconds, most_bytes=LONGEST_LIST, key=key)
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


def examine_database(path: Path) -> tuple[str | None, int, dict[str, object]]:
    """(what is wrong, version, unfinished runs' ids and raters, newest first) of a trajectory, opened for reading only."""
    try:
        with _reading(path) as database:
            version = check_ours(database, path)
            problem = _integrity(database)
            if problem or version < 1:
                return problem, version, {}
            waiting = {str(run): rater for run, rater in database.execute(UNFINISHED)}
    except StoreError as error:
        return str(error), 0, {}
    except sqlite3.Error as error:
        return f"cannot be read: {error}", 0, {}
    return None, version, waiting


def _integrity(database: sqlite3.Connection) -> str | None:
    found = [str(row[0]) for row in database.execute("pragma integrity_check(3)")]
    if found != ["ok"]:
        return f"is damaged: {'; '.join(found)}"
    loose = database.execute("pragma foreign_key_check").fetchone()
    return f"has rows of {loose[0]} that belong to nothing" if loose else None


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path.absolute().as_uri() + "?mode=ro", timeout=2, uri=True)
    try:
        yield connection
    finally:
        connection.close()
