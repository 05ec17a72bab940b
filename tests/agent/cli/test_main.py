"""agent/cli/main.py: what was asked for is done with exit code 0, anything else is one sentence without a traceback."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.cli.main import main
from agent.config import Config
from agent.store.database.migrations import MIGRATIONS
from agent.store.store import Store
from tests.agent.fast import SHORT, Started
from tests.places import ROOT

Told = tuple[int, str, str]


@pytest.fixture
def palate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*words: str | Path, home: Path | None = None) -> Told:
        capfd.readouterr()
        try:
            code = main(["--home", str(home or tmp_path / "home"), *map(str, words)])
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def file(configured: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """A config file, with changes."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump(configured(**{**SHORT, **changes}).model_dump(mode="json")))
        return path

    return write


def one_sentence(told: Told, *words: str) -> None:
    """The command failed, and said why in a line that holds `words`."""
    code, out, err = told
    lines = [line for line in err.splitlines() if line.startswith("palate: ")]
    assert code == 1 and out == "" and len(lines) == 1 and "Traceback" not in err, told
    assert all(word in lines[0] for word in words), lines[0]


def test_a_run_prints_exactly_one_json_object(palate: Callable[..., Told], file: Callable[..., Path]) -> None:
    code, out, err = palate("run", file(), "--json")
    found = json.loads(out)
    assert code == 0 and len(out.splitlines()) == 1 and "Traceback" not in err
    wanted = {
        "run", "rounds", "images", "score_first", "score_last", "hidden_first", "hidden_last", "adapter", "seconds", "peak_memory_mib",
    }  # fmt: skip
    assert wanted <= found.keys()
    assert {"llm", "paint", "score", "train", "store"} <= found["seconds"].keys()
    assert (found["rounds"], found["images"]) == (1, 2) and found["hidden_first"] == found["hidden_last"]
    assert Path(found["report"]).is_file() and found["peak_memory_mib"] > 100

    code, out, _ = palate("replay", "last", "--mode", "verify", "--json")
    assert code == 0 and json.loads(out)["same"] is True
    code, out, _ = palate("replay", found["run"])
    assert code == 0 and found["run"] in out and "mean rating" in out
    one_sentence(palate("resume", "last"), found["run"], "is done")


def test_the_demo_leaves_a_folder_with_all_of_it(
    palate: Callable[..., Told], file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.cli.runs.DEMO", file())
    code, out, _ = palate("demo", "--out", tmp_path / "kept")
    (folder,) = (tmp_path / "kept").iterdir()
    assert code == 0 and str(folder) in out
    assert (folder / "report.md").is_file() and list(folder.glob("images/*.png"))
    with Store(folder / "palate.sqlite") as store:
        assert store.run(folder.name).state == "done" and store.steps(folder.name)


def test_flags_lie_over_the_config(palate: Callable[..., Told], file: Callable[..., Path]) -> None:
    path = file(planner="llm", rater="person", rounds=9)
    code, out, _ = palate(
        "run", path, "--planner", "rules", "--rater", "3", "--rounds", "2", "--limit-images", "3", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert (found["rater"], found["planner"], found["rounds"], found["images"]) == (3, "rules", 2, 3)


def test_an_unknown_run_is_told(palate: Callable[..., Told], short: Started) -> None:
    for words in (
        ["logs", "show", "nowhere"],
        ["resume", "nowhere"],
        ["replay", "nowhere"],
        ["chat", "--resume", "nowhere"],
    ):
        one_sentence(palate(*words, home=short.home), "there is no run 'nowhere'", short.run_id)
    one_sentence(palate("logs", "show", "last"), "no runs")


@pytest.mark.parametrize("flag", [["--home", "{}"], ["--home={}"]])
def test_the_home_may_be_named_after_the_command_too(
    flag: list[str], short: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [one.format(short.home) for one in flag]
    for words in (["logs", "list"], ["logs", "show", "last"]):
        assert main([*words, *named]) == 0
        assert short.run_id in capsys.readouterr().out


def test_logs_are_json_where_a_program_reads(palate: Callable[..., Told], short: Started) -> None:
    for words in (
        ["logs", "list"],
        ["logs", "show", "last"],
        ["logs", "query", "select * from run_summary"],
        ["logs", "path"],
    ):
        code, out, _ = palate(*words, "--json", home=short.home)
        assert code == 0 and json.loads(out), words
    code, out, _ = palate("logs", "list", home=short.home)
    assert code == 0 and short.run_id in out
    one_sentence(palate("logs", "query", "drop table runs", home=short.home), "drop table runs")
    one_sentence(palate("logs", "query", "selekt", home=short.home), "selekt")


def test_an_unknown_key_of_a_config_is_told(palate: Callable[..., Told], tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("raunds: 4\n")
    one_sentence(palate("run", tmp_path / "run.yaml"), "'raunds'", "'rounds'")
    one_sentence(palate("run", tmp_path / "nowhere.yaml"), "nowhere.yaml", "configs/demo.yaml")
    assert not (tmp_path / "home" / "runs").exists()


def test_a_run_for_a_person_is_sent_to_the_chat(palate: Callable[..., Told], file: Callable[..., Path]) -> None:
    one_sentence(palate("run", file(rater="person")), " chat`", "--rater SEED")


@pytest.mark.parametrize("flag", [("--rounds", "10000"), ("--limit-images", "0"), ("--rater", "-1"), ("--seed", "-5")])
def test_flags_out_of_range_are_told(
    palate: Callable[..., Told], file: Callable[..., Path], flag: tuple[str, str]
) -> None:
    one_sentence(palate("run", file(), *flag), flag[1])


def test_words_the_parser_does_not_know_end_with_2(palate: Callable[..., Told]) -> None:
    for words in ([], ["dance"], ["run"], ["run", "x", "--planner", "human"], ["replay", "last", "--mode", "dream"]):
        assert palate(*words)[0] == 2


@pytest.mark.parametrize("key", ["model", "clip", "pickscore"])
def test_a_missing_model_folder_is_told(
    palate: Callable[..., Told], file: Callable[..., Path], key: str, tmp_path: Path
) -> None:
    one_sentence(palate("run", file(**{key: str(tmp_path / "nowhere")}), "--json"), "nowhere")


def test_a_wrong_model_folder_is_told(palate: Callable[..., Told], file: Callable[..., Path], studio_lm: Path) -> None:
    one_sentence(palate("run", file(model=str(studio_lm)), "--json"), "is not a model", "model_index.json")


def test_a_missing_language_model_is_told_at_once(
    palate: Callable[..., Told], file: Callable[..., Path], tmp_path: Path
) -> None:
    llm = {"model": str(tmp_path / "nowhere")}
    one_sentence(palate("run", file(planner="llm", llm=llm), "--json"), "nowhere")


def test_an_unreachable_language_model_is_told(palate: Callable[..., Told], file: Callable[..., Path]) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        path = file(planner="llm", llm={"attempts": 1, "timeout": 5})
        one_sentence(palate("run", path, "--llm-url", url, "--llm-model", "any", "--json"), url, " doctor`")
    assert palate("logs", "query", "select state from runs", "--json")[1].strip() == '[{"state": "failed"}]'


def test_a_busy_port_is_told(palate: Callable[..., Told]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        one_sentence(palate("serve", "--port", port), port)


def test_serving_no_model_is_told(palate: Callable[..., Told], tmp_path: Path) -> None:
    one_sentence(palate("serve", "--model", tmp_path / "nowhere"), "nowhere")


def test_a_database_of_a_newer_version_is_left_alone(palate: Callable[..., Told], tmp_path: Path) -> None:
    palate("logs", "list")
    connection = sqlite3.connect(tmp_path / "home" / "palate.sqlite")
    connection.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = (tmp_path / "home" / "palate.sqlite").read_bytes()
    one_sentence(palate("logs", "list"), "newer")
    assert (tmp_path / "home" / "palate.sqlite").read_bytes() == before


def test_a_file_that_is_no_database_is_told(palate: Callable[..., Told], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "palate.sqlite").write_bytes(b"not a database at all" * 100)
    one_sentence(palate("logs", "list"), "palate.sqlite")


def test_a_home_that_is_a_file_is_told(palate: Callable[..., Told], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one_sentence(palate("logs", "list", home=tmp_path / "file"), "give another --home")


def test_a_changed_record_ends_with_1(palate: Callable[..., Told], short: Started, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(short.home, tmp_path / "home")
    next((tmp_path / "home" / "runs" / short.run_id / "images").glob("*.png")).unlink()
    code, out, _ = palate("replay", "last", "--mode", "verify", "--json")
    assert code == 1 and json.loads(out)["same"] is False and "is missing" in json.loads(out)["differences"][0]


def test_help_and_logs_do_not_wait_for_heavy_imports(tmp_path: Path) -> None:
    code = (
        "import sys; from agent.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'open_clip', 'openai', 'langgraph', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    for words in (["--help"], ["--home", str(tmp_path), "logs", "list"], ["--home", str(tmp_path), "logs", "path"]):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began < 60
