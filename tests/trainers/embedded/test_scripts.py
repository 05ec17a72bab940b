"""trainers/embedded: every script runs from nothing to a model that the product's own loaders open, in a recipe of two steps."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, Qwen3ForCausalLM

from evaluators.scorers.clip import Clip
from evaluators.scorers.pickscore import PickScore
from trainers.embedded import clip, lm, pickscore, recipe, unet, vae
from trainers.embedded.world.dataset import held_out
from trainers.model.load import load
from trainers.model.paint import paint

STEPS = {"steps": 2, "batch": 4, "rate": 1e-3}
PROMPT = "two large red squares and a teal circle on a white background, scattered, apart, no lines, flat"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models that the five scripts wrote."""
    folder = tmp_path_factory.mktemp("studio")
    parts = dict.fromkeys(("clip", "vae", "decoder", "lm"), STEPS)
    parts |= {"unet": STEPS | {"head": 8}, "pickscore": STEPS | {"count": 20}, "data": {"count": 40, "size": 64}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipe.RECIPES, "cpu", parts)
        patch.setattr(pickscore.accuracy, "__defaults__", (100,))
        patch.setattr(clip, "held_out", lambda count, **given: held_out(min(count, 100), **given))
        patch.setattr(vae, "held_out", lambda count, **given: held_out(min(count, 10), **given))
        words = ["script", "--work", folder / "work", "--out", folder / "models", "--device", "cpu"]
        patch.setattr(sys, "argv", [str(word) for word in words])
        for script in (clip, vae, unet, pickscore, lm):
            script.main()
    return folder / "models"


def test_the_pipeline_paints(made: Path) -> None:
    (one,) = paint([PROMPT], model=load(str(made / "bauhaus"), device="cpu"), seed=0, steps=2)
    assert one.image.size == (64, 64) and np.asarray(one.image).std() > 0


def test_clip_and_the_pickscore_layout_judge(made: Path) -> None:
    (one,) = paint([PROMPT], model=load(str(made / "bauhaus"), device="cpu"), seed=0, steps=2)
    features = Clip(made / "bauhaus-clip").image_features([one.image])
    assert np.linalg.norm(features) == pytest.approx(1.0, abs=1e-3)
    assert np.isfinite(PickScore(made / "bauhaus-pickscore")([one.image], [PROMPT]).values).all()


def test_the_language_model_and_its_tokenizer_fit(made: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(made / "bauhaus-lm")
    model = Qwen3ForCausalLM.from_pretrained(made / "bauhaus-lm")
    assert model.config.vocab_size == len(tokenizer) and tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.decode(tokenizer(PROMPT).input_ids) == PROMPT


def test_every_prompt_of_the_vocabulary_has_as_many_tokens(made: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(made / "bauhaus-lm")
    prompts = [
        PROMPT,
        "one small orange ring and an orange cross on an orange background, in a row, overlapping, bold lines, gradient",
    ]
    assert len({len(tokenizer(f"9 {prompt}\n").input_ids) for prompt in prompts}) == 1
