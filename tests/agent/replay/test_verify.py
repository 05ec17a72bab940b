"""agent/replay/verify.py: a run is made again from its record alone, and whatever was changed since is found."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent.config import Config
from agent.llm.answers import InvalidPlan, ToolCall
from agent.loop.session import versions
from agent.replay.verify import Verdict, alike, elsewhere, recorded_answers, verify
from agent.stopping import Stopped
from agent.store.home import open_store
from prompts.errors import InputError, ReplayError
from tests.agent.conftest import llm_run
from tests.agent.fast import ASK, FEEDBACK, FINISH, LEARN, PAINT, SCORE, SHORT, Started
from tools.context import Studio
from tools.records import LlmCall
from trainers.model.paint import Painted, paint


def checked(run: Started, home: Path | None = None) -> Verdict:
    with open_store(home or run.home) as store:
        return verify(store, home or run.home, run.run_id)


@pytest.fixture
def copied(short: Started, tmp_path: Path) -> Path:
    """A home with a copy of the short run, to be changed."""
    shutil.copytree(short.home, tmp_path / "copied")
    return tmp_path / "copied"


def changed(home: Path, sql: str) -> None:
    connection = sqlite3.connect(home / "palate.sqlite")
    assert connection.execute(sql).rowcount > 0
    connection.commit()
    connection.close()


@pytest.fixture(scope="module")
def verdict(finished: Started) -> Verdict:
    """Of the run in which every tool ran, painted and scored again once for all who ask."""
    return checked(finished)


def test_a_run_in_which_every_tool_ran_is_reproduced_without_a_language_model(
    finished: Started, verdict: Verdict
) -> None:
    assert verdict.same, verdict.differences
    assert verdict.steps == len(finished.steps) and verdict.images == len(finished.rows())
    assert verdict.scores == len(finished.store.scores(finished.run_id)) > 0


def test_a_verification_trains_nothing(finished: Started, verdict: Verdict) -> None:
    assert "train" not in verdict.seconds and "llm" not in {k for k, v in verdict.seconds.items() if v > 0}
    assert len(finished.store.jobs(finished.run_id)) == 1


def test_a_run_moved_to_another_folder_is_reproduced(short: Started, copied: Path) -> None:
    assert checked(short, copied).same


def test_the_record_is_not_changed_by_a_verification(short: Started, copied: Path) -> None:
    before = {path: path.read_bytes() for path in (copied / "runs").rglob("*") if path.is_file()}
    checked(short, copied)
    assert before == {path: path.read_bytes() for path in (copied / "runs").rglob("*") if path.is_file()}
    with open_store(copied) as store:
        assert len(store.runs()) == 1


@pytest.mark.parametrize(
    "damage", [lambda file: file.write_bytes(file.read_bytes() + b"!"), lambda file: file.unlink()]
)
def test_a_changed_or_missing_image_file_is_named(short: Started, copied: Path, damage: Callable[[Path], Any]) -> None:
    file = next((copied / "runs" / short.run_id / "images").glob("*.png"))
    damage(file)
    (difference,) = checked(short, copied).differences
    assert file.stem in difference


def test_a_changed_image_row_is_a_difference(short: Started, copied: Path) -> None:
    changed(copied, f"update images set sha256 = '{'0' * 64}' where idx = 0")
    assert any("image hashes differ" in text for text in checked(short, copied).differences)


@pytest.fixture
def another_machine(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """A home whose run was made with another torch, and a painter here that is off by up to so many levels."""

    def off_by(levels: int) -> Path:
        def paint_otherwise(prompts: Any, **how: Any) -> list[Painted]:
            noise = np.random.default_rng(0).integers(-levels, levels + 1, (64, 64, 3))
            return [replace(one, image=changed_by(one.image, noise)) for one in paint(prompts, **how)]

        monkeypatch.setattr("trainers.model.paint.paint", paint_otherwise)
        changed(copied, "update runs set versions = json_set(versions, '$.torch', '0.4.1')")
        changed(copied, "delete from chain")
        changed(
            copied, "insert into chain select id, 0, null, null, '{}', '' from runs"
        )  # as of a run from before the chain
        return copied

    return off_by


def changed_by(image: Image.Image, noise: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(image, int) + noise, 0, 255).astype(np.uint8))


def test_a_run_made_elsewhere_is_the_same_if_its_pictures_look_the_same(
    short: Started, another_machine: Callable[[int], Path]
) -> None:
    verdict = checked(short, another_machine(1))
    assert verdict.same, verdict.differences
    assert verdict.lookalikes == verdict.images == len(short.rows()) and 0 < verdict.farthest < 1
    assert "by look" in verdict.told() and "torch 0.4.1 then" in verdict.told()


def test_pictures_of_another_look_are_a_difference_also_elsewhere(
    short: Started, another_machine: Callable[[int], Path]
) -> None:
    # as far as it gets: nobody rated images of these names
    with pytest.raises(ReplayError, match=r"step 3 asks .* 2 of 2 images painted until then are .*: torch 0.4.1 then"):
        checked(short, another_machine(60))


def test_pictures_that_only_look_the_same_are_a_difference_here(
    short: Started, another_machine: Callable[[int], Path]
) -> None:
    home = another_machine(1)
    changed(home, f"update runs set versions = json_set(versions, '$.torch', '{versions()['torch']}')")
    with pytest.raises(ReplayError, match=r"step 3 asks .* 2 of 2 images painted until then are not the record's.$"):
        checked(short, home)


def test_a_run_made_elsewhere_with_equal_pictures_is_the_same_by_hash(
    short: Started, another_machine: Callable[[int], Path]
) -> None:
    verdict = checked(short, another_machine(0))
    assert verdict.same and (verdict.lookalikes, verdict.farthest) == (0, 0.0)


def test_a_changed_prompt_is_a_difference(short: Started, copied: Path) -> None:
    changed(copied, "update steps set args = replace(args, 'white', 'black') where tool = 'generate_images'")
    assert any(text.startswith("step 1: generate_images") for text in checked(short, copied).differences)


def test_a_changed_score_is_a_difference(short: Started, copied: Path) -> None:
    changed(copied, "update scores set value = value + 0.01 where name = 'clip_t'")
    assert any(text.startswith("score clip_t of image") for text in checked(short, copied).differences)


def test_a_changed_result_is_a_difference(short: Started, copied: Path) -> None:
    changed(copied, "update steps set result = json_set(result, '$.ratings', 3) where tool = 'learn_taste'")
    assert any(text.startswith("step 4: learn_taste gave") for text in checked(short, copied).differences)


def test_one_missing_rating_is_a_difference(short: Started, copied: Path) -> None:
    changed(copied, "delete from ratings where id = (select min(id) from ratings)")
    assert any(text.startswith("step 4: learn_taste") for text in checked(short, copied).differences)


def test_missing_ratings_fail(short: Started, copied: Path) -> None:
    changed(copied, "delete from ratings")
    with pytest.raises(ReplayError, match="missing record: step 3 asks for ratings"):
        checked(short, copied)


def test_a_missing_answer_fails(short: Started, copied: Path) -> None:
    changed(copied, "delete from llm_calls where step = 5")
    with pytest.raises(ReplayError, match="missing record: the model was asked for answer 5"):
        checked(short, copied)


def test_an_answer_too_many_fails(short: Started, copied: Path) -> None:
    more = "insert into llm_calls select null, run_id, step, 9, purpose, model, request, response, 0, 0, 0, null"
    changed(copied, f"{more} from llm_calls where step = 5")
    with pytest.raises(ReplayError, match="1 recorded answers were never asked for"):
        checked(short, copied)


def test_a_changed_adapter_file_fails(finished: Started, tmp_path: Path) -> None:
    shutil.copytree(finished.home, tmp_path / "copied")
    (adapter,) = (tmp_path / "copied" / "runs" / finished.run_id / "adapters").rglob("pytorch_lora_weights.safetensors")
    adapter.write_bytes(adapter.read_bytes()[:-1] + b"?")
    with pytest.raises(ReplayError, match="the adapter of step 11"):
        checked(finished, tmp_path / "copied")


def test_a_verification_that_is_stopped_names_the_run_that_is_there(
    short: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def struck(_step: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(Stopped, match=rf"^Stopped by SIGTERM\. Nothing of the run '{short.run_id}'") as caught:
        verify(short.store, short.home, short.run_id, on_step=struck)
    assert not re.search(r"resume|\d{8}-\d{6}", str(caught.value).replace(short.run_id, ""))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_run_is_told(short: Started) -> None:
    with pytest.raises(InputError, match="there is no run 'nowhere'"):
        verify(short.store, short.home, "nowhere")


def test_useless_answers_and_words_are_reproduced_too(
    configured: Callable[..., Config], models: Studio, tmp_path: Path
) -> None:
    early = FINISH  # which is not on offer before anything was learnt
    replies = [
        "I would rather not.", PAINT, SCORE, early, ASK, FEEDBACK, "no JSON", FEEDBACK, '{"feedback": "Red."}', LEARN, FINISH,
    ]  # fmt: skip
    run = llm_run(configured(**{**SHORT, "planner": "llm"}), tmp_path / "home", models, replies)
    errors = [step.error is not None for step in run.steps]
    assert errors == [True, False, False, True, False, True, False, False, False]
    verdict = checked(run)
    assert verdict.same, verdict.differences


def test_a_run_that_its_tokens_ended_is_reproduced(
    configured: Callable[..., Config], models: Studio, tmp_path: Path
) -> None:
    config = configured(**{**SHORT, "planner": "llm", "limits": {"trainings": 0, "llm_tokens": 30}})
    run = llm_run(config, tmp_path / "home", models, [PAINT, SCORE, FINISH])
    assert run.tools == ["generate_images", "score_images"]
    assert checked(run).same


def test_a_training_that_failed_fails_again_without_being_run(
    configured: Callable[..., Config], models: Studio, tmp_path: Path
) -> None:
    train = ToolCall("finetune", {"method": "dreambooth", "steps": 1, "rank": 1})
    config = configured(**{**SHORT, "planner": "llm", "limits": {"trainings": 1, "training_seconds": 0.05}})
    run = llm_run(config, tmp_path / "home", models, [PAINT, ASK, LEARN, train, FINISH])
    assert "took longer than its 0.05 s" in str(run.steps[3].error)
    assert [job.state for job in run.store.jobs(run.run_id)] == ["failed"]
    verdict = checked(run)
    assert verdict.same, verdict.differences


def test_a_run_by_the_rules_is_reproduced_fast(begin: Callable[..., Started]) -> None:
    from agent.loop.people import simulated_person

    run = begin()
    run.person = simulated_person(run.crew, run.run_id)
    run.drive()
    verdict = checked(run)
    assert verdict.same, verdict.differences
    assert verdict.seconds["all"] < 60


def test_recorded_answers_are_read_from_the_raw_responses() -> None:
    def call(purpose: str, response: Any) -> LlmCall:
        return LlmCall(attempt=0, purpose=purpose, model="m", request={}, response=response, seconds=0)

    def text(content: str) -> dict[str, Any]:
        return {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}

    given = recorded_answers(
        [
            call("plan", None), call("wish", text("{}")), call("plan", text("hello")),
            call("plan", text('<tool_call>\n{"name": "finish", "arguments": {"summary": "so"}}\n</tool_call>')),
            call("feedback", text('{"feedback": "Red."}')), call("feedback", text("no")),
        ]
    )  # fmt: skip
    assert [type(answer).__name__ for answer in given] == ["InvalidPlan", "ToolCall", "Feedback", "InvalidPlan"]
    assert isinstance(given[0], InvalidPlan) and given[1].args == {"summary": "so"}


def test_another_version_is_named_beside_a_difference() -> None:
    assert elsewhere(versions()) == elsewhere({}) == ""
    assert elsewhere(versions() | {"torch": "0.4.1"}).startswith("torch 0.4.1 then, ")


def test_results_are_alike_within_rounding() -> None:
    assert alike({"a": [1, 0.5, "x"], "b": None}, {"a": [1, 0.501, "x"], "b": None})
    for before, after in (({"a": 1}, {}), ([1], [1, 2]), (0.5, 0.6), ("x", "y"), (1, 2), (True, None), (0.5, "0.5")):
        assert not alike(before, after)
