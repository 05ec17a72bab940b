"""tools/scorers.py: six scorers by name, for pools and for the gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.scorers import aesthetic
from evaluators.scorers.clip import Clip
from evaluators.scorers.hpsv2 import HPSv2
from evaluators.scorers.image_reward import ImageReward
from evaluators.scorers.weights import version_of_file
from prompts.errors import InputError
from tests.evaluators import published
from tests.trainers.shards import pairs_told
from tools.gate.gate import judge
from tools.gate.spec import GateSpec, planned
from tools.jobs.pairs import Builder, PoolSpec, build_pairs
from tools.scorers import PUBLISHED, SCORERS, scorers, versions
from trainers.files.adapter_file import AdapterRef
from trainers.sft import SftConfig, train

PROMPTS = ("a red dog", "a blue field", "the white circle on a field")


@pytest.fixture(scope="module")
def folders(studio_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """The bundled CLIP, and tiny weights in the published layouts."""
    folder = tmp_path_factory.mktemp("published")
    for name in ("hpsv2", "image_reward"):
        (folder / name).mkdir()
    published.hpsv2(folder / "hpsv2")
    published.image_reward(folder / "image_reward")
    torch.save({"linear.weight": published.Draw(1)(1, 128), "linear.bias": torch.tensor([5.0])}, folder / "head.pth")
    found = {
        "aesthetic": folder / "head.pth",
        "hpsv2": folder / "hpsv2" / "HPS_v2.1_compressed.pt",
        "image_reward": folder / "image_reward",
    }
    return {"clip": str(studio_clip), **{key: str(path) for key, path in found.items()}}


def test_each_name_gives_the_scores_of_its_scorer(folders: dict[str, str], studio_clip: Path) -> None:
    images, prompts = published.pictures(3), list(PROMPTS)
    expected = {
        "aesthetic": aesthetic.load(folders["aesthetic"], Clip(studio_clip)), "hpsv2": HPSv2(folders["hpsv2"]),
        "image_reward": ImageReward(folders["image_reward"]),
    }  # fmt: skip
    for name, scorer in scorers(PUBLISHED, folders, "cpu").items():
        assert scorer(images, prompts) == pytest.approx(np.array(expected[name](images, prompts).values))
    assert set(SCORERS) == {"pickscore", "clip_t", "preference", *PUBLISHED}


def test_what_is_not_given_is_named(folders: dict[str, str | None]) -> None:
    for name in PUBLISHED:
        with pytest.raises(InputError, match=f"{name} is not given"):
            scorers([name], folders | {name: None}, "cpu")
    with pytest.raises(InputError, match="clip is not given"):
        scorers(["aesthetic"], folders | {"clip": None}, "cpu")


def test_versions_are_of_the_weights(folders: dict[str, str]) -> None:
    found = versions(folders | {"preference": None})
    assert found["aesthetic"] == version_of_file(Path(folders["aesthetic"]))
    assert found["image_reward"] == version_of_file(Path(folders["image_reward"]) / "ImageReward.pt")
    assert found.keys() == folders.keys() and all(len(one) == 12 for one in found.values())


def test_a_pool_mixes_them(folders: dict[str, str | None], tiny: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS) + "\n")
    weights = {"hpsv2": 1.0, "image_reward": 0.5, "aesthetic": 0.25}
    spec = PoolSpec(prompts=tmp_path / "prompts.txt", images=3, steps=1, size=32, scorers=weights)
    judges = scorers(weights, folders, "cpu")
    build_pairs(Builder(spec, tmp_path / "pairs", tiny("sd15"), judges, scored_by=versions(folders)), compared=())
    lines = pairs_told(tmp_path / "pairs")
    assert len(lines) == 3
    for line in lines:
        mix = sum(weight * (np.array(line["scores"][name]) - np.mean(line["scores"][name])) / np.std(line["scores"][name]) for name, weight in weights.items())  # fmt: skip
        assert (line["win"], line["lose"]) == (int(np.argmax(mix)), int(np.argmin(mix)))


def test_the_gate_hears_those_that_did_not_guide(
    folders: dict[str, str | None], tiny: Callable[[str], Any], tmp_path: Path
) -> None:
    model, red = tiny("sd15"), Image.new("RGB", (32, 32), "red")
    config = SftConfig(steps=1, batch_size=1, rank=2, size=32, learning_rate=0.1)
    adapter = train(config, [(red, "a red dog")], base_model=model, out=tmp_path / "adapter")
    plan = planned(GateSpec(prompts=PROMPTS[:2], steps=1, size=32), folders, guides=["image_reward"])
    assert plan.scorers == ("image_reward", "clip_t", "aesthetic", "hpsv2")
    told = judge(plan, model, AdapterRef(adapter.path, 4.0), tmp_path / "gate")
    wins = told["evidence"]["wins"]
    assert [name for name, found in wins.items() if found["guided"]] == ["image_reward"] and wins.keys() == set(
        plan.scorers
    )
    assert any(said.startswith("hpsv2, which did not guide the training") for said in told["reasons"])
    assert {key: told["versions"][key] for key in folders} == versions(folders)
    with pytest.raises(InputError, match=r"no weights at .*nowhere"):
        planned(plan.spec, folders | {"hpsv2": str(tmp_path / "nowhere.pt")}, guides=["image_reward"])
    with pytest.raises(InputError, match="'aesthetic' needs clip"):
        planned(GateSpec(prompts=PROMPTS, scorers=("aesthetic",)), folders | {"clip": None}, guides=["hpsv2"])
