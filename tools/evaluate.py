"""evaluate_adapter: the same held-out prompts and seeds with and without the adapter, judged by the learned taste.

The adapter is promoted when it wins more than half and does not lose the prompts: CLIP-T may fall by a tenth at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from prompts.errors import ToolError
from prompts.lists import load_list
from tools.context import Arguments, Context, Outcome
from tools.painting import paint_rows, promoted
from tools.records import AdapterRow, ImageRow, ScoreRow

if TYPE_CHECKING:
    from evaluators.preference import Preference

PROMPTS_KEPT = 0.9  # the least share of CLIP-T that must remain


class EvaluateAdapter(Arguments):
    """Compare the newest adapter with the model without it on held-out prompts, and promote or reject it."""

    prompts: Annotated[int, Field(ge=4, le=32, description="how many held-out prompts to compare on")]


def evaluate_adapter(args: EvaluateAdapter, context: Context) -> Outcome:
    """Raises ToolError when there is no adapter to judge or no taste to judge it by."""
    from evaluators.win_rate import win_rate

    adapter, taste = _newest(context), _taste(context)
    prompts = load_list(context.vocabulary, "held_out")[: min(args.prompts, context.settings.evaluate_prompts)]
    without, _ = paint_rows(prompts, context.seed, context, adapters=promoted(context), purpose="without")
    with_it, _ = paint_rows(prompts, context.seed, context, adapters=[*promoted(context), adapter], purpose="with")
    with_it = [row.model_copy(update={"idx": len(without) + row.idx}) for row in with_it]
    before, after = (taste.predict(context.features(rows))[0] for rows in (without, with_it))
    found, kept = win_rate(after.tolist(), before.tolist()), _kept(with_it, without, context)
    verdict = found.rate > 0.5 and kept >= PROMPTS_KEPT
    told = {"rate": round(found.rate, 3), "low": round(found.low, 3), "high": round(found.high, 3), "n": found.n}
    row = adapter.model_copy(
        update={"promoted": verdict, "metrics": {**adapter.metrics, **told, "clip_t_kept": round(kept, 3)}}
    )
    result = {"adapter": adapter.sha256, **told, "promoted": verdict, "clip_t_kept": round(kept, 3), "prompts": prompts}
    result |= {"with": [r.id for r in with_it], "without": [r.id for r in without]}
    return Outcome(
        result, images=(*without, *with_it), scores=_scores((without, before), (with_it, after)), adapters=(row,)
    )


def _newest(context: Context) -> AdapterRow:
    waiting = [adapter for adapter in context.trail.adapters() if adapter.promoted is None]
    if not waiting:
        raise ToolError("There is no adapter waiting to be evaluated: call finetune first.")
    return waiting[-1]


def _taste(context: Context) -> Preference:
    from evaluators import preference

    fitted = context.trail.preference()
    if fitted is None:
        raise ToolError("There is no learned taste to judge by: call learn_taste first.")
    return preference.load(context.folder / fitted.path)


def _kept(with_it: Sequence[ImageRow], without: Sequence[ImageRow], context: Context) -> float:
    """CLIP-T with the adapter as a share of CLIP-T without it."""
    fits = [
        context.studio.clip.clip_t([context.open_image(row) for row in rows], [row.prompt for row in rows]).values
        for rows in (with_it, without)
    ]
    return float(np.mean(fits[0]) / max(float(np.mean(fits[1])), 1e-6))


def _scores(*judged: tuple[Sequence[ImageRow], np.ndarray]) -> tuple[ScoreRow, ...]:
    """One score an image; a picture that the adapter did not change is one image and has one score."""
    values = {row.id: float(value) for rows, scores in judged for row, value in zip(rows, scores, strict=True)}
    return tuple(
        ScoreRow(image=image, name="preference", version="evaluation", value=value) for image, value in values.items()
    )
