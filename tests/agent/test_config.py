"""agent/config.py: every mistake in a config is named, with the nearest thing that would be right."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from agent.config import CONFIGS, Config, bundled, kept_config, load_config, make_config
from agent.loop.crew import make_settings
from prompts.errors import InputError


def test_the_bundled_configs_are_right_and_say_every_key_of_theirs() -> None:
    for file in CONFIGS.glob("*.yaml"):
        assert isinstance(load_config(file), Config), file


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"raunds": 3}, r"unknown key 'raunds', did you mean 'rounds'\?"),
        ({"image_per_round": 3}, r"did you mean 'images_per_round'\?"),
        ({"finetune": {"stepps": 3}}, r"unknown key 'finetune.stepps', did you mean 'steps'\?"),
        ({"limits": {"image": 3}}, r"unknown key 'limits.image', did you mean 'images'\?"),
        ({"llm": {"uri": "x"}}, r"unknown key 'llm.uri', did you mean 'url'\?"),
        ({"zzzz": 1}, "unknown key 'zzzz'; known: name, brief"),
        ({"rounds": "many"}, "rounds = 'many'"),
        ({"rounds": 0}, "rounds = 0"),
        ({"images_per_round": 10_000}, "images_per_round = 10000"),
        ({"images_per_round": 0}, "images_per_round = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"guidance_scale": float("nan")}, "guidance_scale = nan"),
        ({"planner": "human"}, "planner = 'human'.*'llm' or 'rules'"),
        ({"rater": "robot"}, "rater"),
        ({"rater": -1}, "rater"),
        ({"size": 63}, "size = 63.*multiple of 8"),
        ({"wishes": ["teal"]}, r"'teal' must be a vocabulary word with \+ or - in front"),
        ({"finetune": "dpo"}, "finetune = 'dpo'"),
        ({"finetune": {"method": "magic"}}, "finetune.method = 'magic'"),
        ({"limits": {"trainings": -1}}, "limits.trainings = -1"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_key_or_value_is_named(values: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        make_config(values)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\nrounds: true", r"rounds = True \(line 2\): write a whole number"),
        ("rounds: '3'", "rounds = '3' .*: write a whole number"),
        ("rounds: 3.0", "rounds = 3.0 .*whole number"),
        ("llm:\n  sees: yes", r"llm.sees = 'yes' \(line 2\): write true or false"),
        ("llm: {sees: 1}", "llm.sees = 1 .*: write true or false"),
        ("guidance_scale: '3'", "guidance_scale = '3'"),
        ("gate: {maximum_hue_shift: .inf}", "gate.maximum_hue_shift = inf .*: write a finite number"),
        ("limits: {images: true}", "limits.images = True"),
        ("search: {elites: '2'}", "search.elites = '2'"),
        ("finetune:\n  active_learning:\n    samples: true", r"finetune.active_learning.samples = True \(line 3\)"),
        ("finetune:\n  settings:\n    learning_rate: fast", r"finetune.settings.learning_rate = 'fast' \(line 3\)"),
        ("finetune: {settings: {learning_rate: .nan}}", "finetune.settings.learning_rate = nan"),
        ("finetune: {settings: {learning_rate: '1e-4'}}", "finetune.settings.learning_rate = '1e-4'"),
        ("finetune: {settings: {batch_size: -5}}", "finetune.settings.batch_size = -5"),
        ("finetune: {settings: {lerning_rate: 1e-4}}", "finetune.settings.lerning_rate"),
        ("finetune: {method: dreambooth, settings: {statistic_weight: 0}}", "finetune.settings.statistic_weight"),
        ("finetune: {method: dreambooth, settings: {learns: denoiser}}", "let a LoRA learn"),
        ("finetune: {settings: {rank: true}}", "finetune.settings.rank = True"),
        (f"model: {'x' * 5000}", "model = 'xxx.*no file or folder can have such a name"),
        (f"vocabulary: a/{'x' * 300}/b", "vocabulary = 'a/xxx.*no file or folder can have such a name"),
        ("".join(f"k{i}: 1\n" for i in range(100)), "unknown key 'k0' .*and 92 more"),
        ("rounds: many\nlimits:\n  image: 3", r"rounds = 'many' \(line 1\).*unknown key 'limits.image' \(line 3\)"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_person_wrote_is_checked_whole_and_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        load_config(file)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2500


@pytest.mark.parametrize(
    "kept",
    [
        {"finetune": {"settings": {"learning_rate": "1e-4"}}}, {"rounds": True}, {"llm": {"sees": 1}}, {"guidance_scale": "3"},
        {"finetune": {"settings": {"nobody_knows": 1}}}, {"seed": 3.0},
    ],
    ids=str,
)  # fmt: skip
def test_a_run_that_an_earlier_version_kept_is_read_as_that_version_read_it(kept: dict[str, Any]) -> None:
    assert isinstance(kept_config(kept), Config)
    with pytest.raises(InputError):
        make_config(kept)


def test_numbers_of_yaml_are_what_they_look_like(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("steps: 010\nname: 2026-01-01\nfinetune: {settings: {learning_rate: 1e-4}}\n")
    config = load_config(file)
    assert (config.steps, config.name, config.finetune.settings) == (10, "2026-01-01", {"learning_rate": 1e-4})


def test_a_pipe_a_socket_and_an_endless_device_are_no_configs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket"))
    for path, kind in (
        (tmp_path / "pipe", "a named pipe"),
        (tmp_path / "socket", "a socket"),
        ("/dev/zero", "a device"),
    ):
        with pytest.raises(InputError, match=f"cannot be read, it is {kind}: give the path of an ordinary file"):
            load_config(path)
    for path in ("x" * 5000, "a\0b"):
        with pytest.raises(InputError, match="There is no config"):
            load_config(path)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        make_config({"raunds": 1, "rounds": "x", "limits": {"image": 1}})
    assert all(word in str(caught.value) for word in ("raunds", "rounds = 'x'", "limits.image"))


def test_flags_lie_over_the_file_and_an_absent_flag_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("rounds: 3\nrater: 5\n")
    config = load_config(file, rater=0, rounds=None)
    assert (config.rounds, config.rater) == (3, 0)


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("")
    assert load_config(file) == Config()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("- a list", "holds a list"),
        ("rounds: [", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        ("text", "holds a str"),
    ],
)
def test_a_file_that_is_no_config_is_told(tmp_path: Path, content: str | bytes, told: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=told):
        load_config(file)


@pytest.mark.parametrize("path", ["nowhere.yaml", ".", ""])
def test_a_missing_file_is_told_with_one_that_is_there(path: str) -> None:
    with pytest.raises(InputError, match=r"There is no config .*configs/demo\.yaml"):
        load_config(path)


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("name: !!python/object/apply:os.getcwd []")
    with pytest.raises(InputError, match="cannot be read"):
        load_config(file)


def test_a_config_comes_back_from_its_own_json() -> None:
    config = make_config({"wishes": ["+teal"], "rater": 3, "finetune": {"settings": {"beta": 500}}})
    assert make_config(config.model_dump(mode="json")) == config


def test_a_bundled_name_is_a_folder_and_any_other_name_is_left_alone() -> None:
    assert Path(bundled("bauhaus")).is_dir()
    assert bundled("someone/model") == "someone/model" and bundled("nowhere") == "nowhere"


def test_the_rules_of_promotion_leave_colours_free_unless_told_otherwise() -> None:
    gate = make_config({"gate": {"maximum_hue_shift": 20}}).gate
    assert (gate.minimum_win_rate, gate.minimum_clip_t_kept, gate.unseen_may_lose) == (0.5, 0.9, False)
    assert (gate.maximum_hue_shift, gate.maximum_value_shift, gate.minimum_diversity) == (20, None, None)
    with pytest.raises(InputError, match="did you mean 'minimum_win_rate'"):
        make_config({"gate": {"minimum_winrate": 0.6}})


@pytest.mark.parametrize(
    ("given", "told"), [({"strategy": "human"}, "needs a person at the job"), ({"stretegy": "clip"}, "stretegy")]
)
def test_active_learning_that_cannot_run_alone_is_refused(given: dict[str, str], told: str) -> None:
    assert make_config({"finetune": {"active_learning": {"strategy": "clip"}}}).finetune.active_learning
    with pytest.raises(InputError, match=told):
        make_config({"finetune": {"active_learning": given}})


def test_a_run_starts_from_a_population_only_where_its_config_says_so() -> None:
    assert make_settings(make_config({"population": True})).population is True
    assert make_settings(make_config({"population": "pickscore"})).population == "pickscore"
    with pytest.raises(InputError, match="'aesthetic'"):
        make_config({"population": "aesthetic"})
    assert not make_settings(make_config({})).population and not load_config(CONFIGS / "demo.yaml").population


def test_a_key_of_a_list_is_missed_by_name() -> None:
    with pytest.raises(InputError, match=r"unknown key 'sliders.0.nmae', did you mean 'name'"):
        make_config({"sliders": [{"nmae": "light", "name": "x", "adapter": "a"}]})
