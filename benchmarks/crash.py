"""kill -9 at random moments, then resume: does every run end, with no step lost, none twice, no file without its row?

    python -m benchmarks.crash --kills 20                      the agent itself, in fast runs by the rules
    python -m benchmarks.crash --victim training --kills 3     the training's process: it goes on by itself from its checkpoint
    python -m benchmarks.crash --victim vllm --kills 3         the language model's server: the agent starts it again

Prints a table and, last, one JSON line. Exits with 1 when a check failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.config import read_keys
from prompts.ground.yaml_files import write_yaml

ROOT = Path(__file__).parents[1]
FAST: dict[str, Any] = {
    "name": "crash", "planner": "rules", "rater": 0, "rounds": 2, "images_per_round": 2, "steps": 2, "device": "cpu",
    "finetune": {"steps": 3, "pool_prompts": 2, "pool_size": 2, "settings": {"batch_size": 2, "statistic_weight": 0}},
    "evaluate_prompts": 4,
}  # fmt: skip
PATIENCE = 900.0  # seconds for one command
DONE = "is done: look at it"  # what resume says of a run that has ended
Found = dict[str, Any]


def main() -> int:
    """Kill, resume, check, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--victim", choices=sorted(VICTIMS), default="agent")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, help="a YAML file with changes to the fast config")
    chosen = parser.parse_args()
    changes = read_keys(chosen.config).values if chosen.config else {}
    found = kill_many(chosen.victim, chosen.kills, chosen.seed, changes, tell=print)
    good = sum(not one["problems"] for one in found)
    print(
        json.dumps(
            {"victim": chosen.victim, "kills": sum(one["kills"] for one in found), "runs": len(found), "good": good}
        )
    )
    return 0 if good == len(found) else 1


def kill_many(
    victim: str, kills: int, seed: int, changes: Found, tell: Callable[[str], None], folder: Path | None = None
) -> list[Found]:
    """Runs until `kills` kills have struck; what was found in each, `problems` empty where all is well.

    Runs get a folder each below `folder` (None: where temporary files go), which is removed where all was well.
    """
    rng, found = random.Random(seed), []
    tell(f"{'run':>3} {'kills':>5} {'at':<30} {'steps':>5} {'images':>6}  problems")
    while sum(one["kills"] for one in found) < kills:
        place = Path(tempfile.mkdtemp(prefix="palate-crash-", dir=folder))
        one = VICTIMS[victim](place, rng, kills - sum(one["kills"] for one in found), changes)
        one["problems"] += problems(place / "home", victim)
        found.append(one)
        places = " ".join(one["at"])
        tell(
            f"{len(found):>3} {one['kills']:>5} {places:<30} {one['steps']:>5} {one['images']:>6}  {'; '.join(one['problems'])}"
        )
        if one["problems"]:
            tell(f"    kept for a look: {place}")
            if not one["kills"]:
                break  # it cannot even start: there is nothing to be learnt from more of it
        else:
            shutil.rmtree(place)
    return found


def kill_agent(folder: Path, rng: random.Random, kills: int, changes: Found) -> Found:
    """One run, struck about once in each third of what is left of it, and resumed each time."""
    config, at, struck = written(folder, changes), [], 0
    process = begin(folder, "run", str(config))
    while process.poll() is None and struck < min(kills, 5):
        wait_for_a_moment(folder, process, rng)
        if end(process):
            struck += 1
            at.append(f"{last_step(folder)[0]}:{last_step(folder)[1]}")
            process = begin(folder, "resume", "last") if runs(folder) else begin(folder, "run", str(config))
    code, err = outcome(process)
    ended = code == 0 or DONE in err  # the last kill may have struck between the report and the end of the process
    return summary(folder, struck, at, [] if ended else [f"exit code {code}: {err}"])


def kill_training(folder: Path, rng: random.Random, _kills: int, changes: Found) -> Found:
    """One run whose training is killed as soon as it has begun."""
    process, struck, at = begin(folder, "run", str(written(folder, changes | {"rounds": 1}))), 0, []
    while process.poll() is None and not struck:
        for pid in children(process.pid, "tools.jobs.job"):
            time.sleep(rng.uniform(0.0, 3.0))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                struck, at = 1, [f"{last_step(folder)[0]}:training"]
        time.sleep(0.05)
    code, err = outcome(process)
    return summary(folder, struck, at, [] if code == 0 else [f"exit code {code}: {err}"])


def kill_vllm(folder: Path, rng: random.Random, _kills: int, changes: Found) -> Found:
    """One run planned by the language model, whose server is killed once it has planned a few steps."""
    changes = {"planner": "llm", "limits": {"trainings": 0}, **changes}
    process, struck, at = begin(folder, "run", str(written(folder, changes))), 0, []
    after = rng.randint(1, 6)
    while process.poll() is None and not struck:
        if last_step(folder)[0] >= after:
            for pid in children(process.pid, "vllm.entrypoints"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    struck, at = 1, [f"{last_step(folder)[0]}:vllm"]
        time.sleep(0.1)
    code, err = outcome(process)
    return summary(folder, struck, at, [] if code == 0 else [f"exit code {code}: {err}"])


VICTIMS: dict[str, Callable[[Path, random.Random, int, Found], Found]] = {
    "agent": kill_agent, "training": kill_training, "vllm": kill_vllm,
}  # fmt: skip


def written(folder: Path, changes: Found) -> Path:
    """The config of a run, as a file."""
    file = folder / "run.yaml"
    file.write_bytes(write_yaml(FAST | changes))
    return file


def begin(folder: Path, *command: str) -> subprocess.Popen[str]:
    """`palate ... --json` in a process of its own."""
    words = [sys.executable, "-m", "agent.cli.main", "--home", str(folder / "home"), *command, "--json"]
    err = (folder / "stderr.txt").open("w")
    with err:
        return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=err, text=True)


def end(process: subprocess.Popen[str]) -> bool:
    """kill -9; False when it had ended by itself."""
    if process.poll() is not None:
        return False
    process.kill()
    process.communicate()
    return True


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end: the exit code, and what was last said on standard error."""
    out, _ = process.communicate(timeout=PATIENCE)
    arguments = process.args if isinstance(process.args, list) else []
    lines = (Path(arguments[4]).parent / "stderr.txt").read_text().strip().splitlines()
    if process.returncode == 0 and len(out.strip().splitlines()) != 1:
        return 1, f"printed {len(out.splitlines())} lines, not one JSON object"
    return process.returncode, lines[-1] if lines else ""


def wait_for_a_moment(folder: Path, process: subprocess.Popen[str], rng: random.Random) -> None:
    """Until a random number of new steps is recorded, and then a random moment more; start-up is one of the moments."""
    seen, wanted = last_step(folder)[0], rng.choice([0, 1, 1, 2, 3, 5])
    until = time.monotonic() + PATIENCE
    while process.poll() is None and last_step(folder)[0] < seen + wanted and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(
        rng.uniform(0.0, 12.0) if wanted == 0 else rng.choice([0.0, rng.uniform(0.0, 0.1), rng.uniform(0.0, 2.0)])
    )


def asked(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the trajectory; none while there is no database."""
    file = folder / "home" / "palate.sqlite"
    if not file.exists():
        return []
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return list(connection.execute(sql))
    except sqlite3.OperationalError:
        return []  # not made yet
    finally:
        connection.close()


def runs(folder: Path) -> list[tuple[Any, ...]]:
    """The runs there are."""
    return asked(folder, "select id, state from runs order by created")


def last_step(folder: Path) -> tuple[int, str]:
    """Number and tool of the newest step; 0 before the first."""
    rows = asked(folder, "select step, coalesce(tool, node) from steps order by step desc limit 1")
    return (int(rows[0][0]), str(rows[0][1])) if rows else (0, "start")


def children(pid: int, module: str) -> list[int]:
    """The processes below `pid` that run a module of that name."""
    import psutil

    with suppress(psutil.Error):
        below = psutil.Process(pid).children(recursive=True)
        return [one.pid for one in below if _runs(one, module)]
    return []


def _runs(process: Any, module: str) -> bool:
    import psutil

    with suppress(psutil.Error):
        words = process.cmdline()
        return "-m" in words[:3] and any(word.startswith(module) for word in words[:4])
    return False


def summary(folder: Path, kills: int, at: list[str], wrong: list[str]) -> Found:
    """What a run came to."""
    images = asked(folder, "select count(*) from images")
    return {
        "kills": kills, "at": at, "steps": last_step(folder)[0], "images": images[0][0] if images else 0, "problems": wrong,
    }  # fmt: skip


def problems(home: Path, victim: str) -> list[str]:
    """Everything that must hold of every run in a home, and does not."""
    file, found = home / "palate.sqlite", []
    if not file.exists():
        return ["there is no database"]
    connection = sqlite3.connect(file)
    for name in ("integrity_check", "foreign_key_check"):
        told = [row for row in connection.execute(f"pragma {name}") if row != ("ok",)]
        found += [f"{name}: {told}"] if told else []
    for run_id, state in connection.execute("select id, state from runs").fetchall():
        found += problems_of(connection, home, run_id, state)
    if victim == "training":
        jobs = connection.execute("select state from jobs").fetchall()
        adapters = connection.execute("select count(*) from adapters").fetchone()[0]
        found += (
            [] if jobs == [("done",)] and adapters == 1 else [f"the killed job is {jobs}, its adapters are {adapters}"]
        )
    connection.close()
    return found


def problems_of(connection: sqlite3.Connection, home: Path, run_id: str, state: str) -> list[str]:
    """Of one run."""
    steps = [row[0] for row in connection.execute("select step from steps where run_id = ? order by step", [run_id])]
    rows = {row[0] for row in connection.execute("select id from images where run_id = ?", [run_id])}
    files = {path.stem for path in (home / "runs" / run_id / "images").glob("*.png")}
    tools = [row[0] for row in connection.execute("select tool from steps where run_id = ? order by step", [run_id])]
    left = [path.name for path in (home / "runs" / run_id).rglob(".*.tmp")]
    doubled = "select count(*) from (select 1 from ratings where run_id = ? group by image, rater having count(*) > 1)"
    checks = {
        f"state {state}, not done": state == "done",
        f"steps are not 1..n: {steps}": steps == list(range(1, len(steps) + 1)),
        f"the last tool is {tools[-1:]}, not finish": tools[-1:] == ["finish"],
        f"finished more than once: {tools}": tools.count("finish") == 1,
        f"rows without a file: {sorted(rows - files)}": rows <= files,
        f"files without a row: {sorted(files - rows)}": files <= rows,
        f"unfinished files: {left}": not left,
        "an image was rated twice": connection.execute(doubled, [run_id]).fetchone()[0] == 0,
        "there is no report": (home / "runs" / run_id / "report.md").is_file(),
    }
    return [problem for problem, holds in checks.items() if not holds]


if __name__ == "__main__":
    sys.exit(main())
