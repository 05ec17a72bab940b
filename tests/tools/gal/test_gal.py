"""tools/gal/gal.py: rounds that train, paint, measure and choose; what a killed run and a person leave behind is gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.numpy import load_file

from evaluators.overfit import Selected, uncertainty
from evaluators.scorers.clip import Clip
from prompts.errors import InputError, PalateError
from prompts.lists import Anchor
from tools.gal import gal
from tools.gal.select import Look, Waiting
from tools.gal.spec import GalSpec
from trainers.dreambooth import DreamBoothConfig

ANCHORS = [
    Anchor("{subject} and a teal ring", "a teal ring"),
    Anchor("{subject} on a green background", "a green background"),
    Anchor("{subject} and two blue bars", "two blue bars"),
    Anchor("{subject} in a row", "three shapes in a row"),
]
TOLD: dict[str, Any] = {
    "subject": "red q", "class_noun": "red circle", "non_subject": "a white background", "anchors": ANCHORS, "samples": 2, "k": 1,
    "rounds": 3, "steps": 2, "stop_early": False,
}  # fmt: skip


@pytest.fixture
def learn(tiny: Callable[[str], Any], clip: Clip, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run Algorithm 1 on the tiny model, and read gal.json."""

    def run(out: str = "out", references: Any = None, more: Any = None, **told: Any) -> dict[str, Any]:
        config = DreamBoothConfig(steps=2, batch_size=2, rank=2, size=32, checkpoint_every=1)
        data = references or [(Image.new("RGB", (32, 32), (200, 30, 30)), "a photo of the red q")]
        gal.train(
            config,
            data,
            base_model=tiny("sd15"),
            out=tmp_path / out,
            spec=GalSpec(**TOLD | told),
            clip=clip,
            **more or {},
        )
        return dict(json.loads((tmp_path / out / "gal.json").read_text()))

    return run


def first(look: Look, k: int) -> list[Selected]:
    return [Selected(row, 1) for row in range(k)]


def weights_of(folder: Path) -> dict[str, bytes]:
    return {key: value.tobytes() for key, value in load_file(folder / "pytorch_lora_weights.safetensors").items()}


def test_rounds_retrain_on_all_that_was_chosen_and_what_was_chosen_leaves_the_pool(
    learn: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    found = learn(test_prompts=[Anchor("{subject} and a black grid", "a black grid")])
    rounds = found["rounds"]
    assert [one["trained_on"]["synthetic"] for one in rounds] == [0, 1, 2]
    pools = [[row["anchor"] for row in one["anchors"]] for one in rounds]
    chosen = [one["chosen"] for one in rounds]
    assert pools[0] == [0, 1, 2, 3] and [len(pool) for pool in pools] == [4, 3, 2]
    assert pools[1] == [n for n in pools[0] if n != chosen[0][0]["anchor"]] and chosen[2] == []
    assert found["ended"] == "all 3 rounds are over"
    for one in rounds:
        rows = [row["overfit"] for row in one["anchors"]]
        assert one["scores"]["ovf"] == pytest.approx(sum(map(sum, rows)) / (2 * len(rows)), abs=1e-6)
        assert (
            all(-1 <= value <= 1 for value in one["scores"].values())
            and one["test_scores"].keys() == one["scores"].keys()
        )
    assert all((tmp_path / "out" / name).is_file() for name in ("rounds.png", "round-1/sheet.png", "round-3/sheet.png"))
    taught = json.loads((tmp_path / "out" / "round-3" / "adapter" / "adapter.json").read_text())
    assert taught["job"]["kind"] == "dreambooth"


def test_a_synthetic_image_keeps_the_openness_of_its_own_round(
    learn: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainers import dreambooth

    given: list[list[float]] = []
    prompts: list[list[str]] = []
    train = dreambooth.train

    def watched(config: Any, dataset: Any, **more: Any) -> Any:
        given.append(list(more["weights"]))
        prompts.append([prompt for _, prompt in dataset])
        return train(config, dataset, **more)

    monkeypatch.setattr(dreambooth, "train", watched)
    rounds = learn(rate=0.5, more={"choose": first, "weights": [0.75]})["rounds"]
    for one in rounds:
        omegas = [uncertainty(sum(row["overfit"]) / len(row["overfit"])) for row in one["anchors"]]
        assert one["openness"] == pytest.approx(0.5 * sum(omegas) / len(omegas))
    assert given[0] == [0.75] and given[2] == [0.75, rounds[0]["openness"], rounds[1]["openness"]]
    assert prompts[2] == ["a photo of the red q", "red q and a teal ring", "red q on a green background"]
    given.clear()
    learn("plain", balance=False, rounds=2, more={"choose": first})
    assert given[1] == [1.0, 1.0]


def test_a_run_that_was_stopped_anywhere_ends_as_if_it_had_not_been(
    learn: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    whole = learn("whole", strategy="random", rounds=2)
    asked = iter([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1])  # in a training, then while painting, then in the second round

    def impatient() -> bool:
        return bool(next(asked, 0))

    stops = []
    for _ in range(6):
        try:
            parts = learn("parts", strategy="random", rounds=2, more={"should_stop": impatient})
            break
        except PalateError as error:
            stops.append(str(error))
    assert len(stops) == 3 and "after step 1" in stops[0] and "before painting anchor-" in "".join(stops[1:])
    assert parts == whole
    for place in ("round-1", "round-2"):
        assert weights_of(tmp_path / "parts" / place / "adapter") == weights_of(tmp_path / "whole" / place / "adapter")
        names = sorted(path.name for path in (tmp_path / "whole" / place).glob("*.png"))
        assert all(
            (tmp_path / "parts" / place / name).read_bytes() == (tmp_path / "whole" / place / name).read_bytes()
            for name in names
        )


def test_nothing_is_done_twice(learn: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    steps: list[int] = []
    told = learn(rounds=2, more={"on_step": lambda step, total, losses: steps.append(step)})
    assert steps == sorted(steps) and steps[-1] == 4
    steps.clear()
    (tmp_path / "out" / "gal.json").unlink()
    assert learn(rounds=2, more={"on_step": lambda step, total, losses: steps.append(step)}) == told and steps == []


def test_it_stops_when_too_few_anchors_are_uncertain(learn: Callable[..., dict[str, Any]]) -> None:
    found = learn(non_subject="a photo", samples=1, stop_early=True)  # of one image a direction, none is uncertain
    assert len(found["rounds"]) == 1 and found["ended"] == "fewer than 1 anchors are uncertain (Eq. 10)"
    assert found["rounds"][0]["chosen"] == [] and found["rounds"][0]["openness"] == 0


def test_it_stops_when_the_anchors_run_out(learn: Callable[..., dict[str, Any]]) -> None:
    found = learn(anchors=ANCHORS[:3], k=2, rounds=9, samples=1)
    assert [len(one["chosen"]) for one in found["rounds"]] == [2, 0] and found["ended"] == "the anchors run out"


def test_a_person_is_waited_for_and_what_they_chose_is_taken(
    learn: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    human = {"strategy": "human", "rounds": 2, "k": 2}
    file = tmp_path / "out" / "round-1" / "choose.json"
    for _ in range(2):  # asking twice changes nothing
        with pytest.raises(Waiting, match=r"Round 1 waits for your choice.*sheet\.png.*choose\.json.*same command"):
            learn(**human)
        assert file.with_name("sheet.png").is_file() and not file.with_name("round.json").exists()
    asked = json.loads(file.read_text())
    assert [one["anchor"] for one in asked["anchors"]] == [0, 1, 2, 3] and asked["chosen"] == []
    for wrong, message in [
        ([{"anchor": 9, "image": 0}], r"anchor out of \[0, 1, 2, 3\]"),
        ([{"anchor": 1, "image": 2}], "images 0 to 1"),
        ([{"anchor": 1, "image": 0}, {"anchor": 1, "image": 1}], "each of another anchor"),
        ([{"anchor": n, "image": 0} for n in range(3)], "choose 1 to 2 images"),
        (["the blue one"], "the blue one"),
        ("all", "give a list"),
    ]:
        file.write_text(json.dumps(asked | {"chosen": wrong}))
        with pytest.raises(InputError, match=message):
            learn(**human)
    file.write_text("{")
    with pytest.raises(InputError, match="delete it to get a new one"):
        learn(**human)
    file.write_text(json.dumps(asked | {"chosen": [{"anchor": 2, "image": 1}]}))
    chosen = learn(**human)["rounds"][0]["chosen"]
    assert [(one["anchor"], one["image"], one["prompt"]) for one in chosen] == [(2, 1, "red q and two blue bars")]


def test_another_run_is_refused_where_one_lies(learn: Callable[..., dict[str, Any]]) -> None:
    learn(rounds=1)
    with pytest.raises(InputError, match=r"holds another run: its samples was 2, now 3"):
        learn(rounds=1, samples=3)
    with pytest.raises(InputError, match="its data was"):
        learn(rounds=1, references=[(Image.new("RGB", (32, 32), (0, 0, 0)), "the red q")])


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"subject": "blue q"}, "'a photo of the red q' does not name the subject 'blue q'"),
        ({"anchors": [Anchor("a dog", "a dog")]}, "'a dog' has no place for the subject"),
        ({"anchors": []}, "hold no anchor"),
        ({"anchors": "nowhere.txt"}, "'nowhere.txt' cannot be read.*bauhaus, bauhaus-style, object, style"),
        ({"test_prompts": [Anchor("a dog", "a dog")]}, "'a dog' has no place"),
    ],
)
def test_what_cannot_be_learned_is_said_before_anything_is_trained(
    learn: Callable[..., dict[str, Any]], tmp_path: Path, told: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        learn(**told)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("compare", ["anchor", "prompt"])
def test_the_oracle_compares_what_the_spec_says(
    learn: Callable[..., dict[str, Any]], clip: Clip, tmp_path: Path, compare: str
) -> None:
    """Eq. 8, once more by hand: anchors against non-subject texts, or whole prompts as the authors' code has it."""
    (record,) = learn(rounds=1, compare=compare, non_subject=["a red circle", "a pink background"])["rounds"]
    prompts = [anchor.prompt.replace("{subject}", "red circle") for anchor in ANCHORS]
    anchors = prompts if compare == "prompt" else [anchor.concept for anchor in ANCHORS]
    away = ["a photo of the red circle"] if compare == "prompt" else ["a red circle", "a pink background"]
    for number, row in enumerate(record["anchors"]):
        files = [tmp_path / "out" / "round-1" / f"anchor-{number:02d}-{i:02d}.png" for i in range(2)]
        images = clip.image_features([gal.opened(file) for file in files])
        near = images @ clip.text_features([anchors[number]])[0]
        far = (images @ clip.text_features(away).T).max(axis=1)
        assert row["fidelity"] == pytest.approx(near.tolist(), abs=1e-5)
        assert row["overfit"] == [int(one <= other) for one, other in zip(near, far, strict=True)]
