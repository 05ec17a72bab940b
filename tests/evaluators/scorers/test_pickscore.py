import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from evaluators.scorers.pickscore import PickScore
from prompts.errors import InputError

PROMPTS = ["a red circle on white", "a blue circle on white"]


@pytest.fixture(scope="module")
def pickscore(studio_pickscore):
    return PickScore(studio_pickscore)


def images():
    return [Image.new("RGB", (64, 64), rgb) for rgb in ("#d62828", "#1d4ed8")]


def test_the_score_is_scaled_cosine_of_each_image_with_its_own_prompt(pickscore):
    from transformers import CLIPModel

    values = pickscore(images(), PROMPTS, []).values
    inputs = pickscore.processor(text=PROMPTS, images=images(), return_tensors="pt", padding=True, truncation=True)
    model: CLIPModel = pickscore.model
    with torch.inference_mode():
        expected = model(**inputs).logits_per_image.diagonal()
    assert values == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-4)


def test_a_batch_scores_as_its_images_do_alone(pickscore):
    many, prompts = images() * 40, PROMPTS * 40
    together = pickscore(many, prompts).values
    assert together[:2] == pytest.approx(
        [pickscore([i], [p]).values[0] for i, p in zip(images(), PROMPTS, strict=True)], abs=1e-3
    )
    assert together[-2:] == pytest.approx(together[:2], abs=1e-3)


def test_each_prompt_is_encoded_once(pickscore):
    fresh = "two green squares on a black background"
    assert fresh not in pickscore._texts
    first = pickscore.text_features([fresh, fresh])
    assert torch.equal(pickscore.text_features([fresh])[0], first[0]) and torch.equal(first[0], first[1])
    assert fresh in pickscore._texts


def test_a_prompt_past_the_limit_is_cut_and_reported(pickscore, caplog):
    long = "a red circle and " * pickscore.token_limit
    assert pickscore.truncated([PROMPTS[0], long]) == [long]
    pickscore(images()[:1], [long])
    assert "reads only the first" in caplog.text
    longer = long + "a blue square"
    assert pickscore(images()[:1], [longer]).values == pytest.approx(pickscore(images()[:1], [long]).values)


def test_a_score_says_which_weights_gave_it(pickscore):
    score = pickscore(images(), PROMPTS)
    assert score.name == "pickscore" and len(score.version) == 12 and int(score.version, 16) >= 0
    assert pickscore([], []).values == ()


def test_images_without_prompts_are_refused(pickscore):
    with pytest.raises(InputError, match="2 images for 1 prompts"):
        pickscore(images(), PROMPTS[:1])


def test_a_missing_or_wrong_folder_is_named(tmp_path, studio_pickscore):
    with pytest.raises(InputError, match="nowhere"):
        PickScore(tmp_path / "nowhere")
    copy = tmp_path / "copy"
    shutil.copytree(studio_pickscore, copy)
    (copy / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json"):
        PickScore(copy)


@pytest.mark.parametrize("damage", ["lost", "resized"])
def test_weights_that_were_made_up_are_refused(damage, tmp_path, studio_pickscore):
    copy = tmp_path / "copy"
    shutil.copytree(studio_pickscore, copy)
    weights = load_file(copy / "model.safetensors")
    if damage == "lost":
        weights.pop("visual_projection.weight")
    else:
        weights["visual_projection.weight"] = weights["visual_projection.weight"][:-1].contiguous()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="copy"):
        PickScore(copy)
