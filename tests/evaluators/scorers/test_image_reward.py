"""evaluators/scorers/image_reward.py and blip.py: the published layout, tiny, against a float64 transcription."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from evaluators.scorers.image_reward import ImageReward
from prompts.errors import InputError
from tests.evaluators import published
from tests.evaluators.published import pictures

PROMPTS = ["a red dog on the field", "blue", "a red dog on the field", "the white circle on a blue field", "dog " * 40]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image_reward")
    published.image_reward(folder)
    return folder


@pytest.fixture(scope="module")
def scorer(folder: Path) -> ImageReward:
    return ImageReward(folder)


def test_scores_are_those_of_the_equations_in_float64(folder: Path, scorer: ImageReward) -> None:
    tensors = torch.load(folder / "ImageReward.pt", weights_only=True)
    expected = published.image_reward_scores(tensors, pictures(), PROMPTS)
    score = scorer(pictures(), PROMPTS)
    assert score.name == "image_reward" and len(score.version) == 12
    assert score.values == pytest.approx(expected, abs=2e-6)  # an epsilon of 1e-5 in place of 1e-6 would be 4e-6 off
    assert max(expected) - min(expected) > 0.05


def test_both_the_image_and_the_prompt_matter(scorer: ImageReward) -> None:
    one, other = pictures(2)
    values = scorer([one, one, other], [PROMPTS[0], PROMPTS[1], PROMPTS[0]]).values
    assert abs(values[0] - values[1]) > 1e-3 and abs(values[0] - values[2]) > 1e-3


def test_the_order_of_a_batch_does_not_matter_and_rows_stand_for_themselves(scorer: ImageReward) -> None:
    order = [3, 0, 4, 2, 1]
    images, values = pictures(), scorer(pictures(), PROMPTS).values
    turned = scorer([images[i] for i in order], [PROMPTS[i] for i in order]).values
    assert turned == pytest.approx([values[i] for i in order], abs=1e-5)
    assert [scorer([image], [prompt]).values[0] for image, prompt in zip(images, PROMPTS, strict=True)] == pytest.approx(values, abs=1e-5)  # fmt: skip


def test_a_remembered_text_scores_as_a_fresh_one_and_is_read_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, read = ImageReward(folder), []
    real = scorer._encode
    monkeypatch.setattr(scorer, "_encode", lambda prompts: read.append(len(prompts)) or real(prompts))
    fresh = scorer(pictures(), PROMPTS).values
    assert read == [4]
    assert scorer(pictures(), PROMPTS).values == fresh and read == [4]


def test_more_images_than_a_batch_are_scored_as_in_one(scorer: ImageReward, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scorer(pictures(), PROMPTS).values
    monkeypatch.setattr("evaluators.scorers.image_reward.BATCH", 2)
    assert scorer(pictures(), PROMPTS).values == pytest.approx(whole, abs=1e-5)


def test_a_prompt_past_35_tokens_is_cut_and_reported(scorer: ImageReward, caplog: pytest.LogCaptureFixture) -> None:
    fits, long = "red " * 33, "red " * 34
    assert scorer.truncated([fits, long]) == [long]
    assert scorer(pictures(1), [long]).values == pytest.approx(scorer(pictures(1), [fits]).values, abs=1e-6)
    assert "reads only the first 35 tokens" in caplog.text


def test_what_is_missing_or_does_not_belong_is_refused_by_name(tmp_path: Path, scorer: ImageReward) -> None:
    with pytest.raises(InputError, match="1 images for 2 prompts"):
        scorer(pictures(1), PROMPTS[:2])
    assert scorer([], []).values == ()
    tensors = published.image_reward(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(published.WORDS[:-1]) + "\n")
    with pytest.raises(InputError, match=r"vocab\.txt' has 13 tokens, and the model wants 14"):
        ImageReward(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(InputError, match=r"no vocab\.txt in"):
        ImageReward(tmp_path)
    (tmp_path / "med_config.json").write_text(json.dumps({"hidden_size": 48}))
    with pytest.raises(InputError, match=r"med_config\.json' is no BERT configuration"):
        ImageReward(tmp_path)
    published.image_reward(tmp_path)
    file = tmp_path / "ImageReward.pt"
    for key, told in (
        ("blip.visual_encoder.patch_embed.proj.weight", "holds no vision transformer of BLIP"),
        ("blip.visual_encoder.norm.bias", "lacks 'post_layernorm.bias'"),
        ("blip.text_encoder.encoder.layer.1.crossattention.self.key.weight", "lacks 'encoder.layer.1.crossattention"),
        ("mlp.layers.4.weight", "lacks 'mlp.layers.4.weight'"),
    ):
        torch.save({name: one for name, one in tensors.items() if name != key}, file)
        with pytest.raises(InputError, match=told):
            ImageReward(tmp_path)
