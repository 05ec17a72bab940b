"""tools/actions/finetune.py, tools/actions/evaluate.py, tools/actions/anchors.py: an adapter is trained, judged and examined."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prompts.errors import PalateError, ToolError
from tests.tools.given import Trail, context, rated_trail
from tools.actions.anchors import SelectAnchors, select_anchors
from tools.actions.evaluate import EvaluateAdapter, evaluate_adapter
from tools.actions.finetune import Finetune, _job, finetune
from tools.actions.learn import LearnTaste, learn_taste
from tools.context import Context
from tools.jobs.spec import Job
from tools.records import JobRow, PairRow

AtHand = Callable[..., Context]
DPO = Finetune(method="dpo", steps=1, rank=2)
DREAMBOOTH = Finetune(method="dreambooth", steps=1, rank=2)


def with_taste(given: Context) -> Context:
    given.trail.record("learn_taste", learn_taste(LearnTaste(kind="head"), given))  # type: ignore[attr-defined]
    return given


def changed(given: Context, **settings: Any) -> Context:
    return dataclasses.replace(given, settings=dataclasses.replace(given.settings, **settings))


def test_a_taste_that_likes_all_alike_has_no_pairs_to_train_on(
    at_hand: AtHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = with_taste(at_hand())
    monkeypatch.setattr(
        "tools.actions.finetune._pair",
        lambda rows, scores, pool: PairRow(prompt="a", win="0" * 16, lose="1" * 16, margin=0.0),
    )
    with pytest.raises(ToolError, match="gather ratings that differ"):
        finetune(DPO, given)


def test_an_adapter_is_trained_judged_and_examined(at_hand: AtHand) -> None:
    """One training for all three, because each child takes seconds to start."""
    jobs: list[JobRow] = []
    given = changed(with_taste(at_hand(on_job=jobs.append)), finetune={"batch_size": 1, "statistic_weight": 0})
    trained = given.trail.record("finetune", finetune(DPO, given))  # type: ignore[attr-defined]
    (adapter,), (pair,) = trained.adapters, trained.pairs
    assert (given.folder / adapter.path / "pytorch_lora_weights.safetensors").is_file() and adapter.promoted is None
    assert {pair.win, pair.lose} == {row.id for row in trained.images} and pair.margin > 0
    told = {"adapter": adapter.sha256, "method": "dpo", "pairs": 1, "steps": adapter.config["steps"], "loss": 0}
    assert trained.result | {"loss": 0} == told
    assert (
        jobs[-1].state == "done" and {job.id for job in jobs} == {jobs[0].id} and not Path(adapter.path).is_absolute()
    )

    judged = given.trail.record("evaluate_adapter", evaluate_adapter(EvaluateAdapter(prompts=4), given))  # type: ignore[attr-defined]
    told = judged.result
    assert (
        told["n"] == len(told["with"]) == len(told["without"]) == 4
        and 0 <= told["low"] <= told["rate"] <= told["high"] <= 1
    )
    assert judged.adapters[0].promoted is told["promoted"] and judged.adapters[0].metrics["rate"] == told["rate"]
    seeds = {
        purpose: [r.seed for r in judged.images if r.sampler["purpose"] == purpose] for purpose in ("with", "without")
    }
    assert set(seeds["with"]) <= set(seeds["without"]) and [row.idx for row in judged.images] == list(range(8))
    assert set(told) == {"adapter", "rate", "low", "high", "n", "promoted", "clip_t_kept", "prompts", "with", "without"}
    why = judged.adapters[0].metrics
    wins = why["evidence"]["wins"]
    assert {name: one["guided"] for name, one in wins.items()} == {
        "preference": True,
        "pickscore": False,
        "clip_t": False,
    }
    assert told["promoted"] is (why["broken"] == 0) and "preference, which guided" in " ".join(why["reasons"])
    with pytest.raises(ToolError, match="call finetune first"):
        evaluate_adapter(EvaluateAdapter(prompts=4), given)  # judged once

    found = select_anchors(SelectAnchors(anchors=2, samples=2), given)
    assert len(found.result["anchors"]) == 2 and len(found.images) == 2 * 18
    assert {one["image"] for one in found.result["anchors"]} <= {row.id for row in found.images}
    assert 0 <= found.result["openness"] <= 0.0035 and 0 <= found.result["overfit"] <= 1


@pytest.mark.parametrize("call", [pytest.param(DPO, marks=pytest.mark.slow), DREAMBOOTH], ids=lambda call: call.method)
def test_a_training_that_fails_says_why_and_where_its_log_is(at_hand: AtHand, call: Finetune) -> None:
    jobs: list[JobRow] = []
    given = changed(with_taste(at_hand(on_job=jobs.append)), method=call.method, finetune={"betta": 1})
    with pytest.raises(ToolError, match=r"config\.betta.*job\.log") as caught:
        finetune(call, given)
    assert not caught.value.retryable and jobs[-1].state == "failed" and "betta" in str(jobs[-1].error)


def test_a_fault_that_may_pass_uses_no_training_up(at_hand: AtHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ToolError would be a step, and the budget of trainings counts it."""
    states = [{"state": "failed", "error": "no room.", "passing": passing} for passing in (True, False)]
    monkeypatch.setattr("tools.actions.finetune.run_job", lambda *_, **__: states.pop(0))
    given = at_hand()
    with pytest.raises(PalateError, match=r"no room.*tried twice.*has no adapter yet: resume it") as caught:
        finetune(DREAMBOOTH, given)
    assert not isinstance(caught.value, ToolError)
    with pytest.raises(ToolError) as lasting:
        finetune(DREAMBOOTH, given)
    assert not lasting.value.retryable and not states


def test_settings_of_one_method_are_not_given_to_the_other(at_hand: AtHand) -> None:
    given = changed(at_hand(), method="dpo", finetune={"beta": 500})
    assert _job(DPO, [], given)["config"]["beta"] == 500
    assert "beta" not in _job(DREAMBOOTH, [], given)["config"]


def test_dreambooth_learns_actively_when_the_run_says_so(at_hand: AtHand) -> None:
    """A taste needs no word: the vocabulary's anchors, and what the liked prompts say."""
    given = changed(at_hand(), method="dpo", active_learning={"rounds": 2, "samples": 3})
    dataset = [{"prompt": f"{number} circles", "image": f"{number}.png"} for number in (1, 1, 2, 3, 4)]
    job = Job.model_validate(_job(DREAMBOOTH, dataset, given))
    assert job.kind == "gal" and job.gal and job.gal.resolved() == job.gal and job.clip == given.settings.clip
    assert job.gal.non_subject == ("1 circles", "2 circles", "3 circles") and job.gal.seed == given.seed
    assert (job.gal.rounds, job.gal.samples, job.gal.steps) == (2, 3, given.settings.steps) and len(
        job.gal.anchors
    ) == 18
    assert _job(DPO, [], given)["kind"] == "dpo" and "gal" not in _job(DPO, [], given)
    assert "gal" not in _job(DREAMBOOTH, dataset, changed(given, active_learning=None))


def test_a_replayed_training_starts_no_process(at_hand: AtHand) -> None:
    from tools.records import AdapterRow

    row = AdapterRow(sha256="a" * 64, kind="dreambooth", base="m", path="adapters/x", config={}, metrics={"loss": 0.5})
    given = at_hand(recorded_job=lambda: row)
    found = finetune(DREAMBOOTH, given)
    assert found.adapters == (row,) and found.result["loss"] == 0.5 and not (given.folder / "jobs").exists()


def test_dreambooth_learns_from_the_best_rated(at_hand: AtHand, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.actions import finetune as module

    seen: list[Any] = []

    def stopped(job: Any, *_: Any, **__: Any) -> Any:
        seen.append(json.loads(json.dumps(job)))
        return {"state": "failed", "error": "not wanted here."}

    monkeypatch.setattr(module, "run_job", stopped)
    given = at_hand()
    with pytest.raises(ToolError, match="not wanted here"):
        finetune(DREAMBOOTH, given)
    best = max(given.trail.images(), key=lambda row: given.trail.ratings()[row.id])
    (job,) = seen
    assert (
        job["dataset"][0] == {"prompt": best.prompt, "image": str(given.folder / best.path)}
        and len(job["dataset"]) == 4
    )


@pytest.mark.parametrize(
    ("tool", "call", "told"),
    [
        (finetune, DPO, "call learn_taste first"),
        (finetune, DREAMBOOTH, "call ask_person first"),
        (evaluate_adapter, EvaluateAdapter(prompts=4), "call finetune first"),
        (select_anchors, SelectAnchors(anchors=1, samples=2), "call finetune first"),
    ],
    ids=["dpo", "dreambooth", "evaluate", "anchors"],
)
def test_what_is_missing_is_told_before_anything_is_painted(tmp_path: Path, tool: Any, call: Any, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        tool(call, context(Trail(), tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_cannot_be_judged_without_a_taste_nor_examined_without_ratings(tmp_path: Path) -> None:
    from tools.records import AdapterRow

    trail = rated_trail([])
    trail.trained = [AdapterRow(sha256="a" * 64, kind="dpo", base="m", path="adapters/x", config={})]
    with pytest.raises(ToolError, match="call learn_taste first"):
        evaluate_adapter(EvaluateAdapter(prompts=4), context(trail, tmp_path))
    with pytest.raises(ToolError, match="call ask_person first"):
        select_anchors(SelectAnchors(anchors=1, samples=2), context(trail, tmp_path))
    assert list(tmp_path.iterdir()) == []
