"""What the campaign kills, locks and starves: small writers, each in a process of its own that costs a fork.

Of the standard library's forkserver, so that neither torch's threads nor anyone's locks are copied. Does not know what must hold after.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.store.store import Store
from prompts.errors import InputError, PalateError
from prompts.ground.atomic import write_atomically
from tools.lock import locked
from tools.records import ImageRow, ScoreRow, StepRecord

IMAGES = 8  # of a step
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["benchmarks.campaign.victims", "trainers.engine.checkpoint"])
Work = Callable[..., None]


def begun(work: Work, *given: Any) -> Any:
    """The process that does `work`."""
    process = SERVER.Process(target=work, args=given, daemon=True)
    process.start()
    return process


def killed(work: Work, folder: Path, rng: random.Random, longest: float) -> list[str]:
    """Let `work` go on in `folder` from its first word, kill -9 it at a random moment; the words that it had said for certain."""
    said = folder / "said"
    process = begun(work, folder, rng.randrange(2**31))
    until = time.monotonic() + 60
    while not said.exists() and process.is_alive() and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(rng.uniform(0.0, longest))
    process.kill()
    process.join()
    words = said.read_text().split("\n")[:-1] if said.exists() else []  # the last one may be cut
    said.unlink(missing_ok=True)
    return words


def say(folder: Path, word: object) -> None:
    """A word that the killed leaves behind."""
    handle = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, f"{word}\n".encode())
    os.close(handle)


def a_step(number: int) -> StepRecord:
    """A step of eight images with a score each."""
    images = [
        ImageRow(
            sha256=f"{number * IMAGES + k:016x}" + "0" * 48, idx=k, path=f"images/{k}.png", prompt="a ring", seed=k, model="bauhaus"
        )
        for k in range(IMAGES)
    ]  # fmt: skip
    scores = [ScoreRow(image=one.id, name="pickscore", version="1", value=0.5) for one in images]
    return StepRecord(step=number, round=number, node="record", images=tuple(images), scores=tuple(scores))


def writes_steps(folder: Path, seed: int) -> None:
    """Steps and ratings without end, each acknowledged when it is stored."""
    with Store(folder / "palate.sqlite") as store:
        run = store.new_run("b", {}, {}, seed)
        say(folder, run)
        for number in range(10**6):
            step = a_step(number)
            store.add_step(run, step)
            store.add_ratings(run, number, [(one.id, 5) for one in step.images], "ann")
            say(folder, number)


def writes_files(folder: Path, seed: int) -> None:
    """One file over and over, which says how long it is."""
    rng = random.Random(seed)
    for number in range(10**6):
        size = rng.choice([0, 10, 5_000, 300_000])
        write_atomically(folder / "file", f"{size}\n" + "x" * size, durable=rng.random() < 0.5)
        say(folder, number)


def writes_checkpoints(folder: Path, seed: int) -> None:
    """Checkpoints of a training, two of which are kept."""
    import torch

    from trainers.engine.checkpoint import Checkpoint, save

    torch.set_num_threads(1)
    for step in range(1, 10**6):
        weights = {"weight.a": torch.full((random.Random(seed + step).choice([4, 50_000]),), float(step))}
        save(folder / "out", Checkpoint(step, {"config": {}}, [{"step": n} for n in range(step)], weights), 2)
        say(folder, step)


def takes_turns(folder: Path, seed: int, rounds: int) -> None:
    """Whoever holds the lock finds nobody else inside."""
    rng, inside = random.Random(seed), folder / "inside"
    for _ in range(rounds):
        with suppress(InputError), locked(folder, "taken"):
            try:
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                say(folder, "two at once")
            time.sleep(rng.uniform(0.0, 0.004))
            inside.unlink(missing_ok=True)
            say(folder, "in")
        time.sleep(rng.uniform(0.0, 0.002))


def shares_a_database(folder: Path, seed: int, steps: int) -> None:
    """A run of its own in a database that others write to, too."""
    with Store(folder / "palate.sqlite", busy_seconds=60.0) as store:
        run = store.new_run("b", {}, {}, seed)
        for number in range(steps):
            store.add_step(run, a_step(number))
        store.finish_run(run, "done")


def starved(folder: Path, seed: int, room: int, kind: str) -> None:
    """Write where a file may have `room` bytes and no more; only what we explain may be raised, and it is acknowledged what came before."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        {"steps": writes_steps, "file": writes_files, "checkpoints": writes_checkpoints}[kind](folder, seed)
    except PalateError as error:
        (folder / "told").write_text(str(error))
    except BaseException as error:
        (folder / "told").write_text(f"UNEXPLAINED {type(error).__name__}: {error}")
