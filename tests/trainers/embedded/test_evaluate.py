"""trainers/embedded/evaluate.py and asked.py: the one door measures each part once, loses none to another's crash, and compares honestly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT
from tests.terminals import LONG, piped, screen, watched
from trainers.embedded import evaluate
from trainers.embedded.asked import ASKED, Ask, Measured, reached, read
from trainers.embedded.evaluate import PARTS, Part, command, main, version
from trainers.embedded.recipe import RECIPES

PROBE = """
import json, pathlib, sys
model, work = map(pathlib.Path, sys.argv[1:3])
with (work / "ran.txt").open("a") as ran:
    ran.write("x")
print("a line before")
print(json.dumps({"background_right": {"share": 0.99, "low": 0.96, "high": 1.0, "n": 200}, "seconds_for_8_images": 4.5}))
"""


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two parts, one of which always crashes, and a model that they depend on; returns the folder of it all."""
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "crash.py").write_text("import sys; print('{}'); sys.exit('no memory left')")
    (tmp_path / "models" / "small").mkdir(parents=True)
    (tmp_path / "models" / "small" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = ("MODELS/small", "WORK")
    parts = {"studio": Part(("probe", *words), ("small",)), "language": Part(("crash", *words), ("small",))}
    monkeypatch.setattr(evaluate, "PARTS", parts)
    return tmp_path


def run(door: Path, *words: str) -> int:
    return main(["--models", str(door / "models"), "--work", str(door / "work"), "--only", "studio", *words])


def times(door: Path) -> int:
    return len((door / "work" / "ran.txt").read_text())


def test_a_part_is_measured_once_for_the_same_weights(door: Path) -> None:
    assert run(door) == 0 and run(door) == 0 and times(door) == 1
    assert run(door, "--again") == 0 and times(door) == 2
    (door / "models" / "small" / "model.safetensors").write_bytes(b"others")
    assert run(door) == 0 and times(door) == 3


def test_the_crash_of_a_part_is_told_and_loses_no_other(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(door, "--only", "language,studio", "--json") == 1
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert "no memory left" in found["failed"]["language"] and list(found["failed"]) == ["language"]
    assert any("no memory left" in line and str(door / "work") in line for line in shown.err.splitlines())
    assert "language: failed" in shown.err and "studio: done in" in shown.err
    right = {row["what"]: row for row in found["numbers"]}["background colour right"]
    assert right["value"] == 0.99 and right["reached"] is True and right["n"] == 200
    assert run(door) == 0 and times(door) == 1


def test_a_missing_model_fails_its_part_by_name(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (door / "models" / "small" / "model.safetensors").unlink()
    (door / "models" / "small").rmdir()
    assert run(door) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "studio: failed" and len(told) == 2 and repr(str(door / "models" / "small")) in told[1]


def test_what_is_short_is_said_and_is_no_failure(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(door) == 0
    rows = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    right, slow = rows["background colour right"], rows["8 images of 20 steps"]
    assert right.endswith("  99.0 % [96.0, 100.0]  98 %         reached")
    assert "4.50 s" in slow and "at most 3 s" in slow and slow.endswith("  short")
    assert rows["VAE reconstruction, PSNR"].endswith("  not measured")


# The command, with the parts that the tests have.
COMMAND = """
import sys
from trainers.embedded import evaluate
evaluate.PARTS = {name: evaluate.Part((name, "MODELS/small", "WORK"), ("small",)) for name in ("probe", "crash")}
sys.exit(evaluate.main(sys.argv[1:]))
"""


def test_parts_end_in_whole_lines_and_have_bars_on_terminals_alone(door: Path) -> None:
    words = ("-c", COMMAND, "--models", str(door / "models"), "--work", str(door / LONG), "--only", "probe,crash")
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(door)])}
    heard = piped(*words, COLUMNS="40", **paths)
    ends = heard.err.splitlines()
    assert ends[0].startswith("probe: done in ") and ends[1] == "crash: failed" and len(ends) == 3
    assert str(door / LONG / "evaluation-crash.log") in ends[2] and heard.status == 1 and "\x1b" not in heard.out
    seen = watched(*words, "--json", **paths)
    assert json.loads(seen.out)["failed"].keys() == {"crash"} and "lines" in seen.err
    left = [line for line in screen(seen.err) if line]
    assert left[:2] == ["probe: measured before", "crash: failed"] and max(map(len, left)) <= 60


def test_what_was_measured_is_stored_with_date_machine_and_seed(door: Path) -> None:
    assert run(door, "--write", str(door / "numbers.json")) == 0
    stored = json.loads((door / "numbers.json").read_text())
    assert {"date", "machine", "seed", "recipe"} <= set(stored) and stored["parts"]["studio"]["weights"]
    assert stored["parts"]["studio"]["measured"]["seconds_for_8_images"] == 4.5
    assert json.loads((door / "work" / "evaluation.json").read_text())["studio"] == stored["parts"]["studio"]


def test_an_unknown_part_is_refused(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(door, "--only", "paint")
    assert "'paint' is none of studio, language" in capsys.readouterr().err


def test_a_version_follows_weights_and_settings_but_not_the_card(door: Path) -> None:
    part, folder = evaluate.PARTS["studio"], door / "models"
    first = version(folder, part)
    (folder / "small" / "README.md").write_text("a card")
    assert version(folder, part) == first
    (folder / "small" / "config.json").write_text("{}")
    assert version(folder, part) != first


@pytest.mark.parametrize(
    ("values", "keys", "found"),
    [
        ({"plans": {"executable": {"share": 0.9, "low": 0.8, "high": 1.0, "n": 9}}}, ("plans.executable",), Measured(0.9, 0.8, 1.0, 9)),
        ({"plans": {"share": 0.9}}, ("plans.executable", "plans"), Measured(0.9)),
        ({"gain": [1.0, 0.5, 1.5]}, ("gain",), Measured(1.0, 0.5, 1.5)),
        ({"psnr": {"mean": 26.1, "low": 25.9, "high": 26.3, "n": 200}}, ("psnr",), Measured(26.1, 25.9, 26.3, 200)),
        ({"seconds": 2.5}, ("seconds",), Measured(2.5)),
        ({"after": {"mean": None, "n": 0}}, ("after",), None),
        ({"other": 1}, ("plans.executable",), None),
    ],
)  # fmt: skip
def test_numbers_are_read_wherever_they_stand(
    values: dict[str, Any], keys: tuple[str, ...], found: Measured | None
) -> None:
    assert read(values, keys) == found


@pytest.mark.parametrize(
    ("how", "asked", "value", "is_reached"),
    [
        ("least", 0.9, Measured(0.9, 0.8, 1.0), True), ("least", 0.9, Measured(0.89, 0.8, 1.0), False),
        ("most", 3.0, Measured(2.9), True), ("most", 3.0, Measured(3.1), False),
        ("clear", 0.0, Measured(0.5, 0.1, 0.9), True), ("clear", 0.0, Measured(0.5, -0.1, 1.1), False), ("clear", 0.0, Measured(0.5), False),
    ],
)  # fmt: skip
def test_what_reaching_means(how: str, asked: float, value: Measured, is_reached: bool) -> None:
    assert reached(Ask("", "", (), asked, how=how), value) is is_reached


def test_everything_asked_belongs_to_a_part_and_every_part_to_a_benchmark() -> None:
    assert set(ASKED) == set(RECIPES) and {ask.part for ask in ASKED["cpu"]} == set(PARTS)
    for part in PARTS.values():
        assert (ROOT / (part.words[0].replace(".", "/") + ".py")).is_file()
        words = command(part, Path("/m"), Path("/w"))
        assert not any("MODELS" in word or "WORK" in word for word in words)
