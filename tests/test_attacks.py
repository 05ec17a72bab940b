"""Nothing that is read may run: every format we read is handed an attack, and a marker that any of it would leave must not appear.

LangGraph's checkpoints have theirs in tests/agent/loop/test_checkpoints.py.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from agent.bench.pool import read_pool
from agent.cli.job_file import load_job
from agent.config import load_config
from agent.store.store import Store
from evaluators.looks.raters import REFERENCE_FILE, load_reference
from evaluators.preference import model as preference
from evaluators.preference.people import load_people
from evaluators.preference.population import Population
from evaluators.preference.scored import Scored
from evaluators.scorers import aesthetic, weight_files
from prompts.errors import PalateError
from prompts.vocabulary import load_vocabulary
from tests.agent.store.written import full_step, start
from tools.files import read_parameters
from tools.profiles import reading
from trainers.engine import checkpoint
from trainers.files import adapter_about, adapter_file
from trainers.files.adapter_file import Adapter
from trainers.model.load import load


class Touching:
    """Makes the marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mknod, (str(self.marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it ran"


def test_the_attacks_are_real(marker: Path) -> None:
    with suppress(TypeError):
        pickle.loads(pickle.dumps(Touching(marker)))
    assert marker.exists()
    marker.unlink()
    with suppress(yaml.YAMLError):
        yaml.unsafe_load(TAGS[0].format(marker))
    assert marker.exists()


# --- arrays

NPZ: dict[str, tuple[Callable[[Path], Any], tuple[str, ...], str]] = {
    "a learned taste": (preference.load, ("kind", "head.weight", "weight", "width"), "a.npz"),
    "a population": (Population.load, ("base", "mean", "likings", "kind"), "a.npz"),
    "scored pictures": (Scored.load, ("weight", "bias", "explained"), "a.npz"),
    "a pool of pictures": (read_pool, ("pixels", "features", "measured", "prompts"), "a.npz"),
    "a rater's reference": (lambda file: load_reference(file.parent), ("names", "features"), REFERENCE_FILE),
    "people's features": (lambda file: load_people(people(file.parent), file), ("names", "features", "images", "rows"), "a.npz"),
}  # fmt: skip


def people(folder: Path) -> Path:
    """Ratings beside the features."""
    (folder / "ratings.csv").write_text("rater,image,rating\nann,a.png,3\n")
    return folder / "ratings.csv"


@pytest.mark.parametrize("whole", [True, False], ids=["a pickle", "arrays of objects"])
@pytest.mark.parametrize("what", NPZ)
def test_an_npz_of_objects_is_never_unpickled(what: str, whole: bool, marker: Path, tmp_path: Path) -> None:
    read, names, file = NPZ[what]
    if whole:
        (tmp_path / file).write_bytes(pickle.dumps(Touching(marker)))
    else:
        held: Any = dict.fromkeys(names, np.array([Touching(marker)], dtype=object))
        np.savez(tmp_path / file, allow_pickle=True, **held)
        with suppress(Exception):
            _ = np.load(tmp_path / file, allow_pickle=True)[names[0]]
        assert marker.exists()  # the attack is real
        marker.unlink()
    with pytest.raises((PalateError, ValueError)):
        read(tmp_path / file)
    assert not marker.exists()


@pytest.mark.parametrize(
    "member", ["preference-0.npz", "features.npz", "manifest.json", "extra.pkl", "__init__.py", "../../evil.py"]
)
def test_a_profile_that_holds_a_pickle_runs_nothing(member: str, marker: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.profile"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, pickle.dumps(Touching(marker)))
    with pytest.raises(PalateError):
        reading.read(file)
    assert not marker.exists() and not (tmp_path.parents[1] / "evil.py").exists()


# --- weights


@pytest.mark.parametrize(
    "name", ["head.pt", "head.pth", "sac+logos+ava1-l14-linearMSE.pth", "head.safetensors", "head.bin"]
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # torch says so, then refuses
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_that_are_a_pickle_of_more_run_nothing(name: str, wrapped: bool, marker: Path, tmp_path: Path) -> None:
    held: Any = {"weight": torch.zeros(1, 4), "bias": Touching(marker)}
    torch.save({"state_dict": held} if wrapped else held, tmp_path / name)
    for read in (weight_files.read, aesthetic.load, adapter_file.find, adapter_about.about):
        with suppress(PalateError):
            found = read(tmp_path / name)
            assert name.endswith(".safetensors") and isinstance(found, Path)  # found, not opened
    (tmp_path / name).write_bytes(pickle.dumps(Touching(marker)))  # as of before torch wrapped them in a zip
    for read in (weight_files.read, aesthetic.load, adapter_about.about):
        with pytest.raises(PalateError):
            read(tmp_path / name)
    assert not marker.exists()


def test_what_a_safetensors_header_says_is_text(marker: Path, tmp_path: Path) -> None:
    said = {
        "__reduce__": f"os.mknod('{marker}')",
        "ss_network_module": f"__import__('os').mknod({str(marker)!r})",
        "format": "pt",
    }
    file = tmp_path / "pytorch_lora_weights.safetensors"
    save_file(
        {"unet.down.to_q.lora_A.weight": torch.zeros(4, 8), "unet.down.to_q.lora_B.weight": torch.zeros(8, 4)},
        file,
        said,
    )
    with suppress(PalateError):
        adapter_about.about(file)
    (tmp_path / "adapter.json").write_text(json.dumps(said | constructor(marker)))
    with pytest.raises(PalateError):
        Adapter.read(tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize("file", ["training.json", "training.safetensors"])
def test_a_trainings_checkpoint_that_is_a_pickle_runs_nothing(file: str, marker: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "training.json").write_text(json.dumps({"step": 1, "about": {}, "history": []}))
    (folder / file).write_bytes(pickle.dumps(Touching(marker)))
    with pytest.raises((PalateError, UnicodeDecodeError)):
        checkpoint.latest(tmp_path)
    assert not marker.exists()


def with_code(folder: Path, marker: Path) -> None:
    """A component that brings its class along, as a file."""
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"unet": ["evil", "Evil"]}))
    (folder / "unet" / "evil.py").write_text(f"import os\nos.mknod({str(marker)!r})\nclass Evil: pass\n")


def of_pickles(folder: Path, marker: Path) -> None:
    """Weights as they were before safetensors."""
    for part, name in (("unet", "diffusion_pytorch_model.bin"), ("text_encoder", "pytorch_model.bin")):
        for file in (folder / part).glob("*.safetensors"):
            file.unlink()
        (folder / part / name).write_bytes(pickle.dumps(Touching(marker)))


@pytest.mark.parametrize("attack", [with_code, of_pickles])
def test_a_model_folder_that_brings_code_runs_none_of_it(
    attack: Any, marker: Path, studio: Path, tmp_path: Path
) -> None:
    shutil.copytree(studio, tmp_path / "model")
    attack(tmp_path / "model", marker)
    with pytest.raises(PalateError, match="cannot be loaded"):
        load(str(tmp_path / "model"))
    assert not marker.exists()


# --- text

TAGS = (
    "!!python/object/apply:os.mknod ['{0}']",
    "name: !!python/object/apply:os.mknod ['{0}']",
    "name: !!python/object/new:os.mknod ['{0}']",
    "rounds: !!python/name:os.mknod",
    "name: !!python/module:this",
    "? !!python/object/apply:os.mknod ['{0}']\n: 1",
    "brief: &a !!python/object/apply:subprocess.check_call [[touch, '{0}']]\nname: *a",
)


@pytest.mark.parametrize("text", TAGS)
def test_a_yaml_tag_that_names_code_runs_nothing(text: str, marker: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text.format(marker))
    for read in (load_config, lambda file: load_job(file, tmp_path), lambda file: load_vocabulary(str(file))):
        with pytest.raises((PalateError, yaml.YAMLError)):
            read(file)
    assert not marker.exists()


def constructor(marker: Path) -> dict[str, Any]:
    """What some readers of JSON take for an object to be made."""
    return {
        "lc": 2,
        "type": "constructor",
        "id": ["os", "mknod"],
        "args": [str(marker)],
        "py/reduce": [{"py/function": "os.mknod"}, [str(marker)]],
    }


def test_json_that_describes_an_object_stays_json_in_the_store(marker: Path, store_of_one: Store) -> None:
    made = constructor(marker)
    store_of_one._db.execute("update steps set args = ?, result = ?", [json.dumps(made), json.dumps([made])])
    (step,) = store_of_one.steps(store_of_one.runs()[0].id)
    assert step.args == made and not marker.exists()


@pytest.fixture
def store_of_one(tmp_path: Path) -> Any:
    with Store(tmp_path / "palate.sqlite") as store:
        store.add_step(start(store), full_step())
        yield store


def test_a_picture_whose_text_describes_an_object_is_a_picture(marker: Path, tmp_path: Path) -> None:
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("palate", json.dumps(constructor(marker)))
    chunks.add_text("parameters", f"__import__('os').mknod({str(marker)!r})", zip=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=chunks)
    assert read_parameters(tmp_path / "a.png") == constructor(marker) and not marker.exists()


def test_sql_in_a_database_that_someone_sent_cannot_load_a_library_or_write_a_file(
    marker: Path, store_of_one: Store
) -> None:
    for sql in (f"select load_extension('{marker}')", f"attach '{marker}' as a", f"select writefile('{marker}', 'x')"):
        with pytest.raises(PalateError):
            store_of_one.query(sql)
    assert not marker.exists()
