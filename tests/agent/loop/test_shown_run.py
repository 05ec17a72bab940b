"""A run whose painter looks at a picture besides the words, from its config to the record and the pictures made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from diffusers import UNet2DConditionModel
from PIL import Image

from agent.config import load_config
from agent.replay.verify import verify
from prompts.errors import InputError
from tests.agent.fast import SHORT, Started
from tests.tiny_models import ip_adapter
from trainers.files.adapter_file import sha256


@pytest.fixture
def looking(studio: Path, tmp_path: Path) -> Path:
    """A config beside a picture and an IP-Adapter of random weights for the bundled painter."""
    ip_adapter(UNet2DConditionModel.from_pretrained(studio / "unet"), tmp_path / "ip")
    Image.new("RGB", (40, 30), (220, 30, 30)).save(tmp_path / "red.png")
    shown = {"image": "red.png", "adapter": "ip", "weight": 1.0}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"shown": shown}))
    return tmp_path / "run.yaml"


def test_a_shown_picture_acts_is_recorded_and_is_shown_again_in_a_replay(
    begin: Callable[..., Started], looking: Path
) -> None:
    plain = begin(**SHORT).drive()
    shown = load_config(looking).shown
    assert shown is not None and Path(shown.adapter).is_absolute()
    run = begin(**SHORT, shown=shown.model_dump()).drive()
    pictures = list(run.store.images(run.run_id))
    assert {row.id for row in pictures}.isdisjoint(row.id for row in plain.store.images(plain.run_id))
    told = {"image": sha256(looking.parent / "red.png"), "adapter": sha256(looking.parent / "ip" / "ip-adapter.safetensors"), "weight": 1.0}  # fmt: skip
    assert [row.sampler["shown"] for row in pictures] == [told, told]
    assert all("shown" not in row.sampler for row in plain.store.images(plain.run_id))
    verdict = verify(run.store, run.home, run.run_id)
    assert verdict.same, verdict.differences


def test_files_of_a_config_are_found_beside_it_and_missed_at_once(looking: Path) -> None:
    (looking.parent / "red.png").unlink()
    with pytest.raises(InputError, match=r"'red.png' is neither beside the config, in .*, nor in the current folder"):
        load_config(looking)
    looking.write_text(yaml.safe_dump({"sliders": [{"name": "light", "adapter": "nowhere"}]}))
    with pytest.raises(InputError, match="'nowhere' is neither beside the config"):
        load_config(looking)
