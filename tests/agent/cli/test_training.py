"""`palate train`: what a person writes in one YAML file, and what becomes of it.

Long because a file may describe a job of nine kinds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from agent.cli import main as cli
from agent.cli.job_file import load_job, whole_job
from agent.cli.training import _doing, _keep
from agent.config import MODELS
from prompts.errors import InputError
from tests.places import ROOT
from tools.jobs.job import Reporter, run
from tools.jobs.watch import State


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures and a file of pairs."""
    (tmp_path / "dog").mkdir()
    (tmp_path / "empty").mkdir()
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (32, 32), colour).save(tmp_path / "dog" / f"{name}.png")
    line = {"prompt": "a red dog", "win": "dog/a.png", "lose": "dog/b.png"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(line) + "\n\n")
    return tmp_path


def written(folder: Path, **values: Any) -> Path:
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"kind": "dpo", "base_model": "bauhaus", "dataset": "pairs.jsonl"} | values))
    return file


def test_paths_count_from_the_file_and_bundled_names_are_known(folder: Path) -> None:
    job = load_job(written(folder), folder / "home")
    assert job.base_model == str(MODELS / "bauhaus") and job.name == "mine"
    assert job.out == folder / "home" / "train" / "mine"
    assert job.dataset == [{"prompt": "a red dog", "win": str(folder / "dog/a.png"), "lose": str(folder / "dog/b.png")}]
    assert load_job(written(folder, out="there"), folder).out == folder / "there"


def test_every_path_counts_from_the_file_wherever_one_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "my-model").mkdir()
    written(
        folder, base_model="my-model", adapters=[{"path": "mine"}], prior=[{"image": "dog/a.png", "prompt": "a dog"}],
        preference="taste.npz", clip="someone/clip", pool={"prompts": "p.txt"},
    )  # fmt: skip
    monkeypatch.chdir(folder)
    job = load_job(Path("mine.yaml"), folder)
    assert job == load_job(folder / "mine.yaml", folder)
    assert job.base_model == str(folder / "my-model") and job.clip == "someone/clip"
    assert job.adapters[0].path == folder / "mine" and job.prior[0].image == folder / "dog/a.png"
    assert job.preference == str(folder / "taste.npz") and job.pool and job.pool.prompts == folder / "p.txt"


def test_a_file_of_any_name_makes_a_job(folder: Path) -> None:
    assert load_job(written(folder).rename(folder / "my dpo (2).yaml"), folder).name == "my-dpo-2-"


def test_a_folder_of_pictures_is_a_subject_with_one_prompt(folder: Path) -> None:
    job = load_job(written(folder, kind="dreambooth", dataset="dog", prompt="a photo of sks dog"), folder)
    assert [Path(item["image"]).name for item in job.dataset] == ["a.png", "b.png"]
    assert {item["prompt"] for item in job.dataset} == {"a photo of sks dog"}


def test_several_prompts_are_each_pictures(folder: Path) -> None:
    prompts = ["a photo of <x>", "a close-up of <x>"]
    job = load_job(written(folder, kind="textual_inversion", dataset="dog", prompt=prompts), folder)
    assert [(Path(item["image"]).name, item["prompt"]) for item in job.dataset] == [
        (name, prompt) for name in ("a.png", "b.png") for prompt in prompts
    ]
    with pytest.raises(InputError, match="prompt = \\['a', 3\\]: say what the pictures"):
        load_job(written(folder, kind="textual_inversion", dataset="dog", prompt=["a", 3]), folder)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"kind": "dop"}, r"job.kind = 'dop'.*'dpo'"),
        ({"learning_rate": 1}, r"job.learning_rate.*known: .*config"),
        ({"dataset": "nowhere.jsonl"}, r"nowhere.jsonl.*cannot be read"),
        ({"out": None}, r"job.out = None"),
        ({"dataset": [{"prompt": "a", "win": 3, "lose": "b"}], "adapters": [{"path": 3}]}, r"job.adapters.0.path = 3"),
        ({"dataset": 3}, r"dataset = 3.*a list, a .jsonl file"),
        ({"dataset": "dog"}, r"prompt = None: say what the pictures in .*dog"),
        ({"dataset": "empty", "prompt": "a dog"}, "holds no pictures"),
    ],
)
def test_a_mistake_is_named_before_anything_starts(folder: Path, values: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_job(written(folder, **values), folder / "home")
    assert not (folder / "home").exists()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"config": {"learning_rate": "0.01"}}, r"config.learning_rate = '0.01' \(line \d+\): write a number"),
        ({"config": {"batch_size": -5}}, r"config.batch_size = -5 \(line"),
        ({"config": {"steps": True}}, r"config.steps = True \(line \d+\): write a whole number"),
        ({"config": {"learning_rate": float("nan")}}, "config.learning_rate = nan"),
        ({"processes": True}, r"job.processes = True \(line \d+\): write a whole number"),
        ({"dataset": [{"prompt": "a", "win": "dog/a.png", "lose": "none.png"}]}, r"dataset\[0\].lose '.*none.png' cannot be read"),
        ({"kind": "sft", "dataset": [{"prompt": "a", "image": "dog/a.png", "weight": True}]}, r"dataset\[0\].weight = True"),
        ({"kind": "kto", "dataset": [{"prompt": "a", "image": "dog/a.png", "liked": "yes"}]}, r"dataset\[0\].liked = 'yes'"),
        ({"dataset": "twice.jsonl"}, "line 2 of dataset .*twice.jsonl' is .*the key 'win' is there twice"),
        ({"dataset": "deep.jsonl"}, "line 1 of dataset .*deep.jsonl' is .*no JSON"),
        ({"dataset": "list.jsonl"}, "line 1 of dataset .*list.jsonl' is .*needs to be a JSON object"),
        ({"dataset": "latin.jsonl"}, "latin.jsonl' cannot be read, it is not UTF-8: line 1 holds the byte 0xE9"),
        ({"dataset": "pipe"}, "pipe' cannot be read, it is a named pipe"),
        ({"dataset": "/dev/zero"}, "/dev/zero' cannot be read, it is a device"),
        ({"dataset": [{"prompt": "a", "win": "dog/a.png", "lose": "pipe"}]}, "it is a named pipe"),
        ({"dataset": "x" * 5000}, "File name too long"),
        ({"base_model": "x" * 5000}, "no file or folder can have such a name"),
        ({"base_model": "~nobody-here/model"}, "nobody of that name has a home here"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_job_is_checked_whole_before_anything_is_made(folder: Path, values: dict[str, Any], told: str) -> None:
    os.mkfifo(folder / "pipe")
    pair = '{"prompt": "a", "win": "dog/a.png", "lose": "dog/b.png"'
    (folder / "twice.jsonl").write_text(f'{pair}}}\n{pair}, "win": "dog/b.png"}}\n')
    (folder / "deep.jsonl").write_text("[" * 100_000)
    (folder / "list.jsonl").write_text("[1]")
    (folder / "latin.jsonl").write_bytes('{"prompt": "café"}'.encode("latin-1"))
    with pytest.raises(InputError, match=told) as caught:
        whole_job(written(folder, **values), folder / "home")
    assert not (folder / "home").exists() and len(str(caught.value)) < 1500


def test_likes_may_be_0_and_1(folder: Path) -> None:
    liked = [{"prompt": "a", "image": f"dog/{name}.png", "liked": value} for name, value in (("a", 1), ("b", False))]
    assert [one["liked"] for one in whole_job(written(folder, kind="kto", dataset=liked), folder).dataset] == [1, False]


def test_a_kept_config_that_was_altered_is_no_traceback(folder: Path) -> None:
    job = json.loads(load_job(written(folder, out="out"), folder).model_dump_json(exclude_defaults=True))
    (folder / "out" / "pairs").mkdir(parents=True)
    for kept in ("config: 3", "[1]", "kind: dpo\nkind: sft"):
        (folder / "out" / "config.yaml").write_text(kept)
        with pytest.raises(InputError, match="out"):
            _keep(folder / "out", job | {"config": {"rank": 4}})


def test_a_file_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "nowhere.yaml"]) == 1
    assert "nowhere.yaml' cannot be read" in capsys.readouterr().err


def test_the_example_is_a_job(folder: Path) -> None:
    example = ROOT / "configs" / "training" / "dpo.yaml"
    (folder / example.name).write_text(example.read_text())
    from trainers.dpo import DpoConfig

    told = load_job(folder / example.name, folder).config
    assert DpoConfig(**{**told, "sample_prompts": ()}) == DpoConfig()


def test_the_example_of_active_learning_is_the_papers(folder: Path) -> None:
    from tools.gal.spec import GalSpec
    from trainers.dreambooth import DreamBoothConfig

    example = ROOT / "configs" / "training" / "gal.yaml"
    told = yaml.safe_load(example.read_text())
    (folder / "gal.yaml").write_text(yaml.safe_dump(told | {"dataset": [{"image": "dog/a.png", "prompt": "q"}]}))
    job = load_job(folder / "gal.yaml", folder, "gal")
    assert job.gal and job.clip == str(MODELS / "bauhaus-clip") and job.dataset[0]["image"] == str(folder / "dog/a.png")
    assert told["gal"].keys() == GalSpec.model_fields.keys() and DreamBoothConfig(**job.config)
    shown = job.gal.model_copy(update={"anchors": "object", "test_prompts": (), "subject": "", "class_noun": ""})
    assert shown == GalSpec(non_subject=job.gal.non_subject)
    assert job.gal.resolved().anchors[0].prompt.startswith("{subject} and a")


def test_anchors_of_ones_own_count_from_the_file(folder: Path) -> None:
    (folder / "mine.txt").write_text("{subject} in a forest | in a forest\n")
    block = {"non_subject": "a sofa", "anchors": "mine.txt", "test_prompts": "style"}
    job = load_job(written(folder, kind="gal", gal=block), folder)
    assert job.gal and job.gal.anchors == str(folder / "mine.txt") and job.gal.test_prompts == "style"


def test_a_kind_before_the_file_is_the_files_or_in_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(folder)
    assert load_job(file, folder, "dpo") == load_job(file, folder)
    assert cli.main(["train", "sft", str(file)]) == 1
    assert "is a job of kind 'dpo', not 'sft'" in capsys.readouterr().err
    file.write_text(file.read_text().replace("kind: dpo\n", ""))
    assert load_job(file, folder, "sft").kind == "sft"
    with pytest.raises(InputError, match=r"job\.kind = None"):
        load_job(file, folder)


@pytest.mark.parametrize("kind", ["dreambooth", "textual_inversion", "custom_diffusion"])
def test_every_example_of_personalisation_is_a_job_of_the_defaults(kind: str, folder: Path) -> None:
    from tools.jobs.spec import kind_of

    (folder / "dog").rename(folder / "my-dog")
    example = ROOT / "configs" / "training" / f"{kind}.yaml"
    (folder / example.name).write_text(example.read_text())
    job = load_job(folder / example.name, folder)
    assert job.kind == kind and len({item["image"] for item in job.dataset}) == 2 and job.name == kind
    record = kind_of(job).config
    own = {key: job.config[key] for key, field in record.model_fields.items() if field.is_required()}
    told = record(**{**job.config, "sample_prompts": (), "sample_every": 50})
    assert told == record(**own, batch_size=4)


def test_pictures_of_the_class_are_a_folder_too(folder: Path) -> None:
    values = {"kind": "dreambooth", "dataset": "dog", "prompt": "a photo of sks dog", "prior": "dog"}
    job = load_job(written(folder, **values, prior_prompt="a dog"), folder)
    assert [(one.image.name, one.prompt) for one in job.prior] == [("a.png", "a dog"), ("b.png", "a dog")]
    with pytest.raises(InputError, match="prompt = None: say what the pictures"):
        load_job(written(folder, **values), folder)


def test_a_folder_with_a_picture_that_cannot_be_read_is_refused_by_name(folder: Path) -> None:
    (folder / "dog" / "c.HEIC").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(64))
    with pytest.raises(InputError, match=r"holds 1 pictures that cannot be read \(c.HEIC\): export it as JPEG"):
        load_job(written(folder, kind="dreambooth", dataset="dog", prompt="a photo of sks dog"), folder)


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("dreambooth", "model/model_index.json"),
        ("textual_inversion", "learned_embeds.safetensors"),
        ("custom_diffusion", "pytorch_lora_weights.safetensors"),
    ],
)
def test_every_way_of_personalisation_trains_the_bundled_painter(
    kind: str, made: str, folder: Path, own_home: Path
) -> None:
    (folder / "dog").rename(folder / "my-dog")
    values = yaml.safe_load((ROOT / "configs" / "training" / f"{kind}.yaml").read_text())
    values["config"] |= {"steps": 1, "sample_prompts": []} | ({"learns": "denoiser"} if kind == "dreambooth" else {})
    (folder / "mine.yaml").write_text(yaml.safe_dump(values))
    assert trained_here(folder / "mine.yaml", own_home)["adapter"]["kind"] == kind
    assert (own_home / "train" / "mine" / made).is_file()


def trained_here(file: Path, home: Path) -> State:
    """What the process of `palate train` does, in this one: what a process is for has tests of its own, and starting one is slow."""
    job = load_job(file, home)
    job.out.mkdir(parents=True)
    return run(job, Reporter(job.out / "state.json"))


def test_a_training_is_kept_with_its_config_is_not_run_twice_and_no_other_takes_its_place(
    folder: Path, tiny: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """One story, because each child takes seconds to start."""
    model, right = tiny("sd15").name, {"steps": 2, "batch_size": 1, "size": 32}
    assert cli.main(["train", str(written(folder, base_model=model, config={"learning_rte": 1}, out="out"))]) == 1
    told = capsys.readouterr().err
    assert "config.learning_rte = 1 (line " in told and not (folder / "out").exists()
    strange = right | {"target_modules": ["nothing"]}
    assert cli.main(["train", str(written(folder, base_model=model, config=strange, out="out"))]) == 1
    told = capsys.readouterr().err
    assert "'nothing'" in told and "job.log" in told

    file = written(folder, base_model=model, config=right, out="out")  # a mistake that made nothing can be corrected
    assert cli.main(["train", str(file), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert state["state"] == "done" and state["step"] == 2 and state["adapter"]["kind"] == "dpo"
    assert Path(state["adapter"]["path"]) == folder / "out"
    kept = yaml.safe_load((folder / "out" / "config.yaml").read_text())
    assert kept["config"] == right and kept["base_model"] == model
    made = (folder / "out" / "adapter.json").stat().st_mtime_ns
    assert cli.main(["train", str(file)]) == 0
    assert f"adapter: {folder / 'out'}" in capsys.readouterr().out

    assert cli.main(["train", str(written(folder, base_model=model, config=right | {"size": 40}, out="out"))]) == 1
    assert "holds another job: its config was" in capsys.readouterr().err
    assert (folder / "out" / "adapter.json").stat().st_mtime_ns == made


def test_a_slider_is_trained_from_pairs_of_pictures(folder: Path, tiny: Callable[[str], Any]) -> None:
    pairs = [{"prompt": "a dog", "low": "dog/a.png", "high": "dog/b.png"}]
    short = {"steps": 1, "batch_size": 1, "size": 32}
    file = written(folder, kind="slider", base_model=tiny("sd15").name, dataset=pairs, config=short, out="out")
    assert load_job(file, folder).dataset[0]["high"] == str(folder / "dog/b.png")
    state = trained_here(file, folder)
    assert state["state"] == "done" and state["step"] == state["total"] == 2  # each picture of the pair
    assert state["adapter"]["kind"] == "slider" and Path(state["adapter"]["path"]) == folder / "out"


def test_the_sliders_example_is_a_job(folder: Path) -> None:
    from trainers.slider import SliderConfig

    example = ROOT / "configs" / "training" / "slider.yaml"
    (folder / example.name).write_text(example.read_text())
    job = load_job(folder / example.name, folder)
    assert job.kind == "slider" and SliderConfig(**job.config) == SliderConfig()
    assert job.dataset[1]["low"] == str(folder / "dark-2.png")


def test_who_waits_sees_what_the_job_is_at() -> None:
    encoding = {"what": "images", "done": 1200, "total": 5000}
    assert _doing({"step": 0, "encoding": encoding}) == "encoding 1,200 of 5,000 images"
    assert _doing({"step": 0, "encoding": None, "pools": 3}) == "training (pairs of 3 pools)"
    assert _doing({"step": 1, "encoding": encoding, "pools": 3}) == "training"


def test_what_a_job_left_out_or_converted_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    from agent.cli import training
    from tools.jobs.watch import new_state

    with training._bar() as show:
        for step in range(3):
            show(
                new_state()
                | {"state": "running", "step": step, "notes": ["3 captions are cut", "2 converted"][: step + 1]}
            )
    assert capsys.readouterr().err.splitlines() == ["3 captions are cut", "2 converted"]


def test_a_folder_of_another_program_is_a_job_with_its_captions(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "dog" / "deep").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "dog" / "deep" / "c.jfif", format="JPEG")
    (folder / "dog" / "a.txt").write_text("a red dog")
    (folder / "dog" / "notes.md").write_text("mine")
    job = load_job(written(folder, kind="sft", dataset="dog", prompt="a dog"), folder)
    assert [(Path(one["image"]).name, one["prompt"]) for one in job.dataset] == [
        ("a.png", "a red dog"), ("b.png", "a dog"), ("c.jfif", "a dog"),
    ]  # fmt: skip
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3 and any("sub-folders" in line for line in told) and any("notes.md" in line for line in told)
    assert any("1 of the 3 pictures have a caption of their own" in line for line in told)
