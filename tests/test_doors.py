"""Whatever comes from outside, a file's header, a server, a person, a record, steers no terminal and turns no line round, at any door."""

from __future__ import annotations

import ast
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from agent.cli import adapters
from agent.cli.main import main
from agent.profile import telling
from agent.report import logs
from agent.report.report import write_report
from agent.store.store import Store
from prompts.errors import LlmError
from prompts.ground.clean import DIRECTIONS, escaped, legible
from prompts.ground.console import make_console, say
from tests.agent.invented_run import invent
from tests.house import modules
from tests.terminals import Terminal
from tests.tools.profiles.made import ANN, person
from tools.gate.report import write_report as write_page
from tools.profiles.reading import write
from trainers.files.adapter_file import Adapter
from trainers.files.export import write_card

ANY = settings(deadline=None, derandomize=True, database=None, max_examples=500)
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eretro\u2066deep\u2028\x00\x7fevil"
STYLES = re.compile(r"\x1b\[[\d;]*m")
PRINTERS = ("sys.stdout.write", "sys.stderr.write", "print")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of this test's own."""
    with Store(tmp_path / "palate.sqlite") as store:
        yield store


def steering(text: str) -> list[str]:
    """What in a text of several lines would steer a terminal or turn a line round."""
    return [
        repr(mark)
        for mark in text
        if mark != "\n" and (mark in DIRECTIONS or unicodedata.category(mark) in ("Cc", "Zl", "Zp", "Cs"))
    ]


def harmed(text: str) -> bool:
    return bool(steering(text)) or "evil" not in text


@ANY
@given(st.text())
def test_no_text_of_several_lines_steers(text: str) -> None:
    assert steering(legible(text)) == [] and legible(text).count("\n") == text.count("\n")
    assert legible(legible(text)) == legible(text)


@ANY
@given(
    st.recursive(
        st.text(st.characters(exclude_categories=[])), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_json_document_says_the_same_and_steers_nothing(value: Any) -> None:
    document = escaped(json.dumps(value, ensure_ascii=False))
    assert json.loads(document) == value and steering(document) == []


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_console_lets_nothing_through_but_its_own_styles(stream: type[io.StringIO]) -> None:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    file = stream()
    console, table = make_console(file=file), Table(title=EVIL)
    table.add_column(EVIL)
    table.add_row(Text(EVIL, "bold red"))
    for one in (EVIL, Text(EVIL, "bold"), table, Panel(EVIL, title=EVIL)):
        console.print(one)
    assert not harmed(STYLES.sub("", file.getvalue()))


def test_plain_lines_and_errors_are_harmless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> int:
        raise LlmError(f"the server said: {EVIL}")

    say(EVIL)
    monkeypatch.setattr("agent.cli.records.logs_path", fails)
    assert main(["logs", "path"]) == 1
    with pytest.raises(SystemExit):
        main(["logs", EVIL])
    found = capsys.readouterr()
    assert not harmed(found.out) and not harmed(found.err) and "the server said" in found.err


def test_an_adapters_metadata_is_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"lora_unet_a.lora_down.weight": torch.ones(1, 2), "lora_unet_a.lora_up.weight": torch.ones(2, 1)}
    save_file(names, tmp_path / "theirs.safetensors", metadata={"ss_sd_model_name": EVIL, "format": "pt"})
    assert main(["adapter", "show", str(tmp_path / "theirs.safetensors")]) == 0
    assert not harmed(capsys.readouterr().out)
    word = {
        "layout": "word",
        "file": EVIL,
        "kind": EVIL,
        "word": EVIL,
        "base_model": None,
        "vectors": {EVIL: [1, 2]},
        "sha256": "",
    }
    say("\n".join(adapters.told(word)))
    assert not harmed(capsys.readouterr().out)


def test_an_adapters_card_is_harmless(tmp_path: Path) -> None:
    adapter = Adapter(tmp_path, "a" * 64, EVIL, {"prompt": EVIL}, {"loss": 1.0})
    write_card(adapter, name=EVIL, job={"base_model": EVIL, "kind": EVIL}, what="A LoRA", use=EVIL, files={"files": []})
    assert not harmed((tmp_path / "README.md").read_text())
    assert json.loads((tmp_path / "adapter.json").read_text())["name"] == EVIL


def test_the_page_of_a_gate_is_harmless(tmp_path: Path) -> None:
    told = {
        "promoted": False, "broken": 1, "reasons": [EVIL], "adapter": {"name": EVIL, "sha256": "a" * 64, "weight": 1.0}, "adapters": [],
        "base_model": EVIL, "pairs": [], "evidence": {"wins": {}}, "versions": {EVIL: EVIL}, "rules": {},
        "spec": {"steps": 1, "guidance_scale": 1.0, "seed": 1, "size": None},
    }  # fmt: skip
    write_page(told, tmp_path)
    assert not harmed((tmp_path / "gate.html").read_text())


def test_a_report_of_any_record_is_harmless(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path, name=EVIL)
    store._db.execute("update runs set brief = ?, versions = ?", [EVIL, json.dumps({EVIL: EVIL})])
    store._db.execute("update images set prompt = prompt || ?", [EVIL])
    store._db.execute("update steps set error = ? where error is not null", [EVIL])
    assert not harmed(write_report(store, run, tmp_path / "runs" / run).read_text())


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_logs_of_any_record_are_harmless_and_their_json_is_the_record(
    store: Store, tmp_path: Path, stream: type[io.StringIO]
) -> None:
    run = invent(store, tmp_path, rounds=1)
    store._db.execute("update runs set brief = ?", [EVIL])
    store._db.execute("update steps set error = ? where step = 1", [EVIL])
    for show in (logs.logs_list, logs.logs_show, logs.replay_view):
        file = stream()
        show(store, *([] if show is logs.logs_list else [run]), console=make_console(file=file))
        assert not harmed(STYLES.sub("", file.getvalue())), show
    for as_json in (False, True):
        file = stream()
        logs.logs_query(
            store,
            f"select brief as '{EVIL.replace(chr(0), '')}' from runs",
            as_json=as_json,
            console=make_console(file=file),
        )
        assert not harmed(STYLES.sub("", file.getvalue()))
    assert next(iter(json.loads(file.getvalue())[0].values())) == EVIL


def test_a_profile_in_words_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "ann.palate", person("ann", ANN))
    monkeypatch.setattr(telling, "shown", lambda profile: [profile.name, EVIL])
    assert main(["profile", "show", str(tmp_path / "ann.palate")]) == 0
    assert not harmed(capsys.readouterr().out)


def test_no_command_prints_but_through_these_doors() -> None:
    """Outside of what runs as a process of its own, whose output is a log."""
    past = []
    for name, file in modules().items():
        if name.startswith(("trainers.embedded", "tools.measured")) or name in (
            "tools.jobs.job",
            "prompts.ground.console",
        ):
            continue
        calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        past += [(name, ast.unparse(call)) for call in calls if ast.unparse(call.func) in PRINTERS]
    assert past == []
