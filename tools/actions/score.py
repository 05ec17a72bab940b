"""score_images: what PickScore, CLIP and the learned taste say of the newest round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from prompts.errors import ToolError
from tools.context import Arguments, Context, Outcome
from tools.likings import likings
from tools.records import ImageRow, ScoreRow

Scorer = Literal["pickscore", "clip_t", "clip_i", "preference"]
LIKED = 3  # how many best-rated images clip_i compares with


class ScoreImages(Arguments):
    """Score the newest images: pickscore (most people's taste), clip_t (fits its prompt), clip_i (like the liked ones), preference."""

    scorers: Annotated[list[Scorer], Field(min_length=1, max_length=4, description="which scores to compute")]


def score_images(args: ScoreImages, context: Context) -> Outcome:
    """Score the newest round. A scorer with nothing to go by yet (no ratings) is named in `skipped`, not invented."""
    rows = context.trail.round_images()
    if not rows:
        raise ToolError("There is nothing to score yet: call generate_images first.")
    scored = {name: SCORERS[name](rows, context) for name in dict.fromkeys(args.scorers)}
    found = {name: scores for name, scores in scored.items() if scores}
    means = {name: round(sum(row.value for row in scores) / len(scores), 4) for name, scores in found.items()}
    result = {"scores": means, "skipped": [name for name in scored if name not in found]}
    return Outcome(result, scores=tuple(score for scores in found.values() for score in scores))


def _pickscore(rows: Sequence[ImageRow], context: Context) -> list[ScoreRow]:
    with context.timed("score"):
        score = context.studio.pickscore([context.open_image(row) for row in rows], [row.prompt for row in rows], [])
    return _rows(rows, score.name, score.version, score.values)


def _clip_t(rows: Sequence[ImageRow], context: Context) -> list[ScoreRow]:
    with context.timed("score"):
        score = context.studio.clip.clip_t([context.open_image(row) for row in rows], [row.prompt for row in rows])
    return _rows(rows, score.name, score.version, score.values)


def _clip_i(rows: Sequence[ImageRow], context: Context) -> list[ScoreRow]:
    ratings = likings(context.trail)
    known = [row for row in context.trail.images() if row.id in ratings]
    liked = sorted(known, key=lambda row: -ratings[row.id])[:LIKED]
    if not liked:
        return []
    with context.timed("score"):
        score = context.studio.clip.clip_i(
            [context.open_image(r) for r in rows], [], [context.open_image(r) for r in liked]
        )
    return _rows(rows, score.name, score.version, score.values)


def _preference(rows: Sequence[ImageRow], context: Context) -> list[ScoreRow]:
    from evaluators.preference import model as preference

    fitted = context.trail.preference()
    if fitted is None:
        return []
    mean, _ = preference.load(context.folder / fitted.path).predict(context.features(rows))
    return _rows(rows, "preference", fitted.sha256[:12], mean.tolist())


def _rows(rows: Sequence[ImageRow], name: str, version: str, values: Sequence[float]) -> list[ScoreRow]:
    return [
        ScoreRow(image=row.id, name=name, version=version, value=float(v)) for row, v in zip(rows, values, strict=True)
    ]


SCORERS: dict[str, Callable[[Sequence[ImageRow], Context], list[ScoreRow]]] = {
    "pickscore": _pickscore, "clip_t": _clip_t, "clip_i": _clip_i, "preference": _preference,
}  # fmt: skip
