"""learn_taste: fit the personal preference model (PIAA) to the ratings so far, and say how far to trust it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from prompts.errors import ToolError
from prompts.ground.atomic import write_atomically
from tools.context import Arguments, Context, Outcome
from tools.records import PreferenceRow

# Of what is known of a taste: what a planner was always told where all there is are ratings.
PLANNED_BY = ("ratings", "agreement", "interval")


class LearnTaste(Arguments):
    """Learn this person's taste from all ratings: head (Bayesian linear), knn, blend (both), or finetune (a small network)."""

    kind: Annotated[Literal["blend", "head", "knn", "finetune"], Field(description="which preference model to fit")]


def learn_taste(args: LearnTaste, context: Context) -> Outcome:
    """Fit on the CLIP features of every image that was rated or compared; saved under preferences/. Raises ToolError below two."""
    from tools.taste import before, fit, said, trust

    prior = before(args.kind, context)
    told, seed = said(context.trail), context.settings.seed
    if len(told.rows) < 2:
        raise ToolError(f"{len(told.rows)} rated images are too few to learn from: call ask_person first.")
    features = context.features(told.rows)
    with context.timed("score"):
        fitted = fit(features, told, args.kind, seed, prior)
        metrics = {"ratings": told.clicks, **trust(features, told, args.kind, seed, prior)}
    shown = metrics if told.pairs else {name: metrics[name] for name in PLANNED_BY if name in metrics}
    return Outcome({"kind": args.kind, **shown}, preferences=(_saved(fitted, args.kind, metrics, context),))


def _saved(fitted: Any, kind: str, metrics: dict[str, Any], context: Context) -> PreferenceRow:
    path = context.folder / "preferences" / f"step-{context.step}.npz"
    with tempfile.TemporaryDirectory() as folder:  # written whole or not at all, like every file of a run
        fitted.save(Path(folder) / path.name)
        data = (Path(folder) / path.name).read_bytes()
    write_atomically(path, data)
    digest = hashlib.sha256(data).hexdigest()
    return PreferenceRow(kind=kind, metrics=metrics, path=str(path.relative_to(context.folder)), sha256=digest)
