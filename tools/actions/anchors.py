"""select_anchors: which directions the newest adapter is unsure of (GAL, Generative Active Learning, Eq. 3-10).

An anchor is a concept that the adapter should still be able to paint. The images of an anchor that look more like what the
adapter was trained on than like the anchor are overfitted (Eq. 8); the anchors that are overfitted about half of the time are
the most uncertain (Eq. 6-7), and teach the most when their best image joins the references.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from prompts.errors import ToolError
from prompts.lists import load_list
from tools.context import Arguments, Context, Outcome
from tools.likings import likings
from tools.painting import paint_rows

REFERENCES = 4  # liked prompts whose mean is the non-subject semantics of Eq. 8


class SelectAnchors(Arguments):
    """Find the directions in which the newest adapter is most unsure, and the best image of each."""

    anchors: Annotated[int, Field(ge=1, le=8, description="how many directions to select (k)")]
    samples: Annotated[int, Field(ge=2, le=10, description="images painted for each anchor (m)")]


def select_anchors(args: SelectAnchors, context: Context) -> Outcome:
    """Eq. 4: paint m images of every anchor with the adapter; Eq. 5-10: judge, select, weigh. Raises ToolError without an adapter."""
    from evaluators import overfit

    adapters = context.trail.adapters()
    if not adapters:
        raise ToolError("There is no adapter to examine: call finetune first.")
    anchors, away = load_list(context.vocabulary, "anchors"), _non_subject(context)
    said = [anchor for anchor in anchors for _ in range(args.samples)]
    rows, _ = paint_rows(said, context.seed, context, adapters=[adapters[-1]], purpose="anchors")
    features = context.features(rows).reshape(len(anchors), args.samples, -1)
    texts = context.studio.clip.text_features(anchors)
    shares = [overfit.overfit_share(overfit.oracle(f, a, away)) for f, a in zip(features, texts, strict=True)]
    uncertainties = np.array([overfit.uncertainty(share) for share in shares])
    fidelity = np.stack([overfit.similarity(f, a) for f, a in zip(features, texts, strict=True)])
    chosen = overfit.select(uncertainties, fidelity, min(args.anchors, len(anchors)))
    picked = [
        {
            "anchor": anchors[c.anchor],
            "uncertainty": round(float(uncertainties[c.anchor]), 4),
            "image": rows[c.anchor * args.samples + c.image].id,
        }
        for c in chosen
    ]
    result = {
        "anchors": picked,
        "openness": round(overfit.openness(uncertainties), 6),
        "overfit": round(float(np.mean(shares)), 4),
    }
    return Outcome(result | {"stop": overfit.should_stop(uncertainties, args.anchors)}, images=tuple(rows))


def _non_subject(context: Context) -> np.ndarray:
    """The embedding of what the references happened to show: the mean of the best rated prompts."""
    ratings = likings(context.trail)
    rated = sorted((row for row in context.trail.images() if row.id in ratings), key=lambda row: -ratings[row.id])
    if not rated:
        raise ToolError(
            "There are no liked images whose prompts could be told apart from the anchors: call ask_person first."
        )
    features: np.ndarray = context.studio.clip.text_features([row.prompt for row in rated[:REFERENCES]])
    mean: np.ndarray = features.mean(axis=0)
    return mean
