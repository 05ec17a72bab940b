"""agent/loop/session.py: what is kept of a run, who may drive it, and what is told when its home is in the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

import agent.loop.checkpoints
from agent.config import Config, make_config
from agent.loop.checkpoints import checkpoints
from agent.loop.session import alone, new_run, stored_config, unfinished
from agent.store.home import open_store
from prompts.errors import InputError, PalateError, StoreError
from tests.agent.fast import FINISH, PAINT, SCORE, Begin


def test_image_files_that_no_step_recorded_are_swept(begin: Begin) -> None:
    run = begin([PAINT, FINISH])
    (run.folder / "images").mkdir()
    orphan, other = run.folder / "images" / "0123456789abcdef.png", run.folder / "images" / "holiday.png"
    orphan.write_bytes(b"left by a crash")
    other.write_bytes(b"somebody's own")
    run.drive()
    assert not orphan.exists() and other.exists()
    assert run.rows() == run.files() - {"holiday"}


def test_a_done_run_leaves_no_checkpoints(begin: Begin) -> None:
    run = begin([FINISH]).drive()
    connection = sqlite3.connect(run.home / "checkpoints.sqlite")
    counts = [connection.execute(f"select count(*) from {table}").fetchone()[0] for table in ("checkpoints", "writes")]
    connection.close()
    assert counts == [0, 0]
    unfinished(run.store, run.run_id)  # its report is still to be written, which a crash may have prevented
    assert run.drive().tools == ["finish"]
    (run.folder / "report.md").write_text("")
    with pytest.raises(InputError, match="is done"):
        unfinished(run.store, run.run_id)


def test_a_run_is_driven_by_one_process_at_a_time(begin: Begin) -> None:
    run = begin([FINISH])
    with alone(run.folder), pytest.raises(InputError, match="going on in another process"):
        run.drive()
    assert run.drive().tools == ["finish"]


def test_locked_checkpoints_are_told_in_one_sentence(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.loop.checkpoints, "BUSY_SECONDS", 0.05)
    run = begin([FINISH])
    with checkpoints(run.home / "checkpoints.sqlite") as saver:
        saver.setup()
    other = sqlite3.connect(run.home / "checkpoints.sqlite")
    other.execute("begin exclusive")
    with pytest.raises(StoreError, match=r"checkpoints\.sqlite"):
        run.drive()
    other.close()
    assert run.store.run(run.run_id).state == "failed"
    assert run.drive().tools == ["finish"]


def test_a_picture_that_is_gone_is_told_in_one_sentence(begin: Begin) -> None:
    run = begin([PAINT, SCORE, FINISH])
    run.crew.on_step = lambda step: [path.unlink() for path in (run.folder / "images").glob("*.png")]
    with pytest.raises(PalateError, match="cannot be used"):
        run.drive()
    assert run.store.run(run.run_id).state == "failed"


def test_a_home_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="give another --home"):
            open_store(home)


def test_the_resolved_config_and_the_versions_are_kept_with_the_run(begin: Begin) -> None:
    run = begin([FINISH])
    assert stored_config(run.store, run.run_id) == run.crew.config
    assert yaml.safe_load((run.folder / "config.yaml").read_text()) == run.crew.config.model_dump(mode="json")
    assert {"python", "torch", "diffusers", "langgraph"} <= run.store.run(run.run_id).versions.keys()


def test_a_run_from_before_the_gate_had_rules_is_judged_as_it_was_then(tmp_path: Path) -> None:
    config = Config().model_dump(mode="json")
    with open_store(tmp_path) as store:
        now, then = (
            store.new_run("", told, {}, 0) for told in (config, {k: v for k, v in config.items() if k != "gate"})
        )
        assert not stored_config(store, now).gate.unseen_may_lose
        assert stored_config(store, then).gate.unseen_may_lose


def test_what_a_run_from_before_it_was_heeded_painted_is_not_kept_to_its_brief(tmp_path: Path) -> None:
    config = Config(brief="rings").model_dump(mode="json")
    with open_store(tmp_path) as store:
        now, then = (
            store.new_run("", told, {}, 0) for told in (config, {k: v for k, v in config.items() if k != "keep_brief"})
        )
        assert stored_config(store, now).keep_brief and not stored_config(store, then).keep_brief


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ("+tael", "Did you mean 'teal'"),
        ("-Circles", "Did you mean 'circle'"),
        ("+background", "Its words are such as 'red'"),
        ("+dreamy", "Its words"),
    ],
)
def test_a_wish_that_no_vocabulary_has_is_refused_with_the_nearest_words(tmp_path: Path, wish: str, told: str) -> None:
    with open_store(tmp_path) as store:
        with pytest.raises(InputError, match=rf"wishes: '\{wish}' is no word of the vocabulary 'bauhaus'.*{told}"):
            new_run(Config(wishes=("+ring", wish), rater=0), tmp_path, store)
        assert not store.runs()
        assert new_run(Config(wishes=("+ring", "-red"), rater=0), tmp_path, store)


def test_what_the_vocabulary_cannot_say_of_a_brief_is_told_once_when_the_run_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(tmp_path) as store:
        new_run(Config(vocabulary="painting", brief="a harbour with boats and a lighthous", rater=0), tmp_path, store)
        (told,) = [record.getMessage() for record in caplog.records]
        assert "the vocabulary 'painting' cannot say 'boats', 'lighthous', so its prompts will not" in told
        assert "'lighthous': Did you mean 'a lighthouse'?" in told
        caplog.clear()
        new_run(Config(brief="猫 und ein Hafen", rater=0), tmp_path, store)
        assert "cannot say '猫', 'und', 'ein', 'hafen'" in caplog.text
        caplog.clear()
        for brief in ("find my taste", "", "red rings, please"):
            new_run(Config(brief=brief, rater=0), tmp_path, store)
        assert not caplog.records


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"model": "nowhere"}, "model = 'nowhere' is neither a bundled model"),
        ({"clip": "no/such/clip"}, "clip = 'no/such/clip' is neither"),
        ({"pickscore": "/no/such"}, "pickscore = '/no/such' is neither"),
        ({"device": "banana"}, "device 'banana' is not one we know"),
        ({"vocabulary": "nowhere"}, "There is no vocabulary 'nowhere'"),
        ({"sliders": [{"name": "light", "adapter": "no.safetensors"}]}, "'no.safetensors' is not a .safetensors file"),
        ({"shown": {"image": "no.png", "adapter": "no.safetensors"}}, "no.png' cannot be read"),
    ],
)
def test_what_a_config_names_is_missed_before_there_is_a_run(tmp_path: Path, values: dict[str, Any], told: str) -> None:
    with open_store(tmp_path) as store:
        with pytest.raises(InputError, match=told):
            new_run(make_config({"planner": "rules", "rater": 0} | values), tmp_path, store)
        assert list(store.runs()) == []
