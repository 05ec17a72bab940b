"""trainers/model/paint.py: what no text encoder reads of a prompt is told, in painting and in every training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PIL import Image

from trainers.model.base_model import BaseModel
from trainers.model.denoiser import encode_prompts
from trainers.model.paint import cut_off, tell_cuts
from trainers.sft import encoded, spoken

Tiny = Callable[[str], BaseModel]
LONG = "a photo of " + "red " * 90 + "dog"
LONGER = "a photo of " + "red " * 700 + "dog"


def test_a_caption_beyond_77_tokens_is_told_once_with_its_end(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    encode_prompts([LONG, "a dog", LONG], tiny("sd15"), 32)
    (told,) = [record.getMessage() for record in caplog.records if record.name.startswith("trainers.")]
    assert "1 of 2 different prompts are longer than the 77 tokens" in told and "dog" in told


@pytest.mark.parametrize("encode", [encoded, spoken])
def test_a_training_on_pictures_tells_of_captions_that_are_cut(
    encode: Callable[..., object], tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    encode([(Image.new("RGB", (32, 32)), LONG)], tiny("sdxl"), 32, ())
    assert "1 of 1 different prompts are longer than the 77 tokens" in caplog.text


@pytest.mark.parametrize(("name", "reads"), [("sd3", 256), ("flux", 512)])
def test_where_t5_reads_on_only_what_it_does_not_read_is_cut(
    name: str, reads: int, tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny(name)
    assert cut_off(LONG.replace("red ", "", 60), model) == ""
    assert cut_off(LONGER, model)
    tell_cuts([LONGER, "a dog"], model)
    assert f"1 of 2 different prompts are longer than the {reads} tokens" in caplog.text


def test_what_is_read_whole_is_not_spoken_of(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    encode_prompts(["a dog", "a cat"], tiny("sd15"), 32)
    assert not caplog.records
