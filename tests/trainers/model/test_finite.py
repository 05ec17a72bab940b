"""Numbers that are none are told where they come in, with the one that brought them, and never painted black or learned from."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from prompts.errors import InputError, PalateError
from tests.tiny_models import build, ip_adapter
from trainers import sft
from trainers.engine.pair_store import PairStore, write_shard
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import Conditions, encode_images, encode_prompts
from trainers.model.ip_adapter import Shown
from trainers.model.load import load
from trainers.model.paint import paint, paint_as_it_is
from trainers.reward import RewardConfig
from trainers.reward import train as by_reward

Tiny = Callable[[str], BaseModel]
RED = Image.new("RGB", (32, 32), "red")
NAN = math.nan


@pytest.fixture
def own(tmp_path: Path) -> BaseModel:
    """A model of this test alone, which may be broken."""
    return load(str(build("sd15", tmp_path / "model")), device="cpu")


def lora(model: BaseModel, folder: Path, size: float) -> Path:
    """One layer whose change is that large."""
    name = "unet.mid_block.resnets.0.conv1"
    shape = model.denoiser.mid_block.resnets[0].conv1.weight.shape
    tensors = {
        f"{name}.lora_A.weight": torch.ones(1, *shape[1:]),
        f"{name}.lora_B.weight": torch.full((shape[0], 1, 1, 1), size),
    }
    save_file(tensors, folder / "a.safetensors")
    return folder / "a.safetensors"


def test_a_base_model_with_a_broken_weight_is_refused_by_the_weights_name(tmp_path: Path) -> None:
    folder = build("sd15", tmp_path / "model")
    file = next((folder / "text_encoder").glob("*.safetensors"))
    tensors = load_file(file)
    key = next(key for key in tensors if key.endswith("layers.1.mlp.fc1.bias"))
    tensors[key][3] = NAN
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"text_encoder's '.*layers\.1\.mlp\.fc1\.bias'.*damaged"):
        load(str(folder), device="cpu")


def test_an_adapter_with_one_number_that_is_none_is_refused_by_painting_and_training_alike(
    tiny: Tiny, tmp_path: Path
) -> None:
    file = lora(tiny("sd15"), tmp_path, NAN)
    told = r"a\.safetensors' holds numbers that are not finite in 'unet\.mid_block\.resnets\.0\.conv1\.lora_B\.weight'"
    with pytest.raises(InputError, match=told):
        paint(["a dog"], model=tiny("sd15"), seed=0, steps=1, size=32, adapters={file: 1.0})
    with pytest.raises(InputError, match=told):
        sft.train(sft.SftConfig(steps=1, batch_size=1, size=32, rank=1), [(RED, "a dog")], base_model=tiny("sd15"), out=tmp_path / "out", adapters={file: 1.0})  # fmt: skip


def test_latents_that_break_while_painting_name_what_acts(own: BaseModel, tmp_path: Path) -> None:
    file = lora(own, tmp_path, 1.0)
    with torch.no_grad():
        own.denoiser.conv_out.bias[0] = 3e38  # finite when it was loaded, and too large for what is reckoned from it
    with pytest.raises(
        PalateError, match=r"not finite: lower the weights of the 1 adapters that act \(3\); or lower guidance_scale"
    ):
        paint(["a dog"], model=own, seed=0, steps=2, size=32, adapters={file: 3.0})
    with pytest.raises(PalateError, match=r"not finite: lower guidance_scale"):
        paint(["a dog"], model=own, seed=0, steps=2, size=32)


@pytest.mark.parametrize("how", ["painted", "as it is"])
def test_a_decoder_that_breaks_is_told_instead_of_a_black_picture(how: str, own: BaseModel) -> None:
    with torch.no_grad():
        own.pipe.vae.decoder.conv_out.bias[0] = NAN
    as_painted = {"painted": lambda: paint(["a dog"], model=own, seed=0, steps=1, size=32), "as it is": lambda: paint_as_it_is(["a dog"], model=own, seed=0, steps=1, guidance_scale=1.0, size=32)}  # fmt: skip
    with pytest.raises(PalateError, match="decoded 'a dog' to values that are not finite"):
        as_painted[how]()


def test_pictures_and_prompts_that_cannot_be_encoded_are_named(own: BaseModel) -> None:
    with pytest.raises(InputError, match="picture 2 of the data holds numbers that are not finite"):
        encode_images([RED, Image.fromarray(np.full((32, 32), NAN, np.float32))], own, 32)
    with torch.no_grad():
        own.pipe.vae.encoder.conv_in.bias[0] = NAN
        own.pipe.text_encoder.get_input_embeddings().weight[own.pipe.tokenizer("dog").input_ids[1]] = NAN
    with pytest.raises(PalateError, match="encodes picture 1 of 2 to numbers that are not finite"):
        encode_images([RED, RED], own, 32)
    with pytest.raises(PalateError, match="encodes prompt 'a dog' to numbers that are not finite"):
        encode_prompts(["a person", "a dog"], own, 32)


def test_pairs_on_disk_that_are_damaged_are_named(tmp_path: Path) -> None:
    win, told = torch.ones(2, 4, 2, 2), Conditions(torch.ones(2, 1, 1), {})
    file = write_shard(tmp_path, 0, win, -win, told, [{"prompt": "a"}, {"prompt": "b"}])
    tensors = load_file(file)
    tensors["lose"][1, 0, 0, 0] = NAN
    save_file(tensors, file)
    store = PairStore(tmp_path)
    store.batch([0], torch.device("cpu"))
    with pytest.raises(InputError, match=r"pair 1 of '.*shard-00000\.safetensors' .* in 'lose'"):
        store.batch([0, 1], torch.device("cpu"))
    with pytest.raises(PalateError, match="shard 1 would hold numbers that are not finite in 'win'"):
        write_shard(tmp_path, 1, win * 1e6, win, told, [{"prompt": "a"}, {"prompt": "b"}])


def test_weights_of_items_and_scores_that_are_none_are_named(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"item 1 \(nan\)"):
        sft.weights_of([(RED, "a"), (RED, "b")], [1.0, NAN], tiny("sd15"))
    with pytest.raises(PalateError, match="the scorer 'broken' gave scores that are not finite at step 1"):
        by_reward(
            RewardConfig(steps=1, batch_size=1, size=32, rank=1, sampler_steps=2), ["a dog"], scorer=lambda images, prompts: images.mean(dim=(1, 2, 3)) * NAN,
            scorer_version="broken", base_model=tiny("sd15"), out=tmp_path / "out",
        )  # fmt: skip


def test_an_ip_adapter_with_a_broken_number_is_refused_by_name(own: BaseModel, tmp_path: Path) -> None:
    file = ip_adapter(own.denoiser, tmp_path / "ip")
    tensors = load_file(file)
    tensors["image_proj.norm.bias"][0] = math.inf
    save_file(tensors, file)
    with pytest.raises(InputError, match=r"not finite in 'image_proj\.norm\.bias'"):
        paint(["a dog"], model=own, seed=0, steps=1, size=32, shown=Shown(RED, file, 1.0))


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"<x>": torch.full((1, 16), NAN)}, "not finite in '<x>'"), ({"<x>": torch.ones(0, 16)}, r"no vectors \(its shape is \(0, 16\)\)"),
        ({"  ": torch.ones(1, 16)}, "no prompt can say"), ({"\x1b[31m": torch.ones(1, 16)}, "no prompt can say"),
        ({"unet.conv_in.lora_magnitude_vector": torch.ones(16)}, "a DoRA"), ({"lora_unet_conv_in.alpha": torch.ones(16)}, "belongs to no layer"),
    ],
)  # fmt: skip
def test_a_word_that_is_none_is_refused(
    tensors: dict[str, torch.Tensor], told: str, tiny: Tiny, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=told):
        paint(["a dog"], model=tiny("sd15"), seed=0, steps=1, size=32, adapters={tmp_path / "a.safetensors": 1.0})
