"""evaluators/scorers/hpsv2.py: the published layout, tiny, against a float64 transcription."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from evaluators.scorers.hpsv2 import HPSv2
from prompts.errors import InputError
from tests.evaluators import published
from tests.evaluators.published import pictures

PROMPTS = ["a red dog on a field", "A Blue circle", "a red dog on a field", "", "two white dogs, oil on canvas"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hpsv2")
    published.hpsv2(folder)
    return folder


@pytest.fixture(scope="module")
def scorer(folder: Path) -> HPSv2:
    return HPSv2(folder)


def test_scores_are_those_of_the_equations_in_float64(folder: Path, scorer: HPSv2) -> None:
    tensors = torch.load(folder / "HPS_v2.1_compressed.pt", weights_only=True)["state_dict"]
    tokens = open_clip.SimpleTokenizer(context_length=77)(PROMPTS)
    expected = published.hpsv2_scores(tensors, pictures(), tokens)
    score = scorer(pictures(), PROMPTS)
    assert score.name == "hpsv2" and len(score.version) == 12
    assert score.values == pytest.approx(expected, abs=2e-6)
    assert max(expected) - min(expected) > 0.05


def test_the_order_of_a_batch_does_not_matter_and_rows_stand_for_themselves(scorer: HPSv2) -> None:
    order = [3, 0, 4, 2, 1]
    images, values = pictures(), scorer(pictures(), PROMPTS).values
    turned = scorer([images[i] for i in order], [PROMPTS[i] for i in order]).values
    assert turned == pytest.approx([values[i] for i in order], abs=1e-6)
    assert [scorer([image], [prompt]).values[0] for image, prompt in zip(images, PROMPTS, strict=True)] == pytest.approx(values, abs=1e-6)  # fmt: skip


def test_a_remembered_text_scores_as_a_fresh_one_and_is_read_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, read = HPSv2(folder), []
    real = scorer.model.encode_text
    monkeypatch.setattr(
        scorer.model, "encode_text", lambda tokens, **how: read.append(len(tokens)) or real(tokens, **how)
    )
    fresh = scorer(pictures(), PROMPTS).values
    assert read == [4]  # one of the five comes twice
    assert scorer(pictures(), PROMPTS).values == fresh and read == [4]


def test_more_images_than_a_batch_are_scored_as_in_one(scorer: HPSv2, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scorer(pictures(), PROMPTS).values
    monkeypatch.setattr("evaluators.scorers.hpsv2.BATCH", 2)
    assert scorer(pictures(), PROMPTS).values == pytest.approx(whole, abs=1e-6)


def test_safetensors_score_the_same_and_other_weights_have_another_version(
    folder: Path, tmp_path: Path, scorer: HPSv2
) -> None:
    tensors = published.hpsv2(tmp_path)
    save_file(tensors, tmp_path / "hps.safetensors")
    same = HPSv2(tmp_path)  # the .pt lies beside it
    assert same(pictures(), PROMPTS).values == scorer(pictures(), PROMPTS).values and same.version != scorer.version
    (tmp_path / "other").mkdir()
    published.hpsv2(tmp_path / "other", seed=1)
    other = HPSv2(tmp_path / "other" / "HPS_v2.1_compressed.pt")
    assert other.version != scorer.version and other(pictures(), PROMPTS).values != scorer(pictures(), PROMPTS).values


def test_a_prompt_past_the_limit_is_cut_and_reported(scorer: HPSv2, caplog: pytest.LogCaptureFixture) -> None:
    fits, long = "dog " * 75, "dog " * 76
    assert scorer.truncated([fits, long]) == [long]
    cut = scorer(pictures(2), [long, f"{long} red"]).values
    assert "reads only the first 77 tokens" in caplog.text
    assert cut == pytest.approx(scorer(pictures(2), [fits, fits]).values, abs=1e-6)


def test_what_is_not_that_model_is_refused_by_name(folder: Path, tmp_path: Path, scorer: HPSv2) -> None:
    with pytest.raises(InputError, match="2 images for 1 prompts"):
        scorer(pictures(2), PROMPTS[:1])
    assert scorer([], []).values == ()
    with pytest.raises(InputError, match=r"no weights at .*nowhere"):
        HPSv2(tmp_path / "nowhere")
    tensors = published.hpsv2(tmp_path)
    file = tmp_path / "HPS_v2.1_compressed.pt"
    torch.save({"state_dict": {key: one for key, one in tensors.items() if key != "visual.proj"}}, file)
    with pytest.raises(InputError, match=r"lacks 'visual\.proj'"):
        HPSv2(tmp_path)
    torch.save({"state_dict": tensors | {"score_predictor.weight": torch.zeros(1)}}, file)
    with pytest.raises(InputError, match=r"also holds 'score_predictor\.weight'"):
        HPSv2(tmp_path)
    torch.save({"state_dict": tensors | {"visual.proj": torch.zeros(32, 8)}}, file)
    with pytest.raises(InputError, match=r"'visual\.proj' of the shape \(32, 8\), not \(32, 24\)"):
        HPSv2(tmp_path)
    torch.save({"state_dict": tensors}, file)
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(InputError, match="is no open_clip configuration"):
        HPSv2(tmp_path)
    (tmp_path / "open_clip_config.json").unlink()  # then it has to be the published size
    with pytest.raises(InputError, match=r"lacks 'transformer\.resblocks\.10"):
        HPSv2(tmp_path)
