"""tools/profiles: a file is written whole and the same each time, read back as it was, and refused by name when anything is wrong."""

from __future__ import annotations

import io
import json
import pickle
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluators.preference.model import Preference
from prompts.errors import InputError
from tests.tools.profiles.made import ANN, person, with_manifest, with_member
from tools.profiles.archive import LARGEST, Refused, pack, pack_arrays, unpack, unpack_arrays
from tools.profiles.profile import to_bytes
from tools.profiles.reading import from_bytes, read, write


@pytest.fixture(scope="module")
def data() -> bytes:
    return to_bytes(person("ann", ANN))


def zipped(data: bytes, change: Callable[[zipfile.ZipInfo], None], method: int = zipfile.ZIP_STORED) -> bytes:
    """The same members, each in an entry that was changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in unpack(data, "it").items():
            about = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            about.external_attr, about.compress_type = (stat.S_IFREG | 0o644) << 16, method
            change(about)
            archive.writestr(about, content)
    return buffer.getvalue()


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


def test_nothing_in_it_is_pickled_and_numpy_reads_it_too(data: bytes) -> None:
    with np.load(io.BytesIO(unpack(data, "it")["features.npz"]), allow_pickle=False) as stored:
        assert stored["features"].shape == (80, 24) and stored["images"].dtype == "U64"


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


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_profile_that_was_cut_short_is_refused(data: bytes, share: float) -> None:
    with pytest.raises(Refused, match=r"cut short or damaged|was cut"):
        from_bytes(data[: int(share * len(data))], "it")


def test_no_byte_can_be_changed_unseen(data: bytes) -> None:
    for place in np.random.default_rng(0).integers(0, len(data), 120):
        changed = bytearray(data)
        changed[place] ^= 1 << int(place) % 8
        with pytest.raises(Refused):
            from_bytes(bytes(changed), "it")


def test_a_changed_rating_is_found_by_its_hash(data: bytes) -> None:
    parts = unpack(data, "it")
    forged = parts["ratings.jsonl"].replace(b'"run": "run-1"', b'"run": "run-2"', 1)
    with pytest.raises(Refused, match=r"'ratings.jsonl' was changed after the export"):
        from_bytes(pack(parts | {"ratings.jsonl": forged}), "it")


def as_link(about: zipfile.ZipInfo) -> None:
    about.external_attr = (stat.S_IFLNK | 0o777) << 16


def as_path(about: zipfile.ZipInfo) -> None:
    about.filename = f"../{about.filename}"


def as_folder(about: zipfile.ZipInfo) -> None:
    about.external_attr = (stat.S_IFDIR | 0o755) << 16


@pytest.mark.parametrize(
    ("change", "told"), [(as_link, "is a link"), (as_path, "names a path outside"), (as_folder, "is a folder")]
)
def test_links_paths_and_folders_are_refused(data: bytes, change: Callable[[zipfile.ZipInfo], None], told: str) -> None:
    with pytest.raises(Refused, match=told):
        from_bytes(zipped(data, change), "it")


def test_what_unpacks_to_more_than_it_holds_is_not_opened(data: bytes) -> None:
    with pytest.raises(Refused, match=r"is compressed|unpack to more than it holds"):
        from_bytes(zipped(data, lambda about: None, zipfile.ZIP_DEFLATED), "it")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.jsonl", bytes(2**24))
    with pytest.raises(Refused, match="unpack to more than it holds"):
        from_bytes(bomb.getvalue(), "it")
    with pytest.raises(Refused, match="more than the"):
        from_bytes(bytes(LARGEST + 1), "it")


def test_a_bomb_inside_the_features_is_not_opened(data: bytes) -> None:
    inner = io.BytesIO()
    np.savez_compressed(inner, features=np.zeros((4000, 1000), np.float32), images=np.zeros(4000, "U64"))
    with pytest.raises(Refused, match=r"features.npz would unpack to more"):
        from_bytes(with_member(data, "features.npz", lambda _: inner.getvalue()), "it")


def inner(method: int, flag: int = 0) -> bytes:
    """An npz of true features, its members compressed or marked as encrypted, padded so that it holds what it unpacks to."""
    buffer = io.BytesIO()
    arrays = {"features": np.random.default_rng(0).random((80, 24), np.float32), "pad": np.zeros(999)}
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in arrays.items():
            file = io.BytesIO()
            np.lib.format.write_array(file, array, (1, 0))
            archive.writestr(f"{name}.npy", file.getvalue())
        archive.comment = bytes(9000)
    data = bytearray(buffer.getvalue())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= flag
    return bytes(data)


@pytest.mark.parametrize(
    ("packed", "told"),
    [(inner(zipfile.ZIP_DEFLATED), r"'features.npy' is compressed"), (inner(zipfile.ZIP_STORED, 1), "is encrypted")],
)
@pytest.mark.parametrize("name", ["features.npz", "preference-0.npz"])
def test_what_is_compressed_or_encrypted_inside_is_named(data: bytes, name: str, packed: bytes, told: str) -> None:
    with pytest.raises(Refused, match=rf"{name}: the member .*{told}"):
        from_bytes(with_member(data, name, lambda _: packed), "it")


@pytest.mark.parametrize("error", [RuntimeError("a password"), zlib.error("-3"), ValueError("a name"), UnicodeDecodeError("utf8", b"x", 0, 1, "no")])  # fmt: skip
def test_whatever_fails_while_unpacking_is_a_refusal(
    data: bytes, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(zipfile.ZipFile, "read", broken)
    for opened in (unpack, unpack_arrays):
        with pytest.raises(Refused, match="cut short or damaged"):
            opened(data, "it")


@pytest.mark.parametrize("text", ["{'descr': ('<f8',), 'fortran_order': False, 'shape': (1,)}", "{'descr': [()]", "(" * 5000, "{'descr': '<f8', 'shape': (-1,), 'fortran_order': 0}", '"' * 3])  # fmt: skip
def test_a_header_that_somebody_made_up_is_refused(text: str) -> None:
    made = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    with pytest.raises(Refused, match=r"features\.npy"):
        unpack_arrays(pack({"features.npy": made}), "it")


def test_twice_unknown_and_missing_members_are_named(data: bytes) -> None:
    parts = unpack(data, "it")
    with pytest.raises(Refused, match=r"unknown member 'evil.py'"):
        from_bytes(pack({**parts, "evil.py": b"import os"}), "it")
    with pytest.raises(Refused, match=r"no member 'adapters.json'"):
        from_bytes(pack({name: part for name, part in parts.items() if name != "adapters.json"}), "it")
    with pytest.raises(Refused, match=r"no manifest.json"):
        from_bytes(pack({"ratings.jsonl": b""}), "it")
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("summary.md", b"another")
    with pytest.raises(Refused, match=r"'summary.md' comes twice"):
        from_bytes(buffer.getvalue(), "it")


@pytest.mark.parametrize("where", ["before", "comment"])
def test_nothing_hides_beside_the_members(data: bytes, where: str) -> None:
    buffer = io.BytesIO(data)
    if where == "comment":
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.comment = b"hidden"
    changed = b"#!/bin/sh\n" + data if where == "before" else buffer.getvalue()
    with pytest.raises(Refused, match="changed after its export"):
        from_bytes(changed, "it")


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


def test_pickles_and_lying_headers_are_refused(data: bytes) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    objects = pack({"features.npy": header.getvalue() + pickle.dumps("anything")})
    with pytest.raises(Refused, match="not plain numbers or text"):
        from_bytes(with_member(data, "features.npz", lambda _: objects), "it")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with pytest.raises(Refused, match="0 bytes for an array of shape"):
        from_bytes(with_member(data, "features.npz", lambda _: pack({"features.npy": header.getvalue()})), "it")


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


@pytest.mark.parametrize("junk", [b"", b"hello", b"PK\x03\x04", bytes(1000)])
def test_another_file_is_no_profile(junk: bytes) -> None:
    with pytest.raises(Refused):
        from_bytes(junk, "it")


def test_a_prompt_may_hold_any_text() -> None:
    made = person("ann", ANN)
    odd = made.ratings[0].model_copy(update={"prompt": "a ring\u2028on\u0085teal\nand more"})
    found = from_bytes(to_bytes(replace(made, ratings=(odd, *made.ratings[1:]))), "it")
    assert found.ratings[0] == odd
