"""trainers/files/stock.py: what we hand out loads in stock diffusers and transformers, as it lies there and as our cards say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForText2Image, DiffusionPipeline, StableDiffusionPipeline
from PIL import Image
from transformers import AutoModelForCausalLM, AutoModelForImageClassification, AutoTokenizer, CLIPModel, CLIPProcessor

from tests.trainers.subject import RED, SHORT, painted, theirs
from trainers import custom_diffusion, dreambooth, textual_inversion
from trainers.files.stock import base_of, in_one_dtype, loading
from trainers.model.base_model import BaseModel
from trainers.model.load import load

PROMPT = "a photo of <x> dog"
DREAMBOOTH, CUSTOM, WORDS = (
    dreambooth.DreamBoothConfig,
    custom_diffusion.CustomDiffusionConfig,
    textual_inversion.TextualInversionConfig,
)
WORD = {"word": "<x>", "initial": "red"}
# how each kind of file that we hand out is made, and the model that it is for
MADE: dict[str, tuple[str, Any, Mapping[str, Any], Any]] = {
    "a LoRA": ("sd15", DREAMBOOTH, {}, dreambooth.train),
    "a LoRA of two text encoders' model": ("sdxl", DREAMBOOTH, {}, dreambooth.train),
    "a whole model": ("sd15", DREAMBOOTH, {"learns": "denoiser"}, dreambooth.train),
    "a word": ("sd15", WORDS, WORD, textual_inversion.train),
    "a word of two readers": ("sdxl", WORDS, WORD, textual_inversion.train),
    "a LoRA and a word": ("sd15", CUSTOM, WORD, custom_diffusion.train),
}


@pytest.mark.parametrize("stock", [DiffusionPipeline, StableDiffusionPipeline, AutoPipelineForText2Image])
def test_the_bundle_paints_in_stock_diffusers_what_it_paints_here(stock: Any, studio: Path) -> None:
    pipe = stock.from_pretrained(str(studio))
    kinds = {next(part.parameters()).dtype for part in pipe.components.values() if isinstance(part, torch.nn.Module)}
    assert kinds == {torch.float32}
    assert (theirs(pipe, "a red circle") == painted(load(str(studio), device="cpu"), "a red circle")).all()


def test_the_bundles_judges_answer_in_stock_transformers(studio: Path, studio_pickscore: Path) -> None:
    model, reader = CLIPModel.from_pretrained(studio_pickscore), CLIPProcessor.from_pretrained(studio_pickscore)
    told = {"text": ["a red field"], "images": [Image.new("RGB", (64, 64), "red")], "return_tensors": "pt"}
    assert torch.isfinite(model(**reader(**told)).logits_per_image).all()
    judge = AutoModelForImageClassification.from_pretrained(studio.with_name("bauhaus-judge"))
    assert torch.isfinite(judge(torch.zeros(1, 3, 128, 128)).logits).all()


def test_the_bundles_language_model_writes_in_stock_transformers(studio_lm: Path) -> None:
    model, reader = AutoModelForCausalLM.from_pretrained(studio_lm), AutoTokenizer.from_pretrained(studio_lm)
    assert model.generate(**reader("calmer", return_tensors="pt"), max_new_tokens=3).shape[1] > 1


@pytest.mark.parametrize("made", MADE)
def test_what_a_card_says_can_be_pasted(
    made: str, tiny: Callable[[str], BaseModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, config, changes, train = MADE[made]
    out = tmp_path / "an adapter's folder"
    train(config(**{**SHORT, **changes}), [(RED, PROMPT)], base_model=tiny(name), out=out)
    (code,) = re.findall(r"^```python\n(.*?)^```$", (out / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(out)
    exec(compile(code, "README.md", "exec"), {})
    with Image.open("painted.png") as picture:
        assert np.asarray(picture).std() > 0


def test_a_model_saved_in_half_precision_loads_in_one_dtype(tiny: Callable[[str], BaseModel], tmp_path: Path) -> None:
    load(tiny("sdxl").name, device="cpu").pipe.to(torch.bfloat16).save_pretrained(tmp_path)
    in_one_dtype(tmp_path)
    assert theirs(DiffusionPipeline.from_pretrained(tmp_path), "a dog").shape == (32, 32, 3)
    before = (tmp_path / "text_encoder" / "config.json").read_bytes()
    in_one_dtype(tmp_path)
    assert (tmp_path / "text_encoder" / "config.json").read_bytes() == before


def test_a_base_is_named_so_that_it_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my models").mkdir()
    assert base_of("my models") == str((tmp_path / "my models").resolve())
    assert base_of("owner/name") == "owner/name"


@pytest.mark.parametrize("odd", ["it's", 'say "so"', "back\\slash", "two\nlines", "{braces}"])
def test_whatever_a_prompt_or_a_place_is_called_the_snippet_is_python(odd: str) -> None:
    code = loading(odd, ["pytorch_lora_weights.safetensors"], odd, prompt=odd)
    compile(code, "snippet", "exec")
    assert code.count(repr(odd)) == 3
