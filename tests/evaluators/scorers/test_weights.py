import pytest

from evaluators.scorers.weights import is_hub_id, version_of
from prompts.errors import InputError


def test_the_version_changes_with_the_weights(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"one")
    first = version_of(tmp_path)
    assert first == version_of(tmp_path) and len(first) == 12
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert version_of(tmp_path) != first


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="safetensors"):
        version_of(tmp_path)


def test_a_mistyped_path_is_not_taken_for_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    assert is_hub_id("yuvalkirstain/PickScore_v1")
    assert not any(is_hub_id(name) for name in ("models/bauhaus-pikscore", "bauhaus", "/a/b", "./a", "../b", "a/b/c"))
