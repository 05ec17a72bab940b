"""Painting for tools: prompts in, saved files and image rows out. The adapters that were promoted act, unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.context import Context
from tools.records import AdapterRow, ImageRow

AT_ONCE = 8  # images a batch: progress moves, memory stays small, and a batch is the same on every run


def promoted(context: Context) -> list[AdapterRow]:
    """The adapters that this run promoted, oldest first."""
    return [adapter for adapter in context.trail.adapters() if adapter.promoted]


def paint_rows(
    prompts: Sequence[str], seed: int, context: Context, *, adapters: Sequence[AdapterRow], purpose: str
) -> tuple[list[ImageRow], dict[str, str]]:
    """Paint prompt i with seed `seed` + i, save each picture, and return the rows and what was cut off of too long prompts.

    `purpose` is "paint" for what a person is shown; pools and evaluations have others. Raises InputError, ToolError.
    """
    rows: list[ImageRow] = []
    cut: dict[str, str] = {}
    for start in range(0, len(prompts), AT_ONCE):
        batch, found = _paint_batch(prompts[start : start + AT_ONCE], seed, start, context, adapters, purpose)
        rows += batch
        cut |= found
        context.on_progress(purpose, len(rows), len(prompts))
    return rows, cut


def _paint_batch(
    prompts: Sequence[str],
    seed: int,
    start: int,
    context: Context,
    adapters: Sequence[AdapterRow],
    purpose: str,
) -> tuple[list[ImageRow], dict[str, str]]:
    from trainers.adapter_file import AdapterRef
    from trainers.base_model import paint

    settings = context.settings
    references = [AdapterRef(context.folder / adapter.path, 1.0) for adapter in adapters]
    with context.timed("paint"):
        painted = paint(
            prompts, seed=seed + start, model=context.studio.painter, adapters=references,
            steps=settings.steps, guidance_scale=settings.guidance_scale, size=settings.size,
        )  # fmt: skip
    used: list[dict[str, object]] = [
        {"sha256": adapter.sha256, "weight": 1.0, "name": Path(adapter.path).name} for adapter in adapters
    ]
    sampler = {"steps": settings.steps, "guidance_scale": settings.guidance_scale, "purpose": purpose}
    rows = []
    for offset, one in enumerate(painted):
        saved = context.save(
            one.image, context.folder, prompt=one.prompt, seed=one.seed, model=context.model_name, steps=settings.steps,
            guidance_scale=settings.guidance_scale, size=one.image.size, adapters=used,
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
