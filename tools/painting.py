"""Painting for tools: prompts in, saved files and image rows out. The adapters that were promoted act, unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.context import Context, Studio
from tools.records import AdapterRow, ImageRow
from tools.sliders import Slider, Weights

if TYPE_CHECKING:
    from PIL import Image

    from trainers.model.base_model import BaseModel as PaintingModel

How = dict[str, Any]  # what one picture is painted with besides its words: seed, guidance_scale; {}: as the run is

AT_ONCE = 8  # images a batch: progress moves, memory stays small, and a batch is the same on every run


def paint_in_batches(
    prompts: Sequence[str], *, model: PaintingModel, seed: int, **how: Any
) -> Iterator[list[Image.Image]]:
    """Any number of pictures, a few at a time: prompt i from seed `seed` + i, `how` as `trainers.model.paint.paint` takes it."""
    from trainers.model.paint import paint

    for start in range(0, len(prompts), AT_ONCE):
        painted = paint(prompts[start : start + AT_ONCE], model=model, seed=seed + start, **how)
        yield [one.image for one in painted]


def studio_paints(prompts: Sequence[str], studio: Studio, seed: int) -> Iterator[list[Image.Image]]:
    """The same as a run's settings have it."""
    how = studio.settings
    yield from paint_in_batches(
        prompts, model=studio.painter, seed=seed, steps=how.steps, guidance_scale=how.guidance_scale, size=how.size
    )


def promoted(context: Context) -> list[AdapterRow]:
    """The adapters that this run promoted, oldest first."""
    return [adapter for adapter in context.trail.adapters() if adapter.promoted]


def paint_rows(
    prompts: Sequence[str], seed: int, context: Context, *, adapters: Sequence[AdapterRow], purpose: str,
    weights: Sequence[Weights] = (), hows: Sequence[How] = (),
) -> tuple[list[ImageRow], dict[str, str]]:  # fmt: skip
    """Paint prompt i with seed `seed` + i, save each picture, and return the rows and what was cut off of too long prompts.

    `purpose` is "paint" for what a person is shown; pools and evaluations have others. `weights`: what the run's sliders act with,
    for each prompt; they do not act without. `hows`: a seed and a guidance scale of its own, where a prompt's genome has them.
    Raises InputError, ToolError.
    """
    rows: list[ImageRow] = []
    cut: dict[str, str] = {}
    given = list(zip(list(weights) or [{}] * len(prompts), list(hows) or [{}] * len(prompts), strict=True))
    for part in _batches(given):
        batch, found = _paint_batch([prompts[i] for i in part], seed, part.start, context, adapters, purpose, *given[part.start])  # fmt: skip
        rows += batch
        cut |= found
        context.on_progress(purpose, len(rows), len(prompts))
    return rows, cut


def _batches(given: Sequence[tuple[Weights, Mapping[str, Any]]]) -> list[range]:
    """Runs of up to `AT_ONCE` prompts that are given the same: one batch has one set of adapters. A seed of its own is painted
    alone: in a batch each picture has the one before it plus 1."""
    found: list[range] = []
    for i, one in enumerate(given):
        last = found[-1] if found else range(0)
        if last and len(last) < AT_ONCE and given[last.start] == one and "seed" not in one[1]:
            found[-1] = range(last.start, i + 1)
        else:
            found.append(range(i, i + 1))
    return found


def _paint_batch(
    prompts: Sequence[str],
    seed: int,
    start: int,
    context: Context,
    adapters: Sequence[AdapterRow],
    purpose: str,
    weights: Weights,
    how: How,
) -> tuple[list[ImageRow], dict[str, str]]:
    from trainers.files.adapter_file import AdapterRef
    from trainers.model.paint import paint

    settings, first = context.settings, int(how.get("seed", seed + start))
    guidance = how.get("guidance_scale", settings.guidance_scale)
    references = [AdapterRef(context.folder / adapter.path, 1.0) for adapter in adapters]
    acting = [slider for slider in settings.sliders if slider.name in weights]
    shown = settings.shown if purpose == "paint" else None  # pools and evaluations are about the words
    references += [AdapterRef(slider.adapter, weights[slider.name]) for slider in acting]
    with context.timed("paint"):
        painted = paint(
            prompts, seed=first, model=context.studio.painter, adapters=references,
            steps=settings.steps, guidance_scale=guidance, size=settings.size, shown=shown.opened() if shown else None,
        )  # fmt: skip
    used: list[dict[str, object]] = [
        {"sha256": adapter.sha256, "weight": 1.0, "name": Path(adapter.path).name} for adapter in adapters
    ]
    used += [_slid(slider, weights[slider.name]) for slider in acting]
    sampler: dict[str, Any] = {"steps": settings.steps, "guidance_scale": guidance, "purpose": purpose}
    sampler |= {"shown": shown.told()} if shown else {}
    rows = []
    for offset, one in enumerate(painted):
        saved = context.save(
            one.image, context.folder, prompt=one.prompt, seed=one.seed, model=context.model_name, steps=settings.steps,
            guidance_scale=guidance, size=one.image.size, adapters=used,
        )  # fmt: skip
        rows.append(
            ImageRow(
                sha256=saved.sha256,
                idx=start + offset,
                path=saved.relative,
                prompt=one.prompt,
                seed=one.seed,
                model=context.model_name,
                adapters=used,
                sampler=sampler,
            )
        )
    return rows, {one.prompt: one.cut for one in painted if one.cut}


def _slid(slider: Slider, weight: float) -> dict[str, object]:
    """What an image's row keeps of a slider; `tools.sliders.weights_of` reads it back."""
    from trainers.files.adapter_file import find, sha256

    return {"sha256": sha256(find(slider.adapter)), "weight": weight, "name": slider.name, "slider": True}
