"""agent/cli/private.py: what a command makes is its person's alone, and nothing of it stays in the temporary folder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from agent.cli.private import PREFIX, private, sweep
from agent.config import Config
from tests.places import ROOT

HOLD = "import sys, tempfile, time; from agent.cli.private import private\nwith private():\n    print(tempfile.mkdtemp(), flush=True); time.sleep(60)"


@pytest.fixture
def readable() -> Iterator[None]:
    """The umask of most people: what they make can be read by all."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """What others may read, write or enter."""
    return [str(path) for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def test_a_run_keeps_its_home_to_itself_and_leaves_nothing_in_the_temporary_folder(
    readable: None, configured: Callable[..., Config], tmp_path: Path
) -> None:
    file, home, temporary = tmp_path / "run.yaml", tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    config = configured(rounds=1, images_per_round=4, steps=1, limits={"trainings": 1})
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    environment = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    for words in (["run", str(file)], ["replay", "last", "--mode", "verify"]):
        command = [sys.executable, "-m", "agent.cli.main", "--home", str(home), *words]
        done = subprocess.run(
            command, cwd=ROOT, env=environment | {"TMPDIR": str(temporary)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert open_to_others(home) == [] and list(temporary.iterdir()) == []
    assert list(home.glob("runs/*/adapters/*/adapter.json")) and list(home.glob("runs/*/images/*.png"))


def test_what_is_to_be_shared_has_its_persons_own_permissions(readable: None, tmp_path: Path) -> None:
    with private(shared=True):
        (tmp_path / "shared").touch()
    with private():
        (tmp_path / "mine").touch()
    (tmp_path / "after").touch()
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("shared", "mine", "after")] == [
        0o644,
        0o600,
        0o644,
    ]


def test_temporary_files_of_a_command_that_was_killed_go_when_the_next_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        made = Path(process.stdout.readline().strip())
        sweep(tmp_path)
        assert made.is_dir()  # its command still works
        process.send_signal(signal.SIGKILL)
    assert made.is_dir()
    for name in ("palate-notes", f"{PREFIX}mine"):
        (tmp_path / name).mkdir()  # not as ours are
    with private():
        assert not made.exists() and tempfile.gettempdir() != str(tmp_path)
        Path(tempfile.mkdtemp(), "left").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["palate-notes", f"{PREFIX}mine"]
    assert tempfile.gettempdir() == str(tmp_path)
