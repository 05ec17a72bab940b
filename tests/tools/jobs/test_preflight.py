"""Whether a job will fit is told before it begins, with numbers and what to lower."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from agent.cli import main as cli
from prompts.errors import InputError
from tools.jobs import preflight
from tools.jobs.spec import Job

Tiny = Callable[[str], Any]
GIB = 2**30


def job(tiny: Tiny, name: str = "sd15", **changes: Any) -> Job:
    config = {"batch_size": 4, "size": 128, "rank": 2}
    values = {"kind": "dpo", "config": config, "base_model": tiny(name).name, "device": "cpu", "out": "out"}
    return Job.model_validate(values | changes)


def test_the_plan_is_read_from_the_models_folder(tiny: Tiny) -> None:
    for name, family in (("sd15", "StableDiffusionPipeline"), ("flux", "FluxPipeline")):
        found = preflight.plan_of(job(tiny, name, config={"batch_size": 4, "sample_prompts": ["a dog"]}))
        assert found is not None and found.family == family and found.rows == 8 and found.pictures == 1
        parts = [one for key, one in tiny(name).pipe.components.items() if isinstance(one, torch.nn.Module) and key not in ("unet", "transformer")]  # fmt: skip
        assert found.others == pytest.approx(
            4 * sum(one.numel() for part in parts for one in part.parameters()), rel=0.01
        )
    shared = preflight.plan_of(job(tiny, processes=2, dtype="bfloat16"))
    assert shared is not None and shared.rows == 4 and shared.dtype == torch.bfloat16 and shared.size == 128


@pytest.mark.parametrize(("kind", "more"), [("slider", {}), ("dreambooth", {"learns": "denoiser"})])
def test_every_kind_with_a_lora_is_counted_and_the_whole_model_too(kind: str, more: dict[str, Any], tiny: Tiny) -> None:
    found = preflight.check(job(tiny, kind=kind, config={"batch_size": 2, "size": 64, **more}))
    lora = preflight.check(job(tiny, kind="sft", config={"batch_size": 2, "size": 64}))
    assert found["fits"] and (found["needs"]["step"] > lora["needs"]["step"]) == bool(more)
    assert preflight.plan_of(job(tiny, kind="textual_inversion", config={"word": "<x>", "initial": "dog"})) is None


def test_a_job_that_will_not_fit_is_refused_with_what_would(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = preflight.judged(job(tiny), preflight.plan_of(job(tiny)), 10**12)  # type: ignore[arg-type]
    assert whole["fits"] is True and whole["lighter"] is None
    from trainers.engine.estimate import estimate

    plan = preflight.plan_of(job(tiny))
    assert plan is not None
    free = int(0.9 * estimate(plan).peak)
    monkeypatch.setattr(preflight, "TRIFLE", 10**9)  # however small it is
    monkeypatch.setattr(preflight, "free_memory", lambda device: free)
    with pytest.raises(InputError, match=r"GiB for step on cpu, and .* GiB are free: set gradient_checkpointing: True"):
        preflight.preflight(job(tiny))
    monkeypatch.setattr(preflight, "free_memory", lambda device: 1000)
    with pytest.raises(InputError, match="no batch_size and size would fit, so take a smaller model"):
        preflight.preflight(job(tiny))


def test_what_is_suggested_fits(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainers.engine.estimate import estimate

    first = job(tiny)
    plan = preflight.plan_of(first)
    assert plan is not None
    free = estimate(plan).step // 3
    lighter = preflight.judged(first, plan, free)["lighter"]
    assert lighter is not None
    then = job(tiny, config={**first.config, **lighter})
    assert preflight.judged(then, preflight.plan_of(then), free)["fits"]  # type: ignore[arg-type]


def test_a_small_model_is_not_counted(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "judged", lambda *_: pytest.fail("it was counted"))
    monkeypatch.setattr(preflight, "free_memory", lambda device: GIB)
    preflight.preflight(job(tiny))


def test_a_check_counts_and_trains_nothing(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    values = json.loads(job(tiny).model_dump_json(exclude_defaults=True)) | {"out": "out"}
    file.write_text(yaml.safe_dump(values))
    assert cli.main(["train", str(file), "--check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fits"] is True and 0 < found["needs"]["step"] < found["free"] and found["device"] == "cpu"
    assert cli.main(["train", str(file), "--check"]) == 0
    assert "GiB for step on cpu, and" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_counted_is_told(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kind 'dpo' of '/nowhere' cannot be counted"):
        preflight.check(job(tiny, base_model="/nowhere"))
