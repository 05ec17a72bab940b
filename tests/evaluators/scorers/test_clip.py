import json
import shutil

import numpy as np
import pytest
from PIL import Image

from evaluators.scorers.clip import Clip
from prompts.errors import InputError

COLOURS = {"red": "#d62828", "blue": "#1d4ed8", "green": "#2e8b57", "yellow": "#fcd34d"}


def images():
    return [Image.new("RGB", (64, 64), rgb) for rgb in COLOURS.values()]


def test_features_are_float32_unit_rows(clip):
    for rows in (clip.image_features(images()), clip.text_features(["a red circle", "a blue square"])):
        assert rows.dtype == np.float32 and rows.ndim == 2
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_batch_scores_as_its_images_do_alone(clip):
    prompts = [f"a circle on a {name} background" for name in COLOURS]
    together = clip.clip_t(images(), prompts).values
    alone = [clip.clip_t([image], [prompt]).values[0] for image, prompt in zip(images(), prompts, strict=True)]
    assert together == pytest.approx(alone, abs=1e-4)
    assert all(-1.0 <= value <= 1.0 for value in together)


def test_clip_i_is_the_mean_over_references(clip):
    pictures = images()
    first, second = (clip.clip_i(pictures, [""] * 4, [reference]).values for reference in pictures[:2])
    both = clip.clip_i(pictures, [""] * 4, pictures[:2]).values
    assert both == pytest.approx((np.array(first) + second) / 2, abs=1e-5)
    assert first[0] == pytest.approx(1.0, abs=1e-4)


def test_a_score_says_which_weights_gave_it(clip):
    score = clip.clip_t(images()[:1], ["a red circle"])
    assert score.name == "clip_t" and len(score.version) == 12 and int(score.version, 16) >= 0


def test_tags_are_the_nearest_words_best_first(clip):
    words = list(COLOURS)
    tags = clip.tags(images(), words, top=2)
    assert [len(found) for found in tags] == [2] * 4
    cosine = clip.image_features(images()) @ clip.text_features(words).T
    assert [found[0].word for found in tags] == [words[i] for i in cosine.argmax(axis=1)]
    assert all(found[0].cosine >= found[1].cosine for found in tags)


def test_any_mode_and_size_of_image_is_taken(clip):
    assert clip.image_features([Image.new("L", (90, 40)), Image.new("RGBA", (5, 200))]).shape[0] == 2


def test_no_image_has_no_score(clip):
    assert clip.clip_t([], []).values == ()


def test_what_cannot_be_compared_is_refused(clip):
    with pytest.raises(InputError, match="one prompt for each"):
        clip.clip_t(images(), ["a red circle"])
    with pytest.raises(InputError, match="at least one reference"):
        clip.clip_i(images(), [""] * 4, [])


def test_a_missing_folder_or_file_is_named(tmp_path, studio_clip):
    with pytest.raises(InputError, match="nowhere"):
        Clip(tmp_path / "nowhere")
    with pytest.raises(InputError, match="safetensors"):
        Clip(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(studio_clip, copy)
    (copy / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match="tokenizer_config"):
        Clip(copy)
    (copy / "open_clip_config.json").write_text(json.dumps({"no": "model"}))
    with pytest.raises(InputError, match="open_clip_config"):
        Clip(copy)


def test_weights_that_do_not_fit_the_configuration_are_refused(tmp_path, studio_clip):
    copy = tmp_path / "copy"
    shutil.copytree(studio_clip, copy)
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] += 8
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="cannot load"):
        Clip(copy)


def test_a_text_whose_end_is_not_read_is_told(clip: Clip, caplog: pytest.LogCaptureFixture) -> None:
    long = "a composition of " + "red " * 100 + "circles"
    clip.text_features([long, "a red circle"])
    assert [record.getMessage() for record in caplog.records] == [f"CLIP reads only the first 32 tokens of {long!r}"]
    fits = next(n for n in range(60) if clip.truncated(["red " * n])) - 1
    ids = clip._tokenize(["red " * fits, "red " * (fits + 1)], context_length=99)
    assert [int((row != row[-1]).sum()) + 1 for row in ids] == [32, 33]  # the words and an end
