"""Hold an adapter against its absence: the same held-out prompts from the same seeds with and without it, and a verdict by rule.

Writes a folder: images/, gate.json (evidence, rules, verdict, seeds, versions), gate.png and gate.html. Other adapters act on both
sides. Goes on where it stopped: a picture that was painted is not painted again. Does not decide anything: evaluators.gate does;
does not remember who acts: tools.gate.promotions does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.gate import Evidence, Judged, Rules, measured, verdict
from prompts.errors import PalateError
from tools.files import save_image, save_json
from tools.gate.report import write_report
from tools.gate.spec import GateSpec, Plan
from tools.photos import photo, told_together
from tools.scorers import PUBLISHED, Folders, clip_of, scorers, versions

if TYPE_CHECKING:
    from trainers.files.adapter_file import AdapterRef
    from trainers.model.base_model import BaseModel as Painter

AT_ONCE = 8  # pictures a batch: what an interruption costs at most


@dataclass(frozen=True)
class Brush:
    """What paints one side, and where its pictures go."""

    model: Painter
    adapters: Sequence[AdapterRef]
    spec: GateSpec
    folder: Path
    on_painted: Callable[[int], object]  # pictures of this side that are there; also called while one is painted
    should_stop: Callable[[], bool]

    @cached_property
    def acting(self) -> list[dict[str, Any]]:
        """What acts, by name, hash and weight; hashed once, not for every batch."""
        return [_named(one) for one in self.adapters]


def judge(
    plan: Plan,
    model: Painter,
    adapter: AdapterRef,
    out: Path,
    *,
    adapters: Sequence[AdapterRef] = (),
    on_painted: Callable[[int, int], object] = lambda done, total: None,
    should_stop: Callable[[], bool] = bool,
) -> dict[str, Any]:
    """Paint, measure, decide, and write the report into `out`; returns what gate.json says. `adapters` act on both sides.

    Raises InputError for an adapter that does not fit, PalateError when it was asked to stop (whole batches stay)."""
    out.mkdir(parents=True, exist_ok=True)
    n = len(plan.prompts)
    sides = [
        _painted(plan.prompts, Brush(model, acting, plan.spec, out, lambda done, so_far=so_far: on_painted(so_far + done, 2 * n), should_stop))  # type: ignore[misc]
        for so_far, acting in ((0, adapters), (n, [*adapters, adapter]))
    ]  # fmt: skip
    without, with_it = _judged(plan, sides, str(model.device))
    evidence = measured(with_it, without, plan.guides)
    told = {
        **_decided(evidence, plan.spec.rules), "adapter": _named(adapter), "adapters": [_named(one) for one in adapters],
        "base_model": name_of(model.name), "spec": _told(plan.spec), "versions": {**_scored_by(plan.folders), **_packages()},
        "pairs": _pairs(plan, sides, without, with_it),
    }  # fmt: skip
    save_json(out / "gate.json", told)
    write_report(told, out)
    return told


def _decided(evidence: Evidence, rules: Rules) -> dict[str, Any]:
    found = verdict(evidence, rules)
    return {
        "promoted": found.promote, "reasons": list(found.reasons), "broken": len(found.broken), "evidence": evidence.told(),
        "rules": rules.model_dump(mode="json"),
    }  # fmt: skip


def _painted(prompts: Sequence[str], brush: Brush) -> list[Path]:
    """A picture a prompt, prompt i from seed + i, in batches that are the same on every run."""
    index = brush.folder / "painted.json"
    known: dict[str, str] = json.loads(index.read_text()) if index.is_file() else {}
    keys = _keys(prompts, brush)
    for start in range(0, len(prompts), AT_ONCE):
        batch = range(start, min(start + AT_ONCE, len(prompts)))
        if not all(keys[i] in known and (brush.folder / known[keys[i]]).is_file() for i in batch):
            if brush.should_stop():
                raise PalateError(
                    f"stopped after {start} of {len(prompts)} pictures of the gate: run it again to go on"
                )
            known |= zip([keys[i] for i in batch], _paint([prompts[i] for i in batch], start, brush), strict=True)
            save_json(index, known)
        brush.on_painted(batch.stop)
    return [brush.folder / known[key] for key in keys]


def _keys(prompts: Sequence[str], brush: Brush) -> list[str]:
    """All that a picture follows from, as a hash."""
    spec = brush.spec
    how = [
        brush.model.name,
        brush.acting,
        spec.steps,
        spec.guidance_scale,
        spec.size,
        str(brush.model.dtype),
    ]
    told = [json.dumps([prompt, spec.seed + i, *how]) for i, prompt in enumerate(prompts)]
    return [hashlib.sha256(one.encode()).hexdigest()[:16] for one in told]


def _named(adapter: AdapterRef) -> dict[str, Any]:
    from trainers.files.adapter_file import find, sha256

    file = find(adapter.path)
    name = Path(adapter.path).resolve().name
    return {"name": name, "sha256": sha256(file), "weight": adapter.weight}


def _paint(prompts: Sequence[str], start: int, brush: Brush) -> list[str]:
    from trainers.model.paint import paint

    spec, used = brush.spec, brush.acting

    def tick(_step: int, _steps: int) -> None:  # a batch may take minutes, and who watches wants a sign of life
        brush.on_painted(start)

    painted = paint(
        prompts, model=brush.model, adapters=brush.adapters, seed=spec.seed + start, steps=spec.steps,
        guidance_scale=spec.guidance_scale, size=spec.size, on_step=tick,
    )  # fmt: skip
    return [
        save_image(
            one.image, brush.folder, prompt=one.prompt, seed=one.seed, model=name_of(brush.model.name), steps=spec.steps,
            guidance_scale=spec.guidance_scale, size=one.image.size, adapters=used,
        ).relative
        for one in painted
    ]  # fmt: skip


def _judged(plan: Plan, sides: Sequence[Sequence[Path]], device: str) -> list[Judged]:
    """Both sides as each scorer sees them; the subject's pictures are looked at once a side."""
    judges, clip = scorers(plan.scorers, plan.folders, device), clip_of(str(plan.folders["clip"]), device)
    with told_together():
        subject = [photo(path) for path in plan.instances]
    found = []
    for paths in sides:
        images = [photo(path) for path in paths]
        scores = {name: [float(one) for one in judge(images, plan.prompts)] for name, judge in judges.items()}
        like = sum(clip.clip_i(images, plan.prompts, subject).values) / len(images) if subject else None
        found.append(Judged(images, scores, clip.image_features(images), like))
    return found


def _pairs(plan: Plan, sides: Sequence[Sequence[Path]], without: Judged, with_it: Judged) -> list[dict[str, Any]]:
    """Each prompt with its two pictures and what every scorer said of them (without, with)."""
    return [
        {
            "prompt": prompt, "seed": plan.spec.seed + i, "without": f"images/{sides[0][i].name}", "with": f"images/{sides[1][i].name}",
            "scores": {name: [without.scores[name][i], with_it.scores[name][i]] for name in plan.scorers},
        }
        for i, prompt in enumerate(plan.prompts)
    ]  # fmt: skip


def name_of(model: str) -> str:
    """What records call a model: its folder's name, or the hub id."""
    return Path(model).name if Path(model).is_dir() else model


def _told(spec: GateSpec) -> dict[str, Any]:
    """The spec without rules, which stand by themselves, and without what only this machine knows."""
    told = spec.model_dump(mode="json", exclude={"rules", "instances"})
    return told | {"prompts": Path(spec.prompts).name if isinstance(spec.prompts, str) else "listed"}


def _scored_by(folders: Folders) -> dict[str, str]:
    """The weights of the scorers."""
    from trainers.files.adapter_file import sha256

    loose = {key: Path(name) for key, name in folders.items() if name is not None and key not in PUBLISHED}
    files = {key: sha256(path)[:12] for key, path in loose.items() if path.is_file()}
    return versions({key: name for key, name in folders.items() if key not in files}) | files


def _packages() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "diffusers", "peft", "transformers", "open_clip_torch")}
