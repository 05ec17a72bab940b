"""tools/profiles/reading.py: what was written is read back as it was, and refused by name when anything in it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluators.preference.model import Preference
from prompts.errors import InputError
from tests.tools.profiles.made import ANN, person, with_manifest, with_member
from tools.profiles.archive import Refused, pack, pack_arrays, unpack, unpack_arrays
from tools.profiles.profile import to_bytes
from tools.profiles.reading import from_bytes, read, write


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    made = person("ann", ANN)
    found = write(tmp_path / "ann.palate", made)
    again = read(tmp_path / "ann.palate")
    assert again.sha256 == found.sha256 and len(found.sha256) == 64
    assert (again.ratings, again.comparisons, again.adapters) == (made.ratings, made.comparisons, made.adapters)
    assert (again.genome, again.summary, again.images) == (made.genome, made.summary, made.images)
    assert np.array_equal(again.features, made.features)
    assert np.array_equal(again.tastes[0].predict(made.features)[0], made.tastes[0].predict(made.features)[0])


def test_equal_content_is_equal_bytes(data: bytes) -> None:
    assert to_bytes(person("ann", ANN)) == data == to_bytes(from_bytes(data, "it"))
    assert to_bytes(person("ann", ANN, seed=1)) != data


def test_it_says_what_it_is_in_plain_words(data: bytes) -> None:
    summary = from_bytes(data, "it").summary
    assert "background teal" in summary.split("Not liked")[0] and "texture hatched" in summary.split("Not liked")[1]
    assert "80 ratings from 1 run" in summary and "Asked for in words: teal, no hatched." in summary


def test_no_file_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no profile at .*nowhere.palate"):
        read(tmp_path / "nowhere.palate")


def test_a_newer_palates_profile_says_to_upgrade(data: bytes) -> None:
    with pytest.raises(Refused, match=r"newer Palate \(format 2, and this one reads up to 1\): upgrade"):
        from_bytes(with_manifest(data, version=2, something_new=[1]), "it")


def test_a_changed_rating_is_found_by_its_hash(data: bytes) -> None:
    parts = unpack(data, "it")
    forged = parts["ratings.jsonl"].replace(b'"run": "run-1"', b'"run": "run-2"', 1)
    with pytest.raises(Refused, match=r"'ratings.jsonl' was changed after the export"):
        from_bytes(pack(parts | {"ratings.jsonl": forged}), "it")


def features_with(**arrays: np.ndarray) -> Callable[[bytes], bytes]:
    return lambda old: pack_arrays(unpack_arrays(old, "it") | arrays)


def test_features_that_are_not_numbers_are_refused(data: bytes) -> None:
    holes = np.full((80, 24), 0.1, np.float32)
    holes[3, 5] = np.nan
    with pytest.raises(Refused, match=r"features.npz, features.npy holds NaN or infinity"):
        from_bytes(with_member(data, "features.npz", features_with(features=holes)), "it")


def test_features_of_another_dimension_are_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="features of 16 numbers a picture and its manifest says 24"):
        from_bytes(with_member(data, "features.npz", features_with(features=np.zeros((80, 16), np.float32))), "it")
    other = to_bytes(person("ann", ANN, width=16))
    with pytest.raises(Refused, match=r"'preference-0.npz' cannot judge the profile's own pictures"):
        from_bytes(with_member(data, "preference-0.npz", lambda _: unpack(other, "it")["preference-0.npz"]), "it")


def test_a_preference_model_of_an_unknown_kind_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match=r"'preference-0.npz' is no preference model"):
        from_bytes(with_member(data, "preference-0.npz", lambda _: pack_arrays({"kind": np.array("magic")})), "it")


def test_a_preference_model_that_says_nothing_finite_is_refused(data: bytes) -> None:
    nothing = features_with(**{"arrays/scale": np.zeros(24)})  # divides by nothing
    with pytest.raises(Refused, match=r"'preference-0.npz' gives no finite likings"):
        from_bytes(with_member(data, "preference-0.npz", nothing), "it")


def test_a_preference_model_that_corrects_ever_more_of_them_is_refused(data: bytes) -> None:
    def nested(levels: int) -> bytes:
        flat = {"kind": np.array("flat"), "arrays/mean": np.array(5.0), "arrays/width": np.array(24)}
        return pack_arrays({"population/" * level + name: one for level in range(levels) for name, one in flat.items()})

    assert from_bytes(with_member(data, "preference-0.npz", lambda _: nested(2)), "it").tastes[0].population
    with pytest.raises(Refused, match=r"'preference-0.npz' corrects more than 1 other"):
        from_bytes(with_member(data, "preference-0.npz", lambda _: nested(300)), "it")


def test_a_model_that_calls_itself_without_end_is_refused(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(Preference, "predict", endless)
    with pytest.raises(Refused, match="cannot judge the profile's own pictures"):
        from_bytes(data, "it")
    monkeypatch.setattr("evaluators.preference.model.load", endless)
    with pytest.raises(Refused, match="is no preference model"):
        from_bytes(data, "it")


@pytest.mark.parametrize(
    ("changes", "place"),
    [({"spread": 1e-300}, "spread"), ({"spread": 11.0}, "spread"), ({"centre": -0.1}, "centre"), ({"centre": 1e9}, "centre"), ({"weight": 1e-300}, "weight")],
)  # fmt: skip
def test_a_taste_on_no_scale_of_ratings_is_refused(data: bytes, changes: dict[str, float], place: str) -> None:
    (about,) = json.loads(unpack(data, "it")["manifest.json"])["tastes"]
    with pytest.raises(Refused, match=rf"tastes.0.{place} = "):
        from_bytes(with_manifest(data, tastes=[about | changes]), "it")


@pytest.mark.parametrize("key", ["mean", "sd"])
def test_a_scale_that_no_ratings_have_is_refused(data: bytes, key: str) -> None:
    with pytest.raises(Refused, match=rf"scale.{key} = 10.5"):
        from_bytes(with_manifest(data, scale={"mean": 5.0, "sd": 1.0} | {key: 10.5}), "it")


@pytest.mark.parametrize("features", [np.full((80, 24), 1e4, np.float32), np.zeros((80, 24)), np.zeros((80, 24), ">f4"), np.zeros((5001, 24), np.float32)])  # fmt: skip
def test_features_that_no_clip_gives_are_refused(data: bytes, features: np.ndarray) -> None:
    images = np.array([f"{number:064x}" for number in range(len(features))])
    with pytest.raises(Refused, match=r"up to 10000: .*below 10000|features of shape|features of 5001 pictures"):
        from_bytes(with_member(data, "features.npz", features_with(features=features, images=images)), "it")


def test_more_ratings_than_can_be_learned_from_are_refused(data: bytes) -> None:
    with pytest.raises(Refused, match=r"ratings.jsonl: 5040 lines are more than 5000: export fewer runs"):
        from_bytes(with_member(data, "ratings.jsonl", lambda part: part * 63), "it")


def test_no_taste_at_all_and_a_picture_against_itself_are_refused(data: bytes) -> None:
    empty = with_member(with_member(data, "ratings.jsonl", lambda _: b""), "comparisons.jsonl", lambda _: b"")
    with pytest.raises(Refused, match="neither ratings nor comparisons"):
        from_bytes(with_manifest(empty, ratings=0, comparisons=0), "it")
    first, second = from_bytes(data, "it").images[:2]
    same = with_member(data, "comparisons.jsonl", line_with(second.encode(), first.encode()))
    with pytest.raises(Refused, match="a picture with itself"):
        from_bytes(same, "it")


def line_with(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(part: bytes) -> bytes:
        assert old in part
        return part.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("ratings.jsonl", line_with(b'"value": ', b'"value": NaN, "v": '), r"ratings.jsonl, line 1 cannot be read .*NaN"),
        ("ratings.jsonl", line_with(b'"value": ', b'"value": 11'), r"line 1: value = .*less than or equal to 10"),
        ("ratings.jsonl", line_with(b'"run": "run-1"', b'"run": "run-1", "script": "rm"'), "Extra inputs"),
        ("ratings.jsonl", lambda part: part + part.split(b"\n")[0] + b"\n", "holds 81 ratings"),
        ("ratings.jsonl", line_with(b'"image": "', b'"image": "00'), "line 1: image"),
        ("ratings.jsonl", line_with(b'"source": 0', b'"source": 1'), "a person whom its manifest does not name"),
        ("genome.json", lambda part: b"[" * 100_000, "genome.json cannot be read"),
        ("genome.json", lambda part: json.dumps(json.loads(part) | {"best": {}}).encode(), "genes that it does not describe"),
        ("summary.md", lambda part: b"\xff\xfe", "is no text"),
        ("adapters.json", lambda part: b"{}", "should be a valid list"),
    ],
)  # fmt: skip
def test_what_a_careful_forger_writes_is_still_checked(
    data: bytes, name: str, change: Callable[[bytes], bytes], told: str
) -> None:
    with pytest.raises(Refused, match=told):
        from_bytes(with_member(data, name, change), "it")


def test_a_rating_of_a_picture_that_nobody_saw_is_refused(data: bytes) -> None:
    stranger = from_bytes(data, "it").ratings[0].image.encode()
    with pytest.raises(Refused, match="has no features of it"):
        from_bytes(with_member(data, "ratings.jsonl", line_with(stranger, b"0" * 64)), "it")


def test_a_prompt_may_hold_any_text() -> None:
    made = person("ann", ANN)
    odd = made.ratings[0].model_copy(update={"prompt": "a ring\u2028on\u0085teal\nand more"})
    found = from_bytes(to_bytes(replace(made, ratings=(odd, *made.ratings[1:]))), "it")
    assert found.ratings[0] == odd
