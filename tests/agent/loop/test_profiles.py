"""`palate profile`, and runs that start from a profile: what is made of runs, kept, shown, and needed again by a replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent.cli import main as cli
from agent.config import make_config
from agent.loop.profiles import find, place, start_of, take_in
from agent.profile.export import _learned
from agent.replay.verify import verify
from agent.store.store import Store
from evaluators.preference.held_out import held_out_agreement
from prompts.errors import InputError, ReplayError
from prompts.vocabulary import load_vocabulary
from tests.agent.fast import Started, config_of
from tests.tools.profiles.made import ANN, BOB, person, with_manifest
from tools.files import save_image
from tools.profiles.profile import to_bytes
from tools.profiles.reading import read, write
from tools.profiles.taste import Start
from tools.records import ImageRow, StepRecord

GENES = load_vocabulary("bauhaus").genes
PROMPT = "two {size} {colour} squares and a teal circle on a white background, scattered, apart, no lines, flat"
WORDS = [(size, colour) for size in GENES["size"] for colour in ("red", "blue", "pink", "black")]


def rated_run(
    home: Path, bundle: dict[str, str], rater: str = "person", answers: Sequence[tuple[str, list[int], int]] = (), **changes: Any
) -> str:  # fmt: skip
    """A run in the store whose eight pictures are drawn, not painted: those with red in them are liked.

    With `answers` (kind, pictures shown, which one was taken) nothing is rated."""
    config = config_of(bundle, **changes)
    with Store(home / "palate.sqlite") as store:
        run = store.new_run("", config.model_dump(mode="json"), {}, 0)
        rows = []
        for number, (size, colour) in enumerate(WORDS):
            image = Image.new("RGB", (64, 64), colour)
            image.paste("white", (0, 0, 20 + 3 * number, 20))
            prompt = PROMPT.format(size=size, colour=colour)
            saved = save_image(image, home / "runs" / run, prompt=prompt, seed=number, model="m", steps=1, guidance_scale=1.0, size=(64, 64))  # fmt: skip
            rows.append(ImageRow(sha256=saved.sha256, idx=number, path=saved.relative, prompt=prompt, seed=number, model="m"))  # fmt: skip
        store.add_step(run, StepRecord(step=1, round=1, node="act", tool="generate_images", images=tuple(rows)))
        if answers:
            questions = [{"kind": kind, "images": [rows[i].id for i in shown]} for kind, shown, _ in answers]
            store.add_answers(run, 1, questions, [(i, rows[one].id) for i, (_, _, one) in enumerate(answers)], rater)
            return run
        values = [9.0 if colour == "red" else 3.0 + 0.5 * number for number, (_, colour) in enumerate(WORDS)]
        store.add_ratings(run, 1, [(row.id, value) for row, value in zip(rows, values, strict=True)], rater)
        store.add_comparisons(run, 1, [(rows[0].id, rows[1].id)], rater)
    return run


def asked(capsys: pytest.CaptureFixture[str], home: Path, *words: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(["--home", str(home), "profile", *map(str, words)])
    return code, *capsys.readouterr()


def test_a_persons_runs_become_one_file_that_is_shown_and_kept(
    bundle: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, file = tmp_path / "home", tmp_path / "me.palate"
    runs = [rated_run(home, bundle), rated_run(home, bundle)]
    code, out, _ = asked(capsys, home, "export", *runs, "--out", file, "--json")
    found = json.loads(out)
    assert code == 0 and (found["ratings"], found["comparisons"], found["name"]) == (16, 2, "me")
    assert found["features"]["model"] == "bauhaus-clip" and found["scale"]["mean"] == pytest.approx(6.0)
    profile = read(file)
    assert {one.run for one in profile.ratings} == set(runs) and len(profile.images) == 8
    assert profile.ratings[0].genome is not None and profile.ratings[0].genome["colour"] == "red"
    assert asked(capsys, home, "export", *runs, "--out", tmp_path / "again" / "me.palate")[0] == 0
    assert (tmp_path / "again" / "me.palate").read_bytes() == file.read_bytes()
    code, out, _ = asked(capsys, home, "import", file)
    assert (
        code == 0
        and "profile: {name: me, strength: 0.5}" in out
        and place(home, "me").read_bytes() == file.read_bytes()
    )
    assert asked(capsys, home, "show", "me")[1] == asked(capsys, home, "show", file)[1]
    assert "16 ratings from 2 runs" in asked(capsys, home, "show", "me")[1]


def test_who_only_answered_questions_has_a_profile_too(
    bundle: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, file = tmp_path / "home", tmp_path / "me.palate"
    answers = [("ab", [0, 1], 0), ("ab", [4, 6], 4), ("best", [4, 5, 7, 3], 4)]
    run = rated_run(home, bundle, answers=answers)
    code, out, _ = asked(capsys, home, "export", run, "--out", file, "--json")
    found = json.loads(out)
    assert code == 0 and (found["ratings"], found["comparisons"]) == (0, 5)
    assert (found["scale"]["mean"], found["scale"]["sd"]) == (5.0, 2.0)
    assert "5 comparisons from 1 run." in found["summary"] and "0 ratings from" not in found["summary"]
    profile = read(file)
    red = np.array([one in (profile.comparisons[0].first, profile.comparisons[1].first) for one in profile.images])
    mean = profile.tastes[0].predict(profile.features)[0]
    assert mean[red].min() > 5 > mean[~red].max()
    half = Start(profile, 0.5).prior().predict(profile.features)[0]
    assert np.allclose(half, 0.5 * (mean - 5))
    once = rated_run(home, bundle, answers=answers[2:])
    assert "1 ratings and answers are too few" in asked(capsys, home, "export", once, "--out", file)[2]


def test_a_picture_rated_in_two_runs_is_one_and_is_not_foretold_by_itself() -> None:
    made = person("ann", ANN)
    scale, again = made.manifest.scale, [one.model_copy(update={"value": 5.0}) for one in made.ratings[:8]]
    few = _learned([*made.ratings[:4], *again[:4]], (), made.images[:4], made.features[:4], "ann", scale)[1]
    assert few.ratings == 8 and few.agreement is None
    enough = _learned([*made.ratings[:8], *again], (), made.images[:8], made.features[:8], "ann", scale)[1]
    means = np.array([(one.value + 5.0) / 2 for one in made.ratings[:8]])
    held = held_out_agreement(made.features[:8], means)
    assert enough.agreement == (round(held.srocc, 3), round(held.low, 3), round(held.high, 3))


def test_what_cannot_be_exported_is_told(
    bundle: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, out = tmp_path / "home", tmp_path / "me.palate"
    mine, theirs = rated_run(home, bundle), rated_run(home, bundle, rater="rater-3")
    assert "say whose with --rater" in asked(capsys, home, "export", mine, theirs, "--out", out)[2]
    assert "rated nothing in these runs" in asked(capsys, home, "export", mine, "--rater", "eve", "--out", out)[2]
    assert "end it in .palate" in asked(capsys, home, "export", mine, "--out", tmp_path / "me.zip")[2]
    assert "cannot be a profile's" in asked(capsys, home, "export", mine, "--name", "../me", "--out", out)[2]
    other = rated_run(home, bundle, vocabulary="painting")
    assert "vocabulary: the run" in asked(capsys, home, "export", mine, other, "--out", out)[2]
    with Store(home / "palate.sqlite") as store:
        empty = store.new_run("", config_of(bundle).model_dump(mode="json"), {}, 0)
    assert "has no ratings yet" in asked(capsys, home, "export", empty, "--out", out)[2]
    next((home / "runs" / mine / "images").glob("*.png")).unlink()
    assert "Pictures that were rated are gone (1)" in asked(capsys, home, "export", mine, "--out", out)[2]
    assert not out.exists()


def test_two_tastes_are_compared_in_words_numbers_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, taste, seed in (("ann", ANN, 0), ("bob", BOB, 1)):
        write(tmp_path / f"{name}.palate", person(name, taste, seed=seed))
        assert asked(capsys, tmp_path, "import", tmp_path / f"{name}.palate")[0] == 0
    code, out, _ = asked(capsys, tmp_path, "diff", "ann", "bob", "--plot", tmp_path / "diff.png")
    lines = out.splitlines()
    first = lines[lines.index(next(line for line in lines if line.startswith("they differ"))) + 1]
    assert code == 0 and first.startswith("background teal") and first.endswith("*")
    with Image.open(tmp_path / "diff.png") as image:
        assert image.size == (792, 792)
    found = json.loads(asked(capsys, tmp_path, "diff", "ann", "bob", "--json")[1])
    assert found["liking"]["correlation"] < 0.5 and found["apart"][0]["sure"] is True and found["plot"] is None


def test_a_blend_is_a_profile_like_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ann, bob = (write(tmp_path / f"{name}.palate", person(name, taste, seed=seed)) for seed, (name, taste) in enumerate((("ann", ANN), ("bob", BOB))))  # fmt: skip
    words = ["blend", tmp_path / "ann.palate", tmp_path / "bob.palate", "--weights", "0.7", "0.3"]
    code, out, _ = asked(capsys, tmp_path, *words, "--out", tmp_path / "both.palate", "--json")
    found = json.loads(out)
    assert code == 0 and [one["profile"] for one in found["tastes"]] == [ann.sha256, bob.sha256]
    assert "A blend: 70 % ann and 30 % bob." in asked(capsys, tmp_path, "show", tmp_path / "both.palate")[1]


def test_a_name_that_is_taken_is_not_taken_again(tmp_path: Path) -> None:
    write(tmp_path / "a.palate", person("ann", ANN))
    write(tmp_path / "b.palate", person("ann", BOB))
    take_in(tmp_path, tmp_path / "a.palate")
    take_in(tmp_path, tmp_path / "a.palate")  # the same once more is no other
    with pytest.raises(InputError, match="another profile called 'ann'"):
        take_in(tmp_path, tmp_path / "b.palate")
    assert take_in(tmp_path, tmp_path / "b.palate", "bea")[1] == place(tmp_path, "bea")
    take_in(tmp_path, tmp_path / "b.palate", replace=True)
    assert find(tmp_path, "ann").sha256 == find(tmp_path, "bea").sha256


def test_nothing_of_a_bad_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.palate").write_bytes(with_manifest(to_bytes(person("ann", ANN)), version=9))
    code, out, err = asked(capsys, tmp_path / "home", "import", tmp_path / "new.palate")
    assert code == 1 and out == "" and "newer Palate (format 9" in err and not (tmp_path / "home").exists()


def test_a_config_names_a_profile_and_its_strength(bundle: dict[str, str]) -> None:
    assert config_of(bundle).profile is None
    with pytest.raises(InputError, match=r"unknown key 'profile.strenght', did you mean 'strength'"):
        make_config({"profile": {"name": "ann", "strenght": 1}})
    with pytest.raises(InputError, match=r"profile.strength = 2"):
        make_config({"profile": {"name": "ann", "strength": 2}})


def test_a_run_starts_from_a_profile_or_from_other_people(bundle: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"leave out population: true, or the profile"):
        config_of(bundle, profile={"name": "ann"}, population=True)
    assert config_of(bundle, population=True).profile is None
    assert config_of(bundle, profile={"name": "ann", "strength": 0}, population=True).population


def test_a_profile_that_does_not_fit_is_told_before_the_run(bundle: dict[str, str], tmp_path: Path) -> None:
    config = config_of(bundle, profile={"name": "ann"})
    with pytest.raises(InputError, match=r"no profile 'ann' .*there: none yet.*palate profile import"):
        start_of(tmp_path, config)
    write(place(tmp_path, "ann"), person("ann", ANN))
    with pytest.raises(InputError, match=r"seen by the CLIP 'bauhaus-clip' \(version c1c1c1c1c1c1, 24 numbers"):
        start_of(tmp_path, config)
    with pytest.raises(InputError, match="cannot be a profile's"):
        start_of(tmp_path, config_of(bundle, profile={"name": "../../etc/passwd"}))


def test_a_run_starts_from_a_profile_and_its_record_needs_that_very_one(
    begin: Callable[..., Started], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = begin(rounds=1, images_per_round=3).drive()
    home = first.home
    assert asked(capsys, home, "export", first.run_id, "--out", tmp_path / "me.palate")[0] == 0
    assert asked(capsys, home, "import", tmp_path / "me.palate")[0] == 0
    sha256 = read(place(home, "me")).sha256
    run = begin(rounds=2, images_per_round=3, seed=7, profile={"name": "me", "strength": 0.8}).drive()
    assert run.store.run(run.run_id).versions["profile"] == sha256
    plain = begin(rounds=2, images_per_round=3, seed=7, profile={"name": "me", "strength": 0.0}).drive()
    tastes = [one.store.preferences(one.run_id)[0].sha256 for one in (run, plain)]
    assert tastes[0] != tastes[1]  # the same pictures and ratings, learned with and without what was known before
    verdict = verify(run.store, home, run.run_id)
    assert verdict.same, verdict.differences
    kept = place(home, "me").read_bytes()
    place(home, "me").write_bytes(to_bytes(person("me", ANN)))
    with pytest.raises(ReplayError, match=rf"started from the profile 'me' with sha256 {sha256}, and the one in"):
        verify(run.store, home, run.run_id)
    place(home, "me").unlink()
    with pytest.raises(ReplayError, match=rf"profile 'me' that the run started from \(sha256 {sha256}\) is gone"):
        verify(run.store, home, run.run_id)
    place(home, "me").write_bytes(kept)
    assert verify(run.store, home, run.run_id).same
