"""tools/gate/gate.py, gate_spec.py, gate_report.py and promotions.py: judged on real pictures, shown, and remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluators.gate import Rules
from prompts.errors import InputError, PalateError
from tools.files import read_parameters
from tools.gate import gate
from tools.gate.gate import judge
from tools.gate.promotions import NAME, Acting, Promotion, acting, history, record
from tools.gate.report import preferred
from tools.gate.spec import GateSpec, planned
from tools.jobs import job
from tools.jobs.spec import Job, gate_of
from trainers.files.adapter_file import Adapter, AdapterRef
from trainers.sft import SftConfig, train

PROMPTS = ("a red dog", "a blue field <b>", "a person on the field")
STRONG = 4.0  # weight of an adapter that learned for one step: what it changes shall be seen


def trained(colour: str, tiny: Callable[[str], Any], out: Path) -> Adapter:
    config = SftConfig(steps=1, batch_size=1, rank=2, size=32, learning_rate=0.1)
    return train(config, [(Image.new("RGB", (32, 32), colour), "a red dog")], base_model=tiny("sd15"), out=out)


@pytest.fixture(scope="module")
def adapter(tiny: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    return trained("red", tiny, tmp_path_factory.mktemp("adapter") / "reddish")


@pytest.fixture(scope="session")
def folders(studio_clip: Path, studio_pickscore: Path) -> dict[str, str | None]:
    return {"pickscore": str(studio_pickscore), "clip": str(studio_clip), "preference": None}


def spec(**changes: Any) -> GateSpec:
    return GateSpec(**{"prompts": PROMPTS, "steps": 1, "size": 32, "weight": STRONG, **changes})


@pytest.fixture(scope="module")
def judged(
    adapter: Adapter,
    tiny: Callable[[str], Any],
    folders: dict[str, str | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, Any]]:
    """A gate with a subject. Not to be changed."""
    out = tmp_path_factory.mktemp("judged")
    Image.new("RGB", (32, 32), "red").save(out / "subject.png")
    plan = planned(spec(instances=(out / "subject.png",)), folders, guides=["pickscore"])
    return out, judge(plan, tiny("sd15"), AdapterRef(adapter.path, STRONG), out)


def test_both_sides_are_painted_from_the_same_seeds_and_scored_by_all(judged: tuple[Path, dict[str, Any]]) -> None:
    out, told = judged
    assert json.loads((out / "gate.json").read_text()) == told
    assert [pair["prompt"] for pair in told["pairs"]] == list(PROMPTS)
    assert [pair["seed"] for pair in told["pairs"]] == [7_000_000, 7_000_001, 7_000_002]
    for pair in told["pairs"]:
        assert (out / pair["without"]).read_bytes() != (out / pair["with"]).read_bytes()
        assert pair["scores"].keys() == {"pickscore", "clip_t"}
    wins = told["evidence"]["wins"]
    assert wins["pickscore"]["guided"] and not wins["clip_t"]["guided"]
    for name, found in wins.items():
        assert found["wins"] == sum(preferred(pair)[name] == 1 for pair in told["pairs"]) and found["n"] == 3
    assert told["evidence"]["subject"].keys() == {"without", "with"}
    assert told["promoted"] is (told["broken"] == 0) and len(told["reasons"]) == 8


def test_what_is_written_names_nothing_of_this_machine(judged: tuple[Path, dict[str, Any]], adapter: Adapter) -> None:
    out, told = judged
    for file in ("gate.json", "gate.html"):
        assert str(out.parent) not in (out / file).read_text() and str(adapter.path) not in (out / file).read_text()
    assert told["base_model"] == "sd15" and told["adapter"] == {"name": "reddish", "sha256": adapter.sha256, "weight": STRONG}  # fmt: skip


class Page(HTMLParser):
    """Counts what a page shows; fails on a tag that is closed where it was not opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "img":
            self.pictures.append(str(found["src"]))
        elif tag == "a":
            self.links.append(str(found["href"]))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_holds_every_picture_and_every_reason_itself(judged: tuple[Path, dict[str, Any]]) -> None:
    out, told = judged
    page = Page((out / "gate.html").read_text())
    assert page.open == [] and len(page.pictures) == 6
    assert all(source.startswith("data:image/png;base64,") for source in page.pictures)
    assert all((out / link).is_file() for link in page.links)
    assert all(said in page.words for said in told["reasons"]) and "a blue field <b>" in page.words
    with Image.open(out / "gate.png") as sheet:
        assert sheet.width > 1000 and sheet.height > 400 and len(sheet.convert("RGB").getcolors(10**6) or []) > 50


def test_pictures_that_are_there_are_not_painted_again(
    adapter: Adapter,
    tiny: Callable[[str], Any],
    folders: dict[str, str | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from trainers.model import paint as painting

    painted: list[int] = []
    real = painting.paint
    monkeypatch.setattr(painting, "paint", lambda prompts, **how: painted.append(len(prompts)) or real(prompts, **how))
    monkeypatch.setattr(gate, "AT_ONCE", 2)
    plan, model, ref = planned(spec(), folders, guides=["pickscore"]), tiny("sd15"), AdapterRef(adapter.path, STRONG)
    seen: list[tuple[int, int]] = []
    with pytest.raises(PalateError, match=r"stopped after 2 of 3 pictures.*run it again"):
        judge(plan, model, ref, tmp_path, on_painted=lambda *at: seen.append(at), should_stop=lambda: len(painted) == 1)
    assert painted == [2] and seen[-1] == (2, 6)
    told = judge(plan, model, ref, tmp_path)
    assert painted == [2, 1, 2, 1]
    (tmp_path / told["pairs"][2]["with"]).unlink()
    assert judge(plan, model, ref, tmp_path) == told and painted == [2, 1, 2, 1, 1]
    other = planned(spec(rules=Rules(minimum_clip_t_kept=2.0)), folders, guides=["pickscore"])
    assert judge(other, model, ref, tmp_path)["broken"] >= 1 and len(painted) == 5


def test_other_adapters_act_on_both_sides(
    adapter: Adapter, tiny: Callable[[str], Any], folders: dict[str, str | None], tmp_path: Path
) -> None:
    plan = planned(spec(prompts=PROMPTS[:2]), folders, guides=["pickscore"])
    beside = trained("blue", tiny, tmp_path / "bluish")
    told = judge(plan, tiny("sd15"), AdapterRef(adapter.path), tmp_path, adapters=[AdapterRef(beside.path, 0.5)])
    assert told["adapters"] == [{"name": "bluish", "sha256": beside.sha256, "weight": 0.5}]
    for side, names in (("without", ["bluish"]), ("with", ["bluish", "reddish"])):
        acted = read_parameters(tmp_path / told["pairs"][0][side])["adapters"]
        assert [one["name"] for one in acted] == names


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompts": ("a", "a ")}, "holds 1 different prompts"),
        ({"prompts": "nowhere.txt"}, "'nowhere.txt' cannot be read"),
        ({"prompts": "cubism"}, "no vocabulary 'cubism'"),
        ({"scorers": ("beauty",)}, "scorer 'beauty' is not one we have"),
        ({"guides": ("preference",)}, "scorer 'preference' needs preference"),
        ({"instances": (Path("nowhere.png"),)}, "'nowhere.png' is no picture"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_painted(
    folders: dict[str, str | None], changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        planned(spec(**changes), folders, guides=["pickscore"])


def test_who_must_prefer_it_has_to_be_known(folders: dict[str, str | None]) -> None:
    with pytest.raises(InputError, match="no scorer guided this training"):
        planned(spec(), folders)
    with pytest.raises(InputError, match="'clip_t' needs clip"):
        planned(spec(), {"pickscore": folders["pickscore"], "clip": None}, guides=["pickscore"])


def test_a_scorer_that_guided_never_comes_back_as_one_that_looks_on(folders: dict[str, str | None]) -> None:
    """Naming another guide must not turn the training's own, which may be the deceived one, into a witness."""
    plan = planned(spec(guides=("clip_t",), rules=Rules(unseen_may_lose=True)), folders, guides=["pickscore"])
    assert plan.guides == ("clip_t", "pickscore")
    with pytest.raises(InputError, match=r"every scorer that is given .* guided the training"):
        planned(spec(guides=("clip_t",)), folders, guides=["pickscore"])


def test_a_bundled_list_of_held_out_prompts_is_named_by_its_vocabulary(folders: dict[str, str | None]) -> None:
    assert len(planned(spec(prompts="bauhaus", count=5), folders, guides=["pickscore"]).prompts) == 5


def job_of(adapter: Adapter, tiny: Callable[[str], Any], folders: dict[str, str | None], out: Path, **gate: Any) -> Job:
    Image.new("RGB", (32, 32), "red").save(out.parent / "red.png")
    values = {
        "kind": "sft", "config": {"steps": 1, "batch_size": 1, "rank": 2, "size": 32}, "base_model": tiny("sd15").name, "out": out,
        "dataset": [{"image": out.parent / "red.png", "prompt": "a red dog"}], "device": "cpu", "clip": folders["clip"],
        "pickscore": folders["pickscore"], "gate": {"prompts": PROMPTS[:2], "steps": 1, "size": 32, **gate},
    }  # fmt: skip
    return Job.model_validate(values)


def test_a_training_ends_with_a_verdict_which_is_a_result_and_no_failure(
    adapter: Adapter, tiny: Callable[[str], Any], folders: dict[str, str | None], tmp_path: Path
) -> None:
    asked = job_of(adapter, tiny, folders, tmp_path / "out", guides=["pickscore"], rules={"minimum_win_rate": 0.99, "certain": True})  # fmt: skip
    state = job.run(asked, job.Reporter(tmp_path / "state.json"))
    assert state["state"] == "done" and state["gate"]["promoted"] is False and state["gate"]["broken"] >= 1
    assert "pickscore, which guided" in state["gate"]["reasons"][0] and Path(state["gate"]["report"]).is_file()


def test_a_gate_that_cannot_be_held_is_told_before_the_training(
    adapter: Adapter, tiny: Callable[[str], Any], folders: dict[str, str | None], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no scorer guided"):
        job.run(job_of(adapter, tiny, folders, tmp_path / "out"), job.Reporter(tmp_path / "state.json"))
    assert not (tmp_path / "out").exists()


def test_a_whole_model_is_no_adapter_to_judge_or_choose_by(
    adapter: Adapter, tiny: Callable[[str], Any], folders: dict[str, str | None], tmp_path: Path
) -> None:
    asked = job_of(adapter, tiny, folders, tmp_path / "out", guides=["pickscore"])
    whole = {"kind": "dreambooth", "config": asked.config | {"learns": "denoiser"}}
    with pytest.raises(InputError, match="let a LoRA learn"):
        job.run(asked.model_copy(update=whole), job.Reporter(tmp_path / "state.json"))


def test_a_job_knows_who_guided_it(
    adapter: Adapter, tiny: Callable[[str], Any], folders: dict[str, str | None], tmp_path: Path
) -> None:
    plain = job_of(adapter, tiny, folders, tmp_path / "out", guides=["clip_t"])
    own = plain.gate.model_copy(update={"guides": ()}) if plain.gate else None

    def led(**changes: Any) -> tuple[str, ...]:
        found = gate_of(plain.model_copy(update={"gate": own, **changes}))
        return found.guides if found else ()

    def pool(**scorers: float) -> Any:
        return Job.model_validate(plain.model_dump() | {"pool": {"prompts": "p.txt", "scorers": scorers}}).pool

    assert led(kind="dpo", pool=pool(pickscore=1.0)) == ("pickscore",) and led(kind="reward") == ("pickscore",)
    with pytest.raises(InputError, match=r"every scorer that is given .* guided the training"):
        led(kind="dpo", pool=pool(pickscore=1.0, clip_t=0.5))
    with pytest.raises(InputError, match="no scorer guided"):
        led(preference="taste.npz")  # it may only look on
    for kind in ("dreambooth", "custom_diffusion", "textual_inversion", "gal"):
        subject = gate_of(plain.model_copy(update={"gate": own, "kind": kind}))
        assert subject is not None and subject.guides == () and [path.name for path in subject.instances] == ["red.png"]
    assert gate_of(plain.model_copy(update={"gate": None})) is None


def line(mark: str, promoted: bool, *beneath: str, base: str = "m", why: str = "because") -> Promotion:
    def one(letter: str) -> Acting:
        return Acting(path=letter, sha256=letter * 64)

    return Promotion(base_model=base, adapter=one(mark), beneath=tuple(map(one, beneath)), promoted=promoted, reasons=(why,))  # fmt: skip


def test_an_adapter_that_fails_later_is_withdrawn_and_the_one_before_acts_again(tmp_path: Path) -> None:
    assert acting(tmp_path, "m") is None
    for one in (line("a", True), line("b", False), line("c", True, "a"), line("d", True, base="other")):
        assert record(tmp_path, one)
    found = acting(tmp_path, "m")
    assert found is not None and [one.path for one in found.together] == ["a", "c"]
    record(tmp_path, line("c", False, "a", why="newer ratings"))
    found = acting(tmp_path, "m")
    assert found is not None and [one.path for one in found.together] == ["a"]
    assert len(history(tmp_path)) == 5
    record(tmp_path, line("a", False, base="other"))  # a verdict holds for its own base model
    assert acting(tmp_path, "m") == found


def test_what_stands_on_a_withdrawn_adapter_does_not_act(tmp_path: Path) -> None:
    for one in (line("a", True), line("c", True, "a"), line("a", False)):
        record(tmp_path, one)
    assert acting(tmp_path, "m") is None
    record(tmp_path, line("a", True, why="again"))
    found = acting(tmp_path, "m")
    assert found is not None and found.adapter.path == "a"  # it was judged by itself last


def test_the_same_verdict_twice_is_one_line_and_a_damaged_line_is_named(tmp_path: Path) -> None:
    assert record(tmp_path, line("a", True)) and not record(tmp_path, line("a", True))
    assert record(tmp_path, line("a", True, why="other numbers"))
    with (tmp_path / NAME).open("a") as log:
        log.write("{half\n")
    with pytest.raises(InputError, match=r"line 3 of .*'{half'"):
        acting(tmp_path, "m")
