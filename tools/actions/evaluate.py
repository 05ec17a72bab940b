"""evaluate_adapter: the same held-out prompts and seeds with and without the adapter, judged by the learned taste.

The rules of evaluators.gate decide, with those limits that the run's config sets: unless it says otherwise the adapter must win more
than half, CLIP-T may fall by a tenth at most, and neither PickScore nor CLIP-T, which did not guide the training, may lose beyond doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from prompts.errors import ToolError
from prompts.lists import load_list
from tools.context import Arguments, Context, Outcome
from tools.painting import paint_rows, promoted
from tools.records import AdapterRow, ImageRow, ScoreRow

if TYPE_CHECKING:
    from evaluators.gate import Judged
    from evaluators.preference.model import Preference

GUIDE = "preference"  # what a run's trainings are guided by


class EvaluateAdapter(Arguments):
    """Compare the newest adapter with the model without it on held-out prompts, and promote or reject it."""

    prompts: Annotated[int, Field(ge=4, le=32, description="how many held-out prompts to compare on")]


def evaluate_adapter(args: EvaluateAdapter, context: Context) -> Outcome:
    """Raises ToolError when there is no adapter to judge or no taste to judge it by."""
    from evaluators.gate import measured, verdict

    adapter, taste = _newest(context), _taste(context)
    beneath = promoted(context)
    prompts = load_list(context.vocabulary, "held_out")[: min(args.prompts, context.settings.evaluate_prompts)]
    without, _ = paint_rows(prompts, context.seed, context, adapters=beneath, purpose="without")
    with_it, _ = paint_rows(prompts, context.seed, context, adapters=[*beneath, adapter], purpose="with")
    with_it = [row.model_copy(update={"idx": len(without) + row.idx}) for row in with_it]
    before, after = _judged(without, taste, context), _judged(with_it, taste, context)
    evidence = measured(after, before, [GUIDE])
    decision, found, kept = verdict(evidence, context.settings.rules), evidence.wins[GUIDE], evidence.clip_t_kept
    told = {"rate": round(found.rate, 3), "low": round(found.low, 3), "high": round(found.high, 3), "n": found.n}
    why = {"reasons": list(decision.reasons), "broken": len(decision.broken), "evidence": evidence.told()}
    row = adapter.model_copy(
        update={
            "promoted": decision.promote,
            "metrics": {**adapter.metrics, **told, "clip_t_kept": round(kept, 3), **why},
        }
    )
    # Why it was decided stands in the row alone: a record made before there were reasons must still be reproduced key by key.
    result = {
        "adapter": adapter.sha256,
        **told,
        "promoted": decision.promote,
        "clip_t_kept": round(kept, 3),
        "prompts": prompts,
    }
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
    from evaluators.preference import model as preference

    fitted = context.trail.preference()
    if fitted is None:
        raise ToolError("There is no learned taste to judge by: call learn_taste first.")
    return preference.load(context.folder / fitted.path)


def _judged(rows: Sequence[ImageRow], taste: Preference, context: Context) -> Judged:
    """One side, as the taste and two scorers that did not guide the training see it."""
    from evaluators.gate import Judged

    images, prompts, features = (
        [context.open_image(row) for row in rows],
        [row.prompt for row in rows],
        context.features(rows),
    )
    with context.timed("score"):
        unseen = {
            "pickscore": context.studio.pickscore(images, prompts),
            "clip_t": context.studio.clip.clip_t(images, prompts),
        }
    return Judged(images, {GUIDE: taste.predict(features)[0].tolist(), **{name: found.values for name, found in unseen.items()}}, features)  # fmt: skip


def _scores(*sides: tuple[Sequence[ImageRow], Judged]) -> tuple[ScoreRow, ...]:
    """One score an image; a picture that the adapter did not change is one image and has one score."""
    values = {row.id: value for rows, side in sides for row, value in zip(rows, side.scores[GUIDE], strict=True)}
    return tuple(
        ScoreRow(image=image, name=GUIDE, version="evaluation", value=value) for image, value in values.items()
    )
