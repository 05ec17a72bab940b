"""A new word: learned, painted with, loaded by others, and taken away without a trace."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoPipelineForText2Image
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from prompts.errors import InputError
from tests.tiny_models import build
from tests.trainers.subject import BLUE, RED, SHORT, STRANGE, cut_short, fixed_loss, painted, same, theirs, weights_of
from trainers import dreambooth
from trainers.files import word_file
from trainers.files.adapter_file import Adapter
from trainers.model import words
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.model.paint import cut_off
from trainers.textual_inversion import TextualInversionConfig, train

Tiny = Callable[[str], BaseModel]

PROMPT = "a photo of <x> dog"
DATA = [(RED, PROMPT), (BLUE, "the <x> on a field")]
CONFIG = TextualInversionConfig(word="<x>", initial="red", vectors=2, **SHORT)
READERS = ("sd15", "sd15-v", "sdxl", "flux")


@pytest.fixture(scope="module")
def learned(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Adapter]:
    folder = tmp_path_factory.mktemp("words")
    return lambda name: train(CONFIG, DATA, base_model=tiny(name), out=folder / name)


@pytest.mark.parametrize("name", READERS)
def test_a_word_changes_the_picture_as_it_does_in_a_stock_pipeline_and_leaves_no_trace(
    name: str, tiny: Tiny, learned: Callable[[str], Adapter]
) -> None:
    model = tiny(name)
    before, numbers, parts = painted(model, PROMPT), weights_of(model), words.readers(model.pipe)
    adapter = learned(name)
    after = painted(model, PROMPT, adapters={adapter.path: 1.0})
    assert (before != after).any() and (painted(model, PROMPT, adapters={adapter.path: 0}) == before).all()
    assert (painted(model, PROMPT) == before).all() and same(weights_of(model), numbers)
    assert all(words.readers(model.pipe)[key] is part for key, part in parts.items())
    stock = AutoPipelineForText2Image.from_pretrained(model.name)
    if name == "sdxl":
        for place in words.PLACES["StableDiffusionXLPipeline"]:
            stock.load_textual_inversion(
                load_file(adapter.file)[place.key], token="<x>", text_encoder=getattr(stock, place.encoder),
                tokenizer=getattr(stock, place.tokenizer),
            )  # fmt: skip
    else:
        stock.load_textual_inversion(adapter.path)
    assert abs(theirs(stock, PROMPT) - after).max() <= 2


@pytest.mark.parametrize("name", READERS)
def test_only_the_vectors_of_the_word_move_in_every_encoder(
    name: str, tiny: Tiny, learned: Callable[[str], Adapter]
) -> None:
    model = tiny(name)
    found = word_file.read(learned(name).file)
    assert found and found.token == "<x>"
    for place in words.places(model.pipe, name):
        first = words.vectors_of("red", model.pipe, place)
        moved = found.vectors[place.key] - first
        assert moved.shape == (2, 16) and (moved.abs().amax(dim=1) > 1e-3).all()


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    after: int, tiny: Tiny, learned: Callable[[str], Adapter], tmp_path: Path
) -> None:
    model, whole = tiny("sdxl"), learned("sdxl")
    begun = partial(train, CONFIG, DATA, base_model=model)
    cut_short(begun, tmp_path, after)
    assert "<x>" not in model.pipe.tokenizer.get_vocab()
    adapter = begun(out=tmp_path)
    assert adapter.sha256 == whole.sha256
    assert (tmp_path / "losses.jsonl").read_text() == (whole.path / "losses.jsonl").read_text()


def test_a_word_lets_the_bundled_painter_predict_a_picture_that_it_never_saw(studio: Path, tmp_path: Path) -> None:
    model = load(str(studio), device="cpu")
    config = TextualInversionConfig(word="<bed>", initial="square", steps=20, batch_size=4, learning_rate=2e-2)
    before = fixed_loss(model, STRANGE, "a square")
    adapter = train(config, [(STRANGE, "a <bed>")], base_model=model, out=tmp_path)
    assert fixed_loss(model, STRANGE, "a <bed>", {adapter.path: 1.0}) < before - 0.01
    assert fixed_loss(model, STRANGE, "a square", {adapter.path: 1.0}) == before


def test_the_samples_on_the_way_are_painted_with_the_word(tiny: Tiny, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"sample_prompts": (PROMPT,), "sample_every": 3, "sample_steps": 2})
    train(config, DATA, base_model=tiny("sd15"), out=tmp_path)
    first, last = ((tmp_path / "samples" / f"step-00000{step}.png").read_bytes() for step in (0, 3))
    assert first != last


def test_a_lora_learns_beside_a_word_and_both_are_attached(
    tiny: Tiny, learned: Callable[[str], Adapter], tmp_path: Path
) -> None:
    model, word = tiny("sd15"), learned("sd15").path
    config = dreambooth.DreamBoothConfig(**SHORT)
    lora = dreambooth.train(config, [(BLUE, PROMPT)], base_model=model, out=tmp_path, adapters={word: 1.0}).path
    alone, both = (painted(model, PROMPT, adapters=one) for one in ({lora: 1.0}, {lora: 1.0, word: 1.0}))
    assert (alone != both).any()
    other = CONFIG.model_copy(update={"word": "<y>"})
    second = train(
        other, [(RED, "a <x> with <y>")], base_model=model, out=tmp_path / "y", adapters={word: 1.0, lora: 1.0}
    )
    assert (
        painted(model, "<x> <y>", adapters={word: 1.0, second.path: 1.0})
        != painted(model, "<x> <y>", adapters={word: 1.0})
    ).any()


def test_inside_another_attachment_only_the_words_asked_for_are_known(
    tiny: Tiny, learned: Callable[[str], Adapter]
) -> None:
    model, word = tiny("sd15"), learned("sd15").path
    with attached(model, {word: 1.0}):
        outer = model.pipe.tokenizer
        with attached(model):
            assert "<x>" not in model.pipe.tokenizer.get_vocab()
        assert model.pipe.tokenizer is outer and "<x>_1" in outer.get_vocab()


def test_what_is_cut_off_counts_every_vector_of_a_word(tiny: Tiny, learned: Callable[[str], Adapter]) -> None:
    model, prompt = tiny("sd15"), " ".join(["dog"] * 74 + ["<x>"])  # 75 fit, and the word takes 2
    with attached(model, {learned("sd15").path: 1.0}):
        assert cut_off(prompt, model) == "<x>_1"


def test_a_model_in_bfloat16_learns_the_word_in_float32(tmp_path: Path) -> None:
    plain = load(str(build("sdxl", tmp_path / "model")), device="cpu")
    model = BaseModel(plain.name, plain.pipe.to(torch.bfloat16), plain.device, torch.bfloat16)
    config = CONFIG.model_copy(update={"sample_prompts": (PROMPT,), "sample_steps": 1})
    adapter = train(config, DATA, base_model=model, out=tmp_path / "out")
    assert {value.dtype for value in load_file(adapter.file).values()} == {torch.float32}
    assert painted(model, PROMPT, adapters={adapter.path: 1.0}).shape == (32, 32, 3)


def test_files_of_others_are_read(tiny: Tiny, tmp_path: Path) -> None:
    rows = torch.ones(1, 16)
    save_file({"emb_params": rows}, tmp_path / "cat-toy.safetensors")
    save_file({"<other>": rows[0]}, tmp_path / "b.safetensors")
    save_file({"clip_l": rows, "clip_g": 2 * rows}, tmp_path / "style.safetensors")
    found = [word_file.read(tmp_path / name) for name in ("cat-toy.safetensors", "b.safetensors", "style.safetensors")]
    assert [word and word.token for word in found] == ["<cat-toy>", "<other>", "<style>"]
    assert all(rows.shape == (1, 16) for word in found if word for rows in word.vectors.values())
    assert painted(tiny("sd15"), "a <other> dog", adapters={tmp_path / "b.safetensors": 1.0}).any()


def test_a_word_that_does_not_fit_is_refused_and_the_model_stays_as_it_was(
    tiny: Tiny, learned: Callable[[str], Adapter], tmp_path: Path
) -> None:
    model, word = tiny("sd15"), learned("sd15").path
    tokenizer = model.pipe.tokenizer
    save_file({"<wide>": torch.ones(1, 17)}, tmp_path / "wide.safetensors")
    save_file({"dog</w>": torch.ones(1, 16)}, tmp_path / "known.safetensors")
    save_file({"<n>": torch.full((1, 16), float("nan"))}, tmp_path / "nan.safetensors")
    save_file({"<x>": torch.ones(1, 16)}, tmp_path / "twice.safetensors")
    wrong: list[tuple[dict[Any, float], str]] = [
        ({word: 0.5}, r"the word '<x>'.*no weight 0.5: give 1, or 0"),
        ({tmp_path / "wide.safetensors": 1}, "vectors of 17 numbers.*reads 16"),
        ({tmp_path / "known.safetensors": 1}, "knows the word 'dog</w>' already"),
        ({tmp_path / "nan.safetensors": 1}, "not finite"),
        ({word: 1, tmp_path / "twice.safetensors": 1}, "knows the word '<x>' already"),
        ({learned("sdxl").path: 1}, "clip_g.*reads with clip_l"),
    ]
    for adapters, told in wrong:
        with pytest.raises(InputError, match=told):
            painted(model, PROMPT, adapters=adapters)
        assert model.pipe.tokenizer is tokenizer
    with pytest.raises(InputError, match=r"StableDiffusion3Pipeline.*no loader of new words"):
        painted(tiny("sd3"), PROMPT, adapters={word: 1})


@pytest.mark.parametrize(
    ("changes", "data", "told"),
    [
        ({}, [(RED, "a photo of the dog")], "'a photo of the dog' lacks the new word '<x>'"),
        ({}, [], "0 items"),
        ({"initial": "castle"}, DATA, "'castle' takes 6 tokens.*has 2"),
        ({"initial": " "}, DATA, "' ' takes 0 tokens"),
    ],
)
def test_a_training_that_cannot_work_is_refused(
    tiny: Tiny, changes: dict[str, Any], data: list[Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told):
        train(CONFIG.model_copy(update=changes), data, base_model=tiny("sd15"), out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_pipeline_that_takes_no_words_is_refused_with_those_that_do(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"StableDiffusion3Pipeline.*no loader of new words.*StableDiffusionXLPipeline"
    ):
        train(CONFIG, DATA, base_model=tiny("sd3"), out=tmp_path)


@pytest.mark.parametrize("word", ["x", "<X>", "<a b>", "<>", ""])
def test_a_word_that_tokenizers_would_not_find_is_refused(word: str) -> None:
    with pytest.raises(ValidationError, match="word"):
        TextualInversionConfig(word=word, initial="dog")
